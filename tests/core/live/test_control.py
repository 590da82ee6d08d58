"""What the page asks of a training, by real commands through the store."""

import json
import math
import threading
import time

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LambdaLR

from landscope.live import Probe, watch
from landscope.runs import Parent, list_runs, open_run


class Noisy(nn.Module):
    """Batch normalisation and dropout: a training of it depends on buffers and on the random number generator."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.Linear(6, 2))

    def forward(self, inputs):
        return self.layers(inputs)


class Loop:
    """A watched training in small steps; without probes unless they are given."""

    def __init__(self, folder, kind=SGD, *, probes=(), batch_size=None, schedule=None, closure=True, **options):
        torch.manual_seed(0)
        self.model = Noisy()
        self.optimizer = kind(self.model.parameters(), **{"lr": 0.1, **options})
        generator = torch.Generator().manual_seed(1)
        self.data = torch.randn(12, 3, generator=generator), torch.randn(12, 2, generator=generator)
        self.closure = closure
        self.schedule = None if schedule is None else LambdaLR(self.optimizer, schedule)
        self.scope = watch(
            self.model, nn.MSELoss(), self.data, optimizer=self.optimizer, probes=probes, runs=folder, name="loop"
        )
        self.batches = None if batch_size is None else self.scope.batches(self.data, batch_size)
        if self.schedule is not None:
            self.scope.include(self.schedule)

    @property
    def run(self):
        return open_run(self.scope.path)

    def steps(self, count=1):
        for _ in range(count):
            inputs, targets = self.data if self.batches is None else next(self.batches)

            def evaluate(inputs=inputs, targets=targets):
                self.optimizer.zero_grad()
                loss = nn.MSELoss()(self.model(inputs), targets)
                loss.backward()
                return loss.detach()

            loss = self.optimizer.step(evaluate) if self.closure else (evaluate(), self.optimizer.step())[0]
            if self.schedule is not None:
                self.schedule.step()
            self.scope.step(loss)

    def ask(self, kind, **params):
        """Sends a command, waits until the trainer has it and lets it be obeyed, without another step."""
        seq = self.run.send(kind, **params)
        while not self.scope._writer._commands:
            time.sleep(0.005)
        self.scope._control.obey()
        return seq

    def later(self, kind, **params):
        """Sends a command in a while, from another thread."""
        timer = threading.Timer(0.3, lambda: self.run.send(kind, **params))
        timer.start()
        return timer

    def weights(self):
        return torch.cat([tensor.detach().flatten().clone() for tensor in self.model.state_dict().values()])

    def events(self, kind, run=None):
        """The events of a kind, once they are written."""
        run = run or self.run
        self.scope._writer.event(self.scope.step_number, "message", "flush")
        before = len(open_run(self.scope.path).events("message"))
        deadline = time.monotonic() + 10
        while len(open_run(self.scope.path).events("message")) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        return run.events(kind)


@pytest.fixture
def loop(tmp_path):
    made = Loop(tmp_path)
    yield made
    made.scope.close()


def controls(loop):
    loop.scope._control._announcement._looked = -math.inf
    loop.scope._control.announce()
    return loop.events("controls")[-1].data


def test_at_the_start_it_says_what_can_be_asked_for(tmp_path):
    loop = Loop(tmp_path, lr=0.2, momentum=0.9, batch_size=4)
    loop.steps()
    said = controls(loop)
    knobs = {knob["name"]: knob for knob in said["knobs"]}
    assert {name: knob["value"] for name, knob in knobs.items()} == {
        "lr": 0.2, "weight_decay": 0, "momentum": 0.9, "batch_size": 4,
    }  # fmt: skip
    for knob in knobs.values():
        assert knob["group"] is None
        assert knob["low"] <= knob["value"] <= knob["high"]
    assert (knobs["lr"]["scale"], knobs["lr"]["low"]) == ("log", pytest.approx(1e-4))
    assert (knobs["batch_size"]["scale"], knobs["batch_size"]["high"]) == ("integer", 12)
    assert said["optimizer"] == "SGD"
    assert said["optimizers"][:2] == ["SGD", "SAM"]
    assert {"slice2d", "eigenvalues", "trace"} <= set(said["measurements"])
    assert said["reasons"] == {}
    assert said["gradient_seconds"] > 0
    assert said["checkpoints"] == [0]
    loop.scope.close()


def test_it_says_why_something_cannot_be_asked_for(tmp_path):
    model = nn.Linear(3, 2)
    data = (torch.randn(8, 3), torch.randn(8, 2))
    with watch(model, nn.MSELoss(), data, probes=[], runs=tmp_path) as scope:
        scope.step(0.0)
    said = open_run(scope.path).events("controls")[0].data
    assert said["knobs"] == []
    assert said["optimizers"] == []
    assert "pass optimizer=" in said["reasons"]["lr"]
    assert "scope.batches" in said["reasons"]["batch_size"]
    loop = Loop(tmp_path, closure=False)
    loop.steps()
    said = controls(loop)
    assert "SAM" not in said["optimizers"]
    assert "closure" in said["reasons"]["SAM"]
    loop.scope.close()


def test_groups_that_differ_have_knobs_of_their_own(tmp_path):
    model = Noisy()
    first, second = list(model.layers[0].parameters()), list(model.layers[3].parameters())
    groups = [{"params": first, "weight_decay": 0.1}, {"params": second, "weight_decay": 0.0}]
    optimizer = AdamW(groups, lr=0.01)
    data = (torch.randn(8, 3), torch.randn(8, 2))
    scope = watch(model, nn.MSELoss(), data, optimizer=optimizer, probes=[], runs=tmp_path)
    knobs = [(knob.name, knob.group, knob.value) for knob in scope._control.knobs.all()]
    assert knobs == [("lr", None, 0.01), ("weight_decay", 0, 0.1), ("weight_decay", 1, 0.0), ("momentum", None, 0.9)]
    scope._control.knobs.turn("weight_decay", 0.0, 0)
    assert [k.group for k in scope._control.knobs.all() if k.name == "weight_decay"] == [0, 1]  # they stay apart
    scope._control.knobs.turn("lr", 0.02)
    with scope._control.effective():
        assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.02]
    scope.close()


def test_a_knob_is_turned_and_the_act_is_recorded(loop):
    loop.steps(2)
    seq = loop.ask("set", name="lr", value=0.05)
    before = loop.weights()
    gradient = [parameter.grad for parameter in loop.model.parameters()]
    loop.steps()
    moved = [parameter for _, parameter in loop.model.named_parameters()]
    assert not torch.equal(loop.weights(), before)
    with loop.scope._control.effective():
        assert loop.optimizer.param_groups[0]["lr"] == 0.05
    assert len(gradient) == len(moved)
    (event,) = loop.events("intervention")
    assert event.text == "learning rate 0.1 → 0.05"
    assert event.step == 2
    assert event.data == {"name": "lr", "before": 0.1, "after": 0.05, "group": None, "seq": seq}
    assert loop.events("command")[-1].data == {"seq": seq}
    assert controls(loop)["knobs"][0]["value"] == 0.05


@pytest.mark.parametrize(
    ("kind", "params", "reason"),
    [
        ("set", {"name": "lr", "value": -1}, "learning rate must be at least 0, got -1"),
        ("set", {"name": "lr", "value": "fast"}, "must be a finite number, got 'fast'"),
        ("set", {"name": "lr", "value": True}, "must be a finite number"),
        ("set", {"name": "lr", "value": 0.1, "group": 7}, "no knob 'lr' for group 7"),
        ("set", {"name": "momentum", "value": 1.0}, "in [0, 1)"),
        ("set", {"name": "batch_size", "value": 4}, "no knob 'batch_size'"),
        ("set", {"name": "temperature", "value": 4}, "knob must be one of"),
        ("set", {}, "knob must be one of"),
        ("optimizer", {"name": "Sophia"}, "optimizer must be one of"),
        ("rewind", {"step": 99}, "no checkpoint of step 99, only of 0"),
        ("rewind", {"step": [1]}, "unhashable"),
        ("measure", {"what": "everything"}, "everything"),
        ("measure", {"what": "trace", "objective": "test"}, "objective must be one of train, got 'test'"),
        ("measure", {"what": "trace", "step": 99}, "no checkpoint of step 99, only of 0"),
        ("cancel", {"job": 99}, "no measurement 99 is underway"),
        ("dance", {}, "cannot do 'dance'"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason_and_training_goes_on(loop, kind, params, reason):
    loop.steps()
    before = loop.weights()
    seq = loop.ask(kind, **params)
    (event,) = loop.events("refused")
    assert reason in event.text
    assert event.data == {"seq": seq, "kind": kind}
    assert not loop.events("intervention")
    assert torch.equal(loop.weights(), before)
    loop.steps(2)
    assert loop.scope.step_number == 3


def test_the_optimiser_is_changed_and_the_stability_rule_follows(tmp_path):
    seen = []
    probe = Probe(
        "seen", lambda watched: seen.append((type(watched.optimizer).__name__, watched.optimizer.param_groups[0]["lr"]))
    )
    loop = Loop(tmp_path, probes=[probe])
    loop.steps()
    loop.ask("optimizer", name="Adam")
    loop.steps()
    loop.scope.measure()
    assert seen[-1] == ("Adam", 0.001)
    (event,) = loop.events("intervention")
    assert event.text == "optimiser SGD → Adam, with its learning rate 0.001 instead of 0.1"
    assert (event.data["before"], event.data["after"]) == ("SGD", "Adam")
    assert controls(loop)["optimizer"] == "Adam"
    loop.ask("optimizer", name="SAM")
    assert "rho" in {knob["name"] for knob in controls(loop)["knobs"]}
    loop.steps(2)
    loop.scope.close()


def test_the_batch_size_is_changed(tmp_path):
    loop = Loop(tmp_path, batch_size=4)
    loop.ask("set", name="batch_size", value=3)
    assert len(next(loop.batches)[0]) == 3
    loop.ask("set", name="batch_size", value=1000)
    assert loop.batches.batch_size == 12
    assert [event.text for event in loop.events("intervention")] == ["batch size 4 → 3", "batch size 3 → 12"]
    loop.ask("set", name="batch_size", value=2.5)
    assert "whole number" in loop.events("refused")[-1].text
    with pytest.raises(ValueError, match="drawn already"):
        loop.scope.batches(loop.data, 4)
    loop.scope.close()


def test_a_single_step_is_let_through_and_then_it_waits_again(loop):
    taken = []
    loop.run.send("step")
    while not loop.scope._writer._commands:
        time.sleep(0.005)
    trainer = threading.Thread(target=lambda: [(loop.steps(), taken.append(step)) for step in range(4)])
    trainer.start()
    time.sleep(0.5)
    assert taken == [0]  # the first was under way when the command came; the second waits within scope.step
    assert loop.scope.step_number == 2
    loop.run.send("step")
    time.sleep(0.5)
    assert taken == [0, 1]
    assert loop.scope.step_number == 3
    assert loop.run.head().status == "paused"
    assert loop.run.scalars("step/loss")[0].tolist() == [1, 2, 3]  # the page sees each step at once
    loop.run.send("resume")
    trainer.join(10)
    assert taken == [0, 1, 2, 3]
    assert [event.text for event in loop.events("status")] == ["paused", "running"]


def rewound(loop, further=4):
    """Takes steps, keeps a snapshot, takes more, goes back and takes the same again: weights of both, and both runs."""
    loop.steps(3)
    loop.ask("snapshot")
    loop.steps(further)
    first, run = loop.weights(), loop.run
    loop.ask("rewind", step=3)
    assert loop.scope.step_number == 3
    loop.steps(further)
    return first, loop.weights(), run, loop.run


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (SGD, {"momentum": 0.9}),
        (AdamW, {"lr": 0.01}),
        (AdamW, {"batch_size": 5, "schedule": lambda step: 1 / (1 + step), "amsgrad": True}),
    ],
)
def test_a_branch_without_a_change_is_the_same_training_bit_for_bit(tmp_path, kind, options):
    loop = Loop(tmp_path, kind, **options)
    first, second, run, branch = rewound(loop)
    assert torch.equal(first, second)
    assert branch.manifest.parent == Parent(run.id, 3)
    assert {r.id: r.parent for r in list_runs(tmp_path)} == {run.id: None, branch.id: Parent(run.id, 3)}
    assert (branch.manifest.name, branch.manifest.config) == (run.manifest.name, run.manifest.config)
    assert run.head().status == "stopped"
    assert loop.events("status", run) == []
    (left,) = run.events("branch")
    assert left.data == {"run": branch.id, "step": 3, "seq": 2}
    assert run.events("intervention")[-1].text == "rewound from step 7 to step 3"
    assert run.events("command")[-1].text == "rewind"
    assert branch.events("controls")[0].data["checkpoints"] == [0, 3]
    loop.scope.close()
    assert branch.scalars("step/loss")[0].tolist() == [4, 5, 6, 7]
    assert loop.run.head().status == "finished"


def test_what_was_set_since_is_taken_back_with_the_rest(tmp_path):
    loop = Loop(tmp_path, momentum=0.9, batch_size=5)
    loop.steps(2)
    loop.ask("set", name="lr", value=0.05)
    loop.steps()
    loop.ask("snapshot")
    loop.steps(2)
    first = loop.weights()
    loop.ask("optimizer", name="AdamW")
    loop.ask("set", name="batch_size", value=2)
    loop.steps(2)
    loop.ask("rewind", step=3)
    assert controls(loop)["optimizer"] == "SGD"
    assert [knob["value"] for knob in controls(loop)["knobs"]] == [0.05, 0, 0.9, 5]
    loop.steps(2)
    assert torch.equal(first, loop.weights())
    loop.scope.close()


def test_rewinding_from_another_optimiser_to_another(tmp_path):
    loop = Loop(tmp_path)
    loop.steps()
    loop.ask("optimizer", name="AdamW")
    loop.steps(2)
    loop.ask("snapshot")
    loop.steps(2)
    first = loop.weights()
    loop.ask("optimizer", name="SGD")
    loop.steps(2)
    loop.ask("rewind", step=3)
    loop.steps(2)
    assert torch.equal(first, loop.weights())
    loop.scope.close()


def test_a_branch_of_a_branch_has_the_run_for_parent_in_which_the_step_was_kept(tmp_path):
    loop = Loop(tmp_path)
    _, _, run, branch = rewound(loop)
    loop.ask("rewind", step=0)
    assert loop.run.manifest.parent == Parent(run.id, 0)
    assert branch.events("branch")[0].data["run"] == loop.run.id
    loop.scope.close()


def test_a_paused_training_stays_paused_in_its_branch(loop):
    loop.steps(2)
    loop.run.send("pause")
    first = loop.run
    done = loop.later("rewind", step=0)
    going_on = threading.Timer(1.0, lambda: loop.run.send("resume"))
    going_on.start()
    while not loop.scope._writer._commands:
        time.sleep(0.005)
    loop.steps()
    done.join()
    assert loop.run.id != first.id
    assert loop.scope.step_number == 0
    assert [event.text for event in loop.events("status")] == ["paused", "running"]


def test_a_rewind_that_fails_leaves_the_training_where_it_is(loop, monkeypatch):
    loop.steps(2)
    before = loop.weights()

    def full(*arguments, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr("landscope.live.control.RunWriter.branch", full)
    loop.ask("rewind", step=0)
    assert "No space left" in loop.events("refused")[0].text
    assert torch.equal(loop.weights(), before)
    assert loop.scope.step_number == 2


def test_a_loop_that_does_not_call_the_optimiser_s_step_is_told_so(loop):
    kept = loop.optimizer.step
    loop.ask("set", name="lr", value=0.05)
    loop.optimizer.step = kept
    loop.steps(12)
    assert "does not call step" in controls(loop)["reasons"]["lr"]


def test_probes_that_remember_are_told_of_a_rewind(tmp_path):
    class Remembers:
        told = ()

        def __call__(self, watched):
            return {"seen": float(watched.step)}

        def rewound(self, step):
            self.told += (step,)

    probe = Probe("remembers", Remembers())
    loop = Loop(tmp_path, probes=[probe])
    loop.steps(2)
    loop.ask("rewind", step=0)
    assert probe.measure.told == (0,)
    assert loop.events("controls")
    assert loop.run.scalars("seen")[0].tolist() == [0]  # the branch has a first picture of its own
    loop.scope.close()


def test_events_are_few_however_many_steps_a_schedule_has(tmp_path):
    loop = Loop(tmp_path, schedule=lambda step: 1 - step / 1000)
    loop.steps()
    announcement = loop.scope._control._announcement
    said = 0
    for _ in range(999):
        loop.schedule.step()
        announcement._looked = -math.inf
        announcement.expedite()
        said += announcement.news() is not None
    assert 100 < said < 400  # once for every change by two per cent
    announcement._began -= 1e6
    loop.schedule.last_epoch = 100
    loop.schedule.step()
    announcement._looked = -math.inf
    assert announcement.news() is None  # after days, more rarely
    announcement.expedite()
    announcement._looked = -math.inf
    assert announcement.news() is not None
    loop.scope.close()


def test_what_is_announced_is_plain_json(loop):
    assert json.loads(json.dumps(controls(loop), allow_nan=False))
