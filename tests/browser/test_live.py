"""The page of a run that is being written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Trainer, until
from tests.browser.scene import turn_scene
from tests.browser.test_page import filled

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def training(trainer: Trainer, serve: Callable) -> str:
    """The address of the page of a training that goes on."""
    return f"{serve(trainer.root)}/run/latest"


@pytest.mark.alone
def test_camera_turns_while_data_streams_and_stays(training: str, visit: Callable) -> None:
    page, watcher = visit(f"{training}?style=surface")
    turn = turn_scene(page, patience=30)
    assert turn.moved >= 0.5
    assert turn.lost < 0.02
    assert watcher.errors == []


@pytest.mark.alone
def test_page_keeps_up_and_obeys(training: str, visit: Callable) -> None:
    page, watcher = visit(training)
    filled(page)
    expect(page.locator("#status")).to_have_text("live")
    before = page.evaluate("landscope.run.lastStep()")
    until(page, f"landscope.run.lastStep() > {before} + 20")
    page.get_by_role("button", name="Pause training").click()
    expect(page.locator("#status")).to_have_text("paused")
    page.wait_for_timeout(1200)
    held = page.evaluate("landscope.run.lastStep()")
    page.wait_for_timeout(1200)
    assert page.evaluate("landscope.run.lastStep()") == held
    page.get_by_role("button", name="Resume training").click()
    expect(page.locator("#status")).to_have_text("live")
    until(page, f"landscope.run.lastStep() > {held}")
    assert watcher.errors == []


def test_choosing_a_step_holds_it_while_the_run_goes_on(training: str, revisit: Callable) -> None:
    page, _ = revisit(f"{training}?step=0")
    filled(page)
    expect(page.locator("#shown-step")).to_contain_text("step 0 ")
    before = page.evaluate("landscope.run.lastStep()")
    until(page, f"landscope.run.lastStep() > {before} + 40")
    expect(page.locator('[data-provenance="landscape"]')).to_contain_text("step 0 ")
    page.get_by_role("button", name="Follow the newest step").click()
    until(page, "landscope.run.shownStep() > 40")


def test_killed_trainer_is_said_to_have_crashed(tmp_path: Path, serve: Callable, visit: Callable) -> None:
    own = Trainer.start(tmp_path)
    page, _ = visit(f"{serve(tmp_path)}/run/latest")
    filled(page)
    own.kill()
    expect(page.locator("#status")).to_have_text("crashed")
    expect(page.locator("#banner")).to_contain_text("ended without saying so")
    expect(page.locator('[data-action="pause"]')).to_be_hidden()


def test_lost_server_is_said_and_found_again(latest: str, visit: Callable) -> None:
    page, _ = visit(latest)
    filled(page)
    page.context.route("**/api/**", lambda route: route.abort())
    try:
        expect(page.locator("#banner")).to_contain_text("The server does not answer. Showing what was known")
    finally:
        page.context.unroute("**/api/**")
    expect(page.locator("#banner")).to_be_hidden()


def test_commands_are_refused_read_only(trainer: Trainer, serve: Callable, visit: Callable) -> None:
    page, _ = visit(f"{serve(trainer.root, read_only=True)}/run/latest?dock=control")
    pause = page.get_by_role("button", name="Pause training")
    expect(pause).to_have_attribute("title", re.compile("may only look"))
    expect(page.get_by_label("Learning rate", exact=True)).to_be_disabled()
    expect(page.locator("#dock")).to_contain_text("started read-only")
    pause.click(force=True)
    expect(page.locator("#refusal")).to_contain_text("may only look")
    expect(page.locator("#status")).to_have_text("live")


def test_columns_are_added_under_a_zoom_while_data_streams(training: str, revisit: Callable) -> None:
    page, watcher = revisit(f"{training}?spectrum=waterfall&sharpness=taylor")
    drawn = "document.querySelector('#graph-spectrum .js-plotly-plot')"
    until(page, f"{drawn}.data[0]?.type === 'heatmap' && {drawn}.data[0].z[0].every((value) => value !== null)")
    page.evaluate(f"Plotly.relayout({drawn}, {{'yaxis.range[0]': 1, 'yaxis.range[1]': 4}})")
    before = page.evaluate("[landscope.run.lastStep(), landscope.history.columns('density').at(-1).step]")
    until(page, f"landscope.run.lastStep() > {before[0]} + 90")
    until(page, f"landscope.history.columns('density').findLast(({{ found }}) => found).step > {before[1]} + 40")
    until(page, f"{drawn}.data[0].x.length === landscope.history.columns('density').length + 1", seconds=5)
    assert page.evaluate(f"{drawn}._fullLayout.yaxis.range") == [1, 4]
    assert 2 <= page.evaluate("landscope.history.columns('density').length") <= 120
    assert watcher.errors == []


def test_zoom_stays_while_data_streams_until_a_double_click(training: str, revisit: Callable) -> None:
    page, watcher = revisit(training)
    filled(page)
    until(page, "landscope.run.lastStep() > 60")
    drawn = "document.querySelector('#graph-curves .js-plotly-plot')"
    box = page.locator("#graph-curves .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    zoomed = page.evaluate(f"{drawn}._fullLayout.xaxis.range")
    before = page.evaluate("landscope.run.lastStep()")
    until(page, f"landscope.run.lastStep() > {before} + 40")
    page.wait_for_timeout(1000)
    assert page.evaluate(f"{drawn}._fullLayout.xaxis.range") == zoomed
    # The other panels over steps show the same stretch.
    assert page.evaluate("document.querySelector('#graph-norms .js-plotly-plot')._fullLayout.xaxis.range") == zoomed
    page.mouse.dblclick(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    until(page, f"{drawn}._fullLayout.xaxis.range[1] > landscope.run.lastStep() - 20")
    assert page.evaluate(f"{drawn}._fullLayout.xaxis.range[0]") == 0
    assert watcher.errors == []


def test_a_running_training_is_asked_for_another_opinion(trainer: Trainer, serve: Callable, visit: Callable) -> None:
    page, watcher = visit(f"{serve(trainer.root)}/run/latest")
    page.get_by_role("button", name="Explain: Hessian spectrum").click()
    button, answer = (
        page.get_by_role("button", name="Measure the same with PyHessian"),
        page.locator("[data-crosscheck]"),
    )
    expect(answer).to_have_text("")
    button.click()
    expect(answer).to_contain_text("The largest eigenvalue is 40, and by PyHessian 41.")
    expect(button).to_be_enabled()
    assert watcher.errors == []
