"""A built-in experiment as its user starts it: one command, a page, a training that fills it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import REPOSITORY, until
from tests.browser.scene import turn_scene
from tests.browser.test_page import filled

pytestmark = [pytest.mark.browser, pytest.mark.alone]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[str]:
    """The address of a page over a training that has just been started."""
    command = [sys.executable, "-m", "landscope_app.cli", "demo", "digits"]
    options = ["--port", "0", "--no-open", "--runs", str(tmp_path / "runs")]
    process = subprocess.Popen(
        [*command, *options], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found:
            break
    else:
        pytest.fail(f"the command ended without an address; it said:\n{said}")
    yield found.group()
    process.terminate()
    process.communicate(timeout=30)


def obeys(page: Page) -> None:
    """The learning rate that is set on the page is the training's own, and a single step is one step."""
    page.keyboard.press("c")
    page.get_by_label("Learning rate", exact=True).fill("0.123")
    page.keyboard.press("Enter")
    until(page, "landscope.controls.state.known.knobs.find(({ name }) => name === 'lr').value === 0.123", 120)
    expect(page.locator(".act").last).to_contain_text("0.123")
    page.get_by_role("button", name="Pause training").click()
    until(page, "landscope.run.data.head.status === 'paused'", 120)
    before = page.evaluate("landscope.run.data.head.step")
    page.keyboard.press(".")
    until(page, f"landscope.run.data.head.step > {before}", 120)
    page.wait_for_timeout(1000)
    assert page.evaluate("landscope.run.data.head.step") == before + 1


@pytest.mark.timeout(600)
def test_digits_fill_the_page_which_turns_and_scrubs(demo: str, visit: Callable) -> None:
    page, watcher = visit(f"{demo}/")
    page.locator("#runs-body a").first.click()
    expect(page).to_have_url(re.compile("/run/2"))
    filled(page)
    expect(page.locator("#status")).to_have_text("live")
    before = page.evaluate("landscope.run.lastStep()")
    until(page, f"landscope.run.lastStep() > {before} + 10", 120)
    check = page.locator('[data-readout="landscape"]').inner_text()
    assert "loss here" in check
    assert "not finite" not in check
    page.keyboard.press("s")
    turn = turn_scene(page, patience=120)
    assert turn.moved >= 0.5
    assert turn.lost < 0.02
    page.keyboard.press("Home")
    expect(page.locator("#shown-step")).to_contain_text("step 0 ")
    expect(page.locator('[data-provenance="spectrum"]')).to_contain_text("step 0 ")
    expect(page.locator("#status")).to_have_text("live")
    obeys(page)
    assert watcher.errors == []
    assert watcher.hosts - {""} == {demo.split("/")[2]}
