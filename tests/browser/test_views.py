"""The views of a panel: chosen in its head, kept in the address, and drawn from what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from landscope.loss_laws import annealing_areas
from landscope.measurements import (
    NTK,
    Calibration,
    Eigenmodes,
    ExampleHistory,
    Linearisation,
    QuadraticModel,
    SharpnessMeasures,
    SpectralDensity,
    UnitActivity,
)
from landscope.runs import Run, RunWriter, open_run
from landscope_app.panels import PANELS
from tests.browser.conftest import HOSTILE, Watcher, opened, until
from tests.browser.synthetic import measures_at, quadratic_at, sharpness_at, stderr_at
from tests.browser.synthetic_dynamics import dynamics_at

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


@pytest.fixture(scope="module")
def shared(context: BrowserContext, listing: str) -> Iterator[tuple[Page, Watcher]]:
    """A page of the newest finished run, of which tests choose views and step."""
    page, watcher = opened(context, f"{listing}/run/latest?step=800")
    yield page, watcher
    page.close()


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
    expect(page.locator('[data-summary="spectrum"]')).to_contain_text("at every step")
    page.get_by_role("button", name="Explain: Hessian spectrum").click()
    expect(page.get_by_role("dialog")).to_contain_text("a column each")

    # The code that is shown is what is copied, and reads this run.
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    code = page.locator(".about-drawer .code pre").inner_text()
    assert f'{page.evaluate("landscope.run.data.id")}")' in code
    assert "waterfall_figure" in code
    page.get_by_role("button", name="Copy the code").click()
    expect(page.get_by_role("button", name="Copy the code")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == code

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


def test_waterfall_draws_the_densities(run: Run, shared: tuple[Page, Watcher]) -> None:
    page, watcher = shared
    chooser(page, "Hessian spectrum").get_by_text("through training").click()
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

    # At one step every eigenvalue that is known exactly has a mark, at both ends.
    marks = page.evaluate(f"{graph('spectrum')}.data.find(({{ mode }}) => mode === 'markers').x")
    density = run.measurement("density", 1200)
    assert isinstance(density, SpectralDensity)
    assert density.negative_spikes is not None
    assert scale * np.sinh(marks) == pytest.approx([*density.spikes, *density.negative_spikes])
    assert watcher.errors == []


def test_sharpness_has_a_band_of_two_standard_errors(run: Run, shared: tuple[Page, Watcher]) -> None:
    page, watcher = shared
    page.evaluate("landscope.view.set({ step: 800 })")
    uncovered(page, "sharpness")
    steps, values = run.scalars("sharpness/lambda_max")
    errors = np.array([stderr_at(step, 2000) for step in steps])
    (band,) = page.evaluate(
        f"{graph('sharpness')}.data.filter(({{ fill }}) => fill === 'toself').map(({{ x, y }}) => ({{ x, y }}))"
    )
    assert band["x"] == [*steps, *steps[::-1], None]
    assert band["y"][: len(steps)] == pytest.approx(values + 2 * errors)
    assert band["y"][len(steps) : -1] == pytest.approx((values - 2 * errors)[::-1])
    at = steps.tolist().index(800)
    expect(page.locator('[data-readout="sharpness"]')).to_contain_text(f"λ max {values[at]:.1f} ± {errors[at]:.1f}")
    expect(page.locator('[data-provenance="sharpness"]')).to_contain_text("residual 0.0010 ")
    low, high = page.evaluate(f"{graph('sharpness')}._fullLayout.yaxis.range")
    assert low < 0
    assert high > (values + 2 * errors).max()
    assert watcher.errors == []


def test_table_says_what_was_measured(run: Run, shared: tuple[Page, Watcher]) -> None:
    page, watcher = shared
    page.keyboard.press("End")
    chooser(page, "Sharpness").get_by_text("measures").click()
    expect(page.locator('[data-provenance="sharpness"]')).to_contain_text("step 2,000 ")
    uncovered(page, "sharpness")
    measured = run.measurement("sharpness/measures")
    assert isinstance(measured, SharpnessMeasures)
    rows = [row.all_inner_texts() for row in page.locator('[data-table="sharpness"] tbody tr').all()]
    cells = [[cell for text in row for cell in text.split("\t")] for row in rows]
    assert [row[0] for row in cells] == list(measured.names)
    assert [row[2] for row in cells] == list(measured.symbols)
    assert [row[3] for row in cells] == list(measured.settings)
    for (_, shown, *_), value, error in zip(cells, measured.values, measured.errors, strict=True):
        number, _, spread = shown.replace("−", "-").partition(" ± ")
        assert float(number) == pytest.approx(value, rel=5e-3)
        assert bool(spread) == bool(np.isfinite(error))
        assert not spread or float(spread) == pytest.approx(error, rel=5e-2)
    several, one = page.evaluate(f"{graph('sharpness')}.data.map(({{ x, y }}) => ({{ x, y }}))")
    assert several["x"] == one["x"] == pytest.approx(measured.rho)
    assert several["y"] == pytest.approx(measured.sam_multi_step)
    assert one["y"] == pytest.approx(measured.sam_one_step)
    # The graph has the room that the table leaves, and that again without the table.
    heights = "['table', 'cover'].map((part) => document.querySelector(`[data-${part}=sharpness]`).offsetHeight)"
    full = page.evaluate("document.querySelector('#panel-sharpness .plot').clientHeight")
    height = f"{graph('sharpness')}._fullLayout.height"
    table = page.evaluate(heights)[0]
    assert 0.3 * full < table < 0.7 * full
    until(page, f"Math.abs({height} - {full - table}) < 2")
    chooser(page, "Sharpness").get_by_text("history").click()
    until(page, f"Math.abs({height} - {full}) < 2")
    expect(page.locator('[data-table="sharpness"]')).to_be_hidden()
    assert watcher.errors == []


def test_quadratic_model_is_drawn_along_every_direction(run: Run, shared: tuple[Page, Watcher]) -> None:
    page, watcher = shared
    page.evaluate("landscope.view.set({ step: 800 })")
    chooser(page, "Sharpness").get_by_text("Taylor").click()
    expect(page.locator('[data-provenance="sharpness"]')).to_contain_text("step 800 ")
    uncovered(page, "sharpness")
    model = run.measurement("quadratic", 800)
    assert isinstance(model, QuadraticModel)
    traces = page.evaluate(f"{graph('sharpness')}.data.map(({{ x, y, xaxis, line }}) => ({{ x, y, xaxis, line }}))")
    assert len(traces) == 2 * len(model.names)
    for index in range(len(model.names)):
        solid, dashed = traces[2 * index : 2 * index + 2]
        assert solid["xaxis"] == dashed["xaxis"] == ("x" if index == 0 else f"x{index + 1}")
        assert solid["x"] == dashed["x"] == pytest.approx(model.distances[index])
        assert solid["y"] == pytest.approx(model.losses[index])
        assert dashed["y"] == pytest.approx(model.predictions[index])
        assert (solid["line"].get("dash", "solid"), dashed["line"]["dash"]) == ("solid", "dash")
    shapes = page.evaluate(f"{graph('sharpness')}.layout.shapes.map(({{ xref, x0, x1 }}) => [xref, x0, x1])")
    held = [(index, radius) for index, radius in enumerate(model.radii) if np.isfinite(radius)]
    assert 0 < len(held) < len(model.radii)
    assert [shape[0] for shape in shapes] == ["x" if index == 0 else f"x{index + 1}" for index, _ in held]
    assert [shape[1:] for shape in shapes] == [pytest.approx([-radius, radius]) for _, radius in held]
    assert watcher.errors == []


def test_kernel_views_draw_their_measurements(run: Run, shared: tuple[Page, Watcher]) -> None:
    page, watcher = shared
    page.evaluate("landscope.view.set({ step: 800 })")
    chosen, drawn = page.get_by_label("View: Tangent kernel"), graph("kernel")

    def show(label: str) -> list[dict[str, Any]]:
        chosen.select_option(label=label)
        uncovered(page, "kernel")
        expect(page.locator('[data-provenance="kernel"]')).to_contain_text("step 800 ")
        traces: list[dict[str, Any]] = page.evaluate(
            f"{drawn}.data.map(({{ name, x, y, z }}) => ({{ name, x, y, z }}))"
        )
        return traces

    laziness = {trace["name"]: trace["y"] for trace in show("lazy or rich")}
    assert laziness["features"] == pytest.approx(run.scalars("ntk/features")[1])
    assert laziness["test"] == pytest.approx(run.scalars("ntk/test_alignment")[1])

    kernel, steps = run.measurement("ntk", 800), [frame.step for frame in run.frames("ntk")]
    assert isinstance(kernel, NTK)
    chosen.select_option(label="scree")
    until(page, f"{drawn}.data.length === {len(steps) + 1}")
    shown = page.evaluate(f"(({{ x, y }}) => ({{ x, y }}))({drawn}.data.at(-1))")
    assert shown["y"] == pytest.approx(kernel.eigenvalues[np.array(shown["x"]) - 1])
    expect(page.locator('[data-cursor="kernel"]')).to_be_hidden()  # ranks are no steps

    (heat,) = show("matrix")
    assert kernel.cosines is not None
    assert np.array(heat["z"]) == pytest.approx(kernel.cosines)
    assert page.evaluate(f"{drawn}.layout.shapes.length") == 4

    modes = run.measurement("modes", 800)
    assert isinstance(modes, Eigenmodes)
    traces = show("modes")
    assert len(traces) == 2 * len(modes.eigenvalues)
    for mode, (predicted, measured) in enumerate(zip(traces[::2], traces[1::2], strict=True)):
        assert measured["x"] == pytest.approx(modes.times[1:])
        assert measured["y"] == pytest.approx(abs(modes.residuals[1:, mode]))
        law = abs(modes.residuals[0, mode]) * np.exp(-modes.rate * modes.eigenvalues[mode] * np.array(predicted["x"]))
        assert predicted["y"] == pytest.approx(law)
    expect(page.locator('[data-readout="kernel"]')).to_contain_text(f"off by {100 * modes.error:.0f} %")

    pair = run.measurement("linearised", 800)
    assert isinstance(pair, Linearisation)
    marks = show("linearised")[1:]
    assert sum(len(trace["x"]) for trace in marks) == pair.actual.size
    right = np.arange(len(pair.actual)), pair.labels
    assert marks[1]["x"] == pytest.approx(pair.actual[right])
    assert marks[1]["y"] == pytest.approx(pair.linearised[right])
    expect(page.locator('[data-readout="kernel"]')).to_contain_text(f"off by {100 * pair.error:.0f} %")
    chosen.select_option(label="history")
    assert watcher.errors == []


def test_what_a_run_has_is_offered_and_hostile_words_are_text(
    writer: RunWriter, serve: Callable, visit: Callable
) -> None:
    model, measures = quadratic_at(600, 1000), measures_at(600, 1000)
    count = len(measures.names)
    broken = measures.sam_one_step.copy()
    broken[2:] = np.inf
    writer.measurement(600, "quadratic", model.replaced(names=(HOSTILE, *model.names[1:])))
    writer.measurement(
        600,
        "sharpness/measures",
        measures.replaced(
            names=(HOSTILE,) * count,
            symbols=(HOSTILE,) * count,
            settings=(HOSTILE,) * count,
            values=np.array([np.nan, np.inf, -np.inf, *measures.values[3:]]),
            sam_one_step=broken,
        ),
    )
    writer.close("finished")
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest?sharpness=taylor")
    uncovered(page, "sharpness")
    expect(page.locator("#graph-sharpness")).to_contain_text("<img src=x")
    # A run without a density offers no view of it. Of sharpness the first view has nothing to show, the others have.
    expect(page.locator('[data-cover="spectrum"]')).to_have_text("not measured in this run")
    assert page.evaluate("landscope.plan.expects(['density'])") is False
    expect(page.locator('[data-views="spectrum"]')).to_be_hidden()
    chooser(page, "Sharpness").get_by_text("measures").click()
    table = page.locator('[data-table="sharpness"]')
    expect(table.locator("tbody th").first).to_have_text(HOSTILE)
    assert table.locator("tbody .number").all_inner_texts()[:3] == ["not finite", "∞", "−∞"]
    uncovered(page, "sharpness")
    assert page.evaluate(f"{graph('sharpness')}.data[1].y.slice(2)") == [None, None, None]
    chooser(page, "Sharpness").get_by_text("history").click()
    expect(page.locator('[data-cover="sharpness"]')).to_be_visible()
    assert page.evaluate("document.body.dataset.hacked") is None
    assert page.locator("img[src=x]").count() == 0
    assert watcher.errors == []


def test_of_more_than_three_views_one_is_picked_from_a_list(
    recorded: Path, serve: Callable, visit: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = [
        replace(panel, views=(*panel.views, *(replace(panel.views[1], name=f"again{i}") for i in range(3))))
        if panel.name == "spectrum"
        else panel
        for panel in PANELS
    ]
    monkeypatch.setattr("landscope_app.page.PANELS", more)
    page, watcher = visit(f"{serve(recorded)}/run/latest?spectrum=again1")
    chosen = page.get_by_label("View: Hessian spectrum")
    expect(chosen).to_have_value("again1")
    assert chosen.locator("option").count() == 5
    uncovered(page, "spectrum")
    chosen.select_option(label="now")
    until(page, f"{graph('spectrum')}.data[0].type === 'scatter'")
    expect(page).to_have_url(re.compile("/run/latest$"))
    assert watcher.errors == []


def test_findings_are_marks_that_lead_to_their_evidence(run: Run, shared: tuple[Page, Watcher]) -> None:
    page, watcher = shared
    begun = [phase for phase in run.phases() if phase.data is not None and phase.data["begins"]]
    marks = page.get_by_role("button", name=re.compile("^Finding: "))
    expect(marks).to_have_count(len(begun))
    marks.last.click()
    found = page.get_by_role("dialog", name="What was found")
    expect(found).to_contain_text(begun[-1].text)
    expect(found).to_contain_text(f"since step {begun[-1].step:,}")
    expect(found).to_contain_text("Three readings lie <b>between</b> 0.9 and 1.25")  # text, never markup
    found.get_by_role("button", name="gradients/noise_scale").click()
    expect(found).to_be_hidden()
    expect(page).to_have_url(re.compile(rf"step={begun[-1].step}&.*norms=noise"))
    until(page, f"{graph('norms')}.data.some(({{ name }}) => name === 'noise scale')")

    # A batch size that was said once holds up to the newest step.
    held = page.evaluate(f"{graph('norms')}.data.find(({{ name }}) => name === 'batch')")
    assert (held["x"], held["y"]) == ([0, 2000], [64, 64])

    page.locator("#findings-open").click()
    expect(found.locator("details")).to_have_count(3)
    expect(found.locator("details").last).to_contain_text("steps 600 to 1,400")
    page.keyboard.press("Escape")
    expect(found).to_be_hidden()
    assert watcher.errors == []


def test_examples_are_selected_in_the_order_of_learning(run: Run, shared: tuple[Page, Watcher]) -> None:
    page, watcher = shared
    page.evaluate("landscope.view.set({ step: 800, curves: 'examples', chosen: '' })")
    history = run.measurement("examples/history", 800)
    assert isinstance(history, ExampleHistory)
    assert history.positions is not None
    until(page, f"{graph('curves')}.data[0]?.z?.[0].length === {len(history.steps)}")
    order = history.order()
    heights = np.array(page.evaluate(f"{graph('curves')}.data[0].z"))
    np.testing.assert_allclose(10**heights, history.losses[order], rtol=1e-5)
    learned = 100 * history.scalars()["learned"]
    expect(page.locator('[data-readout="curves"]')).to_contain_text(f"learned {int(learned + 0.5)}")
    box = page.locator("#graph-curves .nsewdrag").first.bounding_box()
    assert box is not None
    row, example = 3, int(history.positions[order[3]])
    place = box["x"] + 0.5 * box["width"], box["y"] + (row + 0.5) / len(order) * box["height"]
    page.mouse.move(*place)
    expect(page.locator("#panel-curves .example")).to_contain_text(f"example {example}")
    page.mouse.click(*place)
    until(page, f"landscope.view.state.chosen === '{example}'")
    until(page, f"{graph('curves')}.data[1].y[0] === {row}")

    page.evaluate("landscope.view.set({ norms: 'inactive' })")
    activity = run.measurement("units", 800)
    assert isinstance(activity, UnitActivity)
    until(page, f"{graph('norms')}.data.length === 3 && {graph('norms')}.data[0].name === 'dead'")
    shares = page.evaluate(f"{graph('norms')}.data.map(({{ x }}) => x[1])")
    assert shares == pytest.approx([activity.dead[1], activity.dormant[1], activity.saturated[1]], rel=1e-6)
    dead = 100 * activity.scalars()["dead"]
    expect(page.locator('[data-readout="norms"]')).to_contain_text(re.compile(rf"dead\s+{dead:.0f} %"))

    page.evaluate("landscope.view.set({ curves: 'margins', chosen: '' })")
    right = int((history.margins[:, -1] > 0).sum())
    assert 0 < right < len(history.labels)
    sums = f"{graph('curves')}.data.map(({{ y }}) => y?.reduce((sum, one) => sum + one, 0))"
    both = [right, len(history.labels) - right]
    expected = json.dumps([*both, sum(both), *both], separators=(",", ":"))
    until(page, f"JSON.stringify({sums}) === '{expected}'")
    expect(page.locator('[data-readout="curves"]')).to_contain_text("median EL2N")

    page.evaluate("landscope.view.set({ curves: 'calibration' })")
    page.get_by_label("Bins").select_option("5")
    calibration = run.measurement("outputs/calibration", 800)
    assert isinstance(calibration, Calibration)
    bins = calibration.reliability(5)
    filled = bins.counts > 0
    until(page, f"{graph('curves')}.data[1]?.x.length === {filled.sum()} && {graph('curves')}.data[2]?.y.length === 5")
    assert page.evaluate(f"{graph('curves')}.data[1].y") == pytest.approx(bins.accuracies[filled])
    assert page.evaluate(f"{graph('curves')}.data[2].y") == bins.counts.tolist()
    expect(page).to_have_url(re.compile("bins=5"))
    page.evaluate("landscope.view.set({ curves: 'history', norms: 'history', bins: '15' })")
    assert watcher.errors == []


def test_a_learning_rate_is_drawn_for_the_steps_ahead(writer: RunWriter, serve: Callable, visit: Callable) -> None:
    rates = np.interp(np.arange(200), [0, 120, 200], [0.1, 0.1, 0.01])

    def loss_at(rates: np.ndarray) -> np.ndarray:
        forward, annealed = annealing_areas(rates)
        return np.asarray(1.2 + 0.9 * forward**-0.5 - 0.02 * annealed)

    for step, (rate, loss) in enumerate(zip(rates, loss_at(rates), strict=True), 1):
        writer.scalars(step, {"step/learning_rate": float(rate), "train/loss": float(loss)})
    writer.measurement(200, "forecast", dict(dynamics_at(200, 200, 1))["forecast"])
    writer.progress(200, 200)
    writer.close("finished")

    # What a link has drawn is shown, and foretold by the law of the run.
    page, watcher = visit(f"{serve(writer.path.parent)}/run/latest?curves=forecast&whatif=0.05,0.05,0.02")
    imagined = f"{graph('curves')}.data.find(({{ name }}) => name === 'what if')?.y.at(-1)"

    def foretold(drawn: list[float]) -> Any:
        ahead = np.interp(np.linspace(0, 1, 200), np.linspace(0, 1, len(drawn)), drawn)
        return pytest.approx(loss_at(np.concatenate([rates, ahead]))[-1], rel=2e-4)

    until(page, f"Boolean({imagined})")
    linked = page.evaluate(imagined)
    assert linked == foretold([0.05, 0.05, 0.02])
    choice, knots = page.get_by_label("Learning rate ahead"), page.get_by_role("slider", name="learning rate at step")
    expect(choice).to_have_value("drawn")
    expect(page.locator(".what-if .words")).to_contain_text("Annealing law L = 1.2 + 0.9 S₁^−0.5 − 0.02 S₂")
    expect(page.locator(".what-if-outcome")).to_contain_text(" ± ")

    # Keys move a knot, not through time, and the address follows once they rest.
    knots.nth(2).press("PageDown")
    expect(page).to_have_url(re.compile(r"whatif=0\.05,0\.05,0\.00632$"))
    until(page, f"{imagined} !== {linked}")
    assert page.evaluate(imagined) == foretold([0.05, 0.05, 0.00632])
    assert page.evaluate("landscope.view.state.step") is None

    # What is drawn with the pointer is one change, and "as it is" takes it back.
    choice.select_option("constant")
    expect(knots).to_have_count(7)
    before = page.evaluate("landscope.view.state.whatif")
    box = page.locator(".what-if-strip").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.8 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"])
    assert page.evaluate("landscope.view.state.whatif") == before
    page.mouse.up()
    until(page, f"landscope.view.state.whatif !== '{before}'")
    low = [float(rate) for rate in page.evaluate("landscope.view.state.whatif").split(",")]
    assert len({*low[2:4]}) == 1
    assert low[3] < 0.2 * low[0]
    choice.select_option("")
    expect(knots).to_have_count(0)
    until(page, f"{imagined} === undefined")
    assert watcher.errors == []
