"""What a user gets who installs Landscope: built from the tree, put into an empty environment, used from elsewhere."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from http import HTTPStatus
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath
from typing import TypeVar

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = [
    pytest.mark.packaging,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform == "win32", reason="the environment is made with make, and interrupted by signal"),
]

ROOT = Path(__file__).parents[2]
T = TypeVar("T")


def files_below(folder: Path) -> set[str]:
    """Relative paths of the files of a package, as git would list them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {name for name in listed.stdout.splitlines() if (folder / name).is_file()}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory) -> Path:
    """A folder with the source distribution, and the wheel that was built from it alone."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT], check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(distributions) -> Path:
    (wheel,) = distributions.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """The scripts' folder of a new virtual environment with the wheel and the dependencies it names, and no more.

    `make setup` has fetched these already: they are linked from there, and pip finds nothing missing.
    """
    venv = tmp_path_factory.mktemp("environment") / "venv"
    python, outside = venv / "bin" / "python", clean_environment()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], env=outside, check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    for found in needed(required(wheel)):
        for path in found.files or []:
            link = packages / path.parts[0]
            if path.parts[0] not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(found.locate_file(path.parts[0]))
    pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
    install = ["install", "--no-index", "--no-compile", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run([*pip, *install], cwd=venv.parent, env=outside, check=True)
    subprocess.run([*pip, "check"], cwd=venv.parent, env=outside, check=True)
    return venv / "bin"


def required(wheel: Path) -> list[str]:
    """What a wheel's metadata say that it requires."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []


def needed(requirements: list[str]) -> list[Distribution]:
    """The distributions of our environment that meet requirements, and what they require in turn."""
    met: dict[tuple[str, frozenset[str]], Distribution] = {}
    asked = [(one, "") for one in requirements]
    while asked:
        text, extra = asked.pop()
        one = Requirement(text)
        key = canonicalize_name(one.name), frozenset(one.extras)
        if key not in met and (one.marker is None or one.marker.evaluate({"extra": extra})):
            met[key] = distribution(one.name)
            asked += [(text, extra) for text in met[key].requires or [] for extra in ("", *one.extras)]
    return list(met.values())


def clean_environment() -> dict[str, str]:
    """Our environment less what could lead Python or make back to the repository."""
    ours = ("PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS", "LANDSCOPE", "COVERAGE", "PYTEST")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def test_wheel_is_the_two_packages_and_the_assets(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == (
        {f"landscope/{name}" for name in files_below(ROOT / "core" / "landscope")}
        | {f"landscope_app/{name}" for name in files_below(ROOT / "app" / "landscope_app")}
        | {f"landscope_app/assets/{name}" for name in files_below(ROOT / "assets")}
    )
    assert {"landscope/py.typed", "landscope_app/py.typed"} <= names
    assert {PurePosixPath(name).suffix for name in names if "/assets/" in name} >= {".css", ".js"}


def test_wheel_carries_its_licence_and_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        metadata = {PurePosixPath(name).name: name for name in archive.namelist() if ".dist-info/" in name}
        assert "LICENSE" in metadata
        assert "landscope = landscope_app.cli:main" in archive.read(metadata["entry_points.txt"]).decode()


def test_source_distribution_has_no_junk(distributions):
    (source,) = distributions.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        paths = [PurePosixPath(name).relative_to(source.name.removesuffix(".tar.gz")) for name in archive.getnames()]
    metadata = {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert {path.parts[0] for path in paths} == {"core", "app", "assets"} | metadata
    assert "__pycache__" not in {part for path in paths for part in path.parts}


def test_packages_are_those_of_the_environment(environment, tmp_path):
    script = "import json, landscope, landscope_app; print(json.dumps([landscope.__file__, landscope_app.__file__]))"
    python = environment / "python"
    printed = subprocess.run(
        [python, "-c", script], cwd=tmp_path, env=clean_environment(), check=True, capture_output=True
    )
    for location in json.loads(printed.stdout):
        assert Path(location).is_relative_to(environment.parent)


def test_help_needs_no_repository(environment, tmp_path):
    command = [environment / "landscope", "demo", "--help"]
    shown = subprocess.run(command, cwd=tmp_path, env=clean_environment(), check=True, capture_output=True, text=True)
    assert "--runs" in shown.stdout
    assert "digits" in shown.stdout


@dataclass(frozen=True)
class Demo:
    """A running `landscope demo`: its process, where its page is, and what it has printed so far."""

    process: subprocess.Popen[bytes]
    url: str
    runs: Path
    log: Path

    def get(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body of a page of it."""
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return response.status, response.headers["Content-Type"], response.read()

    def newest_run(self) -> dict | None:
        runs = json.loads(self.get("api/v1/runs")[2])["runs"]
        return runs[0] if runs else None


def wait_for(what: str, seek: Callable[[], T | None], log: Path, seconds: float = 120) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := seek():
            return found
        time.sleep(0.2)
    pytest.fail(f"no {what} within {seconds:.0f} s; the demo printed:\n{log.read_text()}")


@pytest.fixture
def demo(environment, tmp_path) -> Iterator[Demo]:
    """The digits demo, started by its command from an empty folder on a free port."""
    log, runs = tmp_path / "log", tmp_path / "runs"
    command = [environment / "landscope", "demo", "digits", "--port", "0", "--no-open", "--runs", runs]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        address = wait_for("address", lambda: re.search(r"http://127\.0\.0\.1:\d+/", log.read_text()), log)
        yield Demo(process, address.group(), runs, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def test_demo_trains_serves_its_page_and_ends_when_interrupted(demo):
    assert demo.get("health")[0] == HTTPStatus.OK

    page = demo.get("")[2].decode()
    styles, scripts = (re.findall(rf'"/?(assets/[^"]+\.{kind}[^"]*)"', page) for kind in ("css", "js"))
    for path, kind in ((styles[0], "text/css"), (scripts[0], "javascript")):
        status, content_type, body = demo.get(path)
        assert status == HTTPStatus.OK
        assert kind in content_type
        assert body

    def training() -> dict | None:
        run = demo.newest_run()
        return run if run and run["step"] else None

    run = wait_for("step", training, demo.log)
    assert run["recipe"] == "digits"
    assert run["status"] == "running"

    trainer = json.loads((demo.runs / run["id"] / "run.json").read_text())["pid"]
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 0, demo.log.read_text()
    assert "Traceback" not in demo.log.read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(trainer, 0)
