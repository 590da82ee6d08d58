"""Figures of gradients, weights, examples and outputs: what is drawn, on axes with names, in both themes."""

import json

import numpy as np
import pytest

from landscope.figures import figure, theme
from landscope.measurements import (
    Calibration,
    ExampleHistory,
    ExampleScores,
    GapChange,
    GradientConflict,
    GradientStatistics,
    LearningOrder,
    LossMixture,
    OutputChange,
    Plasticity,
    PredictionFlips,
    Provenance,
    UnitActivity,
    UpdatePath,
    WeightStatistics,
)

SOURCE = Provenance(method="made for a test", step=3, examples=8, parameters=5)


def statistics(**changes):
    ones = np.ones((2, 3))
    fields = {
        "groups": ("all", "7"), "counts": np.array([8, 3]), "layers": ("all", "0", "2"), "norms": 2 * ones,
        "squared_norms": 3 * ones, "squared_norm_errors": 0.5 * ones, "traces": 12 * ones, "trace_errors": ones,
        "noise_scales": np.array([[4.0, 2.0, 8.0], [3.0, np.inf, 1.0]]), "noise_scale_errors": 0.25 * ones,
        "batch_sizes": np.array([1, 2, 4]), "batch_cosines": np.array([0.5, 0.7, 0.9]),
        "batch_cosine_deviations": np.full(3, 0.1), "direction_variances": np.array([0.4, 0.3, 0.2]),
    }  # fmt: skip
    return GradientStatistics(provenance=SOURCE, **(fields | changes))


def conflict():
    cosines = np.array([[[1.0, -0.5], [-0.5, 1.0]], [[1.0, 0.2], [0.2, 1.0]]])
    return GradientConflict(
        provenance=SOURCE, parts=("0", "1"), counts=np.array([4, 4]), layers=("all", "fc"), cosines=cosines,
        norms=np.ones((2, 2)),
    )  # fmt: skip


def path():
    return UpdatePath(
        provenance=SOURCE, steps=np.array([0, 5, 9, 20]), layers=("all", "fc"),
        lengths=np.array([[2.0, 1], [1, 0], [3, 1]]),
        cosines=np.array([[0.5, np.nan], [-1, 1]]), directness=np.array([0.25, 1.0]),
    )  # fmt: skip


def gap():
    return GapChange(
        provenance=SOURCE, lr=0.1, covariance=0.02, covariance_error=0.001, first_order=0.03, measured=0.025,
        measured_error=0.004, train_losses=np.array([1.0, 0.9]), test_losses=np.array([1.2, 1.125]),
    )  # fmt: skip


def weights(**changes):
    fields = {
        "names": ("0.weight", "0.bias"), "sizes": (16, 4), "norms": np.array([4.0, 1.0]),
        "largest": np.array([3.0, np.nan]),
        "smallest": np.array([0.0, np.nan]), "stable_ranks": np.array([1.5, np.nan]),
        "singular_values": {"0.weight": np.array([3.0, 1.0, 0.0])}, "distances": np.array([2.0, 0.0]),
        "wassersteins": np.array([0.25, 0.0]), "start_norms": np.array([3.0, 1.0]),
        "update_ratios": np.array([0.1, 0.2]),
    }  # fmt: skip
    return WeightStatistics(provenance=SOURCE, **(fields | changes))


def activity():
    return UnitActivity(
        provenance=SOURCE, layers=("1", "model 2"), functions=("relu", "tanh"), units=np.array([8, 4]),
        dead=np.array([0.25, 0.0]), dormant=np.array([0.5, 0.0]), saturated=np.array([np.nan, 0.75]), tolerance=0.025,
    )  # fmt: skip


def plasticity(**changes):
    fields = {
        "losses": np.array([3.0, 2.0, 1.5]), "accuracies": np.array([0.1, 0.2, 0.5]),
        "fresh_losses": np.array([2.3, 1.0, 0.5]),
        "fresh_accuracies": np.array([0.1, 0.6, 0.9]),
        "classes": 10, "lr": 0.01, "lambda_max": 12.0, "lambda_residual": 0.1,
    }  # fmt: skip
    return Plasticity(provenance=SOURCE, **(fields | changes))


def scores(**changes):
    values = np.array([0.1, 0.2, 3.0, 0.05])
    fields = {
        "labels": np.array([0, 1, 1, 2]), "predictions": np.array([0, 1, 0, 2]), "losses": values,
        "margins": 1 - values,
        "confidences": np.exp(-values), "el2n": values / 3, "logit_norms": values, "grand": values,
    }  # fmt: skip
    return ExampleScores(provenance=SOURCE, **(fields | changes))


