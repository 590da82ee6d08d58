"""The plain words, for runs of which it is known what happened."""

import numpy as np
import pytest

from landscope.dynamics import Series, diagnose


def series(**curves):
    names = {name.replace("__", "/"): curve for name, curve in curves.items()}
    return {name: Series(np.arange(len(curve)) * 10, np.array(curve, float)) for name, curve in names.items()}


def kind(**curves):
    return diagnose(series(**curves)).kind


def test_nothing_measured_yet():
    assert diagnose({}).kind == "starting"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_is_said_first(value):
    assert kind(train__loss=[1, 0.5, value], sharpness__lambda_max=[1], sharpness__threshold=[10]) == "diverged"


def test_explosion():
    assert kind(train__loss=[1, 2, 30]) == "diverging"


def test_grokking_goes_through_its_three_states():
    train = [0.1, 0.5, 1.0, 1.0, 1.0, 1.0]
    assert kind(train__accuracy=train[:4], test__accuracy=[0.01, 0.02, 0.02, 0.03]) == "memorised"
    assert kind(train__accuracy=train, test__accuracy=[0.01, 0.02, 0.02, 0.03, 0.1, 0.4]) == "grokking"
    found = diagnose(series(train__accuracy=train, test__accuracy=[0.01, 0.02, 0.02, 0.03, 0.1, 0.97]))
    assert found.kind == "grokked"
    assert "step 20" in found.text
    assert "step 50" in found.text


def test_generalising_while_learning_is_not_grokking():
    assert (
        kind(train__loss=[1, 0.5, 0.1], train__accuracy=[0.1, 0.8, 1.0], test__accuracy=[0.1, 0.7, 0.97]) == "learning"
    )


def test_hovering_at_the_threshold():
    found = diagnose(series(sharpness__lambda_max=[3, 6, 9.5, 10.1, 9.9], sharpness__threshold=[10] * 5))
    assert found.kind == "edge-of-stability"
    assert "9.9" in found.text
    assert "10" in found.text


def test_one_reading_near_the_threshold_is_not_hovering():
    assert kind(sharpness__lambda_max=[3, 6, 9.5], sharpness__threshold=[10] * 3, train__loss=[1]) == "learning"


def test_progressive_sharpening_and_instability():
    threshold = [10] * 6
    assert kind(sharpness__lambda_max=[3, 3.2, 3.5, 4, 5, 6], sharpness__threshold=threshold) == "sharpening"
    assert kind(sharpness__lambda_max=[3, 3.2, 3.5, 4, 5, 16], sharpness__threshold=threshold) == "unstable"


def test_the_edge_is_told_with_its_evidence():
    found = diagnose(
        series(
            sharpness__lambda_max=[3, 6, 9.5, 10.4, 9.8],
            sharpness__threshold=[10] * 5,
            sharpness__stderr=[0.1] * 4 + [0.32],
        )
    )
    assert found.text == (
        "At the edge of stability: sharpness 9.8 ± 0.32 against a stability threshold of 10. Since step 20 it hovers "
        "between 0.95 and 1.04 of the threshold; steps overshoot."
    )


def test_the_edge_moves_with_the_learning_rate():
    sharpness = [10, 10.2, 9.9, 5.1, 4.9, 5]
    assert kind(sharpness__lambda_max=sharpness, sharpness__threshold=[10, 10, 10, 5, 5, 5]) == "edge-of-stability"
    # readings from before a warmup ended are held against the thresholds of then
    assert (
        kind(sharpness__lambda_max=[9.9] * 5, sharpness__threshold=[40, 40, 40, 40, 10], train__loss=[1]) == "learning"
    )


def test_sharpening_says_when_it_arrives():
    found = diagnose(series(sharpness__lambda_max=[2, 3, 4, 5, 6, 7], sharpness__threshold=[10] * 6))
    assert found.kind == "sharpening"
    assert "up from 2 at step 0; at this pace it is there by step 80" in found.text
    restless = [3, 3.2, 3.0, 7.0, 4.0, 5.0]
    assert kind(sharpness__lambda_max=restless, sharpness__threshold=[10] * 6, train__loss=[1]) == "learning"


