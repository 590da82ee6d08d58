"""What became of recipes when they were last checked: files beside this one, which need no torch to be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from landscope.recipes.claims import Claim

__all__ = ["CHECKED", "SETTINGS", "Checked", "keep_checks", "read_checks", "read_settings"]

CHECKED = Path(__file__).parent / "checked"
"""The folder of what was found, with a picture of each recipe."""

SETTINGS = CHECKED / "settings.json"
"""The settings of every recipe, which can so be read without importing what runs them."""


@dataclass(frozen=True)
class Checked:
    """What became of a recipe's claims with one seed.

    Attributes:
        seed: The seed.
        seconds: Processor time of the run, measuring included, which other programs do not lengthen.
        machine: Where it ran.
        claims: The claims with their outcomes.
    """

    seed: int
    seconds: float
    machine: str
    claims: tuple[Claim, ...]


def keep_checks(name: str, found: Sequence[Checked]) -> None:
    """Writes down what was found of a recipe."""
    CHECKED.mkdir(exist_ok=True)
    lines = json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False)
    (CHECKED / f"{name}.json").write_text(lines + "\n")


def read_checks(name: str) -> list[Checked]:
    """What was written down of a recipe; empty where it was never checked."""
    path = CHECKED / f"{name}.json"
    if not path.is_file():
        return []
    return [
        Checked(one["seed"], one["seconds"], one["machine"], tuple(Claim(**words) for words in one["claims"]))
        for one in json.loads(path.read_text())
    ]


def read_settings() -> dict[str, list[dict[str, Any]]]:
    """The settings of every recipe, as `landscope.recipes.settings.described` tells them."""
    settings: dict[str, list[dict[str, Any]]] = json.loads(SETTINGS.read_text())
    return settings
