"""The views of a panel: chosen in its head, kept in the address, and drawn from what was measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from landscope.measurements import SpectralDensity
from landscope.runs import Run, RunWriter, open_run
from tests.browser.conftest import until
from tests.browser.synthetic import sharpness_at

pytestmark = pytest.mark.browser


def graph(name: str) -> str:
    return f"document.querySelector('#graph-{name} .js-plotly-plot')"


def uncovered(page: Page, name: str) -> None:
    expect(page.locator(f'[data-cover="{name}"]')).to_be_hidden()


def chooser(page: Page, title: str) -> Any:
    return page.get_by_role("radiogroup", name=f"View: {title}")


@pytest.fixture(scope="module")
def run(recorded: Path) -> Run:
    """The newest of the finished runs."""
    return open_run(max(folder.name for folder in recorded.iterdir()), root=recorded)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    made = RunWriter.create(tmp_path, name="few", recipe="synthetic", config={})
    yield made
    made.close("finished")


def test_a_view_is_kept_in_the_address(latest: str, visit: Callable) -> None:
    page, watcher = visit(latest)
    uncovered(page, "spectrum")
    chooser(page, "Hessian spectrum").get_by_text("through training").click()
    until(page, f"{graph('spectrum')}.data[0].type === 'heatmap'")
    expect(page).to_have_url(re.compile(r"\?spectrum=waterfall$"))
    expect(page.locator('[data-summary="spectrum"]')).to_contain_text("through training")
    page.get_by_role("button", name="Explain: Hessian spectrum").click()
    expect(page.get_by_role("dialog")).to_contain_text("a column each")
    page.reload()
    page.wait_for_selector("body[data-ready=true]")
    uncovered(page, "spectrum")
    assert page.evaluate(f"{graph('spectrum')}.data[0].type") == "heatmap"
    expect(chooser(page, "Hessian spectrum").get_by_label("through training")).to_be_checked()

    # Arrow keys move within the choice, and an open drawer explains what is shown.
    page.get_by_role("button", name="Explain: Hessian spectrum").click()
    expect(page.get_by_role("dialog")).to_contain_text("a column each")
    chooser(page, "Hessian spectrum").get_by_label("through training").press("ArrowLeft")
    until(page, f"{graph('spectrum')}.data[0].type === 'scatter'")
    expect(page.get_by_role("dialog")).to_contain_text("Stems are the leading eigenvalues")
    expect(page).to_have_url(re.compile("/run/latest$"))
    assert watcher.errors == []


def test_waterfall_draws_the_densities(run: Run, latest: str, visit: Callable) -> None:
    page, watcher = visit(f"{latest}?spectrum=waterfall&step=700")
    steps = [frame.step for frame in run.frames("density")]
    uncovered(page, "spectrum")
    expect(page.locator('[data-provenance="spectrum"]')).to_contain_text(f" {len(steps)} columns")
    until(page, f"{graph('spectrum')}.data[0].z[0].every((value) => value !== null)")
    heat, largest, limit = page.evaluate(f"{graph('spectrum')}.data.map(({{ x, y, z }}) => ({{ x, y, z }}))")
    assert heat["x"] == pytest.approx([0, *(step + 50 for step in steps[:-1]), 2050])
    assert len(heat["y"]) == len(heat["z"])

    # One axis for all, whose scale is told by where the largest eigenvalue is drawn; densities are per unit of it.
    frames = [run.measurement("density", step) for step in steps]
    peaks = np.array([sharpness_at(step, 2000) for step in steps])
    scale = 10 ** np.floor(np.log10(np.abs([frame.span() for frame in frames]).max(1).min() / 10**2.5))
    assert scale * np.sinh(largest["y"]) == pytest.approx(peaks)
    assert largest["x"] == steps
    assert scale * np.sinh(limit["y"]) == pytest.approx([40] * len(limit["y"]))
    values = scale * np.sinh(heat["y"])
    for column, frame in zip(np.array(heat["z"]).T, frames, strict=True):
        assert isinstance(frame, SpectralDensity)
        own = np.interp(np.arcsinh(values / frame.scale), np.arcsinh(frame.grid / frame.scale), frame.density)
        inside = (values >= frame.grid[0]) & (values <= frame.grid[-1])
        truth = np.where(inside, own * np.hypot(values, scale) / np.hypot(values, frame.scale), 0)
        assert column == pytest.approx(np.log10(np.maximum(truth, 1e-6)), abs=1e-6)

    # The axis is that of the density at one step; the cursor stands at the shown one, and a click chooses a column's.
    height = page.evaluate(f"{graph('spectrum')}._fullLayout.yaxis.range")
    expect(page.locator('[data-cursor="spectrum"]')).to_be_visible()
    box = page.locator("#graph-spectrum .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.61 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.click(box["x"] + 0.61 * box["width"], box["y"] + 0.5 * box["height"])
    expect(page.locator("#shown-step")).to_contain_text("step 1,200 ")
    expect(page.locator('[data-provenance="spectrum"]')).to_contain_text("step 1,200 ")
    chooser(page, "Hessian spectrum").get_by_text("now").click()
    uncovered(page, "spectrum")
    assert page.evaluate(f"{graph('spectrum')}._fullLayout.xaxis.range") == pytest.approx(height)
    expect(page.locator('[data-cursor="spectrum"]')).to_be_hidden()
    assert watcher.errors == []


def test_views_that_a_run_has_not_are_not_offered(writer: RunWriter, serve: Callable, visit: Callable) -> None:
    writer.scalars(0, {"train/loss": 1.0})
    writer.close("finished")
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest")
    expect(page.locator('[data-cover="spectrum"]')).to_have_text("not measured in this run")
    assert page.evaluate("landscope.plan.expects(['density'])") is False
    expect(page.locator('[data-views="spectrum"]')).to_be_hidden()
    assert watcher.errors == []
