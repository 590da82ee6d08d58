"""The points of an embedding: coloured, selected, and shown as what they are; the geometry beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from landscope.measurements import Examples, Geometry, Projection, Similarity, TokenSpectrum
from landscope.runs import Run, RunWriter, open_run
from tests.browser.conftest import Watcher, opened, until
from tests.browser.synthetic import kernel_at

pytestmark = pytest.mark.browser

GRAPH = "document.querySelector('#graph-embedding .js-plotly-plot')"
DOTS = f"landscope.cloud.dots({GRAPH})"


@pytest.fixture(scope="module")
def run(recorded: Path) -> Run:
    """The newest of the finished runs."""
    return open_run(max(folder.name for folder in recorded.iterdir()), root=recorded)


@pytest.fixture(scope="module")
def shared(context: BrowserContext, listing: str) -> Iterator[tuple[Page, Watcher]]:
    """A page of the newest finished run."""
    page, watcher = opened(context, f"{listing}/run/latest?step=800&colour=correct")
    page.locator("#panel-embedding").scroll_into_view_if_needed()
    yield page, watcher
    page.close()


@pytest.fixture
def points(run: Run) -> Projection:
    measured = run.measurement("embedding", 800)
    assert isinstance(measured, Projection)
    return measured


def places(page: Page) -> np.ndarray:
    """Where in the window points with given coordinates are: scale and offset of both axes."""
    box = page.locator("#graph-embedding").bounding_box()
    assert box is not None
    axes = page.evaluate(
        f"['xaxis', 'yaxis'].map((name) => {GRAPH}._fullLayout[name]).map((axis) => "
        "[axis.d2p(1) - axis.d2p(0), axis._offset + axis.d2p(0)])"
    )
    return np.array([[scale, offset + box[side]] for (scale, offset), side in zip(axes, "xy", strict=True)])


def test_colours_are_of_what_is_known(shared: tuple[Page, Watcher], points: Projection) -> None:
    page, watcher = shared
    until(page, f"{DOTS}?.symbol.includes('x')")
    dots = page.evaluate(f"(({{ x, y, symbol }}) => ({{ x: [...x], y: [...y], symbol }}))({DOTS})")
    assert np.stack([dots["x"], dots["y"]], axis=1) == pytest.approx(points.points)
    assert points.correct is not None
    assert [mark == "o" for mark in dots["symbol"]] == points.correct.tolist()
    wrong = int((~points.correct).sum())
    assert 0 < wrong < len(points.labels)
    readout = page.locator('[data-readout="embedding"]')
    expect(readout).to_contain_text(f"wrong × {wrong}")
    for words in ("trust 0.94", "continuity 0.91", "moved 0.031 radii", "features 0.022"):
        expect(readout).to_contain_text(words)

    chosen = page.get_by_label("Colour of the points")
    assert chosen.locator("option").all_inner_texts() == [
        "class", "prediction", "correct", "loss", "margin", "learned",
    ]  # fmt: skip
    chosen.select_option("margin")
    expect(page).to_have_url(re.compile("colour=margin"))
    assert points.margins is not None
    until(page, f"{DOTS}.symbol.every((mark) => mark === 'o') && {DOTS}.colour[0].startsWith('rgb')")
    blue = page.evaluate(f"{DOTS}.colour.map((text) => Number(text.match(/\\d+/g)[2]))")
    assert blue[int(points.margins.argmin())] < blue[int(points.margins.argmax())]
    chosen.select_option("class")
    expect(page).not_to_have_url(re.compile("colour"))
    assert watcher.errors == []


def test_colours_of_numbers_are_on_one_scale_for_the_whole_run(
    shared: tuple[Page, Watcher], points: Projection, run: Run
) -> None:
    page, watcher = shared
    frames = [run.measurement("embedding", step) for step in range(0, 2001, 100)]
    pictures = [frame for frame in frames if isinstance(frame, Projection)]
    readout = page.locator('[data-readout="embedding"]')
    legends = {}
    for colour in ("loss", "margin", "learned"):
        for step in (800, 2000):
            page.evaluate(f"landscope.view.set({{ step: {step}, colour: '{colour}' }})")
            expect(page.locator('[data-provenance="embedding"]')).to_contain_text(f"step {step:,} ")
            legends[colour, step] = " ".join(readout.locator(".entry").first.inner_text().split())
        assert legends[colour, 800] == legends[colour, 2000]
    assert legends["learned", 800] == "since step 0 – 2,000"
    reach = max(picture.margin_reach or 0 for picture in pictures)
    assert float(legends["margin", 800].split(" – ")[1]) == pytest.approx(reach, rel=0.05)

    # What is wrong is a cross, and what was learned early is darker than what was learned late.
    page.evaluate("landscope.view.set({ step: 800 })")
    assert points.learned is not None
    until(page, f"{DOTS}.symbol.filter((mark) => mark === 'x').length === {int((points.learned < 0).sum())}")
    early, late = int(np.argmin(np.where(points.learned < 0, 9999, points.learned))), int(points.learned.argmax())
    until(page, f"{DOTS}.colour[{early}] !== {DOTS}.colour[{late}]")
    expect(readout).to_contain_text(f"wrong × {int((points.learned < 0).sum())}")
    page.evaluate("landscope.view.set({ colour: 'class' })")
    assert watcher.errors == []


def test_a_lasso_selects_examples(shared: tuple[Page, Watcher], points: Projection, run: Run) -> None:
    page, watcher = shared
    page.evaluate("landscope.view.set({ step: 2000 })")
    newest = run.measurement("embedding", 2000)
    assert isinstance(newest, Projection)
    expect(page.locator('[data-provenance="embedding"]')).to_contain_text("step 2,000 ")
    (across, x0), (up, y0) = places(page)
    page.get_by_role("button", name="Select points").click()
    until(page, f"{GRAPH}._fullLayout.dragmode === 'lasso'")
    corners = np.array([[2.0, -1.2], [4.6, -1.2], [4.6, 1.2], [2.0, 1.2], [2.0, -1.2]])
    path = corners * [across, up] + [x0, y0]
    page.mouse.move(*path[0])
    page.mouse.down()
    for corner in path[1:]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    inside = (np.abs(newest.points - [3.3, 0]) < [1.3, 1.2]).all(axis=1)
    assert newest.positions is not None
    positions = newest.positions[inside].tolist()
    assert 10 < len(positions) < 200
    until(page, f"landscope.view.state.chosen.split(',').length > 10 && {DOTS}.opacity.includes(1)")
    assert page.evaluate("landscope.view.state.chosen") == ",".join(map(str, positions))
    expect(page).to_have_url(re.compile("chosen=" + ",".join(map(str, positions[:4]))))
    classes, counts = np.unique(newest.labels[inside], return_counts=True)
    summary = page.locator('[data-summary="embedding"]')
    expect(summary).to_contain_text(f"{len(positions)} of 512 selected: ")
    expect(summary).to_contain_text(f"class {classes[counts.argmax()]} ({counts.max()})")

    # They stay the selected ones at other steps, and in the code.
    page.evaluate("landscope.view.set({ step: 800 })")
    expect(page.locator('[data-provenance="embedding"]')).to_contain_text("step 800 ")
    until(page, f"Math.abs({DOTS}.x[0] - {points.points[0, 0]}) < 1e-6")
    assert [value == 1 for value in page.evaluate(f"{DOTS}.opacity")] == inside.tolist()
    page.get_by_role("button", name="Explain: Feature geometry").click()
    code = page.locator(".about-drawer .code pre")
    expect(code).to_contain_text(f"chosen = objective.sample(1024).subset({positions})")

    page.get_by_role("dialog").get_by_role("button").first.click()
    expect(page.get_by_role("dialog")).to_be_hidden()

    # A double click lets go of them, while lassos are drawn.
    page.mouse.dblclick(*path[:4].mean(axis=0))
    expect(page).not_to_have_url(re.compile("chosen"))
    until(page, f"{DOTS}.opacity.every((value) => value === {DOTS}.opacity[0])")
    page.get_by_role("button", name="Select points").click()
    until(page, f"{GRAPH}._fullLayout.dragmode === 'zoom'")
    assert watcher.errors == []


def test_a_class_or_the_selected_examples_are_measured(
    shared: tuple[Page, Watcher], points: Projection, run: Run
) -> None:
    page, watcher = shared
    sent: list[Any] = []

    def answer(route: Route) -> None:
        sent.append(route.request.post_data_json["params"])
        route.fulfill(json={"seq": len(sent)})

    page.route("**/commands", answer)
    page.evaluate("landscope.view.set({ dock: 'lab', measure: 'trace' })")
    data, label = page.get_by_label("Data", exact=True), page.get_by_label("Class", exact=True)
    expect(data.locator("option").nth(4)).to_have_text("selected (none)")
    expect(data.locator("option").nth(4)).to_be_disabled()
    expect(label).to_be_hidden()
    data.select_option("train/class")
    assert label.locator("option").all_inner_texts() == [str(one) for one in np.unique(points.labels)]
    label.select_option("3")
    measure = page.locator('#dock [data-action="measure"]')
    measure.click()
    until(page, "landscope.jobs.all().length === 1")
    assert points.positions is not None
    positions = points.positions[[4, 40, 400]].tolist()
    page.evaluate(f"landscope.view.set({{ chosen: '{positions[0]},0,{positions[1]},{positions[2]}' }})")
    expect(data.locator("option").nth(4)).to_have_text("selected (3)")
    data.select_option("chosen")
    expect(label).to_be_hidden()
    expect(page.locator('[data-words="estimate"]')).to_contain_text("at most about")
    measure.click()
    until(page, "landscope.jobs.all().length === 2")
    frame = run.frames("embedding")[-1].seq
    assert [{key: one.get(key) for key in ("objective", "class", "chosen")} for one in sent] == [
        {"objective": "train", "class": 3, "chosen": None},
        {"objective": "train", "class": None, "chosen": {"frame": frame, "positions": positions}},
    ]
    # What was chosen is not exchanged for other data when the selection is gone.
    page.evaluate("landscope.view.set({ chosen: '' })")
    expect(page.locator('#dock [data-words="lab"]')).to_have_text(re.compile("^Select examples with the lasso"))
    expect(measure).to_have_attribute("aria-disabled", "true")
    page.evaluate("landscope.view.set({ dock: 'none', measure: '' })")
    page.unroute("**/commands")
    assert watcher.errors == []


def test_a_pointed_example_is_shown(shared: tuple[Page, Watcher], points: Projection, run: Run) -> None:
    page, watcher = shared
    page.evaluate("landscope.view.set({ step: 800 })")
    until(page, f"Math.abs({DOTS}.x[0] - {points.points[0, 0]}) < 1e-6")
    kept = run.measurement("examples")
    assert isinstance(kept, Examples)
    outermost = int(np.abs(points.points).sum(axis=1).argmax())
    (across, x0), (up, y0) = places(page)
    page.mouse.move(*(points.points[outermost] * [across, up] + [x0 + 1, y0]))
    box = page.locator("#panel-embedding .example")
    expect(box).to_contain_text(f"class {points.labels[outermost]}, ")
    expect(box).to_contain_text(kept.texts[outermost])  # markup in it is text
    assert kept.thumbnails is not None
    pixels = page.evaluate(
        "(({ width, height, ...rest }, canvas) => Array.from(canvas.getContext('2d')"
        ".getImageData(0, 0, width, height).data).filter((_, index) => index % 4 === 0))"
        "({ width: 12, height: 12 }, document.querySelector('#panel-embedding .example canvas'))"
    )
    assert pixels == kept.thumbnails[outermost].ravel().tolist()
    page.mouse.move(5, 5)
    expect(box).to_be_hidden()
    assert watcher.errors == []


def test_geometry_and_tokens_are_drawn(shared: tuple[Page, Watcher], run: Run) -> None:
    page, watcher = shared
    page.evaluate("landscope.view.set({ step: 800 })")
    chosen = page.get_by_label("View: Feature geometry")

    def show(label: str, condition: str) -> list[dict[str, Any]]:
        chosen.select_option(label=label)
        until(page, f"{GRAPH}.data[0].{condition}")
        traces: list[dict[str, Any]] = page.evaluate(
            f"{GRAPH}.data.map(({{ name, x, y, z, zmin, zmax }}) => ({{ name, x, y, z, zmin, zmax }}))"
        )
        return traces

    geometry, tokens = run.measurement("geometry", 800), run.measurement("tokens", 800)
    assert isinstance(geometry, Geometry)
    assert isinstance(tokens, TokenSpectrum)
    (heat,) = show("class means", "type === 'heatmap'")
    assert np.array(heat["z"]) == pytest.approx(geometry.cosines)
    assert (heat["zmin"], heat["zmax"]) == (-1, 1)
    assert page.locator("#panel-embedding canvas.cloud").is_hidden()
    bars = {trace["name"]: trace for trace in show("tokens", "type === 'bar'")}
    assert bars["key"]["x"] == sorted(tokens.key)
    assert bars["key"]["y"] == pytest.approx(tokens.norms[np.sort(tokens.key) - 1])
    circle = bars[f"frequency {tokens.key[0]}"]
    assert np.stack([circle["x"], circle["y"]], axis=1) == pytest.approx(tokens.circles[0])
    for label, name in (("layers alike", "similarity/layers"), ("steps alike", "similarity/steps")):
        similarity = run.measurement(name, 800)
        assert isinstance(similarity, Similarity)
        (heat,) = show(label, f"zmin === 0 && {GRAPH}.data[0].z.length === {len(similarity.rows)}")
        assert np.array(heat["z"]) == pytest.approx(similarity.values)
        expect(page.locator('[data-readout="embedding"]')).to_contain_text("first with last")
    lines = {trace["name"]: trace["y"] for trace in show("collapse", "name === 'NC1'")}
    assert lines["NC4"] == pytest.approx(run.scalars("geometry/nc4")[1])
    show("dimension", "name === 'eff. rank'")
    interval = f"TwoNN {geometry.intrinsic_low:.1f} to {geometry.intrinsic_high:.1f} (95 %)"
    expect(page.locator('[data-provenance="embedding"]')).to_contain_text(interval)
    chosen.select_option(label="points")
    until(page, f"{DOTS} !== null")
    assert watcher.errors == []


def test_a_run_without_these_offers_none(tmp_path: Path, serve: Callable, visit: Callable) -> None:
    writer = RunWriter.create(tmp_path, name="few", recipe="synthetic", config={})
    writer.measurement(0, "ntk", kernel_at(0, 10))
    writer.close("finished")
    page, watcher = visit(f"{serve(tmp_path)}/run/latest?chosen=1,2&colour=loss")
    expect(page.locator('[data-cover="embedding"]')).to_have_text("not measured in this run")
    expect(page.locator('[data-views="embedding"]')).to_be_hidden()
    expect(page.locator("[data-points]")).to_be_hidden()
    assert watcher.errors == []
