"""The page: one static layout for both routes; what changes while data streams is drawn by the scripts in assets/."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import dash
import dash_mantine_components as dmc
import flask
import plotly
from dash import ALL, ClientsideFunction, Input, Output, dcc, html, no_update
from dash.development.base_component import Component
from dash.fingerprint import build_fingerprint

from landscope.figures import CONFIG, template
from landscope.figures.surfaces import space_layout
from landscope.figures.theme import DARK, LIGHT, Theme, categories, cyclic, sequential, shades, signed
from landscope.recipes.catalogue import CATALOGUE
from landscope.recipes.references import referenced
from landscope.recipes.words import LESSONS
from landscope_app import ids
from landscope_app.addresses import READ_ONLY, ROOT, run_of
from landscope_app.compare_page import compare_page
from landscope_app.controls import action_button, choice, code_block, cross_check_block
from landscope_app.dock import TABS, dock
from landscope_app.downloads import TABLE_KINDS
from landscope_app.exhibit_words import EXHIBIT, exhibit_explanation
from landscope_app.explanations import explanation
from landscope_app.header import banner, finding_line, lesson_card, page_header
from landscope_app.laboratory import ON_DEMAND, WORDS, on_demand_block, result_section
from landscope_app.panels import PANELS
from landscope_app.recipes_page import recipes_page
from landscope_app.runs_page import runs_page
from landscope_app.sections import SEGMENTS, panel_section
from landscope_app.snippets import shown_path, snippet
from landscope_app.steering import STEERING
from landscope_app.timebar import time_bar

__all__ = ["build_page"]

INDEX = """<!DOCTYPE html>
<html lang="en">
    <head>
        {%metas%}
        <title>{%title%}</title>
        <script src="THEME_SCRIPT"></script>
        <script src="PLOTLY_SCRIPT" defer></script>
        {%favicon%}
        {%css%}
    </head>
    <body>
        {%app_entry%}
        <footer>
            {%config%}
            {%scripts%}
            {%renderer%}
        </footer>
    </body>
