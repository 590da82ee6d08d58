"""Recorded references: small runs like any other, with what runs are compared by."""

import numpy as np
import pytest

import landscope as ls
from landscope.measurements import Chart, Matrix, Provenance
from landscope.recipes.excerpts import keep_reference
from landscope.recipes.references import REFERENCES, reference, referenced
from landscope.runs import RunWriter, open_run

SOURCE = Provenance(method="test")
STEPS = np.arange(500)


def chart(points):
    x = np.arange(points, dtype=float)
    named = {"title": "squares", "summary": "", "x_name": "x", "y_name": "y"}
    return Chart(provenance=SOURCE, labels=("a",), x={"a": x}, y={"a": x**2}, **named)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with RunWriter.create(tmp_path_factory.mktemp("runs"), name="mine", recipe="digits", config={"lr": 0.2}) as made:
        for step in STEPS:
            made.scalars(step, {"train/loss": 1 / (1 + step), "test/loss": np.nan if step == 7 else 2.0, "other": 1.0})
        made.scalars(10, {"sharpness/lambda_max": 3.0})
        for step in (0, 499):
            made.measurement(step, "exhibit/squares", chart(1000).at(step))
        values = np.zeros((100, 100))
        names = tuple(map(str, range(100)))
        words = {"title": "t", "summary": "s", "row_name": "r", "column_name": "c", "value_name": "v"}
        large = Matrix(provenance=SOURCE, rows=names, columns=names, values=values, **words)
        made.measurement(499, "exhibit/large", large)
        made.measurement(499, "examples", chart(3))
        made.event(0, "exhibit", "Squares", {"name": "squares", "title": "Squares", "summary": ""})
        for step, words in ((5, "It learns."), (499, "It has learnt.")):
            made.event(step, "finding", words)
        made.progress(499, 500)
    return open_run(made.path)


@pytest.fixture(scope="module")
def kept(run, tmp_path_factory):
    return open_run(keep_reference("digits", run, "an abacus", tmp_path_factory.mktemp("kept")))


def test_curves_are_thinned_to_values_that_were_measured(run, kept):
    assert kept.scalar_names() == ["sharpness/lambda_max", "test/loss", "train/loss"]
    for name in kept.scalar_names():
        steps, values = kept.scalars(name)
        known, all_values = run.scalars(name)
        assert len(steps) == min(len(known), 200)
        assert (steps[0], steps[-1]) == (known[0], known[-1])
        np.testing.assert_array_equal(values, all_values[np.searchsorted(known, steps)])


def test_the_last_exhibits_are_kept_as_far_as_they_are_small(run, kept):
    (frame,) = kept.frames()
    assert (frame.name, frame.step) == ("exhibit/squares", 499)
    shown = kept.measurement("exhibit/squares")
    assert shown.y["a"].dtype == np.float32
    assert len(shown.x["a"]) == 100
    np.testing.assert_allclose(shown.y["a"], shown.x["a"] ** 2)
    assert (shown.x["a"][0], shown.x["a"][-1]) == (0, 999)
    assert [event.data["name"] for event in kept.events("exhibit")] == ["squares"]
    assert [event.text for event in kept.findings()] == ["It has learnt."]


def test_it_says_what_it_is_and_nothing_of_the_machine_s_name(run, kept):
    said = kept.manifest
    assert (said.reference, said.host, said.pid, said.program) == (True, "an abacus", 0, "")
    assert (said.recipe, said.config, said.created) == ("digits", run.manifest.config, run.manifest.created)
    assert (kept.head().step, kept.head().total, kept.head().status) == (499, 500, "finished")
    assert not run.manifest.reference


def test_it_is_compared_as_a_run_that_is_no_seed_of_another(run, kept):
    compared = ls.compare(run, kept)
    assert compared.settings == ()
    assert compared.groups == ((0,), (1,))
    assert compared.labels == ("mine", "digits, reference")
    assert len(compared.curves().figure().data) == 6  # two losses and the sharpness of both


def test_those_that_ship_are_small_judged_and_made_with_usual_settings():
    sizes = {}
    for name in referenced():
        run = reference(name)
        assert run.manifest.reference
        assert (run.manifest.recipe, run.manifest.config["seed"], run.head().status) == (name, 0, "finished")
        assert run.events("verdict")[-1].data["claims"]
        assert run.scalar_names() or any(frame.name.startswith("exhibit/") for frame in run.frames())
        sizes[name] = sum(file.stat().st_size for file in run.path.iterdir())
    assert {"digits", "grokking"} <= sizes.keys()
    assert max(sizes.values()) <= 60_000
    assert sum(sizes.values()) < 900_000
    assert {path.name for path in REFERENCES.iterdir()} == set(sizes)
    assert all({file.name for file in (REFERENCES / name).iterdir()} == {"run.json", "run.sqlite"} for name in sizes)


@pytest.mark.parametrize("name", ["nothing", "..", "../digits", ""])
def test_a_reference_that_was_not_recorded_is_said(name):
    with pytest.raises(FileNotFoundError, match="no reference of"):
        reference(name)
