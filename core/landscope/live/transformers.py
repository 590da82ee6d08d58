"""A callback for Hugging Face's Trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils.data import DataLoader

from landscope.evaluation import Loss
from landscope.live.attachment import watch
from landscope.live.loaders import batched_like, reread
from landscope.live.scope import Scope

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as missing:
    raise ImportError(
        "landscope.live.transformers needs transformers and accelerate: pip install 'landscope[frameworks]'"
    ) from missing

__all__ = ["LandscopeCallback"]


class LandscopeCallback(TrainerCallback):
    """Watches what a Trainer trains: `Trainer(..., callbacks=[LandscopeCallback(loss_fn)])`.

    A step is the optimiser's. The Trainer hands its loss to callbacks when it logs it: with `logging_steps=1` that is
    the loss of each step, with more the mean since the last one. The run ends with the training, with the program, or
    when the page stops it; training that goes on from a checkpoint counts on from its step. With several devices, what
    the first one does is watched.

    Args:
        loss_fn: `loss_fn(logits, labels)`; by default the loss that the model returns. Features and tangent kernel are
            of logits, so that they are measured only if it is given.
        train: Data to measure on, a dataset or a list of examples as the Trainer takes them, or batches in a
            DataLoader; by default the Trainer's own training data.
        test: Held-out data, such as the Trainer's `eval_dataset`.
        **watching: Whatever else `landscope.watch` takes.

    Attributes:
        scope: The scope of the present training, or the last one.
    """

    def __init__(self, loss_fn: Loss | None = None, train: Any = None, test: Any = None, **watching: Any) -> None:
        self.scope: Scope | None = None
        self._loss_fn = loss_fn
        self._train = train
        self._test = test
        self._watching = watching
        self._unlogged = False

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        optimizer: Any = None,
        lr_scheduler: Any = None,
        train_dataloader: Any = None,
        **_: Any,
    ) -> None:
        """Attaches to the model, with the first picture."""
        if not state.is_world_process_zero or model is None:
            return
        self.scope = watch(
            model,
            _own_loss if self._loss_fn is None else self._loss_fn,
            reread(train_dataloader) if self._train is None else _collated(self._train, train_dataloader),
            None if self._test is None else _collated(self._test, train_dataloader),
            optimizer,
            **{
                "forward": _own_output if self._loss_fn is None else _logits,
                "total_steps": state.max_steps,
                "resume": {"step": state.global_step} if state.global_step else None,
                **self._watching,
            },
        )
        if lr_scheduler is not None:
            self.scope.include(lr_scheduler)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Tells the scope of a step; one whose loss is about to be logged has to wait for it."""
        if self.scope is not None:
            self._unlogged = control.should_log
            if not self._unlogged:
                self.scope.step()
            control.should_training_stop |= self.scope.stopped
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Tells the scope of a step with its loss."""
        if self.scope is not None and self._unlogged:
            self._unlogged = False
            self.scope.step((logs or {}).get("loss"))

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ends the run."""
        if self.scope is not None:
            self.scope.close("stopped" if self.scope.stopped else "finished")


def _collated(data: Any, loader: Any) -> Any:
    """A dataset, or a list of examples, in batches as the Trainer makes them; all else as it is."""
    ready = isinstance(data, DataLoader | Mapping | tuple) or not hasattr(data, "__getitem__")
    return data if ready else batched_like(loader, data)


def _inputs(batch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in batch.items() if name != "labels"}


def _logits(model: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    logits: Tensor = model(**_inputs(batch)).logits
    return logits


def _own_output(model: nn.Module, batch: Mapping[str, Any]) -> Any:
    return model(**batch)


def _own_loss(output: Any, _: Any) -> Tensor:
    loss: Tensor = output["loss"]
    return loss
