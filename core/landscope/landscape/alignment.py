"""Alignment of one network with another: the renumbering of hidden units that brings their weights closest.

Two trainings number their hidden units differently, so that the straight line between them leads over a barrier that
says nothing about their functions. Ainsworth, Hayase and Srinivasa 2023, "Git Re-Basin".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from landscope.landscape.symmetries import Axes, permutable_axes
from landscope.objective import Objective
from landscope.parameters import tied_names

__all__ = ["Matching", "aligned", "weight_matching"]

_SWEEPS = 100  # each takes the sum of inner products up; a handful is usual


@dataclass(frozen=True)
class Matching:
    """Permutations of a network's hidden units.

    Attributes:
        permutations: By the layer that makes the units, (n,): the new unit i is the old unit permutation[i].
        axes: The axes (parameter or buffer, axis) that each permutes. Where one is k times as long as the permutation,
            each unit has k consecutive entries.
    """

    permutations: dict[str, Tensor]
    axes: dict[str, Axes]

    def applied(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named parameters and buffers, a state dict for example, with their units renumbered."""
        numbered = _by_tensor(self.axes)
        return {
            name: _permuted(tensor, {axis: self.permutations[by] for axis, by in numbered.get(name, {}).items()})
            for name, tensor in tensors.items()
        }


def aligned(
    objective: Objective,
    theta: Tensor,
    reference: Tensor,
    *,
    permutations: Mapping[str, Sequence[tuple[str, int]]] | None = None,
    seed: int = 0,
) -> Tensor:
    """The weights theta (P,) with their hidden units renumbered to lie as close as possible to the reference (P,).

    The function is the same: the loss is evaluated before and after, and must agree. Units of which a parameter is not
    part of theta, because it is frozen, keep their order. See `weight_matching` for the method.

    Batch normalisation's running statistics number hidden units too, and are not part of theta. With them the permuted
    weights are another function, so the objective must normalise by the data: batch_norm="batch" or "recompute". That
    is what interpolation between networks needs anyway.

    Args:
        objective: Any loss of the model.
        theta: The weights to renumber.
        reference: The weights to come close to.
        permutations: Groups of axes that number the same units; by default read from the model's graph.
        seed: Seed of the order in which layers are matched.

    Raises:
        ValueError: if symmetries are not known, running statistics would have to be permuted, the given groups do not
            fit, or permuting by them changes the loss.
    """
    layout, model = objective.layout, objective.model
    layout.check("theta", theta, 1)
    layout.check("reference", reference, 1)
    groups = permutable_axes(model) if permutations is None else permutations
    constant = {name for name, _ in model.named_parameters()} - set(layout.names)
    free = {name: axes for name, axes in groups.items() if not any(tensor in constant for tensor, _ in axes)}
    named = layout.unflatten(theta)
    matching = weight_matching(model, named, layout.unflatten(reference), permutations=free, seed=seed)
    buffers = {name for name, _ in model.named_buffers()}
    moved = [
        tensor
        for name, permutation in matching.permutations.items()
        if not torch.equal(permutation, torch.arange(len(permutation)))
        for tensor, _ in matching.axes[name]
    ]
    if objective.batch_norm == "eval" and (statistics := sorted(set(moved) & buffers)):
        raise ValueError(
            f"the units' order is also that of {', '.join(statistics)}, which theta does not hold; build the objective "
            "with batch_norm='batch' or 'recompute', or permute a whole state dict by weight_matching(...).applied"
        )
    result = layout.flatten(matching.applied(named)).to(theta)
    before, after = objective.values(torch.stack([theta, result])).tolist()
    if not abs(after - before) <= torch.finfo(layout.dtype).eps ** 0.5 * max(abs(before), 1e-3):
        raise ValueError(
            f"renumbering the units changed the loss from {before:.6g} to {after:.6g}, so the axes grouped by "
            "permutations= do not number the same units; check them against the model's forward pass"
        )
    return result


