"""The command that puts ours beside the peers: it runs, and both find the same losses. Times are not looked at."""

import json
from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch

import landscope as ls
from benchmarks import curvature
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.cases import CASES, descent
from benchmarks.timing import interleaved


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_slice_beside_the_original_code_gives_the_same_losses_as_float64(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["slice-mlp", "--points", "3", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    row = next(row for row in rows if row["peer"] == "original code (as published)")
    assert {"name", "ours_s", "peer_s", "ratio", "error", "peer", "device", "machine"} <= row.keys()
    assert (row["name"], row["device"], row["threads"]) == ("slice-mlp", "cpu", 1)
    assert (row["points"], row["examples"], row["parameters"]) == (9, 1000, 55_050)
    assert row["ratio"] == pytest.approx(row["peer_s"] / row["ours_s"])
    assert row["error"] < 1e-5
    assert row["peer_error"] < 1e-5


def test_five_eigenvalues_to_a_millionth_within_forty_products_and_no_ghost() -> None:
    case = CASES["mlp25"]("cpu")
    truth = curvature.exact(curvature.in_double(case))
    found, products = curvature.ours(case.objective)
    assert case.objective.layout.size == 19_885
    assert products <= 40
    assert abs(found / truth - 1).max() < 1e-6
    assert curvature.ghosts(found, truth) == 0
    assert curvature.ghosts(truth[[0, 0, 1, 2, 0]], truth) == 2


def test_sharpness_is_followed_for_three_products_a_step() -> None:
    objective, weights = descent("cpu", 100, 8)
    found, products = curvature.followed(objective, weights)
    double = ls.Objective(deepcopy(objective.model).double(), objective.loss, [_in_double(*objective.batches.items[0])])
    truth = [ls.curvature.eigenvalues(double, 1, theta=w.double(), tolerance=1e-9).values[0] for w in weights]
    assert products <= 5
    assert abs(found / truth - 1).max() < 2e-3


def _in_double(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.double(), y.double()


def test_calls_take_turns_and_are_repeated() -> None:
    turns = []
    results, seconds, rounds = interleaved(
        {name: lambda name=name: turns.append(name) or len(turns) for name in ("a", "b")}, repeats=3, budget=60
    )
    assert turns == ["a", "b"] * 3
    assert results == {"a": 1, "b": 2}
    assert rounds == 3
    assert seconds.keys() == {"a", "b"}


def test_an_unknown_name_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["slice-rnn"])
    shown = capsys.readouterr().err
    assert "slice-rnn" in shown
    assert all(name in shown for name in BENCHMARKS)
