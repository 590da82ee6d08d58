"""Measuring beside the training: one probe at a time, in a thread of its own, on a copy of what is watched."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from landscope.live.probes import Probe, Result
from landscope.live.replica import Replicator
from landscope.live.watched import Watched

__all__ = ["Background", "Outcome"]

_PATIENCE = 10.0  # seconds that the end of a program waits for a thread
_POLL = 0.001

# A process that forks (a loader does for its workers) must not do so while a thread is within torch, whose locks would
# stay locked in the child: the thread has this one while it computes, and lets go between two calls of the model.
_computing = threading.Lock()
_forking = threading.Event()


def _before_fork() -> None:
    _forking.set()
    _computing.acquire()


def _after_fork() -> None:
    _computing.release()
    _forking.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


@dataclass(frozen=True)
class Outcome:
    """Something that a thread has found, or that it has ended.

    Attributes:
        result: A result; None at the end.
        failure: What ended it, if it failed.
        ended: Whether nothing more will come.
    """

    result: Result = None
    failure: Exception | None = None
    ended: bool = False


class _EndedError(Exception):
    """The measurement is no longer wanted."""


class Background:
    """A probe that runs in a thread while training goes on.

    Its results are handed over by `outcomes`, in the thread that trains. On a GPU it has a stream of its own; on a CPU
    as many threads as training leaves, and at least one.

    Attributes:
        name: The probe's name.
        step: Whose weights it measures.
        seconds: What it took to begin: copying the model and the optimiser's state.

    Args:
        probe: What to measure.
        watched: What is in training.
        replicator: Makes the copy.

    Raises:
        UnsharedError: if there can be no copy.
    """

    def __init__(self, probe: Probe, watched: Watched, replicator: Replicator) -> None:
        began = time.perf_counter()
        self.name, self.step = probe.name, watched.step
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._stop, self._ready = threading.Event(), threading.Event()
        replica, device = replicator.replica(self._check), watched.train.layout.device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(device))
        threads = torch.get_num_threads()
        self._threads = max(1, _cores() - threads)
        arguments = (probe, replica, replicator)
        self._thread = threading.Thread(
            target=self._work, args=arguments, name=f"landscope-probe-{probe.name}", daemon=True
        )
        self._thread.start()
        self._ready.wait()
        if self._threads != threads:
            torch.set_num_threads(threads)  # what threads begun later take, which setting ours has changed
        self.seconds = time.perf_counter() - began

    def outcomes(self) -> Iterator[Outcome]:
        """What has come since the last time; the last one has ended."""
        while not self._outcomes.empty():
            yield self._outcomes.get()

    @property
    def ending(self) -> bool:
        """Whether it was asked to end."""
        return self._stop.is_set()

    def end(self, patience: float = _PATIENCE) -> None:
        """Asks the thread to end, which it does at its next call of the model, and waits for it so many seconds."""
        self._stop.set()
        self._thread.join(patience)

    def _check(self) -> None:
        """Between two calls of the model: ends here if asked to, and waits here while the process forks."""
        if self._stop.is_set():
            raise _EndedError
        if _forking.is_set():
            _computing.release()
            while _forking.is_set():
                time.sleep(_POLL)
            _computing.acquire()

    def _work(self, probe: Probe, replica: Watched, replicator: Replicator) -> None:
        if self._threads != torch.get_num_threads():
            torch.set_num_threads(self._threads)  # of this thread alone
        self._ready.set()
        failure: Exception | None = None
        try:
            with _computing, torch.cuda.stream(self._stream) if self._stream else nullcontext(), replicator.measuring():
                result = probe.measure(replica)
                for one in result if isinstance(result, Iterator) else (result,):
                    self._check()
                    self._outcomes.put(Outcome(one))
            if self._stream is not None:
                self._stream.synchronize()
        except Exception as raised:  # noqa: BLE001 the thread that trains decides what a failure means
            failure = raised.with_traceback(None)
        self._outcomes.put(Outcome(None, failure, ended=True))


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
