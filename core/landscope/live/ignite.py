"""A handler for Ignite's Engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from landscope.evaluation import Loss
from landscope.live.attachment import watch
from landscope.live.scope import Scope
from landscope.optimizers import Optimizers

try:
    from ignite.engine import Engine, Events
except ImportError as missing:
    raise ImportError("landscope.live.ignite needs Ignite: pip install 'landscope[frameworks]'") from missing

__all__ = ["LandscopeHandler"]


class LandscopeHandler:
    """Watches what an engine trains: `LandscopeHandler(model, loss_fn, train, optimizer=optimizer).attach(trainer)`.

    A step is an iteration after which the weights have changed. The run ends with the engine's, with the exception that
    ended it, or when the page stops it; an engine that goes on from an iteration counts on from there. Exceptions are
    raised again, so that handlers of `EXCEPTION_RAISED` of your own are to be attached first.

    Args:
        model: The network in training.
        loss_fn: `loss_fn(output, target)`, as for `landscope.watch`.
        train: Data to measure on.
        test: Held-out data.
        optimizer: The optimiser, or several.
        output_transform: The loss of an iteration, from the engine's output; by default the output is the loss.
        **watching: Whatever else `landscope.watch` takes.

    Attributes:
        scope: The scope of the present run, or the last one.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Loss,
        train: Any,
        test: Any = None,
        optimizer: Optimizers | None = None,
        *,
        output_transform: Callable[[Any], Tensor | float | None] = lambda output: output,
        **watching: Any,
    ) -> None:
        self.scope: Scope | None = None
        self._watched = (model, loss_fn, train, test, optimizer)
        self._output_transform = output_transform
        self._watching = watching

    def attach(self, engine: Engine) -> None:
        """Watches every run of the engine."""
        engine.add_event_handler(Events.STARTED, self._begin)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        engine.add_event_handler(Events.COMPLETED | Events.TERMINATE, self._end)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _begin(self, engine: Engine) -> None:
        resumed = {"step": engine.state.iteration} if engine.state.iteration else None
        self.scope = watch(*self._watched, **{"resume": resumed, **self._watching})

    def _step(self, engine: Engine) -> None:
        if self.scope is not None:
            self.scope.step(self._output_transform(engine.state.output))
            if self.scope.stopped:
                engine.terminate()

    def _end(self, engine: Engine) -> None:
        if self.scope is not None:
            self.scope.close("stopped" if self.scope.stopped else "finished")

    def _fail(self, engine: Engine, error: BaseException) -> None:
        if self.scope is not None:
            self.scope.close("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
        raise error
