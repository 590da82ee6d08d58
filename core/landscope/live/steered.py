"""An optimiser as the page steers it: values of its own, and another rule in its place, without the loop's knowing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from functools import wraps
from typing import Any, Self

import torch
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer, RMSprop
from torch.utils.hooks import RemovableHandle

from landscope.live.sam import SAM

__all__ = ["OPTIMIZERS", "Setting", "Steered", "SteeredOptimizer"]

OPTIMIZERS: dict[str, type[Optimizer]] = {kind.__name__: kind for kind in (SGD, SAM, Adam, AdamW, NAdam, RMSprop)}
"""What may be put in an optimiser's place."""

# Of a rule itself, not of the training: never handed on from one to the other.
_RULES = ("decoupled_weight_decay",)


@dataclass(frozen=True)
class Setting:
    """A value that the page has set, beside the loop's own.

    Attributes:
        value: What was asked for.
        own: The loop's value at that time.
        proportional: Whether it follows the loop's own value, as a schedule changes it, at the same ratio.
    """

    value: float
    own: float
    proportional: bool

    def beside(self, own: Any) -> Any:
        """The value where the loop's is `own`."""
        if not self.proportional or own == self.own:
            return self.value
        return own * (self.value / self.own)


class SteeredOptimizer:
    """A loop's optimiser, whose steps the page may change.

    What the page sets holds while a step is taken, and while the optimiser is looked at within `effective`; at any
    other time the groups hold the loop's own values, so that schedules and whatever else reads or writes them go on as
    if nothing were set. Another rule in its place works on the same parameters and groups, which lend it what it shares
    with the loop's (learning rate, weight decay, momentum); its averages begin anew. The loop's `step` is replaced when
    something is first set, and not before.

    Attributes:
        own: The loop's optimiser.
        closure: Whether the loop passes a closure to `step`; None before its first step.
        unreached: Steps of the training since the loop last called `step`, once it is replaced.
        scheduled: Whether a schedule of torch's was seen to change it.
    """

    def __init__(self, own: Optimizer) -> None:
        self.own = own
        self.closure: bool | None = None
        self.unreached = 0
        self._other: Optimizer | None = None
        self._settings: dict[str, dict[tuple[int, str], Setting]] = {}
        self._taken_over = self._applied = False
        self.scheduled = False
        self._watching: RemovableHandle | None = None
        try:
            self._watching = own.register_step_pre_hook(self._watch)
        except AttributeError:  # an optimiser of another make: as if it passed none
            self.closure = False

    @property
    def active(self) -> Optimizer:
        """The optimiser that takes the steps."""
        return self.own if self._other is None else self._other

    @property
    def name(self) -> str:
        """The name of its rule."""
        return type(self.active).__name__

    @property
    def groups(self) -> int:
        """How many parameter groups it has."""
        return len(self.own.param_groups)

    @property
    def adaptive(self) -> bool:
        """Whether steps are as long as the learning rate, whatever the gradient's length."""
        return _adaptive(self.active)

    def after_step(self) -> None:
        """Notes that the training has taken a step."""
        self.unreached += self._taken_over
        self.scheduled |= not self._taken_over and hasattr(self.own.step, "_wrapped_by_lr_sched")
        if self.closure is not None and self._watching is not None:
            self._watching.remove()
            self._watching = None

    # Values

    def has(self, name: str) -> bool:
        """Whether its rule has a value of that name: "lr", "weight_decay", "momentum" or "rho"."""
        if name == "momentum" and isinstance(self.active, RMSprop):  # whose buffers cannot be added later
            return False
        return _entry(self.active, name) in self.active.defaults

    def value(self, name: str, group: int) -> float:
        """The value with which a group steps."""
        own = self._own_value(name, group)
        setting = self._current().get((group, name))
        return own if setting is None else float(setting.beside(own))

    def set(self, name: str, value: float, group: int) -> None:
        """Lets a group step with another value; the learning rate keeps its ratio to the loop's own from then on."""
        own = self._own_value(name, group)
        if value == own:
            self._current().pop((group, name), None)
        else:
            self._current()[group, name] = Setting(value, own, name == "lr" and own > 0)
            self._take_over()

    @contextmanager
    def effective(self) -> Iterator[None]:
        """Within, the groups hold the values with which steps are taken."""
        forced: dict[str, Any] = {}
        if self._other is not None:
            self._share()
            forced = self._rules()
        if self._applied or not (self._current() or forced):
            yield
            return
        groups = self.own.param_groups
        changes = [(group, key, value) for group in groups for key, value in forced.items()]
        for (index, name), setting in self._current().items():
            if index < len(groups):
                entry = _entry(self.active, name)
                changes.append((groups[index], entry, _with(groups[index][entry], setting)))
        before = [(group, key, group[key]) for group, key, _ in changes]
        self._applied = True
        try:
            for group, key, value in changes:
                group[key] = value
            yield
        finally:
            self._applied = False
            for group, key, value in before:
                group[key] = value

    # Rules

    def use(self, name: str) -> None:
        """Takes the next steps by another rule, one of `OPTIMIZERS`, or by the loop's own again.

        Where the length of a step means something else (SGD's is in proportion to the gradient, Adam's is not), the
        learning rate becomes the new rule's default, or what it was when that rule was last in use.

        Raises:
            ValueError: if there is no such rule, or the loop's is fused with the scaling of gradients.
        """
        if name == self.name:
            return
        if getattr(self.own, "_step_supports_amp_scaling", False):
            raise ValueError("a fused optimiser also unscales gradients, which no other does in its place; fused=False")
        if name != type(self.own).__name__ and name not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {name!r}")
        lasting = {key: setting for key, setting in self._current().items() if key[1] in ("lr", "weight_decay")}
        adaptive = self.adaptive
        self._put(name)
        if name not in self._settings:
            same = adaptive == self.adaptive
            self._settings[name] = {key: setting for key, setting in lasting.items() if same or key[1] != "lr"}
            if not same and self._other is not None:
                for group in range(self.groups):
                    self.set("lr", float(self._other.defaults["lr"]), group)
            if isinstance(self._other, RMSprop):
                for group in range(self.groups):
                    self.set("momentum", 0.0, group)

    def _put(self, name: str) -> None:
        """Begins another rule, with no averages yet."""
        if name == type(self.own).__name__:
            self._other = None
            if type(self.own) in OPTIMIZERS.values():  # these build their state when it is first needed
                self.own.state.clear()
            return
        kind: Any = OPTIMIZERS[name]
        self._other = kind([{"params": list(group["params"])} for group in self.own.param_groups])
        self._share()
        self._take_over()

    # State

    def state(self) -> dict[str, Any]:
        """All that its next steps depend on; made of references, to be saved or copied at once.

        Raises:
            RuntimeError: within `effective`, where the groups do not hold the loop's own values.
        """
        if self._applied:
            raise RuntimeError("state of an optimiser must be taken outside effective(), got a call within")
        return {
            "rule": self.name,
            "own": self.own.state_dict(),
            "other": None if self._other is None else self._other.state_dict()["state"],
            "settings": {
                name: [[*key, *astuple(setting)] for key, setting in settings.items()]
                for name, settings in self._settings.items()
            },
        }

    def load(self, state: dict[str, Any]) -> None:
        """Goes back to a state, in place: groups stay the same dictionaries."""
        _load(self.own, state["own"])
        self._settings = {
            name: {(group, key): Setting(value, own, proportional) for group, key, value, own, proportional in settings}
            for name, settings in state["settings"].items()
        }
        if state["rule"] == type(self.own).__name__:
            self._other = None
        else:
            self._put(state["rule"])
            assert self._other is not None
            self._other.load_state_dict({**self._other.state_dict(), "state": state["other"]})
            self._share()
        if self._current():
            self._take_over()

    # The loop's side

    def _take_over(self) -> None:
        """Puts a step of ours in the place of the loop's, once; it may stay there for good."""
        if self._taken_over:
            return
        self._taken_over = True
        own, step = self.own, self.own.step

        @wraps(step)
        def steered(*arguments: Any, **options: Any) -> Any:
            self.unreached = 0
            own._opt_called = True  # type: ignore[attr-defined] # what schedules look at
            with self.effective():
                if self._other is None:
                    return step(*arguments, **options)
                return self._other.step(*arguments, **options)

        steered._wrapped_by_lr_sched = True  # type: ignore[attr-defined] # so that schedules made later leave it alone
        own.step = steered  # type: ignore[method-assign]

    def _share(self) -> None:
        """Gives the other rule the loop's groups, completed by what only it knows."""
        other = self._other
        assert other is not None
        other.param_groups = self.own.param_groups
        for group in other.param_groups:
            for key, value in other.defaults.items():
                group.setdefault(key, value)

    def _rules(self) -> dict[str, Any]:
        return {key: self.active.defaults[key] for key in _RULES if key in self.active.defaults}

    def _current(self) -> dict[tuple[int, str], Setting]:
        return self._settings.setdefault(self.name, {})

    def _own_value(self, name: str, group: int) -> float:
        value = self.own.param_groups[group][_entry(self.active, name)]
        return float(value[0] if name == "momentum" and isinstance(value, tuple | list) else value)

    def _watch(self, optimizer: Optimizer, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        given = arguments[1] if len(arguments) > 1 else options.get("closure")
        self.closure = callable(given)


class Steered(tuple[SteeredOptimizer, ...]):
    """All optimisers of a loop, in the order they were given to `watch`."""

    __slots__ = ()

    def __new__(cls, optimizers: Iterable[Optimizer]) -> Self:
        """Steers each of them."""
        return super().__new__(cls, map(SteeredOptimizer, optimizers))

    @property
    def name(self) -> str:
        """The names of their rules."""
        return " + ".join(dict.fromkeys(optimizer.name for optimizer in self))

    @property
    def scheduled(self) -> bool:
        """Whether a schedule of torch's changes one of them."""
        return any(optimizer.scheduled for optimizer in self)

    def rate(self) -> float | None:
        """The learning rate of the first group, as it stands; None without one, or where reading it waits for a GPU."""
        if not self or not self[0].has("lr"):
            return None
        own = self[0].own.param_groups[0]["lr"]
        return None if isinstance(own, torch.Tensor) and own.device.type != "cpu" else self[0].value("lr", 0)

    def single(self) -> SteeredOptimizer:
        """The only one.

        Raises:
            ValueError: if there is none, or more than one.
        """
        if len(self) != 1:
            raise ValueError(f"the rule can be changed where there is one optimiser, got {len(self)}")
        return self[0]

    def after_step(self) -> None:
        """Notes that the training has taken a step."""
        for optimizer in self:
            optimizer.after_step()

    @contextmanager
    def effective(self) -> Iterator[None]:
        """Within, all groups hold the values with which steps are taken."""
        with ExitStack() as stack:
            for optimizer in self:
                stack.enter_context(optimizer.effective())
            yield


def _adaptive(optimizer: Optimizer) -> bool:
    return "betas" in optimizer.defaults or isinstance(optimizer, RMSprop)


def _entry(optimizer: Optimizer, name: str) -> str:
    """Where a group holds a value: Adam's momentum is the first of its betas."""
    return "betas" if name == "momentum" and "betas" in optimizer.defaults else name


def _with(held: Any, setting: Setting) -> Any:
    """What a group holds, with a setting instead of its number."""
    if isinstance(held, tuple | list):
        return type(held)([setting.beside(held[0]), *held[1:]])
    value = setting.beside(held)
    return torch.full_like(held, float(value)) if isinstance(held, torch.Tensor) else value


def _load(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """`optimizer.load_state_dict`, but the groups stay the same dictionaries in the same list."""
    groups = optimizer.param_groups
    optimizer.load_state_dict(state)
    for group, loaded in zip(groups, optimizer.param_groups, strict=True):
        group.clear()
        group.update(loaded)
    optimizer.param_groups = groups
