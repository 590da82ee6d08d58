"""What `landscope doctor` says of machines that have this and lack that."""

import json
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from landscope.checkup import examined
from landscope_app import doctor
from landscope_app.cli import main

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
FOUND = {"torch": "2.9.0", "built_for": "the CPU alone", "devices": [], "threads": 2, "device": "cpu",
         "gradient": 0.0004, "product": 0.0012}  # fmt: skip


@pytest.fixture
def answers(monkeypatch):
    """Makes the process that tries torch say something, on a machine with or without a driver."""

    def answer(found, *, driver=False, status=0, error=""):
        done = subprocess.CompletedProcess([], status, json.dumps(FOUND | found), error)
        monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: done)
        monkeypatch.setattr(doctor, "_has_nvidia", lambda: driver)
        return list(doctor.torch())

    return answer


def test_torch_is_tried_for_real():
    found = examined()
    assert found.torch.startswith("2.")
    assert 0 < found.gradient < 5
    assert 0 < found.product < 5


@pytest.mark.parametrize(
    ("found", "driver", "state", "words"),
    [
        ({}, False, "ok", "built for the CPU alone; there is no NVIDIA driver"),
        ({}, True, "note", "but there is an NVIDIA driver"),
        ({"built_for": "CUDA 12.8"}, True, "note", "CUDA 12.8, but sees no GPU"),
        ({"built_for": "CUDA 12.8", "devices": ["H100"], "device": "cuda:0"}, True, "ok", "sees H100"),
    ],
)
def test_torch_s_build_against_the_machine(answers, found, driver, state, words):
    build, speed = answers(found, driver=driver)
    assert build.state == state
    assert words in build.text
    assert bool(build.remedy) == (state != "ok")
    assert "gradient takes 0.4 ms, a Hessian product 1.2 ms" in speed.text


def test_a_torch_that_does_not_compute_is_broken(answers, monkeypatch):
    (finding,) = answers({}, status=1, error="Traceback\nImportError: libcudart.so.12: cannot open")
    assert (finding.state, finding.text) == (
        "broken",
        "torch does not compute: ImportError: libcudart.so.12: cannot open",
    )
    (finding,) = answers({}, status=-11)
    assert "its process ended with status -11" in finding.text

    def late(*_, **__):
        raise subprocess.TimeoutExpired("python", 120)

    monkeypatch.setattr(doctor.subprocess, "run", late)
    assert next(doctor.torch()).state == "broken"


def test_versions_are_held_against_the_ranges(monkeypatch):
    versions = {"numpy": "1.25.0", "umap-learn": "0.1", "dash": None, "torch": "2.13.0+cpu", "plotly": "7.2.0rc1"}
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name, "99" if name == "waitress" else None))
    found = {re.split(r" is |:? ", one.text)[0]: one for one in doctor.packages()}
    assert found["Python"].state == "ok"
    assert (found["numpy"].state, found["numpy"].remedy) == ("broken", "pip install 'numpy>=1.26'")
    assert found["umap-learn"].state == "note"
    assert "dash is missing" in found["dash"].text
    assert found["dash"].state == "broken"
    for name in ("torch 2.13.0+cpu", "plotly 7.2.0rc1", "waitress 99"):
        assert name in found["packages"].text


def test_without_an_installed_landscope_nothing_is_held_against_anything(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor.importlib.metadata, "metadata", missing)
    assert [one.state for one in doctor.packages()] == ["note"]


def test_a_folder_of_runs_that_is_there_or_will_be(tmp_path):
    assert doctor.store(tmp_path).state == "ok"
    later = doctor.store(tmp_path / "a" / "runs")
    assert later.state == "ok"
    assert f"will be made in {tmp_path}" in later.text
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_full_or_shared_or_shut(tmp_path, monkeypatch):
    Usage = namedtuple("Usage", "total used free")
    with monkeypatch.context() as patched:
        patched.setattr(doctor.shutil, "disk_usage", lambda _: Usage(1, 1, 5 * 2**20))
        assert "has 5 MB left" in doctor.store(tmp_path).text
    with monkeypatch.context() as patched:
        patched.setattr(doctor, "_journal", lambda _: "TRUNCATE")
        assert "network disk" in doctor.store(tmp_path).text
    (tmp_path / "file").write_text("")
    shut = doctor.store(tmp_path / "file" / "runs")
    assert (shut.state, "cannot be written" in shut.text) == ("broken", True)


def test_port_and_display(monkeypatch):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert doctor.port(taken).state == "note"
    assert doctor.port(taken).state == "ok"
    monkeypatch.setattr(doctor, "has_display", lambda: False)
    assert "ssh -L 8050" in doctor.browser().remedy


def test_optional_packages_are_those_of_the_project(monkeypatch):
    extras = {name: tuple(re.split(r"[>=<~]", one)[0] for one in PROJECT["optional-dependencies"][name])
              for name in doctor.OPTIONAL}  # fmt: skip
    assert extras == doctor.OPTIONAL
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("xarray", "kaleido") else "1")
    finding = doctor.optional()
    assert finding.text.endswith("not here: kaleido, xarray")
    assert finding.remedy == "if needed: pip install 'landscope[formats]' kaleido"


def test_the_exit_status_says_whether_something_is_broken(monkeypatch, capsys, tmp_path):
    found = [doctor.Finding("ok", "one"), doctor.Finding("note", "two", "do this")]
    monkeypatch.setattr(doctor, "_findings", lambda runs: iter(found))
    assert main(["doctor", "--runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == ["ok      one", "note    two", "        -> do this"]
    found.append(doctor.Finding("broken", "three"))
    assert main(["doctor"]) == 1


def test_it_says_what_is_missing_where_hardly_anything_is_there(tmp_path):
    code = (
        "import sys\n"
        "for name in ('dash', 'numpy', 'torch', 'plotly', 'flask'): sys.modules[name] = None\n"
        "from landscope_app.cli import main; from landscope_app import doctor\n"
        "doctor.torch = lambda: iter(())\n"
        "sys.exit(main(['doctor']))"
    )
    environment = {**os.environ, "LANDSCOPE_RUNS": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1, done.stderr
    assert "cannot be tried: import of numpy halted" in done.stdout
