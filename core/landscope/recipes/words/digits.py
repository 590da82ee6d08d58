"""What is said of the recipe `digits`."""

from __future__ import annotations

from landscope.recipes.words.forms import Stop

__all__ = ["LESSON"]

LESSON = (
    Stop(
        "A rule from textbooks",
        "Gradient descent with step size lr is stable on a bowl whose curvature is below 2/lr, the dashed line. Above "
        "it each step overshoots by more than the last. The network begins far below.",
        0.0,
        "sharpness",
    ),
    Stop(
        "It sharpens by itself",
        "Nobody asked for it: while the loss falls, the largest curvature rises step by step. This is called "
        "progressive sharpening.",
        "sharpening",
        "sharpness",
    ),
    Stop(
        "At the edge",
        "The curvature has reached 2/lr. A bowl would now throw the weights out. Instead they oscillate along the "
        "sharpest direction, and the oscillation itself pushes the curvature back down.",
        "edge-of-stability",
        "sharpness",
    ),
    Stop(
        "The loss is not monotone",
        "Look closely at the loss of each batch: it goes up as often as down, and still falls over a hundred steps. A "
        "proof that needs a stable step size says nothing about this training.",
        0.7,
        "curves",
    ),
    Stop(
        "Seen from the weights",
        "In the plane of the path the valley is narrow across and long ahead. Choose the Hessian's plane to see the "
        "direction in which it oscillates.",
        0.85,
        "landscape",
    ),
    Stop(
        "What it does not say",
        "That the curvature stops at 2/lr is known of full-batch descent. It does not say that flatter is better, nor "
        "that a larger rate generalises better: halve the rate, and the edge is twice as sharp.",
        1.0,
        "sharpness",
    ),
)
