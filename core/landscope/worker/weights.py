"""Weights that were kept: snapshots in a run, checkpoints of a run, and files of state dictionaries."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from landscope.measurements import Snapshot
from landscope.runs import Run, checkpoint_path, checkpoint_steps

__all__ = ["checkpoint_files", "kept_steps", "kept_weights", "load_weights", "read_checkpoint"]

_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
_WITHIN = ("state_dict", "model_state_dict", "model", "module", "weights")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def kept_steps(run: Run) -> list[int]:
    """The steps of which a run has weights, ascending."""
    return sorted({frame.step for frame in run.frames("snapshot")} | set(checkpoint_steps(run.path)))


def kept_weights(run: Run, step: int) -> dict[str, Tensor]:
    """The weights of a step by name: with buffers from a checkpoint, without from a snapshot, whose tensors are flat.

    Raises:
        ValueError: if there are none, or their file cannot be read.
    """
    if step in checkpoint_steps(run.path):
        return read_checkpoint(checkpoint_path(run.path, step))
    frames = {frame.step: frame.seq for frame in run.frames("snapshot")}
    if step not in frames:
        raise ValueError(f"run {run.id} has no weights of step {step}; {_steps_in_words(kept_steps(run))}")
    snapshot = Snapshot.from_bytes(run.frame_bytes(frames[step]))
    assert isinstance(snapshot, Snapshot)
    pieces = torch.from_numpy(snapshot.theta).split(list(snapshot.sizes))
    return dict(zip(snapshot.names, pieces, strict=True))


def checkpoint_files(paths: Sequence[Path]) -> dict[int, Path]:
    """Files of weights by step: the last number in a file's name, or its place where names do not tell them apart.

    Args:
        paths: Files, and folders of them.

    Raises:
        ValueError: if there are none.
    """
    files: list[Path] = []
    for path in paths:
        found = [file for file in path.iterdir() if file.suffix in _SUFFIXES] if path.is_dir() else [path]
        if not found or not path.exists():
            raise ValueError(f"there are no checkpoints in {path}: files that end in {', '.join(_SUFFIXES)}")
        files += sorted(found, key=lambda file: [int(n) for n in re.findall(r"\d+", file.stem)] or [0])
    numbers = [re.findall(r"\d+", file.stem) for file in files]
    steps = [int(found[-1]) for found in numbers if found]
    return dict(zip(steps if len(set(steps)) == len(files) else range(len(files)), files, strict=True))


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors in a file, by the model's names for them.

    Taken are a state dictionary, as such or under one of the usual names in a checkpoint, and a run's own checkpoints.
    Nothing but tensors and plain values is ever unpickled.

    Raises:
        ValueError: if the file is none of these.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data: Any = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except pickle.UnpicklingError:
        raise ValueError(
            f"{path} holds more than tensors, and unpickling it would run what is in it; "
            "save the state dictionary alone: torch.save(model.state_dict(), path)"
        ) from None
    except Exception as failure:  # noqa: BLE001 whatever is raised over bytes that are something else
        raise ValueError(f"{path} is no file of weights: {type(failure).__name__} {failure}".splitlines()[0]) from None
    if isinstance(data, Mapping) and {"parameters", "buffers"} <= data.keys():
        return {**data["parameters"], **data["buffers"]}
    if isinstance(data, Mapping):
        data = next((data[name] for name in _WITHIN if isinstance(data.get(name), Mapping)), data)
    found = (
        {name: value for name, value in data.items() if isinstance(value, Tensor)} if isinstance(data, Mapping) else {}
    )
    if not found:
        raise ValueError(f"{path} holds no state dictionary; save one: torch.save(model.state_dict(), path)")
    return found


def _unpickled(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


@torch.no_grad()
def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Puts weights into a model; those of wrappers (DataParallel, torch.compile, Lightning) lose their prefix.

    Buffers and frozen parameters that are not among them stay as they are.

    Raises:
        ValueError: if a trainable parameter is missing, or a tensor has another size or no place; nothing was changed.
    """
    own = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers(remove_duplicate=False))}
    for prefix in _PREFIXES:
        if not weights.keys() & own.keys() and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    wrong = [f"{name} is missing" for name in sorted(trainable - weights.keys())]
    wrong += [f"{name} has no place in the model" for name in sorted(weights.keys() - own.keys())]
    wrong += [
        f"{name} has {weights[name].numel()} elements, {own[name].numel()} in the model"
        for name in sorted(weights.keys() & own.keys())
        if weights[name].numel() != own[name].numel()
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"the weights are those of another model: {'; '.join(wrong[:3])}{more}")
    for name, tensor in weights.items():
        own[name].copy_(tensor.view(own[name].shape))


def _steps_in_words(steps: Sequence[int]) -> str:
    if not steps:
        return "it has none at all: it was recorded without snapshots"
    if len(steps) <= 12:
        return f"it has those of {', '.join(map(str, steps))}"
    return f"it has {len(steps)}, from {steps[0]} to {steps[-1]}"
