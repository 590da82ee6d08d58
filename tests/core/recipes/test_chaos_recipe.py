"""Many seeds at once: a flipped bit is the least there is, and the verdict is that of the numbers recorded."""

import numpy as np
import pytest
import torch

from landscope.measurements import Chart, Matrix, Provenance
from landscope.recipes.chaos import SOURCES, Config, flip_lowest_bits, judge, network, train
from landscope.recipes.studies import Study
from landscope.runs import open_run


def test_a_flipped_bit_is_one_float_away():
    torch.manual_seed(0)
    before = torch.randn(4, 2, 3)
    after = before.clone()
    flip_lowest_bits(after)
    changed = (after != before).nonzero().tolist()
    assert changed == [[1, 0, 1], [2, 0, 2], [3, 1, 0]]
    for where in map(tuple, changed):
        old, new = before[where], after[where]
        assert float(torch.nextafter(old, new)) == float(new)


def test_the_network_has_the_size_it_says():
    assert sum(parameter.numel() for parameter in network(5).parameters()) == 65 * 5 + 6 * 5 + 6 * 10


def test_a_small_study_shows_all_of_it_and_can_be_judged(tmp_path):
    path = train(Config(seeds=4, width=4, epochs=2, batch_size=200, varies="order"), tmp_path)
    run = open_run(path)
    names = [event.data["name"] for event in run.events("exhibit")]
    assert names == ["accuracies", "sources", "one-bit", "disagreement", "answers", "bands"]
    assert run.head().step == run.head().total == 10
    measured = run.measurement("exhibit/accuracies")
    assert measured.condition == "order"
    assert measured.accuracies.shape == (4,)
    answers = run.measurement("exhibit/answers")
    assert answers.values.shape == (60, 4)
    bands = run.measurement("exhibit/bands")
    np.testing.assert_allclose(bands.values[:, -1], measured.accuracies)
    assert list(bands.steps) == list(range(11))
    # All begin at one point but those that differ in their initialisation, and the bit is one in the last place.
    unlike = run.measurement("exhibit/disagreement").y
    assert unlike["order"][0] == unlike["one bit"][0] == 0 < unlike["everything"][0]
    assert 0 < run.measurement("exhibit/one-bit").y["one bit flipped"][0] < 1e-6
    assert len(judge(run)) == 4


def record(root, *, deviations, unlike):
    """A study whose runs spread by `deviations` (%) and differ in their predictions as `unlike` says."""
    provenance = Provenance(method="by hand")
    words = {"title": "", "summary": "", "provenance": provenance}
    axes = {"x_name": "", "y_name": ""}
    steps = np.array([0.0, 1.0])
    with Study("chaos", Config(), root, total=1) as study:
        study.exhibit(
            "sources",
            Matrix(
                **words, row_name="", column_name="", value_name="", rows=SOURCES, columns=("a", "b", "c"),
                values=np.array(deviations),
            ),
        )  # fmt: skip
        lines = {source: np.array([0.0, value]) for source, value in zip(SOURCES, unlike, strict=True)}
        study.exhibit("disagreement", Chart(**words, **axes, labels=SOURCES, x=dict.fromkeys(SOURCES, steps), y=lines))
        bit = {"one bit flipped": steps}
        study.exhibit("one-bit", Chart(**words, **axes, labels=("one bit flipped",), x=bit, y=bit))
        study.advance()
    return open_run(study.path)


@pytest.mark.parametrize(
    ("deviations", "unlike", "outcomes"),
    [
        # All spread as independent errors would: sqrt(0.3 ** 2 + 0.1 ** 2) against 0.3.
        ([[0.316, 0.3, 0.1]] * 4, [0.02, 0.02, 0.02, 0.015], ["reproduced"] * 4),
        # Some runs are better than others throughout, the initialisation decides, and a flipped bit heals.
        ([[1.0, 0.3, 0.95], [0.9, 0.3, 0.8], [0.2, 0.2, 0.0], [0.0, 0.0, 0.0]], [0.02, 0.02, 0.02, 0.0],
         ["not here", "not here", "partly", "not here"]),
    ],
)  # fmt: skip
def test_the_verdict_is_that_of_the_numbers(tmp_path, deviations, unlike, outcomes):
    run = record(tmp_path, deviations=deviations, unlike=unlike)
    assert [one.outcome for one in judge(run)] == outcomes
