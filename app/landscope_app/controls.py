"""Small controls with one look: icon buttons and segmented choices."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from landscope_app import ids

__all__ = ["action_button", "choice", "code_block", "cross_check_block", "icon", "information_button"]


def icon(name: str) -> Component:
    """An icon of assets/icons, drawn in the colour of the text around it."""
    return html.Span(className=f"icon icon-{name}", **{"aria-hidden": "true"})


def action_button(
    action: str, name: str, picture: str, key: str = "", text: str = "", *, quiet: bool = False
) -> Component:
    """A button that a script in assets/ carries out.

    Args:
        action: What it does, as the scripts call it.
        name: What it does, for people.
        picture: Its icon.
        key: The key that does the same.
        text: Words beside the icon.
        quiet: Whether it is small, in the head of a panel.
    """
    hint = f"{name} ({key})" if key else name
    label = [html.Span(text, className="button-text")] if text else []
    return html.Button(
        [icon(picture), *label],
        type="button",
        title=hint,
        className="button quiet" if quiet else "button",
        **{"aria-label": name, "data-action": action},
    )


def information_button(subject: str, name: str) -> Component:
    """A button that opens the drawer with the explanation of a subject."""
    return html.Button(
        icon("info"), id=ids.about(subject), type="button", title=name, className="button quiet", **{"aria-label": name}
    )


def choice(identifier: str, name: str, options: list[tuple[str, str]]) -> Component:
    """A choice between a few values; the first one is the default."""
    return dmc.SegmentedControl(
        id=identifier,
        data=[{"value": value, "label": label} for value, label in options],
        value=options[0][0],
        size="xs",
        className="choice",
        **{"aria-label": name},
    )


def code_block(title: str, code: str) -> Component:
    """Code under a heading, with a button that copies it."""
    return html.Section(
        [
            html.Header([html.H3(title), action_button("copy", "Copy the code", "copy", text="Copy")]),
            html.Pre(code, className="snippet", tabIndex=0),
        ],
        className="code",
    )


def cross_check_block() -> Component:
    """A question to the training, and the place of its answer; see assets/55-crosscheck.js."""
    return html.Section(
        [
            html.Header(
                [
                    html.H3("Another opinion"),
                    action_button("cross-check", "Measure the same with PyHessian", "mark", text="Ask PyHessian"),
                ]
            ),
            html.P("", role="status", **{"data-crosscheck": ""}),
        ],
        className="code",
    )
