import subprocess
import sys

import numpy as np
import pytest

import landscope as ls
from landscope.figures.comparisons import DASHES
from landscope.figures.theme import LIGHT
from landscope.measurements import NTK, Projection, Provenance, Slice2D, SpectralDensity
from landscope.runs import RunWriter

AXIS = np.linspace(-1, 1, 5)
POINTS = np.random.default_rng(0).normal(size=(9, 2))
GRID = np.linspace(-2, 8, 41)


def source(step, **more):
    return Provenance(method="test", step=step, parameters=10, seed=0, **more)


def plane(step, height, kind="random"):
    loss = height + AXIS[:, None] ** 2 + AXIS[None] ** 2
    named = {"plane": kind, "normalisation": "filter", "axes": ("one", "two")}
    return Slice2D(provenance=source(step), alpha=AXIS, beta=AXIS, loss=loss, centre_loss=height, **named)


def density(step, scale, spikes):
    u = np.arcsinh(GRID / scale)
    bell = np.exp(-(u**2)) / np.sqrt(np.pi)
    return SpectralDensity(
        provenance=source(step),
        nodes=GRID[None],
        weights=np.full((1, 41), 1 / 41),
        spikes=np.array(spikes),
        spike_residuals=np.zeros(len(spikes)),
        grid=GRID,
        density=bell,
        low=bell,
        high=bell,
        scale=scale,
        trace=1.0,
        trace_stderr=0.0,
        operator="hessian",
        hvps=3,
        threshold=20.0,
    )


def projection(step, points):
    return Projection(
        provenance=source(step),
        points=points,
        labels=np.arange(9) % 3,
        classes=3,
        layer="last",
        features=8,
        method="pca",
        trustworthiness=1.0,
        neighbours=3,
        positions=np.arange(9),
    )


def record(root, name, lr, seed, *, height=1.0, steps=(0, 10, 20), full=True):
    with RunWriter.create(root, name=name, recipe="digits", config={"lr": lr, "seed": seed}) as made:
        for step in steps:
            made.scalars(step, {"train/loss": height + lr * step, "sharpness/lambda_max": 3.0 + seed})
            made.scalars(step, {"sharpness/threshold": 2 / lr, "norm/weights": 1.0})
            if full:
                made.measurement(step, "slice/random", plane(step, height + step))
                made.measurement(step, "slice/trajectory", plane(step, height, "trajectory"))
                made.measurement(step, "density", density(step, 0.5 + seed, [6.0, 5.0]))
                kernel = NTK(provenance=source(step), eigenvalues=np.array([4.0, 2, 1, 0]), **KERNEL)
                made.measurement(step, "ntk", kernel)
                made.measurement(step, "embedding", projection(step, (1 + seed) * POINTS + seed))
        made.progress(steps[-1], 20)
    return made.id


KERNEL = {"gram_kind": "trace", "outputs": 2, "effective_rank": 2.0}