CATAPULT = {"sharpness__lambda_max": [8, 9, 14, 9, 5, 4], "sharpness__threshold": [10] * 6}


def test_catapult():
    found = diagnose(series(**CATAPULT, train__loss=[1, 0.8, 1.1, 3.0, 0.9, 0.7]))
    assert found.kind == "catapult"
    assert found.text == (
        "Catapult: sharpness 14 passed the stability threshold of 10 by step 20, the training loss jumped from 0.8 to "
        "3 at step 30, and the sharpness has fallen to 4: a flatter region."
    )


@pytest.mark.parametrize(
    "loss",
    [
        [1, 0.8, 0.7, 0.6, 0.5, 0.4],  # no jump
        [1, 0.8, 1.1, 2.5, 2.7, 2.9],  # still up
        [3, 0.8, 0.7, 0.6, 0.5, 0.4],  # up before the sharpness was
    ],
)
def test_no_catapult(loss):
    assert kind(**CATAPULT, train__loss=loss) != "catapult"


def test_no_catapult_without_passing_the_threshold_or_long_ago():
    jump = [1, 0.8, 1.1, 3.0, 0.9, 0.7]
    assert (
        kind(sharpness__lambda_max=[8, 9, 9.9, 9, 5, 4], sharpness__threshold=[10] * 6, train__loss=jump) != "catapult"
    )
    later = {name: values + values[-1:] * 9 for name, values in (CATAPULT | {"train__loss": jump}).items()}
    assert kind(**later) != "catapult"


def test_real_gradient_descent_goes_through_the_states():
    """Two layers of one weight, (uv)^2 / 2: a sharp start is thrown to flatness, a flat one just learns."""

    def descent(u, lr, steps=40):
        v, losses, sharpness = 0.1, [], []
        for _ in range(steps):
            losses.append((u * v) ** 2 / 2)
            hessian = np.array([[v * v, 2 * u * v], [2 * u * v, u * u]])
            sharpness.append(np.linalg.eigvalsh(hessian)[-1])
            u, v = u - lr * u * v * v, v - lr * u * u * v
        return {"train__loss": losses, "sharpness__lambda_max": sharpness, "sharpness__threshold": [2 / lr] * steps}

    thrown = descent(2.0, 0.6)
    found = [diagnose(series(**{name: values[: n + 1] for name, values in thrown.items()})).kind for n in range(40)]
    assert "catapult" in found
    assert set(found[: found.index("catapult")]) <= {"unstable", "learning", "diverging", "edge-of-stability"}
    assert thrown["sharpness__lambda_max"][-1] < 2 / 0.6 < thrown["sharpness__lambda_max"][0]
    assert "catapult" not in {diagnose(series(**descent(0.5, 0.6))).kind}


# Sharpness of the recipe "digits" (seed 0, lr 0.2) at every 25th of its first 600 steps.
DIGITS = [
    3.74,
    4.04,
    4.6,
    5.2,
    5.7,
    6.08,
    6.4,
    6.74,
    7.13,
    7.61,
    8.18,
    8.82,
    9.5,
    10.19,
    10.87,
    11.52,
    11.9,
    9.41,
    9.86,
    10.27,
    10.81,
    11.32,
    10.39,
    9.7,
]


def test_digits_sharpen_and_then_stay_at_the_edge():
    found = [
        diagnose(series(sharpness__lambda_max=DIGITS[: n + 1], sharpness__threshold=[10] * (n + 1))).kind
        for n in range(len(DIGITS))
    ]
    assert found[5:12] == ["sharpening"] * 7
    assert found[14:] == ["edge-of-stability"] * 10


def test_threshold_of_zero_or_none_says_nothing():
    assert kind(sharpness__lambda_max=[3, 3, 3], sharpness__threshold=[0, 0, 0], train__loss=[1]) == "learning"


def test_plateau():
    assert kind(train__loss=[1, 0.5, 0.5, 0.5, 0.5]) == "plateau"
