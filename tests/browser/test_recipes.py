"""Recipes on the page: the gallery starts one, and what a study shows stands in panels of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from landscope.measurements import Chart, Provenance
from landscope.recipes.catalogue import CATALOGUE
from landscope.recipes.claims import claim, judged
from landscope.recipes.settings import Configuration, knob
from landscope.recipes.studies import Study
from landscope.recipes.words import LESSONS
from tests.browser.conftest import until

pytestmark = pytest.mark.browser

HOSTILE = "<b>flatter</b> is better"


@dataclass(frozen=True)
class Config(Configuration):
    seed: int = knob(0, 0, 10, "Of everything.")


def chart(title: str, steps: int, *others: str) -> Chart:
    x, labels = np.arange(steps + 1.0), ("loss", *others)
    lines = dict.fromkeys(labels, x)
    axes = {"x_name": "training (steps)", "y_name": "loss", "labels": labels, "x": lines, "y": lines}
    return Chart(provenance=Provenance(method="by hand"), title=title, summary="It rises.", **axes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, serve: Callable[..., str]) -> str:
    """The address of a server whose newest run is a study."""
    root = tmp_path_factory.mktemp("studies")
    with Study("digits", Config(), root, total=3) as study:
        while study.step < 3:
            study.advance()
            study.exhibit("zeta", chart("The first", study.step), window=("lr", "overhead", "seed", "steps"))
            study.exhibit("alpha", chart("The second", study.step, "another"))
    judged(study.path, lambda run: [claim(HOSTILE, "3 against 2", holds=True), claim("Or not.", "1", holds=False)])
    return serve(root)


def test_exhibits_are_panels_in_their_order_and_follow_the_step(gallery: str, revisit: Callable[..., Any]) -> None:
    page, watcher = revisit(f"{gallery}/run/latest")
    panels = page.locator(".panel.exhibit")
    expect(panels).to_have_count(2)
    expect(panels.locator("h2")).to_have_text(["The first", "The second"])
    expect(page.locator("#panel-landscape")).to_be_hidden()
    drawn = "document.querySelector('#exhibit-zeta .graph').calcdata?.[0].length"
    until(page, f"{drawn} === 4")
    page.keyboard.press("ArrowLeft")
    until(page, f"{drawn} === 3")
    expect(page.locator("#exhibit-zeta .provenance")).to_have_text("step 2 · by hand")
    page.get_by_role("button", name="Explain: The first").click()
    drawer = page.get_by_role("dialog", name="The first")
    expect(drawer).to_contain_text('run.measurement("exhibit/zeta", step=2)')
    page.keyboard.press("Escape")
    expect(page.locator("#exhibit-zeta .entry")).to_have_count(0)  # one line needs no legend
    shown = "document.querySelector('#exhibit-alpha .graph').data.filter(({ visible }) => visible !== false).length"
    page.locator("#exhibit-alpha .entry", has_text="another").click()
    until(page, f"{shown} === 1")
    page.locator("#exhibit-alpha .entry", has_text="another").click()
    until(page, f"{shown} === 2")
    rows = "landscope.exhibitLegend.rows(['a', 'b', 'c'].map((name) => ({ label: name.repeat(10) })), 210)"
    assert page.evaluate(f"{rows}.map((row) => row.map(({{ label, at }}) => [label[0], at]))") == [
        [["a", 0], ["b", 102]],
        [["c", 0]],
    ]
    page.get_by_role("button", name="Enlarge: The second").click()
    expect(page.locator("#exhibit-alpha")).to_have_class(re.compile("enlarged"))
    page.keyboard.press("Escape")
    expect(page.locator("#exhibit-alpha")).not_to_have_class(re.compile("enlarged"))
    assert watcher.errors == []


def test_a_dragged_box_is_run_again(gallery: str, revisit: Callable[..., Any]) -> None:
    page, _ = revisit(f"{gallery}/run/latest")
    until(page, "document.querySelector('#exhibit-zeta .graph').calcdata")
    button = page.locator("#exhibit-zeta").get_by_role("button", name="Run this box")
    expect(button).to_be_hidden()
    box = page.locator("#exhibit-zeta .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.75 * box["height"], steps=4)
    page.mouse.up()
    expect(button).to_be_visible()
    asked: list[Any] = []
    page.route("**/api/v1/recipes/digits", lambda route: (asked.append(route.request.post_data_json), route.abort()))
    button.click()
    expect(page.locator("#refusal")).to_contain_text("Not done")
    page.unroute_all()
    settings = asked[0]["settings"]
    assert settings["lr"] == pytest.approx(0.75, abs=0.1)  # of steps 0 to 3 on the horizontal axis
    assert settings["overhead"] == pytest.approx(2.25, abs=0.1)
    assert settings["seed"] < settings["steps"]


def test_the_claim_stands_above_with_its_verdict(gallery: str, revisit: Callable[..., Any]) -> None:
    page, _ = revisit(f"{gallery}/run/latest")
    claims = page.locator("#claim")
    expect(claims.locator("summary")).to_contain_text(CATALOGUE["digits"].claim)
    expect(claims.locator("summary .outcome")).to_have_text("partly")
    expect(claims.locator("li")).to_have_text([f"reproduced{HOSTILE} 3 against 2", "not hereOr not. 1"])
    expect(claims.locator("li .outcome").first).to_be_visible()


def test_the_gallery_has_every_recipe_and_starts_one(gallery: str, revisit: Callable[..., Any]) -> None:
    page, watcher = revisit(gallery)
    page.get_by_role("link", name="Recipes").click()
    expect(page.locator(".card h2")).to_have_text(list(CATALOGUE))
    card = page.locator('[data-recipe="digits"]')
    card.locator("summary").click()
    for setting, value in (("Steps", "2"), ("Examples", "60"), ("Overhead", "0.01")):
        field = card.get_by_label(setting, exact=True)
        field.fill(value)
        field.press("Enter")
    card.get_by_role("button", name="Start digits").click()
    page.wait_for_url(re.compile(r"/run/\d+-\d+-digits"))
    expect(page.locator("#status")).to_have_text("finished")
    expect(page.locator("#claim summary")).to_contain_text("not here")
    assert watcher.errors == []


def test_a_lesson_moves_the_time_bar_and_points_at_panels(listing: str, visit: Callable[..., Any]) -> None:
    page, watcher = visit(f"{listing}/run/latest")
    until(page, "landscope.run.data.loaded && landscope.plan.manifest()")
    expect(page.locator("#lesson-open")).to_be_hidden()  # no recipe's run
    card = page.get_by_role("complementary", name="Lesson")
    page.evaluate("landscope.plan.manifest().recipe = 'grokking'")
    page.evaluate("landscope.lessons.open()")
    expect(card).to_contain_text(LESSONS["grokking"][0].text)  # a stop that points at nothing
    assert page.locator(".pointed").count() == 0
    page.evaluate("landscope.lessons.close()")
    page.evaluate("landscope.plan.manifest().recipe = 'digits'")
    page.evaluate("landscope.lessons.open()")
    expect(card).to_contain_text(LESSONS["digits"][0].text)
    until(page, "landscope.view.state.step === 0")
    expect(page.locator("#panel-sharpness")).to_have_class(re.compile("pointed"))
    for _ in LESSONS["digits"][1:]:
        page.keyboard.press("n")
    expect(card).to_contain_text(f"{len(LESSONS['digits'])} of {len(LESSONS['digits'])}")
    expect(page).to_have_url(re.compile(r"lesson=6"))
    until(page, "landscope.view.state.step === landscope.run.lastStep()")
    card.get_by_role("button", name="On to the next stop").click()
    expect(card).to_be_hidden()
    assert page.locator(".pointed").count() == 0
    assert watcher.errors == []


def test_pins_and_the_arrangement_of_panels_are_in_the_address(listing: str, visit: Callable[..., Any]) -> None:
    page, watcher = visit(f"{listing}/run/latest?step=400")
    until(page, "landscope.run.data.loaded")
    page.keyboard.press("a")
    page.keyboard.press("End")
    page.keyboard.press("a")
    until(page, "landscope.view.state.step === 400")
    expect(page.locator('[data-pin="a"]')).to_be_visible()
    page.get_by_role("button", name="Choose and arrange panels").click()
    page.get_by_role("checkbox", name="Loss landscape").uncheck()
    page.get_by_role("button", name="Later: Loss and accuracy").click()
    expect(page).to_have_url(re.compile(r"a=400.*panels=sharpness,curves,"))
    expect(page.locator("#panel-landscape")).to_be_hidden()
    address = page.url
    again, _ = visit(address)
    expect(again.locator("#panel-landscape")).to_be_hidden()
    expect(again.locator("#panel-sharpness")).to_have_css("order", "0")
    assert watcher.errors == []
