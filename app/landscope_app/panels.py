"""The panels of a run's page: what each draws, from which series and frames, on which axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from landscope.figures import CONFIG
from landscope.figures.lines import series_layout
from landscope.figures.scatter import embedding_layout
from landscope.figures.spectra import density_layout
from landscope.figures.surfaces import plane_layout
from landscope.figures.theme import LIGHT, Theme
from landscope_app import ids
from landscope_app.controls import information_button

__all__ = ["PANELS", "Panel", "Series", "panel_section"]


@dataclass(frozen=True)
class Series:
    """One line over the steps.

    Attributes:
        name: The scalar's name in the run; with a final `*`, every scalar that matches, ordered by its number.
        label: What the legend calls it.
        colour: Role in the theme ("first", "second", ...), or "sequential" for ordered lines.
        dash: Plotly's dash pattern, the second channel beside colour.
        row: Which of the stacked axes, from 1.
        faint: Whether it stays in the background.
        markers: Whether its few points are marked.
        hold: Whether it keeps its value until the next one.
    """

    name: str
    label: str
    colour: str
    dash: str = "solid"
    row: int = 1
    faint: bool = False
    markers: bool = False
    hold: bool = False


@dataclass(frozen=True)
class Panel:
    """One cell of the page.

    Attributes:
        name: Short name, part of its ids.
        title: A noun phrase.
        subject: What is being measured while there is nothing to see yet: "measuring ...".
        summary: One sentence: what is to be seen.
        axes: Builds the empty layout in a theme.
        frames: Names of the measurements it draws, or takes its provenance from.
        probes: Names of the probes behind it, as in `probe-off` events; those of its frames where not given.
        series: Lines over the steps; empty where a measurement is drawn.
        rows: Stacked axes: name with unit, and whether logarithmic ("auto" decides by the data's range).
        wide: Whether it spans two columns.
        controls: Names of the choices in its head.
    """

    name: str
    title: str
    subject: str
    summary: str
    axes: Callable[[Theme], dict[str, Any]]
    frames: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    wide: bool = False
    controls: tuple[str, ...] = ()

    def drawing(self) -> dict[str, Any]:
        """What the scripts need to know of this panel."""
        return {
            "name": self.name,
            "subject": self.subject,
            "summary": self.summary,
            "frames": list(self.frames),
            "probes": list(self.probes or self.frames),
            "series": [vars(line) for line in self.series],
            "rows": [scale for _, scale in self.rows],
        }


def _over_steps(
    name: str, title: str, subject: str, summary: str, rows: tuple[tuple[str, str], ...], **rest: Any
) -> Panel:
    def axes(colours: Theme) -> dict[str, Any]:
        return series_layout([(axis, scale == "log") for axis, scale in rows], colours)

    return Panel(name=name, title=title, subject=subject, summary=summary, axes=axes, rows=rows, **rest)


PANELS = (
    Panel(
        name="landscape",
        title="Loss landscape",
        subject="the loss landscape",
        summary="The loss on a plane through the present weights, and along its two axes.",
        axes=lambda colours: plane_layout(("", ""), colours),
        frames=("slice/trajectory", "slice/random", "slice/hessian", "slice/gradient"),
        wide=True,
        controls=("checks", "show", "plane", "style"),
    ),
    _over_steps(
        "curves",
        "Loss and accuracy",
        "loss and accuracy",
        "On the training data, and on held-out data.",
        (("loss", "log"), ("accuracy (share)", "linear")),
        series=(
            Series("train/loss", "train", "first"),
            Series("test/loss", "test", "second", dash="dash"),
            Series("step/loss", "batch", "muted", faint=True),
            Series("train/accuracy", "train", "first", row=2),
            Series("test/accuracy", "test", "second", dash="dash", row=2),
        ),
        probes=("evaluate",),
    ),
    _over_steps(
        "sharpness",
        "Sharpness and stability",
        "sharpness",
        "Steps overshoot where it exceeds the dashed limit.",
        (("eigenvalue (loss / parameter²)", "auto"),),
        series=(
            Series("sharpness/lambda_max", "λ max", "first"),
            Series("sharpness/threshold", "limit", "second", dash="dash", hold=True),
            Series("density/eigenvalue.*", "λ₂, λ₃ …", "muted", faint=True, markers=True),
        ),
        frames=("sharpness",),
    ),
    _over_steps(
        "norms",
        "Gradient and weights",
        "gradient and weights",
        "How steep the loss is, and how large the weights are.",
        (("gradient ‖∇L‖", "log"), ("weights ‖θ‖", "linear")),
        series=(
            Series("norm/gradient", "gradient", "first"),
            Series("norm/weights", "weights", "third", row=2),
        ),
        probes=("norms",),
    ),
    Panel(
        name="spectrum",
        title="Hessian spectrum",
        subject="the Hessian's spectrum",
        summary="Curvature in all directions: bulk and outliers.",
        axes=density_layout,
        frames=("density",),
    ),
    _over_steps(
        "kernel",
        "Tangent kernel",
        "the tangent kernel",
        "Level lines mean lazy training, moving ones features.",
        (("kernel eigenvalue", "log"), ("label alignment", "linear")),
        series=(
            Series("ntk/eigenvalue.*", "rank", "sequential"),
            Series("ntk/alignment", "alignment", "first", row=2),
            Series("ntk/effective_rank", "eff. rank", "text", row=0),
        ),
        frames=("ntk",),
    ),
    Panel(
        name="embedding",
        title="Feature geometry",
        subject="the features",
        summary="Every example as the network sees it, by class.",
        axes=lambda colours: embedding_layout("", colours),
        frames=("embedding",),
    ),
)


# Until a panel is drawn, the page shows through, light or dark.
_CLEAR = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}


def panel_section(panel: Panel, controls: list[Component]) -> Component:
    """The panel's frame: title, controls, legend with values, graph, small print."""
    name = panel.name
    heading = f"title-{name}"
    return html.Section(
        [
            html.Header(
                [
                    html.H2(panel.title, id=heading),
                    html.Div(controls, className="panel-controls"),
                    information_button(name, f"Explain: {panel.title}"),
                ]
            ),
            html.P(panel.summary, className="summary", title=panel.summary, **{"data-summary": name}),
            html.Div(className="readout", **{"data-readout": name}),
            html.Div(
                [
                    dcc.Graph(
                        id=ids.graph(name),
                        figure={"data": [], "layout": panel.axes(LIGHT) | _CLEAR},
                        config=CONFIG,
                        responsive=True,
                        className="graph",
                    ),
                    html.Div(className="cursor", hidden=True, **{"data-cursor": name}),
                    html.Div(className="caution", hidden=True, role="note", **{"data-caution": name}),
                    html.Div("waiting for the first measurement", className="cover", **{"data-cover": name}),
                ],
                className="plot",
            ),
            html.P(className="notice", hidden=True, role="note", **{"data-notice": name}),
            html.P(" ", className="provenance", **{"data-provenance": name}),
        ],
        id=ids.panel(name),
        className="panel panel-wide" if panel.wide else "panel",
        **{"aria-labelledby": heading},
    )