def history():
    return ExampleHistory(
        provenance=SOURCE, labels=np.array([0, 1, 1]), steps=np.array([0, 10]),
        losses=np.array([[2.0, 0.1], [1.0, 0.01], [3.0, 4.0]]), margins=np.zeros((3, 2)), frames=9,
        aum=np.array([0.5, 1.0, -1.0]), forgotten=np.array([2, 0, 0]), first=np.array([0, 5, -1]),
        learned=np.array([10, 5, -1]), confidences=np.array([0.5, 0.9, 0.1]), variability=np.array([0.3, 0.1, 0.05]),
    )  # fmt: skip


def mixture(family="beta"):
    parameters = {"beta": [[2.0, 10.0], [10.0, 2.0]], "gaussian": [[0.2, 0.05], [0.8, 0.05]]}[family]
    return LossMixture(
        provenance=SOURCE, values=np.linspace(0, 1, 50), scale=4.0, shift=1.0, family=family,
        shares=np.array([0.75, 0.25]), parameters=np.array(parameters), means=np.array([1.7, 4.3]), share_error=0.02,
        noisy=np.array([0.1, 0.9]), gain=0.5, iterations=9,
    )  # fmt: skip


def order():
    return LearningOrder(
        provenance=SOURCE, runs=("a", "b"), learned=np.array([[1.0, 0.5], [0.5, 1.0]]),
        aum=np.array([[1.0, 0.9], [0.9, 1.0]]), chance=0.1,
    )  # fmt: skip


def reliability():
    return Calibration(
        provenance=SOURCE, probabilities=np.array([0.55, 0.65, 0.9, 0.95]), right=np.array([False, True, True, True]),
        nll=0.4, nll_error=0.1, brier=0.3, brier_error=0.05, bins=10, ece_error=0.02,
    )  # fmt: skip


def change():
    return OutputChange(
        provenance=SOURCE, labels=np.array([0, 0, 1, 1]), kl=np.array([0.1, 1e-3, 0.0, 1.0]), temperature=1.0,
        before=np.array([0, 1, 1, 0]), now=np.array([1, 0, 1, 2]), norms_before=np.ones(4), norms_now=np.full(4, 2.0),
    )  # fmt: skip


def flips():
    return PredictionFlips(
        provenance=SOURCE, runs=("a", "b"), accuracies=np.array([0.9, 0.8]), flips=np.array([[0, 0.15], [0.05, 0]]),
        differences=np.array([[0, 0.25], [0.25, 0]]),
    )  # fmt: skip


EVERYTHING = [
    statistics(), conflict(), path(), gap(), weights(), activity(), plasticity(), scores(), history(),
    mixture(), order(), reliability(), change(), flips(),
]  # fmt: skip


def axis_names(drawn):
    layout = drawn.to_plotly_json()["layout"]
    return [axis["title"]["text"] for key, axis in layout.items() if key.startswith(("xaxis", "yaxis"))]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("measurement", EVERYTHING, ids=lambda one: one.kind)
def test_axes_are_named_in_both_themes(measurement, dark):
    drawn = figure(measurement, dark=dark)
    assert len(axis_names(drawn)) >= 2
    assert all(axis_names(drawn))
    assert drawn.layout.template.layout.paper_bgcolor == theme(dark).surface
    assert json.loads(drawn.to_json())["data"]


def test_noise_is_drawn_by_layer_and_group():
    drawn = figure(statistics())
    assert [trace.name for trace in drawn.data] == ["all (8)", "7 (3)"]
    np.testing.assert_allclose(drawn.data[0].y, [4, 2, 8])
    np.testing.assert_allclose(drawn.data[0].error_y.array, 0.25)
    np.testing.assert_allclose(drawn.data[1].y, [3, np.nan, 1])
    assert drawn.layout.title.text == "critical batch size about 4 ± 0.25 examples"
    hidden = statistics(noise_scales=np.array([[np.inf, 2.0, 8.0], [3.0, 1.0, 1.0]]))
    assert figure(hidden).layout.title.text == "noise hides the mean gradient of 8 examples"
    with pytest.raises(ValueError, match="no noise scale is finite"):
        figure(statistics(noise_scales=np.full((2, 3), np.inf)))
    with pytest.raises(ValueError, match='style must be "noise" or "batches", got \'wire\''):
        figure(hidden, style="wire")


