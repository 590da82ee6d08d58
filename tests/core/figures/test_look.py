from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from landscope.figures.scales import height_scale, log_ticks, number, signed_log, signed_log_ticks
from landscope.figures.theme import DARK, LIGHT, Theme, blend, categories, cyclic, sequential

THEMES = [LIGHT, DARK]


def linear(colour: str) -> np.ndarray:
    """Linear sRGB of #rrggbb (IEC 61966-2-1)."""
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(a: str, b: str) -> float:
    """Contrast ratio of WCAG 2."""
    high, low = sorted((float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (a, b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def lab(colour: str) -> np.ndarray:
    """CIE L*a*b* under D65."""
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    ratio = np.array(matrix) @ linear(colour) / [0.95047, 1.0, 1.08883]
    root = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("look", THEMES, ids=lambda look: look.name)
def test_text_and_lines_can_be_read(look: Theme) -> None:
    for text in (look.text, look.muted):
        assert contrast(text, look.surface) >= 4.5
    for line in (look.first, look.second, look.third, look.accent):
        assert contrast(line, look.surface) >= 3.0


@pytest.mark.parametrize("look", THEMES, ids=lambda look: look.name)
def test_classes_can_be_told_apart(look: Theme) -> None:
    assert min(np.linalg.norm(lab(a) - lab(b)) for a, b in itertools.combinations(categories(10, look), 2)) > 18


def test_many_classes_go_evenly_round_a_circle_and_close_it() -> None:
    colours = np.array([lab(colour) for colour in cyclic(97)])
    steps = np.linalg.norm(np.diff(colours, axis=0, append=colours[:1]), axis=1)
    assert steps.max() < 3 * steps.mean()
    assert np.ptp(colours[:, 0]) < 12
    assert len(categories(97, LIGHT)) == 97


@pytest.mark.parametrize("look", THEMES, ids=lambda look: look.name)
def test_ordered_lines_are_ordered_in_lightness_and_visible(look: Theme) -> None:
    colours = sequential(8, look)
    lightness = [lab(colour)[0] for colour in colours]
    assert lightness == sorted(lightness, reverse=look.name == "dark")
    assert min(contrast(colour, look.surface) for colour in colours) > 1.5


def test_blend() -> None:
    assert blend("#000000", "#ffffff", 0.5) == "#808080"
    assert blend("#123456", "#ffffff", 1.0) == "#123456"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.05, "0.05"), (1500, "1500"), (2.0, "2"), (1e5, "10⁵"), (-1e-6, "−10⁻⁶"), (3e7, "3·10⁷")],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_log_ticks_are_round_and_inside() -> None:
    assert log_ticks(0.01, 100) == pytest.approx([0.01, 0.1, 1, 10, 100])
    assert log_ticks(1e-12, 1e12, most=7)[0] >= 1e-12
    assert len(log_ticks(1e-12, 1e12, most=7)) <= 7
    narrow = log_ticks(0.56, 0.86)
    assert len(narrow) >= 2
    assert all(0.56 <= tick <= 0.86 for tick in narrow)
    with pytest.raises(ValueError, match="0 < low < high, got low=0, high=1"):
        log_ticks(0, 1)


def test_height_scale_of_all_positive_losses_is_logarithmic() -> None:
    height, low, high, logarithmic = height_scale(np.array([0.1, 10.0, np.inf]), None)
    assert logarithmic
    assert (low, high) == pytest.approx((-1, 1))
    assert height[:2] == pytest.approx([-1, 1])
    assert np.isnan(height[2])


def test_height_scale_of_a_flat_plane_has_room() -> None:
    _, low, high, _ = height_scale(np.full(3, 2.0), None)
    assert high > low


def test_signed_log_is_odd_linear_inside_and_logarithmic_outside() -> None:
    assert signed_log(-3.0, 2.0) == pytest.approx(-float(signed_log(3.0, 2.0)))
    assert signed_log(1e-4, 1.0) == pytest.approx(1e-4)
    assert signed_log(1e9, 1.0) - signed_log(1e8, 1.0) == pytest.approx(math.log(10))


def test_signed_log_ticks_are_powers_of_ten_of_both_signs() -> None:
    assert signed_log_ticks(-10, 100, 1.0) == pytest.approx([-10, -1, 0, 1, 10, 100])
    assert len(signed_log_ticks(-1e8, 1e8, 1e-8)) <= 9
