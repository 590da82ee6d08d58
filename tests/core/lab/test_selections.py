"""Measurements of some examples: those of a class, and selected ones, which have to be found again exactly."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from landscope import curvature, dynamics, embedding, lab
from landscope.lab.selections import Selection
from landscope.objective import Objective
from tests.core import explicit

N, SHOWN = 40, 9


def made(batch_size=1024, split="train"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x, y = torch.randn(N, 3).double(), torch.arange(N) % 3
    return Objective(model, F.cross_entropy, (x, y), batch_size=batch_size, split=split), x, y


def pictured(objective, available=20):
    """A picture of some of the examples that a training measures."""
    return embedding.project(objective.sample(available), examples=SHOWN)


def taken(selection, wholes, shown, examples=N):
    """The objective of a selection in a run whose frame 57 is this one."""
    return selection.of(lambda available: wholes, examples, lambda number: {57: shown.to_bytes()}[number])


def same_as(objective, x, y):
    """Whether loss, gradient and the Hessian's largest eigenvalue are those of these examples alone."""
    loss = lambda model: F.cross_entropy(model(x), y)  # noqa: E731
    assert objective.value() == pytest.approx(float(loss(objective.model).detach()), rel=1e-12)
    torch.testing.assert_close(objective.gradient(), explicit.gradient(objective.model, loss), rtol=1e-10, atol=1e-12)
    dense = torch.linalg.eigvalsh(explicit.hessian(objective.model, loss))[-1]
    assert curvature.eigenvalues(objective, 1, tolerance=1e-9).values[0] == pytest.approx(float(dense), rel=1e-8)


def test_a_class_is_measured_of_the_whole_objective():
    whole, x, y = made()
    found = taken(Selection.read({"class": 2}), [whole], None)
    same_as(found, x[y == 2], y[y == 2])
    assert curvature.trace(found, budget=8).provenance.split == "class-2 train"
    few = taken(Selection(label=2), [whole], None, examples=5)
    assert few.examples == 5
    assert set(few.labels().tolist()) == {2}
    assert whole.split == "train"


@pytest.mark.parametrize("batch_size", [1024, 7])
def test_selected_examples_are_those_that_the_picture_shows(batch_size):
    watched, x, y = made(batch_size=4)
    shown = pictured(watched)
    rebuilt, *_ = made(batch_size)
    positions = shown.positions[[1, 4, 5]].tolist()
    selection = Selection.read({"chosen": {"frame": 57, "positions": positions[::-1] + positions[:1]}})
    found = taken(selection, [rebuilt], shown)
    where = watched.sampled(20)[positions]
    same_as(found, x[where], y[where])
    assert found.split == "selected train"
    assert found.labels().tolist() == shown.labels[[1, 4, 5]].tolist()


def test_examples_of_a_history_are_selected_too():
    whole, x, y = made()
    focus = whole.sample(20)
    record = dynamics.ExampleRecord(4)
    few = focus.sample(SHOWN)
    record.add(dynamics.example_scores(few).at(0))
    history = record.history()
    source = replace(history.provenance, data=few.digest)
    shown = history.replaced(provenance=source, positions=focus.sampled(SHOWN).int().numpy(), available=20)
    position = int(shown.positions[3])
    found = taken(Selection(frame=57, positions=(position,)), [whole], shown)
    where = whole.sampled(20)[[position]]
    same_as(found, x[where], y[where])


def test_the_second_whole_is_taken_where_the_first_is_another_sample():
    whole, x, y = made()
    shown = pictured(whole)
    position = int(shown.positions[0])
    found = taken(Selection(frame=57, positions=(position,)), [whole.sample(30), whole], shown)
    where = whole.sampled(20)[[position]]
    same_as(found, x[where], y[where])


def test_other_examples_are_never_measured_instead():
    whole, x, y = made()
    shown = pictured(whole)
    selection = Selection(frame=57, positions=(int(shown.positions[0]),))
    moved = x.clone()
    moved[int(whole.sampled(20)[int(shown.positions[5])])] += 1e-6
    other = Objective(whole.model, F.cross_entropy, (moved, y), split="train")
    shuffled = Objective(whole.model, F.cross_entropy, (x.flip(0), y.flip(0)), split="train")
    fewer = Objective(whole.model, F.cross_entropy, (x[:12], y[:12]), split="train")
    for built in (other, shuffled, fewer):
        with pytest.raises(ValueError, match="the examples that the frame shows are not found again"):
            taken(selection, [built], shown)
    with pytest.raises(ValueError, match="shows examples of the 'train' data, got objective 'test'"):
        taken(selection, [made(split="test")[0]], shown)
    undigested = shown.replaced(provenance=replace(shown.provenance, data=""))
    with pytest.raises(ValueError, match="without a digest of its examples"):
        taken(selection, [whole], undigested)


def test_what_is_no_class_and_no_example_is_said():
    whole, x, _ = made()
    with pytest.raises(ValueError, match=r"no example has class 7; classes are \[0, 1, 2\]"):
        taken(Selection(label=7), [whole], None)
    regression = Objective(whole.model, F.mse_loss, (x, x))
    with pytest.raises(ValueError, match="not one integer class for each example"):
        taken(Selection(label=0), [regression], None)
    shown = pictured(whole)
    absent = next(position for position in range(20) if position not in shown.positions)
    with pytest.raises(ValueError, match=f"no example {absent} in frame 57, which shows 9 with positions from "):
        taken(Selection(frame=57, positions=(absent,)), [whole], shown)
    with pytest.raises(ValueError, match="frame 58 is not in the run any more"):
        taken(Selection(frame=58, positions=(0,)), [whole], shown)
    with pytest.raises(ValueError, match="frame 57 does not show examples by their positions"):
        taken(Selection(frame=57, positions=(0,)), [whole], curvature.trace(whole, budget=8))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"class": 1, "chosen": {"frame": 1, "positions": [0]}}, "class and chosen were both given"),
        ({"class": "1"}, "class must be an integer, got '1'"),
        ({"class": True}, "class must be an integer, got True"),
        ({"chosen": [3]}, "chosen must hold frame and positions"),
        ({"chosen": {"positions": [3]}}, "chosen must hold frame and positions"),
        ({"chosen": {"frame": "57", "positions": [3]}}, "frame must be the number of a frame"),
        ({"chosen": {"frame": 57, "positions": []}}, "positions must be a list of integers"),
        ({"chosen": {"frame": 57, "positions": [1.5]}}, "positions must be a list of integers"),
        ({"chosen": {"frame": 57, "positions": list(range(201))}}, "at most 200 selected examples can be measured"),
    ],
)
def test_commands_of_another_form_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        Selection.read(params)


def test_a_selection_is_read_as_it_is_written_and_says_which_examples_it_is_of():
    picked, label, whole = Selection(frame=57, positions=(3, 17)), Selection(label=3), lab.Selection()
    assert [Selection.read(one.params) for one in (picked, label, whole)] == [picked, label, whole]
    assert [bool(one) for one in (picked, label, whole)] == [True, True, False]
    assert picked.words("train") == "2 selected training examples"
    assert Selection(frame=1, positions=(4,)).words("train", 1) == "1 selected training example"
    assert label.words("train", 1041) == "class 3 of the training data, 1,041 examples"
    assert label.words("test") == "class 3 of the held-out data"
