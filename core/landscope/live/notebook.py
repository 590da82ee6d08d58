"""A scope in a notebook: its page inline, and one run where a cell is run again."""

from __future__ import annotations

import atexit
import html
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Inline", "cell", "page_of"]

_ARGUMENTS = ("-m", "landscope_app.cli", "ui", "--embedded")
_servers: dict[Path, tuple[subprocess.Popen[str], str]] = {}


def cell() -> int | None:
    """The number of the notebook's execution that is under way; None outside IPython."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if get_ipython is None else get_ipython()
    return None if shell is None else int(shell.execution_count)


@dataclass(frozen=True)
class Inline:
    """A page in a frame, which notebooks show where this is the value of a cell.

    Attributes:
        url: Where the page is.
        height: Of the frame, in pixels.
    """

    url: str
    height: int

    def _repr_html_(self) -> str:
        address = html.escape(self.url)
        return (
            f'<iframe src="{address}" width="100%" height="{self.height}" style="border: 0"></iframe>'
            f'<p><a href="{address}" target="_blank">{address}</a></p>'
        )


def page_of(run: Path) -> str:
    """The address of a run's page, from a server that is started for its folder where there is none yet.

    The server is a process of its own, listens on this machine only, and ends with this one.

    Raises:
        RuntimeError: if it does not start.
    """
    runs = run.parent.absolute()
    server, url = _servers.get(runs, (None, ""))
    if server is None or server.poll() is not None:
        server, url = _servers[runs] = _started(runs)
    return f"{url}/run/{run.name}"


def _started(runs: Path) -> tuple[subprocess.Popen[str], str]:
    # It ends with its standard input, so that it does not outlive a process that is killed.
    command = [sys.executable, *_ARGUMENTS, str(runs)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = server.stdout.readline() if server.stdout is not None else ""
    url = said.rpartition(" on ")[2].strip().rstrip("/")
    if not url.startswith("http"):
        _end(server)
        raise RuntimeError(f"the page's server did not start ({said.strip() or 'it said nothing'}): try `landscope ui`")
    atexit.register(_end, server)
    return server, url


def _end(server: subprocess.Popen[str]) -> None:
    server.terminate()
    server.communicate()
