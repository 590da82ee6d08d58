"""What recipes stand on: settings with ranges, verdicts from what was recorded, and studies of many models."""

import inspect
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from landscope.dynamics.rules import RULES
from landscope.measurements import Chart, Matrix, Provenance
from landscope.recipes import CATALOGUE, pictures
from landscope.recipes.catalogue import module_of
from landscope.recipes.checks import document, settings_document
from landscope.recipes.claims import claim, judged, overall
from landscope.recipes.records import SETTINGS, read_checks
from landscope.recipes.settings import Configuration, choice, described, knob
from landscope.recipes.studies import Study, exhibited
from landscope.recipes.words import EXHIBITS, LESSONS, explained
from landscope.runs import open_run
from landscope_app.panels import PANELS


@dataclass(frozen=True)
class Config(Configuration):
    lr: float = knob(0.1, 0.01, 1.0, "Learning rate.", log=True)
    steps: int = knob(3, 1, 9, "Steps.")
    kind: str = choice("sgd", ("sgd", "adam"), "The optimiser.")
    seed: int = knob(0, 0, 10, "Of everything.")


def chart(values):
    steps = np.arange(len(values))
    return Chart(
        provenance=Provenance(method="by hand"),
        title="Losses",
        summary="Lower is better.",
        x_name="training (steps)",
        y_name="loss",
        labels=("one",),
        x={"one": steps},
        y={"one": np.array(values)},
    )


def test_settings_out_of_range_are_refused_by_name():
    assert Config(lr=1).lr == 1
    with pytest.raises(ValueError, match=r"lr must be between 0.01 and 1.0, got 2.0"):
        Config(lr=2.0)
    with pytest.raises(ValueError, match="lr must be"):
        Config(lr=float("nan"))
    with pytest.raises(ValueError, match="kind must be one of sgd, adam, got 'sam'"):
        replace(Config(), kind="sam")
    with pytest.raises(TypeError, match="steps must be of type int"):
        Config(steps=2.5)


def test_settings_are_plain_data():
    lr, _, kind, _ = described(Config, Config(lr=0.5))
    assert lr == {
        "name": "lr", "kind": "float", "default": 0.1, "full": 0.5, "low": 0.01, "high": 1.0, "words": "Learning rate.",
        "log": True,
    }  # fmt: skip
    assert json.loads(json.dumps(kind))["options"] == ["sgd", "adam"]


def test_a_verdict_is_only_as_good_as_its_claims():
    yes, half, no = claim("a", "1", holds=True), claim("b", "2", holds=False, partly=True), claim("c", "3", holds=False)
    assert [overall(claims) for claims in ([yes, yes], [yes, no], [half], [no, no])] == [
        "reproduced",
        "partly",
        "partly",
        "not here",
    ]
    with pytest.raises(ValueError, match="needs claims"):
        overall([])


def test_a_study_is_a_run_with_exhibits_and_a_verdict(tmp_path):
    with Study("sketch", Config(), tmp_path, total=3) as study:
        while study.step < 3 and not study.stopped:
            study.scalars({"loss": 1 / (1 + study.step)})
            study.advance()
            study.exhibit("losses", chart([1.0] * study.step), window=("lr", "lr", "steps", "steps"))
    claims = judged(study.path, lambda run: [claim("It falls.", "…", holds=run.scalars("loss")[1][-1] < 0.5)])
    run = open_run(study.path)
    assert [one.outcome for one in claims] == ["reproduced"]
    assert run.manifest.config["lr"] == 0.1
    (exhibit,) = run.events("exhibit")
    window = ["lr", "lr", "steps", "steps"]
    assert exhibit.data == {"name": "losses", "title": "Losses", "summary": "Lower is better.", "window": window}
    assert [frame.step for frame in run.frames("exhibit/losses")] == [1, 2, 3]
    assert list(exhibited(run, "losses", Chart).y["one"]) == [1.0, 1.0, 1.0]
    with pytest.raises(TypeError, match="exhibit losses must be a Matrix, got a Chart"):
        exhibited(run, "losses", Matrix)
    (verdict,) = run.events("verdict")
    assert verdict.text == "reproduced"
    assert verdict.data["claims"][0]["text"] == "It falls."


def test_a_study_obeys_the_page_and_is_not_judged_before_its_end(tmp_path):
    with Study("sketch", Config(), tmp_path, total=1000) as study:
        run = open_run(study.path)
        run.send("pause")
        run.send("resume")
        run.send("stop")
        while study.step < 1000 and not study.stopped:
            study.advance()
            study._writer._poll_commands()
    assert study.stopped
    assert judged(study.path, lambda run: [claim("No.", "", holds=False)]) == []
    assert "too early" in open_run(study.path).events("verdict")[0].text


def test_what_is_written_down_of_settings_is_what_they_are():
    assert SETTINGS.read_text() == settings_document(), "run python -m landscope.recipes.checks --only-docs"


def test_the_document_tells_what_was_found():
    written = document()
    for entry in CATALOGUE.values():
        assert f"## {entry.name}\n" in written
        for checked in read_checks(entry.name):
            assert all(one.text in written for one in checked.claims)


def test_a_card_shows_the_first_exhibit_that_is_small(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "CHECKED", tmp_path / "kept")
    with Study("sketch", Config(), tmp_path, total=1) as study:
        study.exhibit("losses", chart(np.sin(np.arange(5000.0))))
        study.exhibit("others", chart([1.0, 2.0]))
        study.advance()
    pictures.keep_picture("sketch", open_run(study.path), object())
    kept = pictures.kept_picture("sketch")
    steps = kept.x["one"]
    assert len(steps) <= 151
    assert (steps[0], steps[-1]) == (0, 4999)
    np.testing.assert_allclose(kept.y["one"], np.sin(steps), atol=1e-3)
    assert pictures.kept_picture("another") is None


def test_every_recipe_has_a_lesson_that_points_at_what_there_is():
    views = {panel.name: {view.name for view in panel.views} for panel in PANELS}
    kinds = {rule.kind for rule in RULES}
    assert list(LESSONS) == list(CATALOGUE)
    for name, stops in LESSONS.items():
        assert 4 <= len(stops) <= 6
        for stop in stops:
            assert 0 <= stop.at <= 1 if isinstance(stop.at, float) else stop.at in kinds
            if stop.panel.startswith("exhibit/"):
                assert explained(name, stop.panel.removeprefix("exhibit/"))
            else:
                assert stop.panel in {"", *views}
                assert not stop.view or stop.view in views[stop.panel]


def test_a_recipe_s_words_are_of_exhibits_that_it_has():
    """That every exhibit has its words is seen by each recipe's own test; see conftest."""
    for name, exhibits in EXHIBITS.items():
        source = inspect.getsource(module_of(name))
        for exhibit, words in exhibits.items():
            assert f'"{exhibit.removesuffix("*")}' in source, f"{name} shows no {exhibit}"
            assert words.reading
            assert all((words.what, words.formula, words.meaning, words.caution))
    shows_some = {name for name in CATALOGUE if "study.exhibit(" in inspect.getsource(module_of(name))}
    assert set(EXHIBITS) == shows_some
    assert explained("width", "sharpness-mup") is explained("width", "sharpness-ntk")
    assert explained("width", "nothing") is explained("mine", "features") is explained(None, "features") is None
