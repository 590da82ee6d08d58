"""What every measurement has in common: its provenance, its work, and a form that survives a file."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

__all__ = ["Measurement", "Provenance", "not_stored"]


def not_stored() -> Any:
    """A field that is too large to keep with every frame of a run: there after measuring, None when read back."""
    return field(default=None, metadata={"stored": False}, repr=False)


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a number comes from: enough to measure it again, and to know what it cost.

    Attributes:
        method: What was computed, in a few words, with its settings.
        step: Optimiser steps taken before the weights were measured; None outside a training.
        split: Which data, e.g. "train"; empty when the caller did not say.
        examples: Number of examples the objective averages over.
        parameters: Length P of the parameter vector.
        data: First 16 hexadecimal digits of the SHA-256 of those examples; empty where it was not taken.
        batch_norm: Policy for batch normalisation: "eval", "batch" or "recompute".
        precision: Floating-point type of the parameters, e.g. "float32".
        device: Where it was computed, e.g. "cpu" or "cuda:0".
        seed: Seed of the directions or probes; None for deterministic methods.
        seconds: Wall-clock time spent measuring.
        forwards: Forward passes over the data, in units of one whole pass.
        gradients: Gradients of the whole objective.
        products: Hessian- or GGN-vector products with the whole objective.
        background: Whether it was measured in a thread beside the training, on a copy of the model.
    """

    method: str
    step: int | None = None
    split: str = ""
    examples: int = 0
    parameters: int = 0
    data: str = ""
    batch_norm: str = "eval"
    precision: str = "float32"
    device: str = "cpu"
    seed: int | None = None
    seconds: float = 0.0
    forwards: float = 0.0
    gradients: float = 0.0
    products: float = 0.0
    background: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """A result: numpy arrays and plain numbers, immutable, with its provenance.

    Subclasses set `kind`, a name that is unique among measurements and by which a stored frame finds its class. Two
    measurements are equal only if they are one object (`eq=False`): arrays have no single answer to being equal.
    """

    kind: ClassVar[str] = ""
    provenance: Provenance
    _kinds: ClassVar[dict[str, type[Measurement]]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "kind" not in vars(cls):  # what several kinds have in common
            return
        if cls.kind in Measurement._kinds:
            raise TypeError(f"measurement kind {cls.kind!r} is taken by {Measurement._kinds[cls.kind].__name__}")
        Measurement._kinds[cls.kind] = cls

    def scalars(self) -> dict[str, float]:
        """The numbers of this measurement that are worth a line over time, by their short names."""
        return {}

    def span(self) -> tuple[float, float] | None:
        """The least and greatest finite value of what is drawn as height or colour; None where there is none.

        Pages keep one scale over a whole run from these, without fetching every frame.
        """
        return None

    def figure(self, **options: Any) -> Any:
        """This measurement as a plotly figure; `options` go to the builder in `landscope.figures`."""
        # By name: measurements are below figures, and a measurement that is never drawn needs no plotly.
        return importlib.import_module("landscope.figures").figure(self, **options)

    def replaced(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def at(self, step: int) -> Self:
        """A copy whose provenance names the optimiser step at which it was taken."""
        return replace(self, provenance=replace(self.provenance, step=step))

    def to_bytes(self) -> bytes:
        """This measurement as one safetensors file: arrays as tensors, the rest as JSON in its metadata.

        The arrays of a dictionary are tensors named "field.key". Non-finite numbers are written as the strings "NaN",
        "Infinity" and "-Infinity", so that the JSON is valid.
        """
        arrays: dict[str, np.ndarray] = {}
        plain: dict[str, Any] = {}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if spec.name == "provenance" or value is None or spec.metadata.get("stored") is False:
                continue
            if isinstance(value, np.ndarray):
                arrays[spec.name] = np.asarray(value, order="C")
            elif isinstance(value, dict):
                arrays |= {f"{spec.name}.{key}": np.asarray(array, order="C") for key, array in value.items()}
            else:
                plain[spec.name] = value
        provenance = asdict(self.provenance)
        metadata = {"kind": self.kind, "fields": _to_json(plain), "provenance": _to_json(provenance)}
        return save(arrays, metadata=metadata)

    @staticmethod
    def from_bytes(data: bytes) -> Measurement:
        """The measurement that `to_bytes` wrote. Fields that were not stored are None.

        Raises:
            ValueError: if the bytes are not a measurement of a kind this version knows.
        """
        metadata = _metadata(data)
        kind = metadata["kind"]
        if kind not in Measurement._kinds:
            known = ", ".join(sorted(Measurement._kinds))
            raise ValueError(f"measurement has kind {kind!r}, expected one of: {known}; upgrade landscope to read it")
        try:
            plain, provenance = json.loads(metadata["fields"]), json.loads(metadata["provenance"])
            return Measurement._kinds[kind]._restore(load(data), plain, provenance)
        except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as failure:
            raise ValueError(f"measurement of kind {kind!r} is damaged: {failure}") from failure

    @classmethod
    def _restore(cls, arrays: dict[str, np.ndarray], plain: dict[str, Any], provenance: dict[str, Any]) -> Self:
        known = {spec.name: spec for spec in fields(cls)}
        values: dict[str, Any] = {name: {} for name, spec in known.items() if str(spec.type).startswith("dict[")}
        for name, array in arrays.items():
            field_name, dot, key = name.partition(".")
            if field_name in known:
                if dot:
                    values[field_name][key] = array
                else:
                    values[field_name] = array
        for name, value in plain.items():
            if name in known:
                values[name] = _from_json(value, str(known[name].type))
        source = {
            spec.name: _from_json(provenance[spec.name], str(spec.type))
            for spec in fields(Provenance)
            if spec.name in provenance
        }
        for name, spec in known.items():
            if name not in values and name != "provenance" and "None" in str(spec.type):
                values[name] = None
        return cls(provenance=Provenance(**source), **values)


def _to_json(value: Any) -> str:
    return json.dumps(_finite(value), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _from_json(value: Any, annotation: str) -> Any:
    if isinstance(value, str) and annotation.startswith("float"):
        return float(value)
    if isinstance(value, list) and annotation.startswith("tuple["):
        return tuple(_from_json(item, annotation.removeprefix("tuple[")) for item in value)
    return value


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: an 8-byte little-endian length, then that much JSON."""
    if len(data) < 8:
        raise ValueError(f"measurement must be a safetensors file, got {len(data)} bytes")
    length = int.from_bytes(data[:8], "little")
    if length > len(data) - 8:
        raise ValueError(f"measurement is cut short: its header claims {length} bytes, {len(data) - 8} are there")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as failure:
        raise ValueError(f"measurement must be a safetensors file, whose header is JSON: {failure}") from failure
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(metadata.get(n), str) for n in _METADATA):
        raise ValueError(f"measurement has no metadata {', '.join(_METADATA)}: it was not written by landscope")
    return metadata


_METADATA = ("kind", "fields", "provenance")
