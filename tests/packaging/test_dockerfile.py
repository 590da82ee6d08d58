"""The image's recipe, read as Docker reads it: no engine is needed to see that it is safe and complete."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Instruction:
    name: str
    argument: str


def instructions(dockerfile: str) -> list[Instruction]:
    """The instructions in order, with comments dropped and continued lines joined."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    logical = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in logical if line.strip()]


@pytest.fixture(scope="module")
def stages() -> list[list[Instruction]]:
    """The instructions of each stage, its FROM first."""
    stages: list[list[Instruction]] = []
    for instruction in instructions((ROOT / "Dockerfile").read_text()):
        if instruction.name == "FROM":
            stages.append([])
        stages[-1].append(instruction)
    return stages


def arguments(stage: list[Instruction], name: str) -> list[str]:
    return [instruction.argument for instruction in stage if instruction.name == name]


def test_builds_in_one_stage_and_ships_another(stages):
    assert len(stages) >= 2
    assert any("--from=build" in argument for argument in arguments(stages[-1], "COPY"))


def test_base_images_are_pinned_to_a_version(stages):
    for stage in stages:
        image = stage[0].argument.split()[0]
        _, _, tag = image.partition(":")
        assert tag, f"{image} has no tag"
        assert tag != "latest"


def test_runs_as_an_unprivileged_user(stages):
    uid = arguments(stages[-1], "USER")[-1]
    assert int(uid) == 10001
    assert f"--uid {uid}" in " ".join(arguments(stages[-1], "RUN")), "the user is never made"


def test_last_instructions_are_not_run_as_root(stages):
    names = [instruction.name for instruction in stages[-1]]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in {"RUN", "COPY"})


def test_keeps_runs_in_a_volume_and_says_its_port(stages):
    assert arguments(stages[-1], "VOLUME") == ["/runs"]
    assert arguments(stages[-1], "EXPOSE") == ["8050"]
    assert arguments(stages[-1], "STOPSIGNAL") == ["SIGTERM"]


def test_health_check_is_python_that_compiles(stages):
    (check,) = arguments(stages[-1], "HEALTHCHECK")
    python, flag, source = json.loads(check.partition("CMD ")[2])
    assert (python, flag) == ("python", "-c")
    compile(source, "HEALTHCHECK", "exec")
    assert "http://127.0.0.1:8050/health" in source


def test_starts_the_demo_open_to_the_host(stages):
    (entry,) = arguments(stages[-1], "ENTRYPOINT")
    (command,) = arguments(stages[-1], "CMD")
    assert json.loads(entry) == ["landscope"]
    demo, *flags = json.loads(command)
    assert demo == "demo"
    assert flags[flags.index("--host") + 1] == "0.0.0.0"
    assert flags[flags.index("--runs") + 1] == "/runs"


def test_every_copied_file_exists_and_is_not_ignored(stages):
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [argument.split() for stage in stages for argument in arguments(stage, "COPY")]
    sources = {
        source.rstrip("/") for *sources, _ in copies if not sources[0].startswith("--from") for source in sources
    }
    assert sources == allowed
    for source in sources:
        assert (ROOT / source).exists(), f"{source} is not in the repository"


def test_pinned_torch_is_what_the_build_reads(stages):
    pins = re.findall(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE)
    assert len(pins) == 1
    assert re.fullmatch(r"\d+\.\d+\.\d+", pins[0]), "a local version (+cpu) would keep CUDA's build out"
