"""Panels are exported as images, tables, arrays and pages; a run as a report that is read from the disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from landscope.formats import read_npz
from landscope.measurements import Provenance, Slice2D
from landscope.runs import RunWriter, list_runs, open_run
from tests.browser.conftest import HOSTILE, Watcher, until

pytestmark = pytest.mark.browser


def exported(page: Page, panel: str, form: str, folder: Path) -> Path:
    """The file that a panel's menu gives."""
    page.get_by_role("button", name=f"Export: {panel}").click()
    with page.expect_download() as waiting:
        page.locator("#export-menu").get_by_role("button", name=re.compile(f"^{form}")).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_panels_are_exported(
    recorded: Path, listing: str, visit: Callable[..., tuple[Page, Watcher]], tmp_path: Path
) -> None:
    run = open_run(list_runs(recorded)[0].path)
    page, watcher = visit(f"{listing}/run/latest?step=1000")
    cloud = "document.querySelector('#graph-embedding .js-plotly-plot')"
    drawn = "document.querySelector('#graph-{} .js-plotly-plot').{}"
    until(page, f"{drawn.format('embedding', 'layout.dragmode')} === 'zoom' && landscope.cloud.dots({cloud})")
    until(page, f"{drawn.format('curves', 'data')}.length > 1 && {drawn.format('landscape', 'data')}.length > 1")
    before = page.evaluate(f"JSON.stringify({drawn.format('embedding', 'layout')})")

    table = exported(page, "Loss and accuracy", "CSV", tmp_path)
    lines = table.read_text().splitlines()
    assert lines[0] == "name,step,value"
    steps, losses = run.scalars("train/loss")
    found = [line.split(",")[1:] for line in lines if line.startswith("train/loss,")]
    assert [(int(step), float(loss)) for step, loss in found] == list(zip(steps.tolist(), losses.tolist(), strict=True))

    alone = exported(page, "Loss and accuracy", "HTML", tmp_path).read_text()
    assert alone.startswith("<!DOCTYPE html>")
    assert alone.count('<section class="picture') == 2  # the loss, and the accuracy below it

    picture = exported(page, "Feature geometry", "SVG", tmp_path).read_text()
    points = run.measurement("embedding", 1000).points  # type: ignore[attr-defined]
    assert picture.count('class="point"') == len(points)
    assert "Feature geometry" in picture
    assert page.evaluate(f"JSON.stringify({drawn.format('embedding', 'layout')})") == before

    image = exported(page, "Loss landscape", "PNG", tmp_path).read_bytes()
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    width = int.from_bytes(image[16:20], "big")
    assert width == 3 * page.evaluate(f"{drawn.format('landscape', 'clientWidth')}")

    arrays = exported(page, "Loss landscape", "NPZ", tmp_path)
    assert "step-1000" in arrays.name
    expected = run.measurement("slice/trajectory", 1000)
    assert np.array_equal(read_npz(arrays).loss, expected.loss)  # type: ignore[attr-defined]

    page.get_by_role("button", name="Export: Hessian spectrum").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = page.locator("#export-menu button:focus")
    expect(chosen).to_have_text(re.compile("CSV.*no table: take the NPZ"))
    expect(chosen).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Escape")
    expect(page.locator("#export-menu")).to_be_hidden()
    expect(page.get_by_role("button", name="Export: Hessian spectrum")).to_be_focused()
    assert watcher.errors == []


def plane(step: int) -> Slice2D:
    axis = np.linspace(-1.0, 1.0, 5)
    loss = 41.0 - step + axis[:, None] ** 2 + axis**2
    return Slice2D(
        provenance=Provenance(method="by hand", step=step), alpha=axis, beta=axis, loss=loss, centre_loss=41.0 - step,
        plane="random", normalisation="filter", axes=("one", HOSTILE),
    )  # fmt: skip


def test_the_report_is_read_from_the_disk_without_the_network(
    serve: Callable[..., str], visit: Callable[..., tuple[Page, Watcher]], chromium: Browser, tmp_path: Path
) -> None:
    with RunWriter.create(tmp_path / "runs", name=HOSTILE, recipe=None, config={"note": HOSTILE}) as writer:
        for step in (0, 40):
            writer.scalars(step, {"train/loss": 41.0 - step})
            writer.measurement(step, "slice/random", plane(step))
    (hostile,) = list_runs(tmp_path / "runs")
    page, watcher = visit(f"{serve(tmp_path / 'runs')}/run/{hostile.id}")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report of this run").click()
        expect(page.locator("#report-words")).to_have_text("writing the report …")
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == f"{hostile.id}.html"
    assert watcher.errors == []

    context = chromium.new_context(viewport={"width": 1200, "height": 900}, color_scheme="dark")
    page = context.new_page()
    requests: list[str] = []
    read = Watcher()
    read.listen(page)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator("h1")).to_have_text(hostile.name)
    picture = page.locator(".picture", has_text="Loss landscape on a random plane")
    picture.scroll_into_view_if_needed()
    expect(picture.locator(".words")).to_contain_text("step 40")
    graph = picture.locator(".graph")
    expect(graph.locator(".main-svg").first).to_have_css("background-color", "rgb(20, 24, 31)")
    range_before = graph.evaluate("(graph) => [graph.data[0].zmin, graph.data[0].zmax]")
    page.get_by_label("Step").fill("0")
    expect(picture.locator(".words")).to_contain_text("step 0")
    assert graph.evaluate("(graph) => [graph.data[0].zmin, graph.data[0].zmax]") == range_before
    page.emulate_media(color_scheme="light")
    expect(graph.locator(".main-svg").first).to_have_css("background-color", "rgb(255, 255, 255)")
    assert page.locator("body").get_attribute("data-hacked") is None
    assert requests == [path.as_uri()]
    assert read.errors == []
    context.close()
