"""Each rule where its state is there, and where something like it is not."""

import numpy as np
import pytest

from landscope.dynamics import RULES, Series, Timeline, diagnose, findings
from landscope.dynamics.rules import generalisation, loss, noise, representation, stability

STEPS = np.arange(0, 400, 20)
FLAT = np.ones(20)


def series(**curves):
    """Names with "__" for "/" and "_of_" for a space."""
    return {
        name.replace("__", "/").replace("_of_", " "): Series(STEPS[: len(curve)], np.array(curve, float))
        for name, curve in curves.items()
    }


def kinds(**curves):
    return {found.kind for found in findings(series(**curves))}


def found(kind, **curves):
    return next(one for one in findings(series(**curves)) if one.kind == kind)


def line(start, end, count=20):
    return np.linspace(start, end, count)


MEMORISED = {"train__accuracy": [0.3, 0.8, *[1.0] * 18], "test__accuracy": [0.02] * 20}
TURNING = {
    "test__loss": [3, 6, 9, 10, 10.5, *line(10.4, 9.0, 15)],
    "norm__weights": [20, 30, 34, *line(33.9, 30, 17)],
    "ntk__alignment": [0.2, 0.2, 0.2, *line(0.2, 0.24, 17)],
    "tokens__gini": [0.05, 0.05, 0.05, *line(0.05, 0.1, 17)],
}


def test_about_to_grok_needs_three_signs_that_go_on():
    told = found("about-to-grok", **MEMORISED, **TURNING)
    assert "the held-out loss falls; the weight norm falls; the kernel turns to the labels" in told.text
    assert set(told.evidence) >= {"test/loss", "norm/weights", "ntk/alignment", "tokens/gini"}
    assert told.since is None  # when the signs are seen, not when the data were fitted
    assert diagnose(series(**MEMORISED, **TURNING)).kind == "about-to-grok"


@pytest.mark.parametrize("left", [("test__loss", "norm__weights"), ("ntk__alignment",), ()])
def test_fewer_signs_are_memorisation(left):
    signs = {name: TURNING[name] for name in left}
    assert "about-to-grok" not in kinds(**MEMORISED, **signs)
    assert "memorised" in kinds(**MEMORISED, **signs)


def test_signs_that_have_turned_back_do_not_count():
    back = {name: np.r_[curve[:10], curve[9::-1]] for name, curve in TURNING.items()}
    assert "about-to-grok" not in kinds(**MEMORISED, **back)


def test_signs_before_the_data_are_fitted_do_not_count():
    learning = {"train__accuracy": line(0.1, 0.9), "test__accuracy": line(0.1, 0.2)}
    assert "about-to-grok" not in kinds(**learning, **TURNING)


def test_grokking_is_dated():
    test = [*[0.02] * 10, *line(0.1, 0.6, 10)]
    told = found("grokking", train__accuracy=MEMORISED["train__accuracy"], test__accuracy=test)
    assert told.since == 220  # the first reading a tenth above
    grokked = found("grokked", train__accuracy=MEMORISED["train__accuracy"], test__accuracy=[*test[:15], *[0.97] * 5])
    assert grokked.since == 300


NOISY = {"train__accuracy": line(0.3, 0.99), "test__accuracy": [*line(0.3, 0.8, 8), *line(0.79, 0.6, 12)]}


def test_noise_learnt_by_heart():
    told = found("label-noise", **NOISY)
    assert 100 <= told.since <= 180


@pytest.mark.parametrize(
    "curves",
    [
        {"train__accuracy": line(0.3, 0.99), "test__accuracy": line(0.3, 0.8)},  # learning
        {"train__accuracy": [*line(0.3, 0.99, 5), *[1.0] * 15], "test__accuracy": NOISY["test__accuracy"]},  # fitted
        {"train__accuracy": NOISY["test__accuracy"], "test__accuracy": NOISY["test__accuracy"]},  # both fall
        {
            "train__accuracy": line(0.3, 0.99),
            "test__accuracy": 0.8 + 0.02 * np.array([1, -1] * 10),
        },  # readings scatter
    ],
)
def test_no_noise_learnt_by_heart(curves):
    assert "label-noise" not in kinds(**curves)


def test_divergence_names_the_step_that_began_it():
    told = found("diverged", train__loss=[1, 0.5, 0.4, 0.5, 2, 80, float("nan")])
    assert "still low at step 60" in told.text
    assert told.since == 120
    assert found("diverging", train__loss=[1, 0.5, 0.4, 5, 30]).since == 40


LEARNT = {"train__loss": line(1, 0.1)}


def test_lazy_and_rich_need_kernel_and_linearisation_to_agree():
    lazy = {"ntk__drift": line(0, 0.005), "linearised__error": line(0, 0.05)}
    rich = {"ntk__drift": line(0, 0.04), "linearised__error": line(0, 0.9)}
    assert "lazy" in kinds(**LEARNT, **lazy)
    assert found("rich", **LEARNT, **rich).since == 200
    for drift, error in ((lazy, rich), (rich, lazy)):
        mixed = {"ntk__drift": drift["ntk__drift"], "linearised__error": error["linearised__error"]}
        assert not kinds(**LEARNT, **mixed) & {"lazy", "rich"}
    assert "lazy" not in kinds(train__loss=FLAT, **lazy)  # nothing learnt: a kernel at rest says nothing
    assert diagnose(series(**LEARNT, **rich)).kind == "learning"  # what lasts for ever is not the headline


