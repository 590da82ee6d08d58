"""Files that take long come first, so that in the end no process is left alone with one while the others wait."""

import os
import signal

import pytest

# UMAP is compiled at its first call, for a minute in all: less well, it takes less long.
os.environ.setdefault("NUMBA_OPT", "1")

# A shell's background job ignores SIGINT, and hands that on to the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONG = (
    "packaging/test_wheel.py",
    "recipes/test_recipes.py",
    "embedding/test_finished_runs.py",
    "app/test_cli.py",
    "live/test_watch.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        return next((place for place, file in enumerate(LONG) if item.path.as_posix().endswith(file)), len(LONG))

    items.sort(key=turn)
