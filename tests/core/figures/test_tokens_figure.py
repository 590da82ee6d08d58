"""The picture of tokens: what is drawn is what was measured, in both themes, with and without key frequencies."""

import json

import numpy as np
import pytest

from landscope.figures import figure, theme
from landscope.measurements import Provenance, TokenSpectrum


def spectrum(key=(3, 1), **changes):
    circles = np.random.default_rng(0).normal(size=(len(key), 7, 2))
    fields = {
        "weight": "embed.weight",
        "frequencies": np.array([1, 2, 3]),
        "norms": np.array([2.0, 0.5, 4.0]),
        "gini": 0.36,
        "key": np.array(key, dtype=int),
        "share": 0.988,
        "circles": circles,
    }
    return TokenSpectrum(provenance=Provenance(method="made for a test"), **(fields | changes))


def measured():
    losses = {name: np.array([1.0, value]) for name, value in (("full", 0.1), ("restricted", 0.02), ("excluded", 4.0))}
    return spectrum(splits=("all", "train"), **losses)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("tokens", [spectrum(), measured(), spectrum(key=(), share=0.0)])
def test_axes_are_named_and_the_theme_is_kept(tokens, dark):
    drawn = figure(tokens, dark=dark)
    layout = drawn.to_plotly_json()["layout"]
    axes = [axis for name, axis in layout.items() if name.startswith(("xaxis", "yaxis"))]
    assert len(axes) == 2 + 2 * len(tokens.key)
    assert all(axis["title"]["text"] for axis in axes)
    assert drawn.layout.template.layout.paper_bgcolor == theme(dark).surface
    assert json.loads(drawn.to_json())["data"]


def test_key_frequencies_are_marked_and_each_has_its_circle():
    drawn = spectrum().figure()
    traces = {trace.name: trace for trace in drawn.data}
    assert traces["key"].x.tolist() == [1, 3]
    assert traces["key"].y.tolist() == [2.0, 4.0]
    assert traces["other"].x.tolist() == [2]
    assert traces["key"].width == traces["other"].width
    assert traces["key"].marker.pattern.shape != traces["other"].marker.pattern.shape
    np.testing.assert_array_equal(traces["frequency 3"].x, spectrum().circles[0, :, 0])
    np.testing.assert_array_equal(traces["frequency 1"].y, spectrum().circles[1, :, 1])
    assert drawn.layout.xaxis2.title.text == "cos, frequency 3"
    assert drawn.layout.yaxis3.scaleanchor == "x3"
    assert drawn.layout.xaxis2.domain[1] <= drawn.layout.xaxis3.domain[0]


def test_tokens_at_the_same_angle_have_the_same_hue():
    hues = {trace.name: trace for trace in spectrum().figure().data}
    once, thrice = (hues[f"frequency {k}"].marker.color for k in (1, 3))
    assert len(set(once)) == 7
    assert [thrice[a] for a in range(7)] == [once[3 * a % 7] for a in range(7)]


def test_only_the_strongest_circles_are_drawn():
    many = spectrum(key=tuple(range(1, 9)), frequencies=np.arange(1, 20), norms=np.ones(19))
    assert sum(trace.type == "scatter" for trace in many.figure().data) == 5


def test_caption_says_what_was_measured():
    assert (
        spectrum().figure().layout.title.text == "embed.weight: Gini 0.36, 2 key frequencies with 98.8 % of its square"
    )
    assert spectrum(key=(), share=0.0).figure().layout.title.text == "embed.weight: Gini 0.36, no key frequency"
    lines = measured().figure().layout.title.text.split("<br>")
    assert lines[1:] == ["all: loss 1, restricted 1, excluded 1", "train: loss 0.1, restricted 0.02, excluded 4"]


def test_scalars_name_their_split():
    scalars = measured().scalars()
    assert (scalars["restricted"], scalars["restricted.train"], scalars["excluded.train"]) == (1.0, 0.02, 4.0)
    assert measured().span() == (0.0, 4.0)
