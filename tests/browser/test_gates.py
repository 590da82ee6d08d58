"""What holds on every page: it can be used by everybody, stays small, and bears any number of runs of any name."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page, expect

from landscope.runs import RunWriter
from tests.browser.conftest import opened, until

pytestmark = pytest.mark.browser

COUNT_CONTEXTS = """
    window.contexts = new Set();
    const make = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
        const made = make.call(this, kind, ...rest);
        if (made && String(kind).startsWith("webgl")) window.contexts.add(made);
        return made;
    };
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_hindrance_on_any_page(listing: str, visit: Callable[..., Any], theme: str) -> None:
    page, _ = visit(listing, color_scheme=theme)
    page.evaluate(AXE_SCRIPT)
    for path in ("/", "/recipes", "/run/latest"):
        page.evaluate(f"landscope.view.go('{path}')")
        until(page, "document.querySelector('main:not([hidden])').childElementCount > 0")
        page.wait_for_timeout(1500 if path.startswith("/run") else 300)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(path, one["id"], one["nodes"][0]["html"]) for one in serious] == []


def test_few_drawing_contexts_after_every_page_was_visited_twice(listing: str, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(COUNT_CONTEXTS)
    page, watcher = opened(context, listing)
    for path in 2 * ("/", "/recipes", "/run/latest", "/run/latest?style=surface"):
        page.evaluate(f"landscope.view.go('{path}')")
        page.wait_for_timeout(400)
    until(page, "window.contexts.size > 0")
    assert page.evaluate("window.contexts.size") <= 8
    assert watcher.errors == []
    context.close()


def test_a_run_is_asked_for_before_its_page_is_made(listing: str, visit: Callable[..., Any]) -> None:
    page, _ = visit(f"{listing}/run/latest")
    began = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name, startTime }) => [new URL(name).pathname, startTime])"
    )
    first = {path: at for path, at in reversed(began)}
    assert first["/api/v1/runs/latest/head"] < first["/_dash-layout"]
    assert len([path for path, _ in began if "/since/0" in path]) == 1


def test_two_hundred_runs_of_any_name_and_number_are_listed(
    tmp_path: Path, serve: Callable[..., str], visit: Callable[..., Any]
) -> None:
    names = ["", "<script>document.body.dataset.hacked = 1</script>", "x" * 500, "‮RLO", "run"]
    for name, value in zip(names, [math.nan, math.inf, 1e308, -1e-308, 0.5], strict=True):
        with RunWriter.create(tmp_path, name=name, config={"lr": math.inf, "x": [math.nan]}) as writer:
            writer.scalars(3, {"train/loss": value})
        for copy in range(39):
            again = shutil.copytree(writer.path, writer.path.with_name(f"{writer.path.name}-{copy + 10}"))
            manifest = json.loads((again / "run.json").read_text())
            (again / "run.json").write_text(json.dumps(manifest | {"id": again.name}))
    page, watcher = visit(serve(tmp_path))
    rows = page.locator("#runs-body tr")
    until(page, "document.querySelectorAll('#runs-body tr').length >= 50")
    expect(page.locator("#runs-note")).to_contain_text("200 runs")
    expect(rows.nth(0)).to_be_visible()
    assert page.evaluate("document.body.dataset.hacked") is None
    assert fits(page)
    rows.nth(3).locator("a").first.click()
    expect(page.locator("#run-page")).to_be_visible()
    until(page, "landscope.run.data.loaded")
    assert watcher.errors == []


def fits(page: Page) -> bool:
    """Whether nothing reaches beyond the window's right edge."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
