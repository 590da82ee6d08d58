"""Weights in files: state dictionaries in their usual forms, and nothing that would run code."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from landscope.worker.weights import checkpoint_files, load_weights, read_checkpoint


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def fresh():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def wrapped(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "form",
    [
        lambda state: state,
        lambda state: {"epoch": 3, "model_state_dict": state, "optimizer": {"lr": 0.1}},
        lambda state: {"state_dict": wrapped(state, "model.")},
        lambda state: wrapped(state, "module."),
        lambda state: {"step": 4, "buffers": {"1.running_mean": state["1.running_mean"]}, "parameters": state},
    ],
)
def test_state_dictionaries_are_found_in_their_usual_forms(form, model, tmp_path):
    torch.save(form(model.state_dict()), tmp_path / "weights.pt")
    other = fresh()
    load_weights(other, read_checkpoint(tmp_path / "weights.pt"))
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)


def test_safetensors_and_a_model_in_a_wrapper(model, tmp_path):
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    load_weights(other, read_checkpoint(tmp_path / "weights.safetensors"))
    assert torch.equal(other[0].weight, model[0].weight)


class Trap:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: torch.save({"w": Trap()}, path), "unpickling it would run what is in it"),
        (lambda path: path.write_bytes(pickle.dumps([1])), "is no file of weights|unpickling it would run"),
        (lambda path: path.write_bytes(b"text"), "is no file of weights|unpickling it would run"),
        (lambda path: torch.save({"epoch": 3}, path), "holds no state dictionary"),
        (lambda path: None, "there is no file"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path, capsys):
    path = tmp_path / "weights.pt"
    content(path)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("0.weight"), "0.weight is missing"),
        (lambda state: state.update(extra=torch.zeros(2)), "extra has no place in the model"),
        (lambda state: state.update({"0.bias": torch.zeros(9)}), "0.bias has 9 elements, 4 in the model"),
    ],
)
def test_weights_of_another_model_change_nothing(change, message, model):
    state = {name: tensor.clone() + 1 for name, tensor in model.state_dict().items()}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=message):
        load_weights(model, state)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_files_have_the_steps_in_their_names(tmp_path):
    for name in ("step-100.pt", "step-20.pt", "step-3.safetensors", "notes.txt"):
        (tmp_path / name).touch()
    assert {step: path.name for step, path in checkpoint_files([tmp_path]).items()} == {
        3: "step-3.safetensors",
        20: "step-20.pt",
        100: "step-100.pt",
    }
    (tmp_path / "best.pt").touch()
    assert list(checkpoint_files([tmp_path / "best.pt", tmp_path / "step-20.pt"])) == [0, 1]
    with pytest.raises(ValueError, match=r"no checkpoints in .*nothing"):
        checkpoint_files([tmp_path / "nothing"])
