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


def test_threshold_of_zero_or_none_says_nothing():
    assert kind(sharpness__lambda_max=[3, 3, 3], sharpness__threshold=[0, 0, 0], train__loss=[1]) == "learning"


def test_plateau():
    assert kind(train__loss=[1, 0.5, 0.5, 0.5, 0.5]) == "plateau"
