"""The callback for Hugging Face's Trainer, with transformers and accelerate themselves."""

import runpy
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from landscope.live import Scope, default_probes
from landscope.objective import Objective
from landscope.runs import list_runs, open_run

EXAMPLES = Path(__file__).parents[3] / "examples"
PROBES = [probe for probe in default_probes() if probe.name in ("evaluate", "sharpness", "embedding")]
WORDS = torch.randint(5, 20, (32, 6), generator=torch.Generator().manual_seed(0))
DATA = [{"input_ids": words, "labels": (words[0] == words[1:]).any().long()} for words in WORDS]


@pytest.fixture(scope="module")
def transformers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers
        from transformers import BertForSequenceClassification, Trainer  # noqa: F401 imported when they are first used
    return transformers


@pytest.fixture(autouse=True)
def settings_of_their_own():
    """Accelerate keeps the settings of the first Accelerator of a process."""
    yield
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def train(transformers, tmp_path):
    """Trains a small BERT and returns it with the callback; watched or not."""
    from landscope.live.transformers import LandscopeCallback

    def train(loss_fn=cross_entropy, watched=True, checkpoint=None, callbacks=(), **options):
        torch.manual_seed(0)
        sizes = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
        config = transformers.BertConfig(**sizes, num_attention_heads=2, num_labels=2)
        callback = LandscopeCallback(loss_fn, test=DATA[:8], probes=PROBES, runs=tmp_path / "runs", overhead=9.0)
        arguments = transformers.TrainingArguments(
            str(tmp_path), per_device_train_batch_size=4, gradient_accumulation_steps=2, report_to="none",
            disable_tqdm=True, use_cpu=True, **{"max_steps": 4, "logging_steps": 1, "save_strategy": "no", **options}
        )  # fmt: skip
        model = transformers.BertForSequenceClassification(config)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer = transformers.Trainer(
                model, arguments, train_dataset=DATA, callbacks=[*([callback] if watched else []), *callbacks]
            )
            trainer.train(resume_from_checkpoint=checkpoint)
        return trainer, callback

    return train


def test_steps_losses_and_bits(train):
    trainer, callback = train()
    alone, _ = train(watched=False)
    for ours, theirs in zip(trainer.model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    run = open_run(callback.scope.path)
    assert run.head().status == "finished"
    assert not run.events("probe-off")
    steps, losses = run.scalars("step/loss")
    assert steps.tolist() == [1, 2, 3, 4]
    assert losses.tolist() == [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert run.manifest.config["train_examples"] == len(DATA)
    assert run.manifest.config["test_examples"] == 8
    assert run.head().total == 4


def test_its_own_loss_mixed_precision_and_rare_logs(train):
    trainer, callback = train(loss_fn=None, bf16=True, logging_steps=2)
    run = open_run(callback.scope.path)
    assert callback.scope.step_number == 4
    assert run.scalars("step/loss")[0].tolist() == [2, 4]
    assert {event.data["probe"] for event in run.events("probe-off")} <= {"embedding"}
    inputs = {"input_ids": WORDS, "labels": torch.stack([one["labels"] for one in DATA])}
    with torch.no_grad():
        precise = type(trainer.model)(trainer.model.config).eval()
        precise.load_state_dict(trainer.model.state_dict())
        expected = precise(**inputs).loss
    own = Objective(
        trainer.model, lambda output, _: output["loss"], [inputs], forward=lambda model, batch: model(**batch)
    )
    assert own.value() == pytest.approx(float(expected), rel=1e-6)  # autocast, which accelerate wraps around, is off


def test_training_goes_on_from_a_checkpoint_and_stops_when_the_page_says_so(train, transformers, tmp_path):
    train(max_steps=2, save_strategy="steps", save_steps=2)

    class Stops(transformers.TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            if state.global_step == 4:
                next(iter(found)).scope._control.stopped = True

    found = []
    from landscope.live.transformers import LandscopeCallback

    class Noted(LandscopeCallback):
        def on_train_begin(self, *arguments, **named):
            found.append(self)
            return super().on_train_begin(*arguments, **named)

    noted = Noted(cross_entropy, probes=PROBES, runs=tmp_path / "runs")
    train(watched=False, max_steps=10, checkpoint=str(tmp_path / "checkpoint-2"), callbacks=[noted, Stops()])
    run = open_run(noted.scope.path)
    assert run.scalars("step/loss")[0].tolist() == [3, 4, 5]
    assert run.head().status == "stopped"


@pytest.mark.parametrize(("name", "steps"), [("with_transformers", 24), ("with_accelerate", 15)])
def test_example(name, steps, transformers, tmp_path, monkeypatch):
    monkeypatch.setattr("landscope.live.attachment.default_probes", lambda: PROBES)
    monkeypatch.setenv("LANDSCOPE_RUNS", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    if isinstance(names.get("scope"), Scope):
        names["scope"].close()
    (run,) = list_runs(tmp_path)
    assert run.status == "finished"
    recorded = open_run(tmp_path / run.id)
    assert not recorded.events("probe-off")
    assert recorded.scalars("step/loss")[0].tolist() == list(range(1, steps + 1))


def test_accelerate_s_wrappers_are_taken_off(transformers):
    from accelerate import Accelerator

    from landscope.optimizers import as_optimizers

    model = nn.Linear(64, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(16, 64), torch.arange(16) % 2
    expected = Objective(model, cross_entropy, (x, y)).value()
    prepared, wrapped = Accelerator(mixed_precision="bf16", cpu=True).prepare(model, optimizer)
    assert as_optimizers(wrapped) == (optimizer,)
    assert cross_entropy(prepared(x), y).item() != pytest.approx(expected, rel=1e-6)
    assert Objective(prepared, cross_entropy, (x, y)).value() == expected
    assert cross_entropy(prepared(x), y).item() != pytest.approx(expected, rel=1e-6)  # and are back in place
