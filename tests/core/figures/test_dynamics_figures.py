"""Figures of what happens to gradients and weights: what is drawn, on axes with names, in both themes."""

import json

import numpy as np
import pytest

from landscope.figures import figure, theme
from landscope.measurements import (
    GapChange,
    GradientConflict,
    GradientStatistics,
    Plasticity,
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


EVERYTHING = [statistics(), conflict(), path(), gap(), weights(), activity(), plasticity()]


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
