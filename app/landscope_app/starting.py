"""Recipes started from the page: each a process of its own, which ends with the server."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from landscope.recipes.catalogue import CATALOGUE
from landscope.recipes.records import read_settings
from landscope.runs import list_runs, open_run

__all__ = ["Recipes"]

logger = logging.getLogger(__name__)

_MOST = 4
_PATIENCE = 60.0  # for a run to begin, which on a busy machine is mostly torch being imported
_END_PATIENCE = 5.0
_POLL = 0.1


class Recipes:
    """What starts built-in experiments.

    Args:
        root: The folder of runs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, name: str, values: dict[str, Any]) -> str:
        """Starts a recipe, and waits until its run has begun.

        Args:
            name: Of the recipe.
            values: Settings by name; the others are as usual.

        Returns:
            The run's id.

        Raises:
            ValueError: for an unknown recipe or setting, or a value out of its range.
            RuntimeError: if too many are running, or it did not begin.
        """
        if name not in CATALOGUE:
            raise ValueError(f"there is no recipe {name!r}; recipes are {', '.join(CATALOGUE)}")
        options = _options(read_settings()[name], values)
        with self._lock:
            self._processes = [process for process in self._processes if process.poll() is None]
            if len(self._processes) >= _MOST:
                raise RuntimeError(f"{_MOST} recipes are running already; stop one, or wait for its end")
            before = {run.id for run in list_runs(self._root)}
            process = subprocess.Popen(
                _command(name, "--runs", str(self._root), *options),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C is the server's, which ends it
            )
            self._processes.append(process)
        last: deque[str] = deque(maxlen=1)
        threading.Thread(target=_listen, args=(process, last), daemon=True).start()
        return self._begun(process, before, last)

    def close(self) -> None:
        """Ends those that are running, gently."""
        with self._lock:
            alive = [process for process in self._processes if process.poll() is None]
        for process in alive:
            process.send_signal(signal.SIGINT)
        for process in alive:
            try:
                process.wait(_END_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()

    def _begun(self, process: subprocess.Popen[str], before: set[str], last: deque[str]) -> str:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            ended = process.poll() is not None
            for run in list_runs(self._root):
                if run.id not in before and open_run(run.id, root=self._root).manifest.pid == process.pid:
                    return run.id
            if ended:
                time.sleep(_POLL)  # for its last words
                raise RuntimeError(f"the recipe ended before its run began: {''.join(last) or process.returncode}")
            time.sleep(_POLL)
        process.kill()
        raise RuntimeError(f"the recipe's run did not begin within {_PATIENCE:.0f} s")


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "landscope.recipes", *arguments]


def _listen(process: subprocess.Popen[str], last: deque[str]) -> None:
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.strip():
                last.append(line.strip())


def _options(known: list[dict[str, Any]], values: dict[str, Any]) -> list[str]:
    """Settings as options of the command, each checked."""
    specs = {spec["name"]: spec for spec in known}
    options = []
    for name, value in values.items():
        if name not in specs:
            raise ValueError(f"there is no setting {name!r}; settings are {', '.join(specs)}")
        spec = specs[name]
        if "options" in spec:
            if value not in spec["options"]:
                raise ValueError(f"{name} must be one of {', '.join(spec['options'])}, got {value!r}")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not spec["low"] <= value <= spec["high"]:
            raise ValueError(f"{name} must be a number between {spec['low']:g} and {spec['high']:g}, got {value!r}")
        elif spec["kind"] == "int" and value != int(value):
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        shown = int(value) if spec["kind"] == "int" else value
        options += [f"--{name.replace('_', '-')}={shown}"]
    return options
