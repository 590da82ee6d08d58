"""A callback for Lightning's Trainer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from landscope.evaluation import Loss
from landscope.live.attachment import watch
from landscope.live.loaders import reread
from landscope.live.scope import Scope

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as missing:
    raise ImportError("landscope.live.lightning needs Lightning: pip install 'landscope[frameworks]'") from missing

__all__ = ["LandscopeCallback"]


class LandscopeCallback(Callback):
    """Watches what a Trainer fits: `Trainer(callbacks=[LandscopeCallback(loss_fn)])`.

    A step is the optimiser's, however many batches its gradient is accumulated over. The run ends with the fit, with
    the exception that ended it, or when the page stops it. Checkpoints know the run, and a fit that goes on from one
    counts on from its step. With several devices, what the first one does is watched.

    Args:
        loss_fn: `loss_fn(output, target)`, as for `landscope.watch`, where the module is called as `module(x)`.
        train: Data to measure on; by default the trainer's own training data.
        test: Held-out data; by default the validation data.
        **watching: Whatever else `landscope.watch` takes.

    Attributes:
        scope: The scope of the present fit, or the last one.
    """

    def __init__(self, loss_fn: Loss, train: Any = None, test: Any = None, **watching: Any) -> None:
        self.scope: Scope | None = None
        self._loss_fn = loss_fn
        self._train = train
        self._test = test
        self._watching = watching
        self._resumed: dict[str, Any] = {}
        self._steps = 0
        self._loss: Tensor | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Attaches to the module, with the first picture."""
        if not trainer.is_global_zero:
            return
        self._steps, planned = trainer.global_step, float(trainer.estimated_stepping_batches)
        resumed = self._resumed or ({"step": self._steps} if self._steps else None)
        self.scope = watch(
            pl_module,
            self._loss_fn,
            reread(_first(trainer.train_dataloader)) if self._train is None else self._train,
            reread(_first(trainer.val_dataloaders)) if self._test is None else self._test,
            trainer.optimizers,
            **{"total_steps": int(planned) if math.isfinite(planned) else None, "resume": resumed, **self._watching},
        )
        self.scope.include(*(configured.scheduler for configured in trainer.lr_scheduler_configs))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tells the scope of a step, if there was one."""
        if self.scope is None:
            return
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if self._loss is not None and loss is not None and pl_module.automatic_optimization:
            loss = self._loss + loss  # each is divided by the number of batches that the gradient is accumulated over
        self._loss = loss
        if trainer.global_step != self._steps:
            self._steps, self._loss = trainer.global_step, None
            self.scope.step(loss)
        if self.scope.stopped:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ends the run."""
        if self.scope is not None:
            self.scope.close("stopped" if self.scope.stopped else "finished")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Ends the run as what it came to."""
        if self.scope is not None:
            self.scope.close("stopped" if isinstance(exception, KeyboardInterrupt) else "failed")

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the run and its step."""
        return {} if self.scope is None else self.scope.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a checkpoint's step at the next fit."""
        self._resumed = dict(state_dict)


def _first(loaders: Any) -> Any:
    """The loader, or the first of several."""
    return loaders[0] if isinstance(loaders, list | tuple) and loaders else loaders
