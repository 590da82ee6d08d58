"""Turning the 3-D scene while its data stream in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.browser.conftest import until

__all__ = ["Turn", "settled_eye", "turn_scene"]

EYE = "() => document.querySelector('#graph-landscape .js-plotly-plot')._fullLayout.scene._scene.getCamera().eye"
MOVES = 10
STILL = 3  # readings that are the same: on a busy machine a frame may be later than one
SHOWN = "() => document.querySelector('[data-provenance=landscape]').textContent"


@dataclass(frozen=True)
class Turn:
    """How far the camera went during a drag, and how far it had strayed once newer data were drawn."""

    moved: float
    lost: float


def settled_eye(page: Page) -> dict[str, float]:
    """Where the camera is at rest: a browser hands the last moves of a drag on with its next frames."""
    until(page, "Boolean(document.querySelector('#graph-landscape .js-plotly-plot')._fullLayout.scene?._scene)")
    before: dict[str, float] = page.evaluate(EYE)
    still = 0
    for _ in range(50):
        page.wait_for_timeout(200)
        now = page.evaluate(EYE)
        still = still + 1 if now == before else 0
        if still == STILL:
            return before
        before = now
    raise AssertionError(f"the camera did not come to rest within 10 s; it is at {before}")


def turn_scene(page: Page, *, patience: float) -> Turn:
    """Drags across the landscape's surface for some two seconds, then waits for a newer surface.

    Args:
        page: The page of a run that is being written.
        patience: Seconds within which a newer surface must be drawn.
    """
    until(page, "document.querySelector('#graph-landscape .js-plotly-plot').data[0]?.type === 'surface'")
    page.wait_for_timeout(1000)
    box = page.locator("#graph-landscape").bounding_box()
    assert box is not None
    before, shown = settled_eye(page), page.evaluate(SHOWN)
    x, y = box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    # Few moves, as a browser without a GPU draws the scene anew for each; in all long enough for newer data to come.
    for turn in range(1, MOVES + 1):
        page.mouse.move(x + 120 * turn / MOVES, y + 30 * turn / MOVES)
        page.wait_for_timeout(2000 / MOVES)
    page.mouse.up()
    after = settled_eye(page)
    # While the pointer was down the run went on; once it is up the surface catches up, and the camera stays.
    until(page, f"({SHOWN})() !== {shown!r}", patience)
    page.wait_for_timeout(2500)
    kept = page.evaluate(EYE)
    return Turn(math.dist(before.values(), after.values()), math.dist(after.values(), kept.values()))
