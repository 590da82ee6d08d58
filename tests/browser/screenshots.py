"""Pictures of a page in both themes and two sizes.

python -m tests.browser.screenshots [URL [OUTDIR]] [--size 1440x900 ...] [--theme light ...] [--wait SECONDS]
"""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from landscope_app.server import bind
from tests.browser.chromium import ARGUMENTS, executable


def serve_newest(runs: Path) -> str:
    """Serves a folder of runs until the process ends; returns the address of the newest one's page."""
    server = bind(runs, port=0)
    threading.Thread(target=server.run, daemon=True).start()
    return f"{server.url}run/latest"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots")
    parser.add_argument("url", nargs="?", help="default: the newest run in runs/, served for the purpose")
    parser.add_argument("outdir", nargs="?", type=Path, default=Path("test-results/screenshots"))
    parser.add_argument("--size", nargs="+", default=["1440x900", "1920x1080"])
    parser.add_argument("--theme", nargs="+", default=["light", "dark"])
    parser.add_argument("--wait", type=float, default=3.0)
    parser.add_argument("--name", default="page")
    chosen = parser.parse_args()
    url = chosen.url or serve_newest(Path("runs"))
    chosen.outdir.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=list(ARGUMENTS))
        for theme in chosen.theme:
            for size in chosen.size:
                width, height = (int(part) for part in size.split("x"))
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
                page.on("console", lambda message: print(message.type, message.text) if message.type != "log" else None)
                page.on("pageerror", lambda error: print("page error", error))
                page.goto(url)
                page.wait_for_selector("body[data-ready=true]", timeout=60000)
                page.wait_for_timeout(1000 * chosen.wait)
                path = chosen.outdir / f"{chosen.name}-{theme}-{size}.png"
                page.screenshot(path=path)
                print(path)
                page.close()
        browser.close()


if __name__ == "__main__":
    main()
