"""Pictures of every page in both themes and two sizes.

python -m tests.browser.screenshots [URL [OUTDIR]] [--runs FOLDER] [--size 1440x900 ...] [--theme light ...] [--wait S]
"""

from __future__ import annotations

import argparse
import itertools
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from landscope.runs import list_runs
from landscope_app.server import bind
from tests.browser.chromium import ARGUMENTS, executable


def serve_newest(runs: Path) -> str:
    """Serves a folder of runs until the process ends; returns the address of the newest one's page."""
    return f"{serve(runs)}run/latest"


def serve(runs: Path) -> str:
    """Serves a folder of runs until the process ends; returns the address."""
    server = bind(runs, port=0)
    threading.Thread(target=server.run, daemon=True).start()
    return server.url


def every_page(runs: Path) -> dict[str, str]:
    """The address of each kind of page by its name: the list, the newest run, recipes, and a comparison of three."""
    url, newest = serve(runs), [run.id for run in list_runs(runs)[:3]]
    pages = {"runs": url, "run": f"{url}run/latest", "recipes": f"{url}recipes"}
    return pages | ({"compare": f"{url}compare?runs={','.join(newest)}"} if len(newest) > 1 else {})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots")
    parser.add_argument("url", nargs="?", help="default: every page over runs/, served for the purpose")
    parser.add_argument("outdir", nargs="?", type=Path, default=Path("test-results/screenshots"))
    parser.add_argument("--size", nargs="+", default=["1440x900", "1920x1080"])
    parser.add_argument("--theme", nargs="+", default=["light", "dark"])
    parser.add_argument("--wait", type=float, default=3.0)
    parser.add_argument("--name", default="page", help="of the one page whose address is given")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of runs (default: %(default)s)")
    chosen = parser.parse_args()
    pages = {chosen.name: chosen.url} if chosen.url else every_page(chosen.runs)
    chosen.outdir.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        for (name, url), theme, size in itertools.product(pages.items(), chosen.theme, chosen.size):
            width, height = (int(part) for part in size.split("x"))
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
            page.on("console", lambda message: print(message.type, message.text) if message.type != "log" else None)
            page.on("pageerror", lambda error: print("page error", error))
            page.goto(url)
            page.wait_for_selector("body[data-ready=true]", timeout=60000)
            page.wait_for_timeout(1000 * chosen.wait)
            path = chosen.outdir / f"{name}-{theme}-{size}.png"
            page.screenshot(path=path)
            print(path)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