def test_batches_are_drawn_with_their_spread():
    drawn = figure(statistics(), style="batches")
    np.testing.assert_allclose(drawn.data[0].y, [0.6, 0.8, 1.0, 0.8, 0.6, 0.4])
    np.testing.assert_allclose(drawn.data[1].y, [0.5, 0.7, 0.9])
    np.testing.assert_allclose(drawn.data[2].y, [0.4, 0.3, 0.2])
    assert statistics().scalars()["signal_to_noise"] == 0.5


def test_conflicts_are_drawn_for_the_layer_asked_for():
    assert figure(conflict()).layout.title.text == "100 % of pairs in conflict"
    np.testing.assert_allclose(figure(conflict()).data[0].z, [[1, -0.5], [-0.5, 1]])
    np.testing.assert_allclose(figure(conflict(), layer="fc").data[0].z, [[1, 0.2], [0.2, 1]])
    with pytest.raises(ValueError, match="layer must be one of all, fc, got 'head'"):
        figure(conflict(), layer="head")


def test_updates_are_drawn_at_the_steps_that_they_lead_to():
    drawn = figure(path())
    assert list(drawn.data[0].x) == [5, 9, 20]
    assert list(drawn.data[1].x) == [9, 20]
    np.testing.assert_allclose(drawn.data[2].y, [1, np.nan, 1])  # no logarithm of an update of nothing
    assert drawn.layout.title.text == "distance over length of the path: 0.25"


def test_the_change_of_the_gap_is_drawn_with_its_errors():
    drawn = figure(gap())
    np.testing.assert_allclose(drawn.data[0].y, [0.02, 0.03, 0.025])
    np.testing.assert_allclose(drawn.data[0].error_y.array, [0.001, 0, 0.004])


def test_singular_values_are_drawn_by_rank_and_zero_is_left_out():
    drawn = figure(weights())
    (line,) = drawn.data
    assert line.name == "0.weight, stable rank 1.5"
    np.testing.assert_allclose(line.y, [3, 1, np.nan])
    with pytest.raises(ValueError, match="no singular values"):
        figure(weights(singular_values={}))


def test_distances_are_drawn_for_an_element_of_each_parameter():
    drawn = figure(weights(), style="distance")
    np.testing.assert_allclose(drawn.data[0].y, [0.5, np.nan])
    np.testing.assert_allclose(drawn.data[1].y, [0.25, np.nan])
    np.testing.assert_allclose(drawn.data[2].y, [1.0, 0.5])
    with pytest.raises(ValueError, match="measure with start="):
        figure(weights(distances=None), style="distance")
    with pytest.raises(ValueError, match="style must be"):
        figure(weights(), style="wire")


def test_units_are_drawn_by_layer():
    drawn = figure(activity())
    assert list(drawn.data[0].x) == ["1<br>relu", "model 2<br>tanh"]
    assert [bar.name for bar in drawn.data] == ["dead", "dormant, below 0.025", "saturated"]
    np.testing.assert_allclose(drawn.data[2].y, [np.nan, 0.75])
    assert activity().scalars() == {"dead": 2 / 12, "dormant": 4 / 12, "saturated": 0.75}


def test_plasticity_is_drawn_beside_that_of_the_start():
    drawn = figure(plasticity())
    assert [line.name for line in drawn.data if line.showlegend is None] == ["now", "at the start of training"]
    np.testing.assert_allclose(drawn.data[3].y, [0.1, 0.6, 0.9])
    alone = figure(plasticity(accuracies=None, fresh_losses=None, fresh_accuracies=None))
    assert len(alone.data) == 1
    assert "accuracy" not in plasticity(accuracies=None).scalars()


def test_scores_are_counted_apart_where_they_are_right_and_wrong():
    drawn = figure(scores())
    assert [bar.name for bar in drawn.data] == ["right", "wrong"]
    assert [int(sum(bar.y)) for bar in drawn.data] == [3, 1]
    assert drawn.layout.title.text == "75.0% right"
    assert axis_names(figure(scores(), score="grand"))[0].startswith("GraNd")
    with pytest.raises(ValueError, match="score must be one of losses, margins, confidences, el2n, logit_norms, got"):
        figure(scores(grand=None), score="grand")


def test_examples_are_drawn_in_the_order_in_which_they_were_learned():
    drawn = figure(history())
    np.testing.assert_allclose(drawn.data[0].z, np.log10(history().losses[[1, 0, 2]]))
    assert drawn.data[0].customdata[:, 0, 0].tolist() == [1, 0, 2]
    assert drawn.layout.title.text == "66.7% learned, 33.3% forgotten at least once,<br>33.3% never right, in 9 frames"
    mapped = figure(history(), style="map")
    np.testing.assert_allclose(mapped.data[0].y, [0.5, 0.9, 0.1])
    assert list(mapped.data[0].marker.color) == [2, 0, 0]
    with pytest.raises(ValueError, match='style must be "matrix", "map" or "scores", got \'wire\''):
        figure(history(), style="wire")


