"""A picture of several runs, as far as they have what it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import plotly.graph_objects as go

from landscope.figures import theme
from landscope.figures.theme import Theme

__all__ = ["Picture"]


@dataclass(frozen=True)
class Picture:
    """A picture of several runs, as far as they have what it shows.

    Attributes:
        missing: Why a run is not in it, by the run's label.
        notes: What one must know to read it.
        draw: Its figure in a theme; None where there is nothing to draw.
    """

    missing: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    draw: Callable[[Theme], go.Figure] | None = None

    def figure(self, *, dark: bool = False) -> go.Figure:
        """The plotly figure.

        Args:
            dark: Whether on a dark ground.

        Raises:
            ValueError: if no run has what it shows, with what is said of each.
        """
        if self.draw is None:
            said = "; ".join([*self.notes, *(f"{label}: {words}" for label, words in self.missing.items())])
            raise ValueError(f"there is nothing to draw: {said}")
        return self.draw(theme(dark))
