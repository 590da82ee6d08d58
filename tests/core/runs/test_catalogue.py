import json
import shutil
from pathlib import Path

import pytest

from landscope.runs import Parent, RunWriter, checkpoint_path, checkpoint_steps, latest_id, list_runs, open_run
from landscope.runs.manifest import slug

HOSTILE = [
    "../../etc",
    "a/b",
    "..",
    ".",
    "",
    "/etc/passwd",
    "a\\b",
    "a\0b",
    "a b",
    "x" * 300,
    "%2e%2e",
    "latest/..",
    ".hidden",
]


def make(root: Path, name: str = "x", **options) -> str:
    with RunWriter.create(root, name=name, **options) as writer:
        writer.scalars(4, {"a": 1.0})
        writer.event(2, "finding", "early")
        writer.event(4, "finding", "late")
        writer.progress(4, 9)
    return writer.id


def test_a_run_is_found_by_folder_and_by_id(tmp_path, monkeypatch):
    run_id = make(tmp_path / "runs", config={"lr": 0.1})
    monkeypatch.chdir(tmp_path)
    assert open_run(run_id).id == run_id
    assert open_run(f"runs/{run_id}").id == run_id
    assert open_run(tmp_path / "runs" / run_id).id == run_id
    assert open_run(run_id, root=tmp_path / "runs").manifest.config == {"lr": 0.1}


@pytest.mark.parametrize("run_id", HOSTILE)
def test_with_a_root_nothing_outside_it_is_opened(tmp_path, run_id):
    make(tmp_path / "etc")
    (tmp_path / "runs" / "deeper").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="a run's id is of letters"):
        open_run(run_id, root=tmp_path / "runs" / "deeper")


def test_with_a_root_even_a_right_path_is_not_an_id(tmp_path):
    run_id = make(tmp_path)
    with pytest.raises(FileNotFoundError, match="a run's id is of letters"):
        open_run(str(tmp_path / run_id), root=tmp_path)


def test_links_out_of_the_root_are_not_followed(tmp_path):
    run_id = make(tmp_path / "elsewhere")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere" / run_id)
    with pytest.raises(FileNotFoundError, match="only a link"):
        open_run("link", root=tmp_path / "runs")
    assert list_runs(tmp_path / "runs") == []


def test_a_missing_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run 'nope' in"):
        open_run("nope", root=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"run\.json is missing"):
        open_run(tmp_path)


def test_the_list_is_newest_first_and_complete(tmp_path):
    ids = [make(tmp_path, name=f"n{number}", recipe="digits" if number else None) for number in range(3)]
    for number, run_id in enumerate(ids):  # made within one second of each other: tell them apart
        manifest = json.loads((tmp_path / run_id / "run.json").read_text())
        manifest["created"] = f"2026-01-0{number + 1}T00:00:00.000+00:00"
        (tmp_path / run_id / "run.json").write_text(json.dumps(manifest))
    runs = list_runs(tmp_path)
    assert [run.id for run in runs] == ids[::-1]
    assert latest_id(tmp_path) == ids[-1]
    newest = runs[0]
    assert (newest.name, newest.recipe, newest.status, newest.step, newest.total) == ("n2", "digits", "finished", 4, 9)
    assert (newest.finding, newest.error) == ("late", None)
    assert runs[-1].recipe is None


def test_the_list_follows_a_run_that_is_written(tmp_path, wait):
    with RunWriter.create(tmp_path, name="x") as writer:
        for step in (1, 2, 3):
            writer.scalars(step, {"a": 1.0})
            writer.event(step, "finding", f"at {step}")
            wait(
                lambda step=step: (list_runs(tmp_path)[0].step, list_runs(tmp_path)[0].finding) == (step, f"at {step}")
            )
        assert list_runs(tmp_path)[0].status == "running"
    assert list_runs(tmp_path)[0].status == "finished"


def test_no_folder_no_runs(tmp_path):
    assert list_runs(tmp_path / "nope") == []
    with pytest.raises(FileNotFoundError, match="no runs in"):
        latest_id(tmp_path / "nope")


