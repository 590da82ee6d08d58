"""The landscape's panel: coarse to fine, what is drawn between computed points, how far to trust it, and its checks."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from scipy.interpolate import CubicSpline

from landscope.measurements import Provenance, Slice2D, Snapshot
from landscope.runs import Command, RunWriter
from tests.browser.conftest import HOSTILE, until
from tests.browser.scene import settled_eye
from tests.browser.synthetic import heights_at, slice_at

pytestmark = pytest.mark.browser

GRAPH = "document.querySelector('#graph-landscape .js-plotly-plot')"
READOUT = '[data-readout="landscape"]'
STEP, STEPS = 600, 1000


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    made = RunWriter.create(tmp_path, name="slices", recipe="synthetic", config={})
    yield made
    made.close("finished")


def record(writer: RunWriter, slice2d: Slice2D) -> None:
    writer.scalars(STEP, {"train/loss": slice2d.centre_loss})
    writer.measurement(STEP, f"slice/{slice2d.plane}", slice2d)


def drawn(page: Page) -> np.ndarray:
    """The heights that the map shows, by alpha and beta; NaN where nothing is."""
    rows: Any = page.evaluate(f"{GRAPH}.data[0].z")
    return np.array([[math.nan if value is None else value for value in row] for row in rows]).T


def test_stages_replace_each_other_under_a_zoom_and_a_turned_camera(
    writer: RunWriter, serve: Callable, visit: Callable
) -> None:
    record(writer, slice_at(STEP, STEPS, "trajectory", 1))
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest")
    readout = page.locator(READOUT)
    expect(readout).to_contain_text("5 × 5 points, sharpening")
    until(page, f"{GRAPH}.data.length > 0")
    page.evaluate(f"Plotly.relayout({GRAPH}, {{'xaxis.range[0]': -1, 'xaxis.range[1]': 2}})")
    coarse = drawn(page)
    record(writer, slice_at(STEP, STEPS, "trajectory", 2))
    expect(readout).to_contain_text("9 × 9 points, sharpening")
    until(page, f"{GRAPH}.data[0].z[1][1] !== {float(coarse[1, 1])}")
    assert page.evaluate(f"{GRAPH}._fullLayout.xaxis.range") == [-1, 2]
    assert drawn(page)[::16, ::16] == pytest.approx(coarse[::16, ::16])
    page.keyboard.press("s")
    until(page, f"{GRAPH}.data[0]?.type === 'surface' && Boolean({GRAPH}._fullLayout.scene._scene)")
    before = settled_eye(page)
    box = page.locator("#graph-landscape").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.55 * box["height"], steps=4)
    page.mouse.up()
    turned = settled_eye(page)
    assert math.dist(before.values(), turned.values()) > 0.2
    middle = page.evaluate(f"{GRAPH}.data[0].z[1][1]")
    record(writer, slice_at(STEP, STEPS, "trajectory", 4))
    expect(readout).to_contain_text("33 × 33 points")
    expect(readout).not_to_contain_text("sharpening")
    until(page, f"{GRAPH}.data[0].z[1][1] !== {middle!r}")
    assert math.dist(settled_eye(page).values(), turned.values()) < 0.02
    assert watcher.errors == []


def as_sent(measured: Slice2D) -> Slice2D:
    """With the numbers that go to the page, in single precision."""

    def single(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: single(one) for name, one in value.items()}
        return value.astype(np.float32).astype(np.float64) if isinstance(value, np.ndarray) else value

    fields = {spec.name: single(getattr(measured, spec.name)) for spec in dataclasses.fields(measured)}
    return Slice2D(**fields)


def test_what_is_drawn_between_computed_points(writer: RunWriter, serve: Callable, visit: Callable) -> None:
    measured = slice_at(STEP, STEPS, "hessian", 3)
    record(writer, measured)
    stored, measured = measured, as_sent(measured)
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest?plane=hessian")
    until(page, f"{GRAPH}.data.length > 0")

    def cubic(values: np.ndarray, fine: np.ndarray) -> np.ndarray:
        across = CubicSpline(measured.alpha, values)(fine)
        return np.asarray(CubicSpline(measured.beta, across, axis=1)(fine))

    # Splines of every length, over uneven knots, on their own.
    rng = np.random.default_rng(0)
    for count in (2, 3, 4, 5, 9):
        knots, points = np.sort(rng.random(count)), np.linspace(0, 1, 7)
        weights = page.evaluate(
            f"landscope.spline.cubic({knots.tolist()}, {points.tolist()}).map((row) => Array.from(row))"
        )
        assert np.array(weights) == pytest.approx(CubicSpline(knots, np.eye(count))(points), rel=1e-9, abs=1e-9)

    fine = np.linspace(-1, 1, 65)
    assert page.evaluate(f"{GRAPH}.data[0].x") == pytest.approx(fine)
    assert drawn(page) == pytest.approx(cubic(np.log10(measured.loss), fine), abs=1e-9)

    # The stated error holds for nine cells of ten at least, against the function that the grid was taken from.
    truth = heights_at(*np.meshgrid(fine, fine, indexing="ij"), STEP, STEPS)
    stated = page.evaluate(
        "landscope.drawers.landscape.viewOf(landscope.panels.all.get('landscape').shown.found).relief.error"
    )
    off = np.abs(10 ** drawn(page) / truth - 1)
    assert (off < stated).mean() > 0.9
    assert stated < 100 * np.percentile(off, 95)

    # Which losses are not told apart from the centre's, and the bands of two standard errors about the cuts.
    traces = page.evaluate(f"{GRAPH}.data.map(({{ name, x, y, z }}) => ({{ name, x, y, z }}))")
    doubt = next(np.array(trace["z"]).T for trace in traces if trace["name"] == "doubt")[::4, ::4]
    assert stored.contrast_error is not None
    assert measured.error is not None
    np.testing.assert_array_equal(doubt < 1, np.abs(stored.loss - stored.centre_loss) <= 2 * stored.contrast_error)
    band = next(trace for trace in traces if trace["name"] == "error along α")
    upper = band["y"][:65:4]
    assert upper == pytest.approx(np.log10(measured.loss[:, 8] + 2 * measured.error[:, 8]).tolist())

    # Every quantity that was measured can be shown, as it is.
    chooser = page.get_by_label("Shown on the plane")
    assert chooser.locator("option").all_inner_texts() == [
        "train loss", "test accuracy", "test loss", "train accuracy"
    ]  # fmt: skip
    title = f"() => {GRAPH}._fullLayout.yaxis2.title.text"
    chooser.select_option(label="test loss")
    until(page, f"({title})().startsWith('test loss')")
    assert drawn(page) == pytest.approx(cubic(np.log10(measured.metrics["test/loss"]), fine), abs=1e-9)
    expect(page).to_have_url(re.compile("show=test%2Floss"))
    page.locator("body").press("v")
    until(page, f"({title})() === 'train accuracy'")
    assert measured.accuracy is not None
    assert drawn(page)[::4, ::4] == pytest.approx(measured.accuracy, abs=1e-12)
    assert drawn(page)[1::4, ::4] == pytest.approx(0.75 * measured.accuracy[:-1] + 0.25 * measured.accuracy[1:])
    assert watcher.errors == []


def test_failed_checks_holes_and_hostile_names_are_seen_as_they_are(
    writer: RunWriter, serve: Callable, visit: Callable
) -> None:
    measured = slice_at(STEP, STEPS, "random", 3)
    loss = measured.loss.copy()
    loss[3, 5] = np.nan
    hostile = measured.replaced(
        loss=loss,
        axes=(HOSTILE, "second"),
        metrics={HOSTILE: measured.loss},
        normalisation=HOSTILE,
        checks=(
            ("centre", "fail", f"0.31 and 0.42 {HOSTILE}"),
            ("batch norm", "note", "2 layers"),
            (HOSTILE, "pass", ""),
        ),
    )
    record(writer, hostile)
    writer.event(STEP, "probe-off", "OutOfMemoryError: too large", {"probe": "slice/gradient"})
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest?plane=random")
    notice, button = page.locator('[data-notice="landscape"]'), page.get_by_role("button", name="Self-check")
    expect(notice).to_have_text(f"check failed: centre: 0.31 and 0.42 {HOSTILE}")
    expect(button).to_have_text("checks 1/2")
    expect(page.locator('[data-caution="landscape"]')).to_contain_text("batch norm")
    expect(page.locator('[data-summary="landscape"]')).to_contain_text(HOSTILE)
    colour = "(element) => getComputedStyle(element).color"
    assert button.evaluate(colour) == notice.evaluate(colour)
    button.click()
    expect(page.locator("#checks")).to_contain_text("0.31 and 0.42")
    page.keyboard.press("Escape")
    expect(page.locator("#checks")).to_be_hidden()

    # Nothing is drawn in the four cells around the point that is not finite, and it alone is counted.
    expect(page.locator(READOUT)).to_contain_text("17 × 17 points, 1 not finite")
    until(page, f"{GRAPH}.data.length > 0")
    empty = np.zeros((65, 65), bool)
    empty[9:16, 17:24] = True
    np.testing.assert_array_equal(np.isnan(drawn(page)), empty)

    page.get_by_label("Shown on the plane").select_option(value=HOSTILE)
    until(page, f"{GRAPH}._fullLayout.yaxis2.title.text.includes('onerror')")
    expect(page.locator("#graph-landscape")).to_contain_text("<img src=x")
    assert page.evaluate("document.body.dataset.hacked") is None
    assert page.locator("img[src=x]").count() == 0

    page.get_by_label("Plane", exact=True).select_option("gradient")
    expect(notice).to_contain_text("OutOfMemoryError: too large")
    expect(page.locator('[data-cover="landscape"]')).to_have_text("no measurement")
    assert json.loads(page.evaluate("JSON.stringify(landscope.planes.available())")) == ["random", "gradient"]
    assert watcher.errors == []


PLACES = f"{GRAPH}.data.filter(({{ name }}) => name === 'place').map(({{ x, y }}) => [x[0], y[0]])"
PIXEL = f"""(() => {{
    const {{ xaxis: x, yaxis: y }} = {GRAPH}._fullLayout, box = {GRAPH}.getBoundingClientRect();
    return [box.x + x._offset + x.d2p(0.31), box.y + y._offset + y.d2p(-0.2)];
}})()"""


def test_a_click_on_the_map_is_a_place_to_measure_at(writer: RunWriter, serve: Callable, visit: Callable) -> None:
    for plane in ("random", "hessian"):
        record(writer, slice_at(STEP, STEPS, plane, 1))
    theta, source = np.zeros(3, np.float32), Provenance(method="test")
    writer.measurement(STEP, "snapshot", Snapshot(provenance=source, theta=theta, names=("w",), sizes=(3,)))
    writer.close("finished")
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest?plane=random&panels=landscape")
    sent: list[Any] = []

    def answer(route: Route) -> None:
        sent.append(route.request.post_data_json["params"])
        route.fulfill(json={"seq": 1})

    page.route("**/commands", answer)
    until(page, f"{GRAPH}.data.length > 0")
    page.mouse.dblclick(*page.evaluate(PIXEL))
    page.wait_for_timeout(500)
    assert page.evaluate("landscope.view.state.at") == ""

    page.mouse.click(*page.evaluate(PIXEL))
    weights = page.get_by_label("Weights", exact=True)
    expect(weights).to_have_value("place")
    at = page.evaluate("landscope.place.current()")
    assert [at["alpha"], at["beta"]] == pytest.approx([0.31, -0.2], abs=0.01)
    said = f"at alpha {at['alpha']}, beta {at['beta']} of the random plane of step 600"
    expect(weights.locator("option:checked")).to_have_text(said)
    expect(page).to_have_url(re.compile(rf"at={at['frame']},{at['alpha']},{at['beta']}(&|$)"))
    until(page, f"JSON.stringify({PLACES}) === '{json.dumps([[at['alpha'], at['beta']]], separators=(',', ':'))}'")

    page.get_by_label("Alpha on the plane").fill("0.5")
    page.get_by_label("Beta on the plane").fill("-0.25")
    page.keyboard.press("Enter")
    until(page, f"JSON.stringify({PLACES}) === '[[0.5,-0.25]]'")
    page.locator('#dock [data-action="measure"]').click()
    until(page, "landscope.jobs.all().length === 1")
    assert sent[0]["at"] == {"frame": at["frame"], "alpha": 0.5, "beta": -0.25}
    assert sent[0]["step"] is None

    page.get_by_role("button", name="Remove the place").click()
    expect(weights).to_have_value("")
    until(page, f"{PLACES}.length === 0")
    page.evaluate("landscope.view.set({ plane: 'hessian' })")
    expect(page.locator("#dock .place .words")).to_contain_text("directions of a hessian plane are not kept")
    assert watcher.errors == []


def test_planes_stand_beside_each_other_on_one_scale(writer: RunWriter, serve: Callable, visit: Callable) -> None:
    slices = {plane: slice_at(STEP, STEPS, plane, 3) for plane in ("trajectory", "random", "hessian")}
    slices["random"] = slices["random"].replaced(loss=100 * slices["random"].loss)
    for measured in slices.values():
        record(writer, measured)
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest?plane=hessian")
    until(page, f"{GRAPH}.data.length > 0")
    page.keyboard.press("p")
    until(page, f"{GRAPH}._fullLayout.annotations?.length === 3")
    expect(page).to_have_url(re.compile("plane=all"))
    maps = page.evaluate(
        f"{GRAPH}._fullData.filter(({{ type, name }}) => type === 'contour' && name !== 'doubt')"
        ".map(({ xaxis, zmin, zmax, showscale, x, z }) => ({ xaxis, zmin, zmax, showscale, x, z }))"
    )
    assert [(one["xaxis"], one["showscale"]) for one in maps] == [("x", True), ("x2", False), ("x3", False)]
    assert len({(one["zmin"], one["zmax"]) for one in maps}) == 1
    losses = np.concatenate([measured.loss.ravel() for measured in slices.values()])
    low, high = math.log10(losses.min()), math.log10(losses.max())
    assert (maps[0]["zmin"], maps[0]["zmax"]) == pytest.approx(
        (low - 0.02 * (high - low), high + 0.02 * (high - low)), abs=1e-5
    )
    for one, measured in zip(maps, slices.values(), strict=True):
        assert [one["x"][0], one["x"][-1]] == pytest.approx(measured.alpha[[0, -1]])
        inside = np.array(one["z"]).T[:: 64 // (len(measured.alpha) - 1), :: 64 // (len(measured.beta) - 1)]
        assert inside == pytest.approx(np.log10(measured.loss), abs=1e-5)
    titles = page.evaluate(f"{GRAPH}._fullLayout.annotations.map(({{ text }}) => text)")
    assert titles == [f"<b>{plane}</b> · step 600" for plane in slices]
    expect(page.locator(READOUT)).to_contain_text("trajectory 17 × 17")
    assert page.evaluate("document.querySelectorAll('#graph-landscape .gl-container canvas').length") == 0

    # A click means the plane under it.
    middle = page.evaluate(
        f"(({{ left, top }}, {{ xaxis3: x, yaxis3: y }}) => [left + x._offset + x._length / 2, top + y._offset + 9])"
        f"({GRAPH}.getBoundingClientRect(), {GRAPH}._fullLayout)"
    )
    page.mouse.move(*middle)
    page.mouse.click(*middle)
    seq = page.evaluate("landscope.run.data.frames.get('slice/hessian').seq[0]")
    expect(page).to_have_url(re.compile(f"at={seq},-?0"))
    note = page.locator("#dock .place .words")  # a training that goes on measures on its newest planes
    expect(note).to_have_text("of the hessian plane of step 600")
    writer.measurement(STEP + 10, "slice/hessian", slice_at(STEP + 10, STEPS, "hessian", 1))
    expect(note).to_contain_text("holds the directions of its newest planes alone")
    page.locator("body").press("p")
    until(page, f"{GRAPH}.data.some(({{ name }}) => name === 'along α')")
    expect(page).not_to_have_url(re.compile("plane="))
    assert watcher.errors == []


def test_a_plane_is_measured_with_another_radius_and_resolution(
    writer: RunWriter, serve: Callable, visit: Callable
) -> None:
    record(writer, slice_at(STEP, STEPS, "random", 3))
    known = {"knobs": [], "optimizers": [], "checkpoints": [], "reasons": {}, "gradient_seconds": 0.01}
    writer.event(STEP, "controls", "", {**known, "measurements": ["slice2d"]})
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest?plane=random")
    until(page, f"{GRAPH}.data.length > 0")
    opener = page.get_by_role("button", name="Radius and resolution")
    opener.press("Enter")
    asked = page.get_by_role("group", name="Radius and resolution")
    radius, points = asked.get_by_label("Radius", exact=True), asked.get_by_label("Points", exact=True)
    expect(radius).to_have_attribute("aria-valuetext", "1 filter norms")
    for _ in range(6):
        radius.press("ArrowRight")
    points.press("End")
    expect(radius).to_have_attribute("aria-valuetext", "2 filter norms")
    expect(points).to_have_attribute("aria-valuetext", "129 points a side")
    expect(asked).to_contain_text("The random plane, at the weights of now, takes about 58 s.")
    asked.get_by_role("button", name="Measure").press("Enter")
    (command,) = received(writer, 1)
    assert command.params == {
        "what": "slice2d",
        "objective": "train",
        "step": None,
        "parameters": {
            "plane": "random", "points": 129, "radius": 2, "normalisation": "filter", "seed": 0, "orthogonal": True
        },
    }  # fmt: skip

    job = {"job": command.seq, "what": "slice2d", "state": "running", "done": 0.3, "seconds_left": 12.0}
    writer.event(STEP, "job", "slice2d is measured", job)
    expect(asked).to_contain_text("30 % · 12 s left")
    coarse = slice_at(STEP, STEPS, "random", 2)
    coarse = coarse.replaced(alpha=2 * coarse.alpha, beta=2 * coarse.beta)
    writer.measurement(STEP, f"lab/{command.seq}/slice2d", coarse)
    expect(page).to_have_url(re.compile(f"plane=asked&asked={command.seq}"))
    expect(page.locator(READOUT)).to_contain_text("9 × 9 points, sharpening")
    until(page, f"{GRAPH}._fullLayout.xaxis.range[1] === 2")
    expect(asked.get_by_role("button", name="random, 9 × 9, step 600")).to_have_attribute("aria-pressed", "true")
    asked.get_by_role("button", name="Cancel").press("Enter")
    assert received(writer, 1)[0].params == {"job": command.seq}
    writer.event(STEP, "job", "slice2d was cancelled", {**job, "state": "cancelled"})
    expect(page.locator(READOUT)).to_contain_text("points, stage 2 of 4")
    page.keyboard.press("Escape")
    page.locator("body").press("p")  # from the last of the planes to the first
    expect(page).not_to_have_url(re.compile("plane=asked"))
    assert watcher.errors == []


def received(writer: RunWriter, count: int) -> list[Command]:
    """The next commands, once they are there."""
    found: list[Command] = []
    end = time.monotonic() + 30
    while len(found) < count and time.monotonic() < end:
        found += writer.commands()
        time.sleep(0.02)
    return found
