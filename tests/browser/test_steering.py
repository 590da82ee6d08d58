"""A training is steered from its page, and the page shows what the training says of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from landscope.runs import Run, latest_id, open_run
from tests.browser.conftest import Trainer, Watcher, opened, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def steered(trainer: Trainer, context: BrowserContext, serve: Callable) -> Iterator[tuple[Page, Watcher]]:
    """The page of a training that obeys, with its controls open; one for all tests, in their order."""
    page, watcher = opened(context, f"{serve(trainer.root)}/run/latest?dock=control")
    expect(page.get_by_label("Learning rate", exact=True)).to_have_value("0.05")
    yield page, watcher
    page.close()


@pytest.fixture(scope="module")
def run(trainer: Trainer) -> Run:
    return open_run(latest_id(trainer.root), root=trainer.root)


def acts(run: Run) -> list[str]:
    return [event.text for event in run.events("intervention")]


def test_a_knob_is_turned_by_slider_and_by_number(steered: tuple[Page, Watcher], run: Run) -> None:
    page, watcher = steered
    # A key held down is one wish: the training is told once, when it rests.
    page.get_by_label("Learning rate, slider").evaluate(
        """(slider) => [800, 900].forEach((tick) => {
            slider.dispatchEvent(new KeyboardEvent('keydown'));
            slider.value = tick;
            slider.dispatchEvent(new Event('input'));
            slider.dispatchEvent(new Event('change')); })"""
    )
    expect(page.locator(".act")).to_have_count(1)
    assert acts(run) == ["learning rate 0.05 → 0.4"]
    page.get_by_label("Learning rate", exact=True).fill("0.2")
    page.keyboard.press("Enter")
    expect(page.locator(".act").last).to_contain_text("0.2")
    expect(page.locator(".pending")).to_have_count(0)
    assert acts(run)[-1].endswith("→ 0.2")
    assert watcher.errors == []


def test_what_is_refused_or_cannot_be_changed_is_said(steered: tuple[Page, Watcher]) -> None:
    page, _ = steered
    momentum = page.get_by_label("Momentum", exact=True)
    momentum.fill("1.5")
    momentum.press("Enter")
    expect(page.locator("#refusal")).to_have_text("Not done: momentum cannot be 1.5")
    expect(momentum).to_have_value("0.9")
    expect(page.get_by_label("Batch size", exact=True)).to_be_disabled()
    page.get_by_label("Optimiser").select_option("Adam")
    expect(page.locator("[data-knobs]")).to_contain_text("Adam has betas instead.")


def test_a_single_step_is_one_step_and_an_intervention_is_a_mark(steered: tuple[Page, Watcher], run: Run) -> None:
    page, _ = steered
    page.get_by_role("button", name="Pause training").click()
    expect(page.locator("#status")).to_have_text("paused")
    expect(page.locator("#dock")).to_contain_text("Waiting at step")
    before = run.head().step
    page.keyboard.press(".")
    until(page, f"landscope.run.data.head.step === {before + 1}")
    page.wait_for_timeout(300)
    assert run.head().step == before + 1
    marks = page.locator(".act-mark")
    expect(marks).to_have_count(len(acts(run)))
    page.locator(".act").first.click()
    first = run.events("intervention")[0]
    expect(page).to_have_url(re.compile(rf"step={first.step}\b"))
    marks.nth(1).click()
    expect(page).to_have_url(re.compile(rf"step={run.events('intervention')[1].step}\b"))


def test_something_is_measured_now_and_something_is_cancelled(steered: tuple[Page, Watcher], run: Run) -> None:
    page, watcher = steered
    page.keyboard.press("m")
    expect(page.get_by_label("Points a side", exact=True)).to_have_value("33")
    expect(page.locator("#dock")).to_contain_text("takes about 1.5 s")
    # The server says what is wrong with a form, before anything is asked.
    page.get_by_label("Points a side", exact=True).fill("3")
    page.keyboard.press("Enter")
    expect(page.locator("#dock")).to_contain_text("points must be an integer from 5 to 257, got 3")
    page.get_by_label("Measurement", exact=True).select_option("density")
    expect(page).to_have_url(re.compile("dock=lab&measure=density"))
    measure = page.get_by_role("button", name="Measure", exact=True)
    measure.click()
    expect(page.get_by_label("Progress of density")).to_be_visible()
    measure.click()
    expect(page.locator(".job")).to_have_count(2)
    page.get_by_role("button", name=re.compile("Cancel job")).first.click()  # the newest
    expect(page.locator(".job-state").first).to_have_text("cancelled")
    page.get_by_role("button", name=re.compile("Open the picture")).click()
    until(page, "document.querySelector('#result-graph').data?.length > 0")
    expect(page.locator("#result-code")).to_contain_text('/density").figure()')
    expect(page).to_have_url(re.compile(r"job=\d+"))
    assert [event.data["state"] for event in run.events("job") if event.data][-1] == "done"
    page.keyboard.press("Escape")
    expect(page.locator("#result")).to_be_hidden()
    page.keyboard.press("c")
    assert watcher.errors == []


def test_a_branch_is_followed_and_knows_where_it_comes_from(steered: tuple[Page, Watcher], run: Run) -> None:
    page, watcher = steered
    page.get_by_role("button", name="Keep a snapshot").click()
    kept = page.get_by_label("Kept step to go back to")
    expect(kept.locator("option")).to_have_count(1)
    step = kept.input_value()
    # Nothing was kept at or before the shown step yet.
    expect(page.get_by_role("button", name=re.compile("Branch from here"))).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Follow the newest step").click()
    page.get_by_role("button", name=re.compile("Branch from here")).click()
    until(page, f"landscope.run.data.id !== null && landscope.run.data.id !== '{run.id}'")
    expect(page.locator("#kin")).to_contain_text(f"branched from {run.id} at step {int(step):,}")
    expect(page.locator("#dock")).to_be_visible()
    assert open_run(page.evaluate("landscope.run.data.id"), root=run.path.parent).manifest.parent is not None
    page.locator("#kin a").click()
    expect(page.locator("#kin")).to_contain_text("goes on in")
    expect(page.get_by_label("Learning rate", exact=True)).to_be_disabled()
    expect(page.locator("#dock")).to_contain_text("The training has ended")
    assert watcher.errors == []
