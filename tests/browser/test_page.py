"""The page of a finished run, and the list of runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from landscope_app.panels import PANELS
from tests.browser.conftest import HOSTILE, VIEWPORT, Watcher, opened, until

pytestmark = pytest.mark.browser

NAMES = [panel.name for panel in PANELS]


def filled(page: Page) -> None:
    """Wait until every panel shows something."""
    for name in NAMES:
        expect(page.locator(f'[data-cover="{name}"]')).to_be_hidden()
        until(page, f"document.querySelector('#graph-{name} .js-plotly-plot').data.length > 0")


def provenance(page: Page, name: str) -> str:
    return page.locator(f'[data-provenance="{name}"]').inner_text()


@pytest.fixture(scope="module")
def still(context: BrowserContext, listing: str) -> Iterator[tuple[Page, Watcher]]:
    """A filled page of a finished run, for tests that leave it as it was."""
    page, watcher = opened(context, f"{listing}/run/latest")
    filled(page)
    yield page, watcher
    page.close()


def test_all_panels_fill_without_errors_or_other_hosts(latest: str, still: tuple[Page, Watcher]) -> None:
    page, watcher = still
    expect(page.locator("#status")).to_have_text("finished")
    expect(page.locator("#finding")).to_contain_text("over-confident")
    for name in NAMES:
        axes = page.evaluate(
            f"""() => {{ const layout = document.querySelector('#graph-{name} .js-plotly-plot')._fullLayout;
            return Object.keys(layout).filter((key) => /^[xy]axis/.test(key) && layout[key].visible)
            .map((key) => layout[key].title.text); }}"""
        )
        assert len(axes) >= 2
        assert all(axes), f"{name} has an axis without a name: {axes}"
        assert "step" in provenance(page, name)
    assert watcher.errors == []
    assert watcher.hosts - {""} == {latest.split("/")[2]}


def test_nothing_scrolls_at_1440_by_900_and_nothing_overflows_at_1024(still: tuple[Page, Watcher]) -> None:
    page, _ = still
    height, width = page.evaluate("[document.scrollingElement.scrollHeight, document.scrollingElement.scrollWidth]")
    assert height <= 900
    assert width <= 1440
    page.set_viewport_size({"width": 1024, "height": 768})
    page.wait_for_timeout(500)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 1024
    page.set_viewport_size(VIEWPORT)


def test_scrubbing_moves_every_panel_and_the_address(latest: str, revisit: Callable) -> None:
    page, watcher = revisit(latest)
    filled(page)
    box = page.locator("#track").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile(r"step=(59\d|60\d)$"))
    step = int(page.url.rpartition("=")[2])
    newest = 100 * (step // 100)
    for name in ("landscape", "spectrum", "embedding", "kernel", "sharpness"):
        expect(page.locator(f'[data-provenance="{name}"]')).to_contain_text(f"step {newest} ")
    expect(page.locator("#finding")).to_contain_text("progressive sharpening" if step >= 600 else "falls quickly")
    shown = page.locator('[data-readout="curves"]').inner_text()
    page.reload()
    page.wait_for_selector("body[data-ready=true]")
    filled(page)
    expect(page.locator("#shown-step")).to_contain_text(f"step {step} /")
    assert page.locator('[data-readout="curves"]').inner_text() == shown
    assert watcher.errors == []


def test_scales_hold_still_while_the_step_changes(latest: str, revisit: Callable) -> None:
    page, _ = revisit(f"{latest}?step=1000&plane=random")
    filled(page)
    ranges = """() => ['landscape', 'spectrum', 'embedding', 'curves'].map((name) => {
        const { _fullLayout: layout, data: [first] } = document.querySelector(`#graph-${name} .js-plotly-plot`);
        return [layout.xaxis.range, layout.yaxis.range, first.zmin, first.zmax]; })"""
    before = page.evaluate(ranges)
    page.keyboard.press("Home")
    expect(page.locator('[data-provenance="landscape"]')).to_contain_text("step 0 ")
    page.wait_for_timeout(1000)
    assert page.evaluate(ranges) == before
    # At step 0 a corner of the plane has no finite loss: it is drawn as such, and counted.
    expect(page.locator('[data-readout="landscape"]')).to_contain_text("33 × 33 points, 10 not finite")
    assert "heatmap" in page.evaluate(
        "document.querySelector('#graph-landscape .js-plotly-plot').data.map((trace) => trace.type)"
    )


def test_keys(latest: str, revisit: Callable) -> None:
    page, watcher = revisit(latest)
    filled(page)
    shown = page.locator("#shown-step")
    page.keyboard.press("ArrowLeft")
    expect(shown).to_contain_text("step 1,900 ")
    page.keyboard.press("Shift+ArrowLeft")
    expect(shown).to_contain_text("step 900 ")
    page.keyboard.press("ArrowRight")
    expect(shown).to_contain_text("step 1,000 ")
    page.keyboard.press("Home")
    expect(shown).to_contain_text("step 0 ")
    page.keyboard.press("Space")
    expect(page.locator('[data-action="play"]')).to_have_attribute("aria-label", "Pause the history")
    until(page, "landscope.run.shownStep() > 20")
    page.keyboard.press("Space")
    page.keyboard.press("End")
    expect(shown).to_contain_text("step 2,000 ")
    page.keyboard.press("f")
    expect(page.locator('[data-action="follow"]')).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("l")
    expect(page).to_have_url(re.compile(r"x=log"))
    page.keyboard.press("p")
    expect(page.locator('[data-provenance="landscape"]')).to_contain_text("random plane")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("logarithmic step axis")
    assert watcher.errors == []


def test_theme_goes_there_and_back_and_is_remembered(latest: str, visit: Callable) -> None:
    page, watcher = visit(latest, color_scheme="dark")
    filled(page)
    scheme, ground = page.locator("html"), "() => getComputedStyle(document.querySelector('.panel')).backgroundColor"
    paper = "() => document.querySelector('#graph-curves .js-plotly-plot')._fullLayout.paper_bgcolor"
    expect(scheme).to_have_attribute("data-mantine-color-scheme", "dark")
    assert page.evaluate(ground) == "rgb(20, 24, 31)"
    page.keyboard.press("d")
    expect(scheme).to_have_attribute("data-mantine-color-scheme", "light")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    until(page, f"({paper})() === '#ffffff'")
    # Dark is what the system prefers: light must be there before the first paint, so before any script of the body.
    page.add_init_script(
        "addEventListener('DOMContentLoaded', () => {"
        " window.first = document.documentElement.getAttribute('data-mantine-color-scheme'); })"
    )
    page.reload()
    page.wait_for_selector("body[data-ready=true]")
    assert page.evaluate("window.first") == "light"
    page.keyboard.press("d")
    expect(scheme).to_have_attribute("data-mantine-color-scheme", "dark")
    assert watcher.errors == []


def test_hostile_run_name_is_text_everywhere(listing: str, revisit: Callable) -> None:
    page, watcher = revisit(listing)
    link = page.locator("#runs-body a", has_text=HOSTILE)
    expect(link).to_be_visible()
    link.click()
    expect(page).to_have_url(re.compile("/run/2"))
    filled(page)
    expect(page.locator("#run-picker")).to_have_value(re.compile(re.escape(HOSTILE)))
    page.locator("#run-picker").click()
    expect(page.get_by_role("listbox").get_by_role("option")).to_have_count(2)
    assert page.evaluate("document.body.dataset.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    page.go_back()
    expect(page.locator("#runs-table")).to_be_visible()
    assert watcher.errors == []


def test_every_control_has_a_name_and_shows_its_focus(still: tuple[Page, Watcher]) -> None:
    page, _ = still
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, [role=slider], [role=radiogroup], a[href]')]
        .filter((control) => control.offsetParent !== null && !control.closest('[aria-hidden=true]'))
        .filter((control) => !(control.getAttribute('aria-label') || control.title || control.textContent.trim()
            || control.labels?.[0]?.textContent || control.getAttribute('aria-labelledby')))
        .map((control) => control.outerHTML)"""
    )
    assert nameless == []
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_explanation_opens(still: tuple[Page, Watcher]) -> None:
    page, watcher = still
    page.get_by_role("button", name="Explain: Hessian spectrum").click()
    expect(page.get_by_role("dialog")).to_contain_text("stochastic Lanczos quadrature")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert watcher.errors == []