</html>
"""
"""The theme is chosen in the head, before anything is painted; a file of its own, as inline scripts are not allowed.
Plotly is asked for there too: Dash would only begin to load it once it has made the page."""

LATER: dict[str, Callable[[bool], Component]] = {
    "recipes": lambda read_only: recipes_page(read_only=read_only),
    "compare": lambda _: compare_page(),
}
"""Pages that are made when they are first visited, so that the others appear the sooner."""


def build_page(app: dash.Dash) -> None:
    """Give `app` its layout, its document and its few callbacks."""
    app.title = "Landscope"
    scripts = {"THEME_SCRIPT": app.get_asset_url("00-theme.js"), "PLOTLY_SCRIPT": _plotly_script(app)}
    app.index_string = reduce(lambda text, name: text.replace(name, scripts[name]), scripts, INDEX)
    app.layout = page_layout(read_only=app.server.config.get(READ_ONLY, False))
    app.clientside_callback(
        ClientsideFunction("landscope", "ask"),
        Output(ids.ASKED, "data"),
        Input({"type": "about", "subject": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    app.callback(
        Output(ids.DRAWER, "opened"),
        Output(ids.DRAWER, "title"),
        Output(ids.DRAWER, "children"),
        Input(ids.ASKED, "data"),
        prevent_initial_call=True,
    )(open_drawer)
    app.callback(
        [Output(f"{name}-page", "children") for name in LATER],
        Input(ids.VISITED, "data"),
        prevent_initial_call=True,
    )(make_page)
    app.clientside_callback(
        ClientsideFunction("landscope", "boot"), Output(ids.PAGE, "modified_timestamp"), Input(ids.PAGE, "data")
    )
    views = [ids.view(panel.name) for panel in PANELS if 1 < len(panel.views) <= SEGMENTS]
    for control in (ids.STYLE, ids.X_SCALE, ids.RUN_PICKER, *views):
        app.clientside_callback(
            ClientsideFunction("landscope", "choose"),
            Input(control, "value"),
            Input(control, "id"),
            prevent_initial_call=True,
        )


def _plotly_script(app: dash.Dash) -> str:
    """Where Dash serves plotly.js, under a name that changes with its version, so that browsers may keep it."""
    path = build_fingerprint("package_data/plotly.min.js", plotly.__version__, "0")
    return app.get_relative_path(f"/_dash-component-suites/plotly/{path}")


def page_layout(*, read_only: bool = False) -> Component:
    """Both routes, of which the scripts show one; where nothing may be changed, controls say so."""
    controls = {
        # assets/49-planes.js offers the planes of the shown run and what was measured on them
        "checks": html.Div(**{"data-checks": "landscape"}),
        # assets/60-asked.js fills it: radius and resolution of the plane, measured anew
        "asked": html.Div(className="panel-controls", **{"data-asked": ""}),
        "show": html.Div(hidden=True, **{"data-show": "landscape"}),
        "plane": html.Div(**{"data-planes": "landscape"}),
        # assets/46-calibration.js adds the choice of bins
        "bins": html.Div(hidden=True, **{"data-bins": ""}),
        # assets/49-points.js adds the choice of colours
        "points": html.Div(
            action_button("lasso", "Select points", "lasso"),
            hidden=True,
            className="panel-controls",
            **{"data-points": ""},
        ),
        "style": choice(ids.STYLE, "Drawing", [("contour", "contour"), ("surface", "surface")]),
    }
    sections = [panel_section(panel, [controls[name] for name in panel.controls]) for panel in PANELS]
    return dmc.MantineProvider(
        [
            dcc.Store(id=ids.PAGE, data=drawing_data() | {"readOnly": read_only}),
            dcc.Store(id=ids.ASKED),
            dcc.Store(id=ids.VISITED),
            page_header(),
            banner(),
            runs_page(),
            *(_empty(make(read_only)) for make in LATER.values()),
            html.Main(
                [
                    html.Div(
                        [
                            html.H1("Run", className="unseen"),
                            finding_line(),
                            html.Div(
                                [
                                    html.Details(id="claim", className="claim", hidden=True),
                                    html.A(
                                        "Compare with the reference",
                                        id="claim-reference",
                                        href="/",
                                        hidden=True,
                                        className="beside",
                                        title="Beside this recipe's run as it was recorded once",
                                        **{"data-route": "/"},
                                    ),
                                ],
                                className="claim-row",
                            ),
                            html.Div(sections, className="panels"),
                            result_section(),
                            lesson_card(),
                        ],
                        className="run-column",
                    ),
                    dock(),
                ],
                id="run-page",
                hidden=True,
                **{"data-shown-on": "run"},
            ),
            html.P("", id="refusal", className="refusal", role="status", hidden=True),
            time_bar(),
            dmc.Drawer(
                id=ids.DRAWER,
                position="right",
                size=420,
                padding="md",
                title="",
                children=[],
                withOverlay=False,  # one reads it beside the panels
                lockScroll=False,
                shadow="xl",
                className="about-drawer",
            ),
        ],
        id=ids.MANTINE,
        theme={"primaryColor": "blue", "fontFamily": "inherit", "respectReducedMotion": True, "cursorType": "pointer"},
        withGlobalClasses=True,
    )


def _empty(page: Component) -> Component:
    page.children = []
    return page


def make_page(visited: str | None) -> list[Any]:
    """What stands on the page that is visited for the first time; see assets/90-main.js."""
    read_only = flask.current_app.config[READ_ONLY]
    return [make(read_only).children if name == visited else no_update for name, make in LATER.items()]


def open_drawer(asked: dict[str, Any] | None) -> tuple[Any, Any, Any]:
    """Open the drawer with the explanation of what was asked for; see assets/54-about.js."""
    if asked is None:
        return no_update, no_update, no_update
    if asked["subject"].startswith(EXHIBIT):
        run = run_of(asked["run"])
        name = asked["subject"].removeprefix(EXHIBIT)
        return True, *exhibit_explanation(run, name, shown_path(run.path), step=asked.get("step"))
    title, body = explanation(asked["subject"], asked.get("view"))
    views = [view for panel in PANELS if panel.name == asked["subject"] for view in panel.views]
    if views and asked.get("run"):
        view = next((view for view in views if view.name == asked.get("view")), views[0])
        folder = shown_path(flask.current_app.config[ROOT] / asked["run"])
        chosen = {key: asked.get(key) for key in ("step", "frame", "like", "beside", "options", "selection")}
        other = [cross_check_block()] if view.checked else []
        anew = [on_demand_block(ON_DEMAND[name]) for name in view.frames[:1] if name in ON_DEMAND]
        body = [*body, *anew, code_block("The Python that reproduces it", snippet(view, folder, **chosen)), *other]
    return True, title, body


def drawing_data() -> dict[str, Any]:
    """What the scripts draw with: the themes, and the views of every panel."""
    return {
        "themes": {"light": _looks(LIGHT), "dark": _looks(DARK)},
        "panels": [panel.drawing() for panel in PANELS],
        "config": CONFIG,
        "scene": space_layout(("", ""), LIGHT)["scene"],
        "docks": [name for name, _ in TABS],
        "laboratory": WORDS,
        "tables": TABLE_KINDS,
        "recipes": {
            entry.name: {"claim": entry.claim, "paper": entry.paper, "reference": entry.name in referenced()}
            for entry in CATALOGUE.values()
        },
        "lessons": {name: [vars(stop) for stop in stops] for name, stops in LESSONS.items()},
        "steering": {name: {"label": label, "words": words} for name, (label, words) in STEERING.items()},
    }


def _looks(colours: Theme) -> dict[str, Any]:
    return {
        "template": template(colours).to_plotly_json(),
        "colours": {**vars(colours), "palette": categories(10, colours)},
        "cyclic": cyclic(360, lightness=0.62 if colours.name == "light" else 0.74),
        "sequential": sequential(12, colours),
        "shades": shades(colours),
        "signed": signed(colours),
    }
