"""In which settings runs differ, which differ by their seed alone, and what to call each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ABSENT", "Setting", "differences", "flattened", "labels", "seed_groups", "text"]

ABSENT = "–"
"""In place of the value of a setting that a run does not have."""

_NAMED_BY = 3  # settings in a label, at most


@dataclass(frozen=True)
class Setting:
    """One setting of several runs.

    Attributes:
        name: Its name; that of a nested one with dots, as "optimizer.lr".
        values: Its value in each run, as text; `ABSENT` where a run does not have it.
    """

    name: str
    values: tuple[str, ...]


def differences(configs: Sequence[Mapping[str, Any]]) -> tuple[Setting, ...]:
    """The settings in which configurations differ, in the order in which they come up, those of all runs first.

    Args:
        configs: The configuration of each run, whose values may be mappings themselves.
    """
    flat = [flattened(config) for config in configs]
    names = dict.fromkeys(name for config in flat for name in config)
    rows = [Setting(name, tuple(text(config[name]) if name in config else ABSENT for config in flat)) for name in names]
    found = [row for row in rows if len(set(row.values)) > 1]
    return tuple(sorted(found, key=lambda row: (ABSENT in row.values, "." in row.name)))


def seed_groups(configs: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, ...], ...]:
    """The runs, as positions, in groups that differ in nothing but settings called "seed"; most have one member."""
    groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for position, config in enumerate(configs):
        others = {name: text(value) for name, value in flattened(config).items() if name.split(".")[-1] != "seed"}
        groups.setdefault(tuple(sorted(others.items())), []).append(position)
    return tuple(tuple(members) for members in groups.values())


def labels(names: Sequence[str], ids: Sequence[str], settings: Sequence[Setting]) -> tuple[str, ...]:
    """A name for each run that no other one has: its own, with settings that tell runs of that name apart, or its id.

    Args:
        names: What the runs are called.
        ids: Their ids, all different.
        settings: In which they differ.
    """
    alike = [position for position, name in enumerate(names) if names.count(name) > 1]
    among = [Setting(setting.name, tuple(setting.values[at] for at in alike)) for setting in settings]
    among = [setting for setting in among if len(set(setting.values)) > 1]
    told = _telling([setting for setting in among if ABSENT not in setting.values] or among)
    made = []
    for position, name in enumerate(names):
        words = [f"{one.name} {one.values[alike.index(position)]}" for one in told] if position in alike else []
        made.append(", ".join([name, *words]))
    return tuple(label if made.count(label) == 1 else f"{label} ({ids[at]})" for at, label in enumerate(made))


def _telling(settings: Sequence[Setting]) -> list[Setting]:
    """The few settings that tell most runs apart, each chosen for what those before it leave alike."""
    chosen: list[Setting] = []

    def told_apart(setting: Setting) -> int:
        return len(set(zip(*(each.values for each in [*chosen, setting]), strict=True)))

    while len(chosen) < _NAMED_BY:
        best = max(settings, key=told_apart, default=None)
        if best is None or (chosen and told_apart(best) == told_apart(chosen[-1])):
            break
        chosen.append(best)
    return [setting for setting in settings if setting in chosen]


def flattened(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without nesting; a nested one that repeats one of the same name and value further up is left out."""
    top = {name: value for name, value in config.items() if not isinstance(value, Mapping)}
    nested = {name: value for name, value in _nested("", config) if name not in top}
    own = {name: value for name, value in nested.items() if top.get(name.split(".")[-1], nested) != value}
    return top | own


def text(value: Any) -> str:
    """A setting's value as one reads it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(text(item) for item in value) if isinstance(value, list | tuple) else str(value)


def _nested(prefix: str, config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _nested(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value