def test_one_scene_at_most_however_often_the_drawing_changes(latest: str, visit: Callable) -> None:
    page, watcher = visit(latest)
    filled(page)
    page.evaluate(
        """() => { window.made = 0; const plain = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
            const context = plain.call(this, kind, ...rest);
            if (/webgl/.test(kind) && context && !this.counted) { this.counted = true; window.made += 1; }
            return context; }; }"""
    )
    for _ in range(2):
        page.keyboard.press("s")
        until(page, "document.querySelector('#graph-landscape .js-plotly-plot').data[0].type === 'surface'")
        page.keyboard.press("s")
        until(page, "document.querySelector('#graph-landscape .js-plotly-plot').data[0].type === 'contour'")
    assert page.evaluate("window.made") <= 4
    assert watcher.errors == []


def test_no_runs_says_how_to_make_one(tmp_path: Path, serve: Callable, visit: Callable) -> None:
    page, watcher = visit(serve(tmp_path / "none"))
    expect(page.locator("#runs-empty")).to_contain_text("ls.watch(")
    expect(page.locator("#runs-empty")).to_contain_text("landscope demo")
    assert watcher.errors == []


def test_unknown_run_is_said(listing: str, revisit: Callable) -> None:
    page, _ = revisit(f"{listing}/run/nowhere")
    expect(page.locator("#finding")).to_contain_text("There is no run called nowhere here.")
    expect(page.locator('[data-cover="landscape"]')).to_have_text("nothing to show")