def weight_matching(
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    reference: Mapping[str, Tensor],
    *,
    permutations: Mapping[str, Sequence[tuple[str, int]]] | None = None,
    seed: int = 0,
) -> Matching:
    """The renumbering of hidden units that maximises the inner product with the reference's parameters.

    That is, which brings the weights closest in Euclidean distance. Layer by layer the best permutation, all others
    held, is a linear assignment; they are repeated in random order until none gains (Ainsworth et al. 2023, algorithm
    1). It ends in a local optimum, and is done from two starts of which the better is kept: the given order, and the
    one that is found from the inputs on by matching each layer with what has been matched before. From the latter a
    permuted copy of a network is found exactly.

    Args:
        model: The network of both; neither its parameters nor its buffers are looked at.
        tensors: Named parameters to renumber, such as a state dict.
        reference: Those to come close to.
        permutations: Groups of axes (parameter or buffer, axis) that number the same units, as `permutable_axes` finds
            them in the model's graph by default.
        seed: Seed of the order.

    Returns:
        The permutations; `applied` permutes a state dict, buffers such as running statistics included.

    Raises:
        ValueError: if the symmetries are not known, a group does not fit the tensors, or tensors are not finite.
    """
    groups = {
        name: tuple((tensor, int(axis)) for tensor, axis in axes)
        for name, axes in (permutable_axes(model) if permutations is None else permutations).items()
    }
    buffers = {name for name, _ in model.named_buffers()}
    weights = {name: tuple(axis for axis in axes if axis[0] not in buffers) for name, axes in groups.items()}
    problem = _Assignment.of(weights, tensors, reference)
    generator = torch.Generator().manual_seed(seed)
    starts = [problem.identity(), problem.from_inputs()]
    found = max((problem.improved(start, generator) for start in starts), key=problem.gain)
    aliases = tied_names(model)
    everywhere = {
        name: tuple((alias, axis) for tensor, axis in axes for alias in aliases.get(tensor, (tensor,)))
        for name, axes in groups.items()
    }
    return Matching(found, everywhere)


