"""A training program and the page that shows it: started together, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit, urlunsplit

from landscope.runs import list_runs
from landscope_app.defaults import has_display
from landscope_app.server import bind

__all__ = ["attend"]

# A trainer that was asked to end writes its last records first.
_PATIENCE = 15.0
_POLL = 0.2
_ENDINGS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def attend(
    command: Sequence[str],
    *,
    runs: Path,
    host: str,
    port: int,
    token: str | None,
    read_only: bool,
    trust: Sequence[Path],
    open_browser: bool,
) -> int:
    """Starts the page, then the training program; serves until interrupted, also after the program has ended.

    Args:
        command: The program and its arguments; it records into `runs` through $LANDSCOPE_RUNS.
        runs: The folder of runs.
        host: Address of the page.
        port: Port of the page; see `landscope_app.server.bind`.
        token: What a browser must present.
        read_only: Take no commands from the page.
        trust: Programs that may be run again to measure the finished runs that they made.
        open_browser: Open the page in a browser if there is a display.

    Returns:
        The program's exit status; 0 if it was still running when the user ended both.
    """
    runs.mkdir(parents=True, exist_ok=True)
    before = {run.id for run in list_runs(runs)}
    server = bind(runs, host=host, port=port, token=token, read_only=read_only, trust=trust)
    print(f"Landscope is on {server.url}", flush=True)
    for ending in _ENDINGS:
        # What nohup ignores stays ignored. SIGINT, which shells ignore for background jobs, does not: the program would
        # inherit that, and could not be ended gently.
        if ending == signal.SIGINT or signal.getsignal(ending) != signal.SIG_IGN:
            signal.signal(ending, _interrupt)
    threading.Thread(target=server.run, name="landscope-server", daemon=True).start()
    environment = {**os.environ, "LANDSCOPE_RUNS": str(runs.absolute()), "LANDSCOPE_PROGRESS": "1"}
    # In a session of its own, so that Ctrl-C reaches it once and through here.
    trainer = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        run = _new_run(runs, before, trainer)
        if run is not None:
            page = _page_of(server.url, run)
            print(f"Watching {page}", flush=True)
            if open_browser and has_display():
                webbrowser.open(page)
        status = trainer.wait()
        if run is None and status:
            return status
        ending = "Training has ended" if status == 0 else f"The program ended with status {status}"
        print(f"{ending}; the page stays on {server.url} until Ctrl-C.", flush=True)
        threading.Event().wait()
        return status
    except KeyboardInterrupt:
        print(flush=True)
        return _end(trainer)
    finally:
        server.close()


def _new_run(runs: Path, before: set[str], trainer: subprocess.Popen[bytes]) -> str | None:
    """The id of the run the program starts; None if it ends without starting one."""
    while True:
        ended = trainer.poll() is not None
        new = [run.id for run in list_runs(runs) if run.id not in before]
        if new:
            return new[0]
        if ended:
            return None
        time.sleep(_POLL)


def _end(trainer: subprocess.Popen[bytes]) -> int:
    """Ends the trainer, gently, so that it writes its last records; returns 0, or its status if it had ended."""
    if trainer.poll() is not None:
        return trainer.returncode
    trainer.send_signal(signal.SIGINT)
    try:
        trainer.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        print("The program does not end; killing it.", file=sys.stderr)
        trainer.kill()
        trainer.wait()
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _page_of(url: str, run: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/run/{run}"))
