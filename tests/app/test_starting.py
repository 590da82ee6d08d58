"""Recipes started by the server: settings are checked before anything runs, and processes end with it."""

import sys
import time

import pytest
from dash import html

from landscope_app import starting
from landscope_app.server import create_server
from landscope_app.starting import Recipes

SETTINGS = [
    {"name": "lr", "kind": "float", "default": 0.1, "full": 0.1, "low": 0.01, "high": 1.0, "words": "…", "log": True},
    {"name": "steps", "kind": "int", "default": 5, "full": 9, "low": 1, "high": 10, "words": "…", "log": False},
    {"name": "loss_kind", "kind": "str", "default": "mse", "full": "mse", "options": ["mse", "ce"], "words": "…"},
]
# What a recipe is to the server: a program that makes a run, and trains until it is interrupted.
PROGRAM = """
import sys, time
from landscope.runs import RunWriter
if "--steps=9" in sys.argv:
    sys.exit("it is not to be")
try:
    with RunWriter.create(sys.argv[3], name=sys.argv[1], config={"given": sys.argv[4:]}) as writer:
        writer.progress(1)
        while True:
            time.sleep(0.05)
except KeyboardInterrupt:
    pass
"""


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    monkeypatch.setattr(starting, "read_settings", lambda: {"digits": SETTINGS})
    monkeypatch.setattr(starting, "_command", lambda *arguments: [sys.executable, "-c", PROGRAM, *arguments])
    made = Recipes(tmp_path / "runs")
    yield made
    made.close()


def test_a_recipe_starts_with_its_settings_and_ends_with_the_server(recipes, tmp_path):
    run = starting.open_run(recipes.start("digits", {"lr": 0.5, "steps": 3, "loss_kind": "ce"}), root=tmp_path / "runs")
    assert run.manifest.config["given"] == ["--lr=0.5", "--steps=3", "--loss-kind=ce"]
    assert run.head().status == "running"
    while run.head().step < 1:  # until then an interruption finds it half begun
        time.sleep(0.02)
    recipes.close()
    assert run.head().status == "stopped"


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"rate": 1}, "there is no setting 'rate'; settings are lr, steps, loss_kind"),
        ({"lr": 2.0}, "lr must be a number between 0.01 and 1, got 2.0"),
        ({"lr": float("nan")}, "lr must be a number"),
        ({"lr": "0.1; rm"}, "lr must be a number"),
        ({"steps": True}, "steps must be a number"),
        ({"steps": 2.5}, "steps must be a whole number, got 2.5"),
        ({"loss_kind": "--help"}, "loss_kind must be one of mse, ce"),
        ({"loss_kind": ["mse"]}, "loss_kind must be one of mse, ce"),
    ],
    ids=["unknown", "large", "nan", "text", "truth", "half", "option", "list"],
)
def test_settings_are_checked_before_anything_runs(recipes, values, complaint):
    with pytest.raises(ValueError, match=complaint):
        recipes.start("digits", values)
    assert not recipes._processes


def test_a_recipe_that_does_not_begin_says_why(recipes):
    with pytest.raises(RuntimeError, match="ended before its run began: it is not to be"):
        recipes.start("digits", {"steps": 9})


def test_not_everything_runs_at_once(recipes, monkeypatch):
    monkeypatch.setattr(starting, "_MOST", 1)
    recipes.start("digits", {})
    with pytest.raises(RuntimeError, match="running already"):
        recipes.start("digits", {})


def test_the_interface_refuses_what_it_must(tmp_path):
    def client(**options):
        return create_server(
            tmp_path, page=lambda app: setattr(app, "layout", html.Div()), **options
        ).server.test_client()

    assert client(read_only=True).post("/api/v1/recipes/digits", json={}).status_code == 403
    assert client().post("/api/v1/recipes/secret", json={}).status_code == 400
    assert client().post("/api/v1/recipes/digits", json={"settings": 3}).status_code == 400
    assert client().post("/api/v1/recipes/digits", data="{}").status_code == 415
    assert client().get("/api/v1/recipes/secret/picture").status_code == 404
    assert "figure" in client().get("/api/v1/recipes/digits/picture?theme=dark").get_json()
