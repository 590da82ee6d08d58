"""Typed parameters of a request: fields of a frozen dataclass that know their label, unit and range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Parameter", "described", "parameter", "read"]

T = TypeVar("T")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_KINDS = {bool: "flag", int: "integer", float: "number", str: "text"}


@dataclass(frozen=True)
class Parameter:
    """What is known of a parameter beside its name, type and default, which are those of the dataclass's field.

    Attributes:
        label: What it is, in a few words.
        low: The least value, of a number.
        high: The greatest.
        unit: Of a number.
        scale: Of a slider for a number: "linear" or "log".
        choices: The only values, of a word; empty where any text will do.
    """

    label: str
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    scale: str = "linear"
    choices: tuple[str, ...] = ()


def parameter(
    default: Any,
    label: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    unit: str = "",
    scale: str = "linear",
    choices: Sequence[str] = (),
) -> Any:
    """A dataclass's field that is a parameter; its type is the default's: bool, int, float or str."""
    about = Parameter(label, low, high, unit, scale, tuple(choices))
    return dataclasses.field(default=default, metadata={"parameter": about})


def read(kind: type[T], given: Mapping[str, Any]) -> T:
    """The parameters in a mapping, as JSON or a command line gives them; what is left out has its default.

    Raises:
        ValueError: if a name is none of the dataclass's, or a value is no such thing or out of range.
    """
    known = {spec.name: spec for spec in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise ValueError(f"there is no parameter {name!r}; there are {', '.join(known) or 'none'}")
    return kind(**{name: _value(known[name], value) for name, value in given.items()})


def described(kind: type[Any]) -> list[dict[str, Any]]:
    """The parameters as JSON: name, label, kind (flag, integer, number, choice or text), default, range."""
    return [_described(spec) for spec in dataclasses.fields(kind)]


def _described(spec: dataclasses.Field[Any]) -> dict[str, Any]:
    about: Parameter = spec.metadata["parameter"]
    bounds = {end: value for end in ("low", "high") if math.isfinite(value := getattr(about, end))}
    return {
        "name": spec.name,
        "label": about.label,
        "kind": "choice" if about.choices else _KINDS[type(spec.default)],
        "default": spec.default,
        **bounds,
        **({"unit": about.unit} if about.unit else {}),
        **({"scale": about.scale} if bounds else {}),
        **({"choices": list(about.choices)} if about.choices else {}),
    }


def _value(spec: dataclasses.Field[Any], value: Any) -> Any:
    about: Parameter = spec.metadata["parameter"]
    kind = type(spec.default)
    converted = _converted(kind, value)
    if converted is None:
        raise ValueError(f"{spec.name} must be {_expected(spec)}, got {value!r}")
    if about.choices and converted not in about.choices:
        raise ValueError(f"{spec.name} must be {_expected(spec)}, got {value!r}")
    if kind in (int, float) and not about.low <= converted <= about.high:
        raise ValueError(f"{spec.name} must be {_expected(spec)}, got {value!r}")
    return converted


def _converted(kind: type, value: Any) -> Any:
    """The value as that type; None if it is no such thing."""
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is bool:
        return value if isinstance(value, bool) else _WORDS.get(str(value).lower())
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if kind is int:
        return int(number) if number.is_integer() else None
    return number


def _expected(spec: dataclasses.Field[Any]) -> str:
    about: Parameter = spec.metadata["parameter"]
    if about.choices:
        return f"one of {', '.join(about.choices)}"
    kind = {bool: "true or false", int: "an integer", float: "a number", str: "text"}[type(spec.default)]
    between = f" from {about.low:g}" * math.isfinite(about.low) + f" to {about.high:g}" * math.isfinite(about.high)
    return kind + between
