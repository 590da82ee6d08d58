"""The drawer about an exhibit: a recipe's own words, its paper, and code that runs."""

import ast

import numpy as np
import pytest
from dash import html

from landscope import measurements
from landscope.figures import figure
from landscope.measurements import Chart, Provenance
from landscope.recipes.catalogue import CATALOGUE
from landscope.recipes.words import EXHIBITS
from landscope.runs import RunWriter, open_run
from landscope_app.exhibit_words import READING, exhibit_words
from landscope_app.page import open_drawer
from landscope_app.server import create_server

STEPS = np.arange(3.0)


def chart():
    return Chart(
        provenance=Provenance(method="by hand"), title="Rising", summary="To the right.", x_name="steps", y_name="loss",
        labels=("loss",), x={"loss": STEPS}, y={"loss": STEPS},
    )  # fmt: skip


@pytest.fixture
def shown(tmp_path):
    """Records a run of a recipe, or of a program without one, that shows a chart under a name at steps 2 and 4."""

    def record(recipe, name, **words):
        with RunWriter.create(tmp_path, name="shown", recipe=recipe, config={"seed": 1}) as writer:
            if words:
                writer.event(2, "exhibit", "", {"name": name, **words})
            for step in (2, 4):
                writer.measurement(step, f"exhibit/{name}", chart().at(step))
        return open_run(writer.path)

    return record


@pytest.mark.parametrize("recipe", EXHIBITS)
def test_the_words_of_every_recipe_s_exhibits(shown, recipe):
    for name, own in EXHIBITS[recipe].items():
        called = name.replace("*", "1")
        words = exhibit_words(shown(recipe, called, title="Seen", summary="So."), called)
        assert (words.title, words.what, words.formula) == ("Seen", own.what, own.formula)
        assert words.reading == (*own.reading, *READING["chart"])
        assert "; ".join(words.sources) == CATALOGUE[recipe].paper
        assert own.meaning in str(words.body())
        assert own.caution in str(words.body())
        break  # one run each is enough


def test_an_exhibit_of_a_user_s_own_says_what_its_recorder_said(shown):
    words = exhibit_words(shown(None, "mine"), "mine")
    assert (words.title, words.what, words.formula, words.sources) == ("Rising", "To the right.", "", ())
    assert not any(isinstance(part, html.Pre) for part in words.body())
    with pytest.raises(KeyError, match="no measurement 'exhibit/yours'"):
        exhibit_words(shown(None, "mine"), "yours")


def test_the_drawer_opens_with_code_that_draws_what_is_shown(shown):
    run = shown("chaos", "one-bit", title="One bit", summary="So.")
    server = create_server(run.path.parent).server
    with server.test_request_context():
        asked = {"subject": "exhibit/one-bit", "view": None, "run": run.id, "step": 2}
        opened, title, body = open_drawer(asked)
        code = body[-1].children[1].children
        assert (opened, title) == (True, "One bit")
        read, _, anew = code.partition("# anew")
        scope = {}
        exec(read, scope)
        assert scope["measured"].provenance.step == 2
        assert figure(scope["measured"]).data[0].name == "loss"
        assert "landscope.recipes.chaos import Config, train" in anew
        ast.parse(code)
        with pytest.raises(FileNotFoundError, match="no run"):
            open_drawer({**asked, "run": "../elsewhere"})


def test_kinds_with_words_of_their_own_are_kinds():
    known = {getattr(one, "kind", None) for one in vars(measurements).values()}
    assert set(READING) <= known
