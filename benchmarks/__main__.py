"""`python -m benchmarks [NAME ...] [--device cpu|cuda] [--points N] [--json]`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks import curvature, kernels
from benchmarks.curvature_estimates import densities, traces
from benchmarks.embeddings import frames
from benchmarks.large_model import gpt2
from benchmarks.pictures import drawn, first_picture
from benchmarks.populations import seeds
from benchmarks.representations import dimensions, similarities
from benchmarks.slices import compare, throughput
from benchmarks.timing import machine
from benchmarks.watching import watching

__all__ = ["BENCHMARKS", "LONG", "main"]

Benchmark = Callable[[str, int], Iterator[dict[str, Any]]]

BENCHMARKS: dict[str, Benchmark] = {
    "slice-mlp": partial(compare, "mlp"),
    "slice-cnn": partial(compare, "cnn"),
    "slice-transformer": partial(compare, "transformer"),
    "matmul-ceiling": throughput,
    "first-picture": first_picture,
    "picture-error": drawn,
    "hvp-mlp": partial(curvature.products, "mlp"),
    "hvp-cnn": partial(curvature.products, "cnn"),
    "hvp-transformer": partial(curvature.products, "transformer"),
    "eigenvalues": curvature.eigenvalues,
    "tracking": curvature.tracking,
    "eigenvalues-gpt2": gpt2,
    "umap-frames": frames,
    "cka": similarities,
    "two-nn": dimensions,
    "ntk": kernels.small,
    "ntk-large": kernels.large,
    "seeds": seeds,
    "trace": traces,
    "density": densities,
    "watch-digits": partial(watching, "digits"),
    "watch-grokking": partial(watching, "grokking"),
    "watch-resnet": partial(watching, "resnet"),
    "watch-gpt": partial(watching, "gpt"),
}
LONG = {"eigenvalues-gpt2", "ntk-large", "watch-digits", "watch-grokking", "watch-resnet", "watch-gpt"}
"""Those that take minutes to a quarter of an hour and up to 12 GB, and are run only when named."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks and prints a row of each comparison as it is done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Landscope beside its peers.")
    every = f"of: {', '.join(BENCHMARKS)}; all but {', '.join(LONG)} by default"
    parser.add_argument("names", nargs="*", metavar="NAME", help=every)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--points", type=int, default=21, help="grid points a side of the slices")
    parser.add_argument("--json", action="store_true", help="JSON lines alone, without the table")
    chosen = parser.parse_args(arguments)
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    torch.set_num_threads(1)
    where = {"device": chosen.device, "threads": 1, "machine": machine(chosen.device)}
    if not chosen.json:
        print(_line("name", "peer", "ours s", "peer s", "ratio", "error"))
    for name in chosen.names or [name for name in BENCHMARKS if name not in LONG]:
        for row in BENCHMARKS[name](chosen.device, chosen.points):
            row = {"name": name} | row | where
            if not chosen.json:
                print(_line(name, row["peer"], row["ours_s"], row["peer_s"], row["ratio"], row["error"]))
            print(json.dumps(row), flush=True)
    return 0


def _line(*cells: Any) -> str:
    shown = ("-" if cell is None else f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells)
    return "".join(text.ljust(width) for text, width in zip(shown, (20, 32, 10, 10, 8, 10), strict=True))


if __name__ == "__main__":
    sys.exit(main())
