"""Pictures on a dark ground, read off those on a light one by their colours, which takes a tenth of building them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["colours_of", "dark_colours", "recoloured"]

_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|rgba?\([^)]*\)")
_THEME = "template"  # of a layout: whole in either theme, and no matter of the picture's own colours


def dark_colours(pairs: Iterable[tuple[Any, Any]]) -> dict[str, str] | None:
    """What each colour is on the dark ground, from pictures that were built on both.

    Args:
        pairs: A picture on the light ground and the same on the dark one, as plain JSON.

    Returns:
        The dark colour by the light one; None where the two differ in more than colours, or a colour of two roles
        becomes two.
    """
    found: dict[str, str] = {}
    for light, dark in pairs:
        for one, other in _side_by_side(light, dark):
            if one == other and not _is_colour(one):
                continue
            if not (_is_colour(one) and _is_colour(other)) or found.setdefault(one, other) != other:
                return None
    return found


def colours_of(node: Any) -> Iterator[str]:
    """All colours in a picture."""
    if _is_colour(node):
        yield node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            if key != _THEME:
                yield from colours_of(value)
    elif isinstance(node, list):
        for value in node:
            yield from colours_of(value)


def recoloured(node: Any, colours: Mapping[str, str], theme: Any) -> Any:
    """A picture with other colours.

    Args:
        node: The picture, as plain JSON.
        colours: The new colour by the old one, for all that it has.
        theme: The template that takes the place of its own.
    """
    if _is_colour(node):
        return colours[node]
    if isinstance(node, Mapping):
        return {key: theme if key == _THEME else recoloured(value, colours, theme) for key, value in node.items()}
    return [recoloured(value, colours, theme) for value in node] if isinstance(node, list) else node


def _is_colour(node: Any) -> bool:
    return isinstance(node, str) and _COLOUR.fullmatch(node) is not None


def _side_by_side(light: Any, dark: Any) -> Iterator[tuple[Any, Any]]:
    """The leaves of two trees in pairs; where their forms differ, what is there of each."""
    if isinstance(light, Mapping) and isinstance(dark, Mapping) and light.keys() == dark.keys():
        for key, value in light.items():
            if key != _THEME:
                yield from _side_by_side(value, dark[key])
    elif isinstance(light, list) and isinstance(dark, list) and len(light) == len(dark):
        for one, other in zip(light, dark, strict=True):
            yield from _side_by_side(one, other)
    else:
        yield light, dark