@dataclass(frozen=True)
class _Assignment:
    """The problem max over permutations p of sum <reference, p(tensors)>.

    Attributes:
        groups: The axes that each permutation numbers, of parameters alone.
        sizes: Number of units of each.
        tensors: What is permuted, in float64.
        reference: What it is held against.
    """

    groups: dict[str, Axes]
    sizes: dict[str, int]
    tensors: dict[str, Tensor]
    reference: dict[str, Tensor]

    @classmethod
    def of(cls, groups: dict[str, Axes], tensors: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> _Assignment:
        names = dict.fromkeys(tensor for axes in groups.values() for tensor, _ in axes)
        taken: set[tuple[str, int]] = set()
        for name, axes in groups.items():
            for tensor, axis in axes:
                if tensor not in tensors or tensor not in reference:
                    raise ValueError(f"permutation {name} names {tensor!r}, which is not among the tensors given")
                if not 0 <= axis < tensors[tensor].ndim or (tensor, axis) in taken:
                    shape = tuple(tensors[tensor].shape)
                    raise ValueError(f"permutation {name} names axis {axis} of {tensor}, of shape {shape}, "
                                     "which does not exist or is in a group already")  # fmt: skip
                taken.add((tensor, axis))
            lengths = [tensors[tensor].shape[axis] for tensor, axis in axes]
            if not lengths or any(length % min(lengths) for length in lengths):
                raise ValueError(f"axes of permutation {name} must be multiples of its units in length, got {lengths}")
        wide = [{name: source[name].detach().double() for name in names} for source in (tensors, reference)]
        for name in names:
            if wide[0][name].shape != wide[1][name].shape:
                raise ValueError(f"{name} has shape {tuple(wide[0][name].shape)}, and {tuple(wide[1][name].shape)} "
                                 "in the reference; only networks of one architecture can be aligned")  # fmt: skip
            if not bool(torch.isfinite(wide[0][name]).all() & torch.isfinite(wide[1][name]).all()):
                raise ValueError(f"{name} must be finite, in the tensors and in the reference")
        sizes = {name: min(tensors[tensor].shape[axis] for tensor, axis in axes) for name, axes in groups.items()}
        return cls(groups, sizes, *wide)

    def identity(self) -> dict[str, Tensor]:
        """The order as it is."""
        return {name: torch.arange(size) for name, size in self.sizes.items()}

    def from_inputs(self) -> dict[str, Tensor]:
        """Each layer matched by those of its weights whose other axes have been matched before, or are fixed."""
        found = self.identity()
        matched: set[str] = set()
        for name in self.groups:
            found[name] = _best(self.gains(name, found, among=matched))
            matched.add(name)
        return found

    def improved(self, permutations: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        """Layer after layer assigned at its best, the others held, until none gains."""
        found, names = dict(permutations), list(self.groups)
        for _ in range(_SWEEPS):
            moved = False
            for index in torch.randperm(len(names), generator=generator).tolist():
                gains = self.gains(names[index], found)
                better = _best(gains)
                units = torch.arange(len(better))
                rise = float((gains[units, better] - gains[units, found[names[index]]]).sum())
                if rise > 1e-12 * float(gains.abs().sum()):
                    found[names[index]], moved = better, True
            if not moved:
                break
        return found

    def gains(self, name: str, permutations: dict[str, Tensor], among: set[str] | None = None) -> Tensor:
        """(n, n) what the inner product gains by putting unit j in place i, the other permutations held.

        Args:
            name: The permutation sought.
            permutations: All of them.
            among: Leave out tensors that another permutation than these permutes too, if that leaves any.
        """
        size = self.sizes[name]
        chosen = self.groups[name]
        if among is not None:
            chosen = tuple(axis for axis in chosen if set(self._others(axis).values()) <= among) or chosen
        gains = torch.zeros(size, size, dtype=torch.float64)
        for tensor, axis in chosen:
            others = {other: permutations[by] for other, by in self._others((tensor, axis)).items()}
            own = _permuted(self.tensors[tensor], others).movedim(axis, 0).reshape(size, -1)
            gains += (self.reference[tensor].movedim(axis, 0).reshape(size, -1) @ own.T).cpu()
        return gains

    def gain(self, permutations: dict[str, Tensor]) -> float:
        """The inner product with the reference."""
        permuted = Matching(permutations, self.groups).applied(self.tensors)
        return sum(float((self.reference[name] * tensor).sum()) for name, tensor in permuted.items())

    @cached_property
    def _numbered(self) -> dict[str, dict[int, str]]:
        """What permutes the axes of each tensor."""
        return _by_tensor(self.groups)

    def _others(self, axis: tuple[str, int]) -> dict[int, str]:
        """The other axes of the same tensor that are permuted, with what permutes them."""
        return {other: by for other, by in self._numbered[axis[0]].items() if other != axis[1]}


def _by_tensor(groups: Mapping[str, Axes]) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for name, axes in groups.items():
        for tensor, axis in axes:
            found.setdefault(tensor, {})[axis] = name
    return found


def _permuted(tensor: Tensor, permutations: Mapping[int, Tensor]) -> Tensor:
    """The tensor with the units along some of its axes renumbered."""
    for axis, permutation in permutations.items():
        entries = tensor.shape[axis] // len(permutation)
        index = (permutation[:, None] * entries + torch.arange(entries)).flatten()
        tensor = tensor.index_select(axis, index.to(tensor.device))
    return tensor


def _best(gains: Tensor) -> Tensor:
    """The permutation p that maximises sum_i gains[i, p[i]]."""
    return torch.as_tensor(linear_sum_assignment(gains.numpy(), maximize=True)[1])
