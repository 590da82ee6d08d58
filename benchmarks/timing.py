"""Seconds, machines and the speed of a plain matrix product."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

__all__ = ["Seconds", "interleaved", "machine", "matmul_ceiling", "timed"]


@dataclass(frozen=True)
class Seconds:
    """What one call took.

    Attributes:
        cpu: CPU seconds of the whole process, which other processes on the machine hardly change.
        wall: Seconds that passed.
    """

    cpu: float
    wall: float

    def on(self, device: str) -> float:
        """The one to compare: CPU seconds on a CPU, elapsed seconds on a GPU."""
        return self.cpu if device == "cpu" else self.wall


def timed(call: Callable[[], Any]) -> tuple[Any, Seconds]:
    """What the call returns, and its seconds; work queued on a GPU is waited for."""
    _synchronise()
    cpu, wall = time.process_time(), time.perf_counter()
    result = call()
    _synchronise()
    return result, Seconds(time.process_time() - cpu, time.perf_counter() - wall)


def interleaved(
    calls: Mapping[str, Callable[[], Any]], *, repeats: int = 3, budget: float = 60.0
) -> tuple[dict[str, Any], dict[str, Seconds], int]:
    """The calls one after the other, again and again, so that a change of the machine's load meets all of them.

    Args:
        calls: By name.
        repeats: Rounds at most.
        budget: No new round is begun when this many CPU seconds are spent.

    Returns:
        The first result of each call, the medians of its seconds, and the number of rounds.
    """
    results: dict[str, Any] = {}
    spent: dict[str, list[Seconds]] = {name: [] for name in calls}
    began = time.process_time()
    rounds = 0
    while rounds == 0 or (rounds < repeats and time.process_time() - began < budget):
        for name, call in calls.items():
            result, seconds = timed(call)
            results.setdefault(name, result)
            spent[name].append(seconds)
        rounds += 1
    medians = {
        name: Seconds(statistics.median(s.cpu for s in each), statistics.median(s.wall for s in each))
        for name, each in spent.items()
    }
    return results, medians, rounds


def matmul_ceiling(device: str, size: int = 1024) -> float:
    """FLOP/s of a float32 product of two square matrices: the best of several, in this process, with its threads."""
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(0)).to(device)
    times = 3 if device == "cpu" else 200

    def products() -> None:
        for _ in range(times):
            matrix @ matrix

    products()
    return max(2.0 * times * size**3 / timed(products)[1].on(device) for _ in range(5))


def machine(device: str) -> str:
    """The processor, its cores, torch and the number of its threads, in words."""
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    threads = torch.get_num_threads()
    return f"{name}, {os.cpu_count()} cores, {threads} thread{'s' if threads > 1 else ''}, torch {torch.__version__}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