COLLAPSE = {
    "train__accuracy": [0.5, 0.9, *[1.0] * 18],
    "geometry__nc1": [5, 3, 2, *line(1.9, 0.2, 17)],
    "geometry__nc2_angles": [0.3, 0.3, 0.3, *line(0.3, 0.05, 17)],
    "geometry__nc3": [1.2, 1.1, *line(1.0, 0.3, 18)],
}


def test_neural_collapse_needs_all_its_parts():
    told = found("neural-collapse", **COLLAPSE)
    assert told.since > 40
    for name, curve in (("geometry__nc1", 2 * FLAT), ("geometry__nc2_angles", 0.3 * FLAT), ("geometry__nc3", FLAT)):
        assert "neural-collapse" not in kinds(**(COLLAPSE | {name: curve}))
    assert "neural-collapse" not in kinds(**(COLLAPSE | {"train__accuracy": line(0.2, 0.9)}))


def test_dimensional_collapse_is_the_measurement_s_alarm():
    ranks = {"geometry__effective_rank": line(30, 2)}
    assert found("dimensional-collapse", geometry__collapsed=[0] * 15 + [1] * 5, **ranks).since == 300
    assert "dimensional-collapse" not in kinds(geometry__collapsed=[0] * 20, **ranks)


def test_a_saddle_for_some_classes():
    flat = {f"classes__negative_of_ratio__{label}": 0.01 * FLAT for label in range(3)}
    bent = flat | {"classes__negative_of_ratio__9": [*[0.01] * 10, *[0.4] * 10]}
    told = found("class-saddle", **LEARNT, **bent)
    assert "class 9 alone" in told.text
    assert told.since == 200
    assert "class-saddle" not in kinds(train__loss=FLAT, **bent)
    assert "class-saddle" not in kinds(**LEARNT, **{name: 0.4 * FLAT for name in bent})
    for_a_moment = flat | {"classes__negative_of_ratio__9": [*[0.01] * 18, *[0.4] * 2]}
    assert "class-saddle" not in kinds(**LEARNT, **for_a_moment)


def test_gradient_noise():
    assert "gradient-noise" in kinds(gradients__noise_scale=1000 * FLAT, batch__size=32 * FLAT)
    assert "gradient-noise" not in kinds(gradients__noise_scale=200 * FLAT, batch__size=32 * FLAT)
    assert "gradient-noise" not in kinds(gradients__noise_scale=[1000, 1000, 100], batch__size=32 * FLAT)


def test_plasticity_loss():
    assert found("plasticity-loss", plasticity__loss=[1, 1, 1.2, 1.6, 1.8, 2.0]).since == 60
    assert "plasticity-loss" not in kinds(plasticity__loss=[1, 1, 1.2, 1.6, 1.4, 1.6])
    learnt = {"plasticity__loss": [1e-3, 2e-3, 2e-3, 3e-3], "plasticity__accuracy": [1.0] * 4}
    assert "plasticity-loss" not in kinds(**learnt)  # of what is left, a multiple says nothing
    forgot = {"plasticity__loss": [1e-3, 0.1, 0.1, 1.0, 1.0, 1.0], "plasticity__accuracy": [1.0] * 3 + [0.5] * 3}
    assert found("plasticity-loss", **forgot).since == 60


SLOW = {"sharpness__lambda_max": 1.0 * FLAT, "sharpness__threshold": 10 * FLAT, "train__loss": line(1, 0.5)}


def test_a_rate_that_could_be_higher():
    assert "slack" in kinds(**SLOW)
    for change in (
        {"sharpness__lambda_max": 4 * FLAT},  # near enough
        {"sharpness__lambda_max": line(0.1, 1.0)},  # on its way up
        {"train__loss": FLAT},  # at rest
        {"train__loss": 0.5 ** np.arange(20)},  # fast enough
        {"train__accuracy": FLAT},  # fitted
    ):
        assert "slack" not in kinds(**(SLOW | change))


def test_every_rule_explains_itself():
    modules = (loss, generalisation, stability, representation, noise)
    assert sorted(rule.kind for rule in RULES) == sorted(rule.kind for module in modules for rule in module.RULES)
    for rule in RULES:
        assert rule.title
        assert rule.criterion.endswith(".")
        if rule.kind not in ("learning", "plateau", "diverged"):
            assert rule.sources
            assert rule.meaning.endswith(".")
            assert rule.caution.endswith(".")


def test_nothing_is_found_where_nothing_is_measured_or_all_is_quiet():
    assert findings({}) == []
    quiet = {"train__loss": line(1, 0.8), "train__accuracy": line(0.5, 0.6), "test__accuracy": line(0.5, 0.58)}
    assert findings(series(**quiet)) == []


def test_a_timeline_tells_beginnings_and_ends_once():
    timeline, told = Timeline(), []
    for count in range(3, 21):
        sharpness = [*[10] * 10, *[3] * 10][:count]
        now = series(sharpness__lambda_max=sharpness, sharpness__threshold=[10] * count)
        told += timeline.look(now, int(STEPS[count - 1]))
        assert timeline.headline == diagnose(now)
    edges = [(phase.begins, phase.step) for phase in told if phase.finding.kind == "edge-of-stability"]
    assert edges == [(True, 0), (False, 180)]
    assert timeline.phases == told


def test_a_flicker_is_not_told():
    timeline = Timeline()
    there, gone = series(plasticity__loss=[1, 2, 2, 2]), series(plasticity__loss=[1, 1, 1, 1])
    assert not [timeline.look(now, step) for step, now in enumerate([there, gone] * 10) if timeline.look(gone, step)]
    assert timeline.phases == []
