"""`python -m landscope.worker RUN [--trust FILE.py ...]`: measures what the page asks of a finished run.

Started by the page's server, through a pipe as standard input: when that ends, so does this.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from landscope.runs import Run, RunAppender
from landscope.runs.commands import Inbox
from landscope.worker.jobs import JobQueue
from landscope.worker.origins import of_run

AGAIN = 75  # exit status: a job could not be ended otherwise, and others may wait
_IDLE = 60.0  # seconds without work after which this ends
_POLL = 0.1
_PATIENCE = 0.7  # seconds in which a job should have obeyed


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures until there is nothing more to do for a while."""
    logging.basicConfig(level=logging.WARNING, format="landscope worker: %(message)s")
    parser = argparse.ArgumentParser(prog="python -m landscope.worker", description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--trust", type=Path, action="append", default=[], metavar="FILE.py")
    parser.add_argument("--idle", type=float, default=_IDLE)
    chosen = parser.parse_args(arguments)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    run = Run(chosen.run)
    appender = _appender(chosen.run, chosen.idle)
    if appender is None:
        return 0
    print("ready", file=sys.stderr, flush=True)
    with appender:
        queue = JobQueue(run, appender, partial(of_run, run.manifest, chosen.trust))
        threading.Thread(target=_cancel_in_time, args=(run.path, queue), daemon=True).start()
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < chosen.idle:
            queue.take()
            if queue.waiting:
                queue.carry_out(queue.waiting[0])
                idle_since = time.monotonic()
            else:
                time.sleep(_POLL)
    return 0


def _appender(folder: Path, patience: float) -> RunAppender | None:
    """The run's writer; None if another process is it all the time, which sees the same commands."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            return RunAppender(folder)
        except BlockingIOError:
            time.sleep(_POLL)
    return None


def _end_with_the_server() -> None:
    while os.read(sys.stdin.fileno(), 4096):  # not sys.stdin.read, whose lock would be in the way of an end by itself
        pass
    os._exit(0)  # what was said is on the disk


def _cancel_in_time(folder: Path, queue: JobQueue) -> None:
    """Ends the process when a job does not obey: it is in a single long operation, which nothing else ends."""
    inbox = Inbox(folder)
    while True:
        for command in inbox.poll():
            request = queue.current
            if command.kind != "cancel" or request is None or request.job != command.params.get("job"):
                continue
            time.sleep(_PATIENCE)
            if queue.current is request:
                queue.abandon(request)
                os._exit(AGAIN)
        time.sleep(_POLL)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError, RuntimeError) as failure:
        print(f"landscope worker: {failure}", file=sys.stderr)
        sys.exit(1)
