"""What holds for every test: its order, its random numbers, and the threads of the programs that it starts."""

import os
import signal
import sys

import pytest

# As many tests run at a time as there are processors: threads of one would only wait for those of the others.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# UMAP is compiled at its first call, for a minute in all: less well, it takes less long.
os.environ.setdefault("NUMBA_OPT", "1")

# A shell's background job ignores SIGINT, and hands that on to the programs that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Browsers between what needs none, so that few run at a time
LONG = (
    "recipes/test_recipes.py",
    "packaging/test_wheel.py",
    "browser/test_live.py",
    "embedding/test_finished_runs.py",
    "app/test_cli.py",
    "live/test_watch.py",
    "browser/test_page.py",
    "live/test_processes.py",
    "live/test_control.py",
    "live/test_background.py",
    "core/test_measurements.py",
    "browser/test_recipes.py",
    "landscape/test_evaluator.py",
    "curvature/test_density.py",
    "landscape/test_points_file.py",
    "browser/test_views.py",
    "tests/test_examples.py",
    "tests/test_readme.py",
    "live/test_transformers.py",
    "browser/test_gates.py",
    "population/test_population.py",
    "core/test_isolation.py",
    "app/test_workers.py",
    "browser/test_landscape.py",
    "core/test_hessian_products.py",
    "curvature/test_operators.py",
    "live/test_schedule.py",
    "browser/test_compare.py",
    "live/test_jobs.py",
    "curvature/test_measures.py",
    "browser/test_steering.py",
    "landscape/test_trainability.py",
    "landscape/test_first_layers.py",
    "browser/test_points.py",
    "live/test_lightning.py",
    "live/test_loops.py",
    "browser/test_export.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, so that in the end no process is left alone with one while the others wait."""

    def turn(item: pytest.Item) -> int:
        return next((place for place, file in enumerate(LONG) if item.path.as_posix().endswith(file)), len(LONG))

    items.sort(key=turn)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Random numbers that a test draws without a seed of its own do not depend on the tests before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