def test_margins_of_the_newest_frame_stand_beside_those_of_the_first():
    margins = np.array([[-1.0, 3.0], [-1.0, 2.9], [-1.0, -0.5], [1.0, 3.0]])
    changes = {"labels": np.zeros(4, int), "margins": margins, "learned": np.zeros(4, int)}
    drawn = figure(history().replaced(**changes), style="scores")
    right, wrong, first = drawn.data
    assert sum(right.y) == 3
    assert right.x[np.flatnonzero(right.y)[-1]] == pytest.approx(3.0, abs=0.1)
    assert wrong.x[np.flatnonzero(wrong.y)].tolist() == pytest.approx([-0.5], abs=0.1)
    assert (first.name, first.y[0], sum(first.y)) == ("at step 0", 3, 4)
    assert drawn.layout.title.text.startswith("75.0% right, median margin 2.9")
    below = figure(history().replaced(**changes, el2n=np.array([0.0, 0.1, 1.41, 0.2])), style="scores")
    assert [sum(bars.y) for bars in below.data[3:]] == [3, 1]
    assert below.data[4].x[np.flatnonzero(below.data[4].y)].tolist() == pytest.approx([1.41], abs=0.03)
    assert below.layout.xaxis2.title.text.startswith("EL2N")


@pytest.mark.parametrize("family", ["beta", "gaussian"])
def test_components_are_drawn_as_densities_of_the_loss(family):
    drawn = figure(mixture(family))
    bars, first, second = drawn.data
    assert sum(bars.y) * (bars.x[1] - bars.x[0]) == pytest.approx(1)
    for line, share in ((first, 0.75), (second, 0.25)):
        assert np.trapezoid(line.y, line.x) == pytest.approx(share, rel=0.02)
    assert drawn.layout.title.text == "second component: 25.0% ± 2.0% of examples, separation 0.8"


def test_orders_are_drawn_by_either_measure():
    drawn = figure(order(), by="aum")
    np.testing.assert_allclose(drawn.data[0].z, [[1, 0.9], [0.9, 1]])
    assert drawn.layout.title.text == "by area under the margin; unrelated orders: 0 ± 0.1"
    with pytest.raises(ValueError, match='by must be "learned" or "aum"'):
        figure(order(), by="size")


def test_reliability_is_drawn_with_its_errors_and_any_bins():
    drawn = figure(reliability())
    np.testing.assert_allclose(drawn.data[1].x, [0.55, 0.65, 0.925])
    np.testing.assert_allclose(drawn.data[1].y, [0, 1, 1])
    np.testing.assert_allclose(drawn.data[2].y, [0, 0, 0, 0, 0, 1, 1, 0, 0, 2])
    assert drawn.layout.title.text.startswith("calibration error 0.263 ± 0.02 in 10 bins, by chance ")
    halves = figure(reliability(), bins=2, adaptive=True)
    np.testing.assert_allclose(halves.data[1].y, [0.5, 1])
    assert halves.layout.title.text.startswith("calibration error 0.0875 in 2 bins")
    few = figure(reliability().replaced(ece_error=np.nan))
    assert few.layout.title.text.startswith("calibration error 0.263 in 10 bins")


def test_flipped_predictions_are_drawn_by_class_and_divergences_counted():
    drawn = figure(change())
    assert {bar.name: list(bar.y) for bar in drawn.data} == {
        "right now": [0.5, 0], "wrong now": [0.5, 0], "wrong otherwise": [0, 0.5]
    }  # fmt: skip
    assert "75.0% of predictions flipped" in drawn.layout.title.text
    assert sum(figure(change(), style="kl").data[0].y) == 4
    with pytest.raises(ValueError, match='style must be "flips" or "kl"'):
        figure(change(), style="wire")


def test_flips_between_runs_are_drawn_by_who_is_right():
    drawn = figure(flips())
    np.testing.assert_allclose(drawn.data[0].z, [[0, 0.15], [0.05, 0]])
    np.testing.assert_allclose(drawn.data[0].customdata, [[0.09, 0.18], [0.08, 0.16]])
    assert drawn.layout.title.text == "25.0% of predictions differ between two runs"