_DAMAGE = {
    "no manifest": lambda path: (path / "run.json").unlink(),
    "manifest is no JSON": lambda path: (path / "run.json").write_text("{"),
    "manifest is a list": lambda path: (path / "run.json").write_text("[]"),
    "manifest lacks a name": lambda path: (path / "run.json").write_text('{"schema": 1}'),
    "manifest of wrong types": lambda path: (path / "run.json").write_text(
        '{"schema": 1, "name": 3, "recipe": null, "created": "x"}'
    ),
    "manifest has half a parent": lambda path: (path / "run.json").write_text(
        '{"schema": 1, "name": "x", "recipe": null, "created": "x", "parent": {"run": "a"}}'
    ),
    "manifest nests too deep": lambda path: (path / "run.json").write_text("[" * 100_000),
    "manifest is binary": lambda path: (path / "run.json").write_bytes(b"\xff\xfe\x00"),
    "no database": lambda path: (path / "run.sqlite").unlink(),
    "empty database": lambda path: (path / "run.sqlite").write_bytes(b""),
    "database is no database": lambda path: (path / "run.sqlite").write_text("not a database at all" * 100),
    "database is cut short": lambda path: (path / "run.sqlite").write_bytes((path / "run.sqlite").read_bytes()[:5000]),
    "database is a folder": lambda path: ((path / "run.sqlite").unlink(), (path / "run.sqlite").mkdir()),
}


@pytest.mark.parametrize("damage", _DAMAGE)
def test_a_broken_run_is_listed_with_its_error(tmp_path, damage):
    good, bad = make(tmp_path), make(tmp_path)
    _DAMAGE[damage](tmp_path / bad)
    found = {run.id: run for run in list_runs(tmp_path)}
    assert set(found) == {good, bad}
    assert found[good].error is None
    assert found[bad].error


def test_a_copied_run_has_its_folder_for_id(tmp_path):
    run_id = make(tmp_path)
    shutil.copytree(tmp_path / run_id, tmp_path / "copy")
    assert open_run("copy", root=tmp_path).id == "copy"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", "digits"),
        ("My Run / ../../etc", "my-run-etc"),
        ("..", "run"),
        ("", "run"),
        ("ÜBER straße", "uber-strae"),
        ("日本語", "run"),
        ("a\0b\nc", "a-b-c"),
        ("-rf ~", "rf"),
        ("x" * 500, "x" * 60),
        ("v1.2_final", "v1.2_final"),
    ],
)
def test_slug(name, expected):
    assert slug(name) == expected


@pytest.mark.parametrize("name", ["../../etc", "<script>alert(1)</script>", "日本語 \0 \n", "", "con", "x" * 5000])
def test_hostile_names_stay_in_the_manifest(tmp_path, name):
    run_id = make(tmp_path / "runs", name=name)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run_id]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert set(run_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    assert open_run(run_id, root=tmp_path / "runs").manifest.name == name


def test_the_manifest_takes_any_configuration(tmp_path):
    import numpy as np

    config = {
        "path": Path("/x"),
        "lr": np.float32(0.5),
        "nan": float("nan"),
        "sizes": (1, 2),
        "w": np.eye(2),
        3: {None},
    }
    run_id = make(tmp_path, config=config, panels={"show": ["ntk"]})
    text = (tmp_path / run_id / "run.json").read_text()
    manifest = json.loads(text, parse_constant=lambda constant: pytest.fail(f"not JSON: {constant}"))
    assert manifest["config"] == {
        "path": "/x",
        "lr": 0.5,
        "nan": "nan",
        "sizes": [1, 2],
        "w": [[1.0, 0.0], [0.0, 1.0]],
        "3": "{None}",
    }
    assert manifest["panels"] == {"show": ["ntk"]}
    assert manifest["schema"] == 1
    assert {"python", "numpy", "landscope", "torch"} <= set(manifest["versions"])


def test_a_branch_knows_its_parent_and_the_list_shows_it(tmp_path):
    first = make(tmp_path)
    branch = make(tmp_path, parent=Parent(first, 3))
    assert open_run(branch, root=tmp_path).manifest.parent == Parent(first, 3)
    assert open_run(first, root=tmp_path).manifest.parent is None
    assert {run.id: run.parent for run in list_runs(tmp_path)} == {first: None, branch: Parent(first, 3)}


def test_checkpoints_are_the_files_named_by_their_step(tmp_path):
    assert checkpoint_steps(tmp_path) == []
    for step in (10, 9, 200):
        path = checkpoint_path(tmp_path, step)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    for other in ("step-x.pt", ".step-3.pt", "step-4.pt.part", "best.pt"):
        (tmp_path / "checkpoints" / other).write_bytes(b"")
    assert checkpoint_steps(tmp_path) == [9, 10, 200]