SEEDS = [*((0.1, seed) for seed in range(5)), (0.2, 0), (0.2, 1)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = tmp_path_factory.mktemp("compared")
    ids = [record(made, "digits", 0.1, 0), record(made, "digits", 0.1, 1, height=3.0), record(made, "digits", 0.2, 0)]
    ids.append(record(made, "bare", 0.3, 0, steps=(0, 10), full=False))
    return made, ids


@pytest.fixture(scope="module")
def compared(root):
    folder, ids = root
    return ls.compare(*ids, root=folder)


def test_what_differs(compared):
    assert compared.labels == ("digits, lr 0.1, seed 0", "digits, lr 0.1, seed 1", "digits, lr 0.2, seed 0", "bare")
    assert [setting.name for setting in compared.settings] == ["lr", "seed"]
    assert compared.groups == ((0, 1), (2,), (3,))
    assert compared.last_common_step == 10


def test_how_many_and_which_runs(root):
    folder, ids = root
    with pytest.raises(ValueError, match="from 2 to 12 runs are compared, got 1"):
        ls.compare(ids[0], root=folder)
    with pytest.raises(ValueError, match=f"more than once there is {ids[0]}"):
        ls.compare(ids[0], ids[1], ids[0], root=folder)
    with pytest.raises(FileNotFoundError, match="no run 'nobody'"):
        ls.compare(ids[0], "nobody", root=folder)
    assert ls.compare(*(folder / one for one in ids[:2])).labels == ("digits, seed 0", "digits, seed 1")


def traces(figure, **has):
    return [one for one in figure.data if all(getattr(one, key) == value for key, value in has.items())]


def test_runs_have_the_same_colour_in_every_picture_and_a_dash_besides(compared):
    alone = compared.curves(bands=False).figure()
    losses = traces(alone, yaxis="y")
    assert [one.line.color for one in losses] == list(LIGHT.palette[:4])
    assert [one.line.dash for one in losses] == list(DASHES[:4])
    assert [one.name for one in losses] == list(compared.labels)
    assert len([one for one in alone.data if one.showlegend]) == 4
    for picture in (compared.densities(), compared.kernels()):
        named = [one for one in picture.figure().data if one.mode == "lines" and one.showlegend is not False]
        assert [one.line.color for one in named] == list(LIGHT.palette[:3])
    hues = [pen.hue for pen in compared.pens(by_group=True).values()]
    assert hues == [0, 0, 1, 2]


def test_seeds_are_one_line_with_a_band(compared):
    figure = compared.curves().figure()
    filled, line, *others = traces(figure, yaxis="y")
    assert line.name == "digits, lr 0.1, mean of 2 seeds (least to greatest)"
    np.testing.assert_allclose(line.y, [2.0, 3.0, 4.0])  # of 1 + 0.1 t and 3 + 0.1 t
    assert filled.fill == "toself"
    np.testing.assert_allclose(filled.y, [3.0, 4.0, 5.0, 3.0, 2.0, 1.0])
    assert len(others) == 2
    assert sum(bool(one.showlegend) for one in figure.data) == 3


def test_deciles_of_five_seeds_and_of_fewer_the_whole_range(tmp_path):
    ids = [record(tmp_path, "digits", lr, seed, height=float(seed), full=False) for lr, seed in SEEDS]
    compared = ls.compare(*ids, root=tmp_path)
    assert [len(members) for members in compared.groups] == [5, 2]
    figure = compared.curves(deciles=True).figure()
    filled, line, other, other_line = traces(figure, yaxis="y")
    assert line.name.endswith("mean of 5 seeds (10–90 %)")
    assert other_line.name.endswith("mean of 2 seeds (least to greatest)")
    np.testing.assert_allclose(filled.y[:3], [3.6, 4.6, 5.6])  # of seeds 0 to 4, linear
    np.testing.assert_allclose(filled.y[:2:-1], [0.4, 1.4, 2.4])
    np.testing.assert_allclose(other.y[:3], [1.0, 3.0, 5.0])


def test_one_run_s_curves_less_another_s_have_a_line_at_zero(compared):
    figure = compared.curve_difference(1, 0).figure()
    loss, sharpness, weights = figure.data
    np.testing.assert_allclose(loss.y, 2.0)  # 3 + 0.1 t less 1 + 0.1 t
    np.testing.assert_allclose(sharpness.y, 1.0)
    np.testing.assert_allclose(weights.y, 0.0)
    assert loss.name == "digits, lr 0.1, seed 1 − digits, lr 0.1, seed 0"
    assert all(axis.zeroline and axis.type is None for axis in (figure.layout.yaxis, figure.layout.yaxis2))
    assert compared.curve_difference(0, 3).figure().data[0].x.tolist() == [0, 10]
    with pytest.raises(IndexError):
        compared.curve_difference(0, 9)


def test_what_was_not_measured_is_said(compared):
    assert compared.planes().missing == {"bare": "slice/random was not measured"}
    assert compared.curves(bands=False).notes == ()
    assert [note[:25] for note in compared.curves().notes] == ["a line through a band is "]
    empty = compared.planes("gradient")
    with pytest.raises(ValueError, match=r"nothing to draw: .*bare: slice/gradient was not measured"):
        empty.figure()
    assert set(empty.missing) == set(compared.labels)


def test_planes_have_one_scale_of_colours_and_the_same_axes(compared):
    figure = compared.planes(step=12).figure()
    contours = traces(figure, type="contour")
    assert len(contours) == 3
    assert len({(one.zmin, one.zmax) for one in contours}) == 1
    assert contours[0].zmax == pytest.approx(np.log10(3 + 20 + 2))  # of all steps, so that it holds still
    assert [one.showscale for one in contours] == [None, False, False]
    assert {figure.layout[axis].range for axis in ("xaxis", "xaxis2", "yaxis3")} == {(-1.0, 1.0)}
    assert "step 10" in figure.layout.annotations[0].text
    assert "not comparable" in compared.planes("trajectory").notes[1]


def test_difference_is_that_of_the_two_and_is_refused_where_coordinates_differ(compared):
    figure = compared.difference(1, 0, step=20).figure(dark=True)
    np.testing.assert_allclose(figure.data[0].z, 2.0)
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-2.0, 2.0)
    refused = compared.difference(0, 1, "trajectory")
    assert refused.draw is None
    assert "cannot be subtracted" in refused.notes[0]
    assert "not measured" in next(iter(compared.difference(0, 3).missing.values()))


def test_densities_are_per_unit_of_one_axis(compared):
    """Each integrates over the common axis to what it did over its own, up to the trapezoids."""
    figure = compared.densities().figure()
    for name, scale in zip(compared.labels[:3], (0.5, 1.5, 0.5), strict=True):
        line = next(one for one in traces(figure, name=name) if one.mode == "lines" and one.showlegend is not False)
        own = np.arcsinh(GRID / scale)
        expected = np.trapezoid(np.exp(-(own**2)) / np.sqrt(np.pi), own)
        assert np.trapezoid(line.y, line.x) == pytest.approx(expected, rel=0.02)


def test_kernels_leave_out_what_is_not_positive(compared):
    line = compared.kernels().figure().data[0]
    assert list(line.y) == [4, 2, 1]
    assert list(line.x) == [1, 2, 3]


def test_embeddings_lie_over_the_first(compared):
    figure = compared.embeddings().figure()
    first = np.concatenate([np.stack([one.x, one.y], axis=1) for one in traces(figure, xaxis="x")])
    second = np.concatenate([np.stack([one.x, one.y], axis=1) for one in traces(figure, xaxis="x2")])
    np.testing.assert_allclose(second, first, atol=1e-12)
    assert any("by 9 examples" in note.text for note in figure.layout.annotations)


def test_comparing_needs_no_torch():
    code = "import landscope as ls, sys; ls.compare; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
