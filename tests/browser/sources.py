"""Where the numbers of a synthetic run would come from."""

from __future__ import annotations

from landscope.measurements import Provenance

PARAMETERS = 12_874
EXAMPLES = 512


def source(method: str, step: int, seconds: float, **work: float) -> Provenance:
    """Where such a number would come from."""
    return Provenance(
        method=method,
        step=step,
        split="train",
        examples=EXAMPLES,
        parameters=PARAMETERS,
        seed=0,
        seconds=seconds,
        **work,
    )
