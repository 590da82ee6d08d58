"""What torch can do on this machine: `python -m landscope.checkup` measures a small network, and prints JSON.

`landscope doctor` starts it as a process of its own, as a broken torch may end the process that imports it.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

__all__ = ["Examined", "examined"]

_EXAMPLES, _INPUTS, _WIDTH, _CLASSES = 256, 64, 64, 10
_REPEATS = 5


@dataclass(frozen=True)
class Examined:
    """How torch fares.

    Attributes:
        torch: Its version.
        built_for: What it was built for: "CUDA 12.8", "ROCm 6.3" or "the CPU alone".
        devices: Names of the GPUs that it sees.
        threads: CPU threads that it uses.
        device: Where the times were measured, e.g. "cuda:0".
        gradient: Median seconds of a gradient of a network of 64 × 64 × 10 over 256 examples.
        product: Median seconds of a Hessian-vector product of it.
    """

    torch: str
    built_for: str
    devices: tuple[str, ...]
    threads: int
    device: str
    gradient: float
    product: float


def examined() -> Examined:
    """Torch's build and devices, and what a gradient and a Hessian-vector product take.

    Raises:
        RuntimeError: if torch cannot compute on the device that it offers.
    """
    # Here, so that whoever reads the dataclass needs no torch.
    import torch
    from torch import nn

    from landscope.objective import Objective

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = torch.device("cuda:0" if count else "cpu")
    model = nn.Sequential(nn.Linear(_INPUTS, _WIDTH), nn.Tanh(), nn.Linear(_WIDTH, _CLASSES)).to(device)
    data = torch.randn(_EXAMPLES, _INPUTS, device=device), torch.randint(_CLASSES, (_EXAMPLES,), device=device)
    objective = Objective(model, nn.CrossEntropyLoss(), data)
    theta = objective.theta()
    product = objective.hessian(backend="retained")

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return Examined(
        torch=str(torch.__version__),
        built_for=f"CUDA {torch.version.cuda}"
        if torch.version.cuda
        else f"ROCm {torch.version.hip}"
        if torch.version.hip
        else "the CPU alone",
        devices=tuple(torch.cuda.get_device_name(index) for index in range(count)),
        threads=torch.get_num_threads(),
        device=str(device),
        gradient=_median(objective.gradient, wait),
        product=_median(lambda: product(theta), wait),
    )


def _median(work: Callable[[], object], wait: Callable[[], None]) -> float:
    """Median seconds of some work, once it has been done once."""
    work()
    seconds = []
    for _ in range(_REPEATS):
        wait()
        began = time.perf_counter()
        work()
        wait()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


if __name__ == "__main__":
    print(json.dumps(asdict(examined())))
