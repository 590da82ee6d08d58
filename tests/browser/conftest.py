from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect, sync_playwright

from landscope_app.server import bind
from tests.browser import synthetic
from tests.browser.chromium import ARGUMENTS, executable

REPOSITORY = Path(__file__).parents[2]
PATIENCE_MS = 30_000
VIEWPORT: Any = {"width": 1440, "height": 900}


@dataclass
class Watcher:
    """What a page complained of, and whom it talked to."""

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def listen(self, page: Page) -> None:
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2] if "//" in request.url else ""))


def until(page: Page, condition: str, seconds: float = PATIENCE_MS / 1000) -> None:
    """Wait for a condition in the page. Playwright's own way evaluates text there, which the page's policy forbids."""
    end = time.monotonic() + seconds
    while not _holds(page, condition):
        assert time.monotonic() < end, f"not within {seconds:g} s: {condition}"
        page.wait_for_timeout(50)


def _holds(page: Page, condition: str) -> bool:
    """Not yet, where what it speaks of is not there yet, as a graph before its first picture."""
    try:
        return bool(page.evaluate(condition))
    except Error as error:
        if "Cannot read properties of null" not in str(error):
            raise
        return False


def opened(context: BrowserContext, url: str) -> tuple[Page, Watcher]:
    """A page whose scripts run."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    watcher = Watcher()
    watcher.listen(page)
    page.goto(url)
    page.wait_for_selector("body[data-ready=true]")
    return page, watcher


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[..., str]]:
    """Starts servers over folders of runs; each gives its address, without a slash at its end."""
    running: list[tuple[Any, threading.Thread]] = []

    def start(root: Path, **options: Any) -> str:
        server = bind(root, port=0, **options)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        return server.url.rstrip("/")

    yield start
    for server, thread in running:
        server.close()
        thread.join(5)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished run, and one with a hostile name and 97 classes."""
    root = tmp_path_factory.mktemp("recorded")
    synthetic.main([str(root), "--steps", "400", "--every", "40", "--name", HOSTILE, "--classes", "97"])
    synthetic.main([str(root), "--steps", "2000", "--every", "100"])
    return root


HOSTILE = "<img src=x onerror=\"document.body.dataset.hacked='yes'\">"


@dataclass(frozen=True)
class Trainer:
    """A process that writes a run as a training does, step by step, for as long as tests may take."""

    root: Path
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, root: Path) -> Trainer:
        options = ("--steps", "40000", "--every", "40", "--pace", "0.02")
        command = [sys.executable, "-m", "tests.browser.synthetic", str(root), *options]
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        return cls(root, process)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """A training that goes on during all tests of a module; leave it running."""
    running = Trainer.start(tmp_path_factory.mktemp("training"))
    yield running
    running.kill()


@pytest.fixture(scope="session")
def context(chromium: Browser) -> BrowserContext:
    """The context that most tests share, so that the browser reads the scripts once."""
    return chromium.new_context(viewport=VIEWPORT)


@pytest.fixture
def visit(chromium: Browser, context: BrowserContext) -> Iterator[Callable[..., tuple[Page, Watcher]]]:
    """Opens pages, and waits until their scripts run; with options, in a browser context of their own."""
    contexts, pages = [], []

    def start(url: str, **options: Any) -> tuple[Page, Watcher]:
        chosen = context
        if options:
            chosen = chromium.new_context(**({"viewport": VIEWPORT} | options))
            contexts.append(chosen)
        page, watcher = opened(chosen, url)
        pages.append(page)
        return page, watcher

    yield start
    for page in pages:
        page.close()
    for own in contexts:
        own.close()


@pytest.fixture(scope="module")
def revisit(context: BrowserContext) -> Iterator[Callable[[str], tuple[Page, Watcher]]]:
    """Goes on within a page of the same server where a test of this file left one, as loading another takes seconds."""
    pages: dict[str, tuple[Page, Watcher]] = {}

    def start(url: str) -> tuple[Page, Watcher]:
        server = "/".join(url.split("/")[:3])
        if server not in pages:
            pages[server] = opened(context, url)
            return pages[server]
        page, watcher = pages[server]
        watcher.errors.clear()
        page.keyboard.press("Escape")
        page.evaluate("(path) => landscope.view.go(path)", url.removeprefix(server) or "/")
        return page, watcher

    yield start
    for page, _ in pages.values():
        page.close()


@pytest.fixture(scope="session")
def listing(recorded: Path, serve: Callable[..., str]) -> str:
    """The address of the list of finished runs."""
    return serve(recorded)


@pytest.fixture
def latest(listing: str) -> str:
    """The address of the newest finished run."""
    return f"{listing}/run/latest"
