"""A plane of losses: ours beside the peers', and beside what the processor can do.

FLOPs are those of matrix products and convolutions; torch's counter leaves out a CPU's fused attention.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import landscope as ls
from benchmarks.cases import CASES, Case
from benchmarks.peers import PEERS, installed
from benchmarks.timing import Seconds, interleaved, matmul_ceiling, timed

__all__ = ["compare", "relative_error", "throughput"]


def compare(name: str, device: str, points: int) -> Iterator[dict[str, Any]]:
    """Seconds for a grid of losses around one network, one row for each peer that is installed.

    The peers compute losses (the original code accuracies too); ours adds accuracies, sampling errors and checks.
    """
    case = CASES[name](device)
    peers = {title: peer for title, peer in PEERS.items() if name in peer.cases and installed(peer)}
    calls = {"ours": lambda: ours(case, points)}
    calls |= {title: lambda peer=peer: peer.grid(case, points) for title, peer in peers.items()}
    first = timed(calls["ours"])[1]  # ours looks for the fastest way
    for peer in peers.values():
        peer.grid(case, 2)  # warms caches and allocators
    grids, seconds, rounds = interleaved(calls)
    speed = _speed(case, points, seconds["ours"], device)
    for title, peer in peers.items():
        yield {
            "ours_s": seconds["ours"].on(device),
            "peer_s": seconds[title].on(device),
            "ratio": seconds[title].on(device) / seconds["ours"].on(device),
            "error": relative_error(case, grids["ours"]),
            "peer_error": relative_error(case, grids[title]) if peer.ours else None,
            "peer": title,
            "ours_first_s": first.on(device),
            "ours_wall_s": seconds["ours"].wall,
            "peer_wall_s": seconds[title].wall,
            "points": points**2,
            "examples": len(case.x),
            "parameters": case.objective.layout.size,
            "repeats": rounds,
        } | speed


def throughput(device: str, points: int) -> Iterator[dict[str, Any]]:
    """What each slice makes of the processor: the peer's seconds are those of its FLOPs at a matrix product's speed."""
    for name, make in CASES.items():
        case = make(device)
        ours(case, points)
        seconds = timed(lambda case=case: ours(case, points))[1]
        speed = _speed(case, points, seconds, device)
        spent = seconds.on(device)
        yield {
            "network": name,
            "ours_s": spent,
            "peer_s": spent * speed["gflops"] / speed["ceiling_gflops"],
            "ratio": speed["gflops"] / speed["ceiling_gflops"],
            "error": None,
            "peer": f"matrix product ({name})",
            "points": points**2,
            "examples": len(case.x),
            "parameters": case.objective.layout.size,
            "repeats": 1,
        } | speed


def ours(case: Case, points: int) -> np.ndarray:
    """The losses (A, B) that `slice2d` finds."""
    losses: np.ndarray = ls.landscape.slice2d(case.objective, case.directions, radius=1.0, points=points).loss
    return losses


def _speed(case: Case, points: int, seconds: Seconds, device: str) -> dict[str, float]:
    """FLOP/s: effective ones count a whole forward pass at every point, also where ours has shared it with others."""
    with torch.no_grad(), FlopCounterMode(display=False) as whole:
        case.model(case.x)
    with FlopCounterMode(display=False) as executed:
        ours(case, points)
    spent = 1e9 * seconds.on(device)
    return {
        "gflops": whole.get_total_flops() * points**2 / spent,
        "executed_gflops": executed.get_total_flops() / spent,
        "ceiling_gflops": matmul_ceiling(device) / 1e9,
    }


def relative_error(case: Case, losses: np.ndarray) -> float:
    """Largest relative difference from the same losses in float64, at corners, edges, the centre and between."""
    model, x = deepcopy(case.model).double(), case.x.double() if case.x.is_floating_point() else case.x
    layout = case.objective.layout
    centre, directions = case.objective.theta().double(), case.directions.double()
    coordinates = np.linspace(-1.0, 1.0, len(losses))
    worst = 0.0
    for row in sorted({0, len(losses) // 3, len(losses) // 2, len(losses) - 1}):
        for column in sorted({0, len(losses) // 2, len(losses) - 1}):
            theta = centre + coordinates[row] * directions[0] + coordinates[column] * directions[1]
            with torch.no_grad():
                for parameter, piece in zip(model.parameters(), layout.unflatten(theta).values(), strict=True):
                    parameter.copy_(piece)
                truth = case.loss(model(x), case.y).item()
            worst = max(worst, abs(losses[row, column] / truth - 1.0))
    return worst
