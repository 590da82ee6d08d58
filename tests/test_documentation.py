"""Everything a user can name is documented: panels and views, keys, flags, measurements on demand, pages, recipes."""

import re
from pathlib import Path

import pytest

from landscope import lab
from landscope.recipes.catalogue import CATALOGUE
from landscope_app.cli import _parser
from landscope_app.explanations import KEYS
from landscope_app.panels import PANELS

DOCS = {path.stem: path.read_text() for path in (Path(__file__).parents[1] / "docs").glob("*.md")}
ALL = "\n".join([*DOCS.values(), (Path(__file__).parents[1] / "README.md").read_text()])


def test_every_panel_and_view_is_in_the_page_s_document():
    missing = [f"{panel.name}/{view.name}" for panel in PANELS for view in panel.views if len(panel.views) > 1
               and not re.search(rf"^\| (?:{panel.name})? ?\| `{view.name}` \|", DOCS["page"], re.M)]  # fmt: skip
    assert missing == []


def test_every_key_is_in_the_page_s_document():
    missing = [key for key, _ in KEYS if f"`{key}`" not in DOCS["page"]]
    assert missing == []


@pytest.mark.parametrize("command", sorted(_parser()[1]))
def test_every_flag_is_documented(command):
    flags = [flag for action in _parser()[1][command]._actions for flag in action.option_strings if flag[:2] == "--"]
    assert [flag for flag in flags if flag not in ALL and flag != "--help"] == []


def test_every_measurement_on_demand_is_documented():
    assert [one["name"] for one in lab.description() if f"`{one['name']}`" not in ALL] == []


def test_every_recipe_is_documented():
    assert [name for name in CATALOGUE if f"## {name}\n" not in DOCS["recipes"]] == []
