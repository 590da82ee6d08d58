"""Every exhibit that a recipe shows in a test has its words, and how pictures of its kind are read."""

import pytest

from landscope.recipes.studies import Study
from landscope.recipes.words import EXHIBITS, explained
from landscope.runs import open_run
from landscope_app.exhibit_words import READING


@pytest.fixture(autouse=True)
def explained_exhibits(monkeypatch):
    show = Study.exhibit

    def checked(study, name, measurement, *rest, **more):
        recipe = open_run(study.path).manifest.recipe
        assert recipe not in EXHIBITS or explained(recipe, name), f"exhibit {name!r} of {recipe} has no words"
        assert measurement.kind in READING, f"exhibits of kind {measurement.kind!r} have no words"
        show(study, name, measurement, *rest, **more)

    monkeypatch.setattr(Study, "exhibit", checked)
