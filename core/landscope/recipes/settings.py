"""Typed settings of recipes: each with its range, its default and what it does, for commands and forms alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Configuration", "choice", "described", "knob"]


def knob(default: Any, low: float, high: float, words: str, *, log: bool = False) -> Any:
    """A number among the settings.

    Args:
        default: Its value unless another is given; its type is the setting's.
        low: The least that makes sense.
        high: The most.
        words: What it is, in a sentence.
        log: Whether a slider for it moves by factors.
    """
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "words": words, "log": log})


def choice(default: str, options: tuple[str, ...], words: str) -> Any:
    """One of a few names among the settings."""
    return dataclasses.field(default=default, metadata={"options": options, "words": words})


@dataclass(frozen=True)
class Configuration:
    """What the settings of all recipes have in common: values out of range are refused by name.

    Raises:
        ValueError: for a number outside its range, or a name that is no option.
        TypeError: for a value of another type.
    """

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            value: Any = getattr(self, setting.name)
            facts: Mapping[str, Any] = setting.metadata
            kind = type(setting.default)
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
                raise TypeError(f"{setting.name} must be of type {kind.__name__}, got {value!r}")
            if "options" in facts and value not in facts["options"]:
                raise ValueError(f"{setting.name} must be one of {', '.join(facts['options'])}, got {value!r}")
            if "low" in facts and not facts["low"] <= value <= facts["high"]:
                raise ValueError(f"{setting.name} must be between {facts['low']} and {facts['high']}, got {value}")


def described(configuration: type[Configuration], full: Configuration | None = None) -> list[dict[str, Any]]:
    """The settings as plain data: name, kind ("int", "float" or "str"), default, its full size, and its range."""
    return [
        {
            "name": setting.name,
            "kind": type(setting.default).__name__,
            "default": setting.default,
            "full": getattr(full, setting.name, setting.default),
            **setting.metadata,
        }
        for setting in dataclasses.fields(configuration)
    ]
