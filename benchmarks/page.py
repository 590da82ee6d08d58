"""How quick the page is: `python -m benchmarks.page [--json PATH]`, in a real browser, beside what it is meant to be.

A run of 100,000 steps with 100 frames of everything is opened and scrubbed, and a run that is being written ten times a
second is followed. The numbers depend on the machine, so they are told here and asserted nowhere.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks.timing import machine
from landscope.measurements import Measurement, Slice2D
from landscope.measurements.precision import in_single_precision
from landscope.runs import latest_id, open_run
from landscope_app.server import bind
from tests.browser import synthetic
from tests.browser.chromium import ARGUMENTS, executable

__all__ = ["main"]

_STEPS, _EVERY = 100_000, 1_000
_PACE = 0.1
_DRAWN = (
    "[...document.querySelectorAll('#run-page .panel:not([hidden]) .cover')].filter((cover) => cover.hidden).length"
)
_PANELS = 7
_FRAMES = "['landscape', 'spectrum', 'embedding']"
_SCRUB = f"""async (step) => {{
    const began = performance.now();
    const shown = (name) => {{
        const entry = landscope.panels.all.get(name), wanted = landscope.run.frameAt(entry.frameName(), step);
        return !wanted || entry.shown?.found.provenance.step === wanted.step;
    }};
    landscope.view.set({{ step }});
    do await new Promise(requestAnimationFrame);
    while (!{_FRAMES}.every(shown) && performance.now() - began < 5000);
    return performance.now() - began;
}}"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures the page and prints a line for each number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--json", type=Path, help="where to keep the numbers")
    chosen = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory() as folder, _browser() as browser:
        for one in (*_finished(browser, Path(folder) / "finished"), *_live(browser, Path(folder) / "live")):
            print(f"{one['name']:<44} {one['value']:>8.3g} {one['unit']:<3} (at most {one['meant']:g})", flush=True)
            found.append(one | {"machine": machine("cpu")})
    if chosen.json is not None:
        chosen.json.write_text("\n".join(json.dumps(one) for one in found) + "\n")
    return 0


def _finished(browser: Browser, root: Path) -> Iterator[dict[str, Any]]:
    synthetic.main([str(root), "--steps", str(_STEPS), "--every", str(_EVERY)])
    run = open_run(latest_id(root), root=root)
    planes = [Measurement.from_bytes(run.frame_bytes(frame.seq)) for frame in run.frames("slice/random")[-20:]]
    for points in (17, 33):
        sizes = [_sent(_coarser(plane, points)) / 1024 for plane in planes]
        yield _row(f"a landscape of {points} x {points} points, sent", statistics.median(sizes), "KB", 12)
    with _served(root) as url:
        # A browser that was here before has the scripts, and after a few visits what it compiled of them.
        with _returning(browser) as context:
            visits = [_opened(context.new_page(), url) for _ in range(6)]
        fresh = [_opened(browser.new_page(), url) for _ in range(3)]
        for words, kept in (("at the first visit", fresh), ("to a browser that returns", visits[3:])):
            first, whole = (statistics.median(times) for times in zip(*kept, strict=True))
            yield _row(f"first picture of 100,000 steps {words}", first, "s", 2)
            yield _row(f"all seven panels {words}", whole, "s", 2)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(url)
        _seconds_until(page, f"{_DRAWN} >= {_PANELS}", time.perf_counter())
        steps = range(_STEPS // 2, _STEPS // 2 + 20 * _EVERY, _EVERY)
        for step in steps:
            page.evaluate(_SCRUB, step)
        again = [page.evaluate(_SCRUB, step) for step in steps]
        yield _row("scrub to a step that was fetched, median", statistics.median(again), "ms", 100)
        yield _row("scrub to a step that was fetched, slowest", max(again), "ms", 100)
        page.close()


def _opened(page: Page, url: str) -> tuple[float, float]:
    """Seconds until the first picture of a page, and until all of them."""
    page.set_viewport_size({"width": 1440, "height": 900})
    began = time.perf_counter()
    page.goto(url)
    times = tuple(_seconds_until(page, f"{_DRAWN} >= {count}", began) for count in (1, _PANELS))
    page.close()
    return times[0], times[1]


@contextmanager
def _returning(browser: Browser) -> Iterator[BrowserContext]:
    """One profile on disk, as browsers keep compiled scripts only there."""
    with tempfile.TemporaryDirectory() as folder:
        context = browser.browser_type.launch_persistent_context(
            folder, executable_path=executable(), args=list(ARGUMENTS)
        )
        yield context
        context.close()


def _live(browser: Browser, root: Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.browser.synthetic", str(root)]
    options = ["--steps", "10000", "--every", "1", "--pace", str(_PACE)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        trainer.stdout.readline()
        with _served(root) as url:
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(url)
            _seconds_until(page, f"{_DRAWN} >= {_PANELS}", time.perf_counter())
            run, late = open_run(latest_id(root), root=root), []
            for _ in range(100):
                shown = page.evaluate("landscope.panels.all.get('landscape').shown?.found.provenance.step ?? 0")
                late.append((run.head().step - shown) * _PACE)
                page.wait_for_timeout(100)
            page.close()
        trainer.kill()
    yield _row("behind a run of ten frames a second, median", statistics.median(late), "s", 1)
    yield _row("behind a run of ten frames a second, 95 %", statistics.quantiles(late, n=20)[-1], "s", 1)


def _coarser(plane: Measurement, points: int) -> Measurement:
    """Every so many of a plane's points along both axes."""
    assert isinstance(plane, Slice2D)
    step = (len(plane.alpha) - 1) // (points - 1)
    every = {}
    for spec in fields(plane):
        value = getattr(plane, spec.name)
        if isinstance(value, np.ndarray) and value.shape == plane.loss.shape:
            every[spec.name] = value[::step, ::step]
    metrics = {name: value[::step, ::step] for name, value in plane.metrics.items()}
    return plane.replaced(alpha=plane.alpha[::step], beta=plane.beta[::step], metrics=metrics, **every)


def _sent(measurement: Measurement) -> int:
    return len(gzip.compress(in_single_precision(measurement.to_bytes()), compresslevel=1))


def _row(name: str, value: float, unit: str, meant: float) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "meant": meant}


def _seconds_until(page: Page, condition: str, began: float) -> float:
    while not page.evaluate(f"document.body?.dataset.ready === 'true' && {condition}"):
        page.wait_for_timeout(10)
        if time.perf_counter() - began > 60:
            raise TimeoutError(f"not within a minute: {condition}")
    return time.perf_counter() - began


@contextmanager
def _served(root: Path) -> Iterator[str]:
    server = bind(root, port=0)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        yield f"{server.url}run/latest"
    finally:
        server.close()


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        yield browser
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
