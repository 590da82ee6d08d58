"""One line in the terminal that says how training goes."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

from landscope.dynamics import Phase

__all__ = ["ProgressLine"]

# On a terminal the line is rewritten in place; in a log file it is repeated, so more rarely.
_TERMINAL_INTERVAL = 0.25
_LOG_INTERVAL = 10.0


class ProgressLine:
    """Writes "step 1,240/6,000 | train 0.0012 (100.0%) | test 8.1 (3.1%) | 160 steps/s | ..." to stderr."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._began = time.perf_counter()
        self._last = float("-inf")

    def show(self, step: int, total: int | None, latest: Mapping[str, float], *, force: bool = False) -> None:
        """Writes the line unless it was written a moment ago.

        Args:
            step: Steps taken.
            total: Steps planned, if known.
            latest: The newest scalars by name.
            force: Write it in any case.
        """
        now = time.perf_counter()
        if not force and now - self._last < (_TERMINAL_INTERVAL if self._terminal else _LOG_INTERVAL):
            return
        self._last = now
        parts = [f"step {step:,}" + (f"/{total:,}" if total else "")]
        for split in ("train", "test"):
            if f"{split}/loss" in latest:
                accuracy = latest.get(f"{split}/accuracy")
                share = "" if accuracy is None else f" ({accuracy:.1%})"
                parts.append(f"{split} {latest[f'{split}/loss']:.3g}{share}")
        if "sharpness/lambda_max" in latest:
            parts.append(f"sharpness {latest['sharpness/lambda_max']:.3g}")
        parts.append(f"{step / max(now - self._began, 1e-9):.0f} steps/s")
        if "overhead/share" in latest:
            parts.append(f"measuring {latest['overhead/share']:.0%} of training")
        line = " | ".join(parts)
        sys.stderr.write(f"\r\x1b[2K{line}" if self._terminal else f"{line}\n")
        sys.stderr.flush()

    def end(self, phases: Sequence[Phase]) -> None:
        """Leaves the last line standing, and under it what was found, by the steps at which it began."""
        if self._terminal:
            sys.stderr.write("\n")
        for phase in sorted((phase for phase in phases if phase.begins), key=lambda phase: phase.step):
            sys.stderr.write(f"step {phase.step:,}: {phase.finding.text}\n")
        sys.stderr.flush()
