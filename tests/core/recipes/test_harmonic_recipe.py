"""Heads by their formulas, copies in a batch as if each were alone, and the recipe that compares them."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from landscope.recipes.harmonic import HEADS, Adders, Config, cosine, distance, judge, losses, product, train
from landscope.recipes.studies import Study
from landscope.runs import open_run

CONFIG = Config(prime=7, embedding=3, width=8, copies=2)


def points_and_centres(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 5, 3, generator=generator), torch.randn(2, 4, 3, generator=generator)


def test_distances_give_harmonic_probabilities():
    points, centres = points_and_centres()
    lengths = torch.linalg.vector_norm(points[:, :, None] - centres[:, None], dim=3)
    expected = lengths**-2.5 / (lengths**-2.5).sum(dim=2, keepdim=True)
    torch.testing.assert_close(distance(points, centres, 2.5).softmax(dim=2), expected)
    cosines = torch.cosine_similarity(points[:, :, None], centres[:, None], dim=3)
    expected = (1 - cosines) ** -2.5 / ((1 - cosines) ** -2.5).sum(dim=2, keepdim=True)
    torch.testing.assert_close(cosine(points, centres, 2.5).softmax(dim=2), expected)
    torch.testing.assert_close(product(points, centres, 2.5)[1, 2, 3], points[1, 2] @ centres[1, 3])


def test_harmonic_probabilities_have_no_scale_and_are_finite_at_a_centre():
    points, centres = points_and_centres()
    torch.testing.assert_close(
        distance(7 * points, 7 * centres, 4).softmax(dim=2), distance(points, centres, 4).softmax(dim=2)
    )
    for head in (distance, cosine):
        at_a_centre = head(centres[:, :1], centres, 4.0)
        assert bool(at_a_centre.isfinite().all())
        assert at_a_centre.argmax(dim=2).tolist() == [[0], [0]]


def test_networks_are_their_formula_and_do_not_mix():
    adders = Adders(CONFIG, torch.Generator().manual_seed(0))
    pairs = torch.randint(7, (2, 9, 2), generator=torch.Generator().manual_seed(1))
    sums = pairs.sum(dim=2) % 7
    logits = adders(pairs)
    assert logits.shape == (3, 2, 9, 7)
    for h, head in enumerate(HEADS.values()):
        for copy in range(2):
            E, W, V = (weights[2 * h + copy] for weights in (adders.embedding, adders.hidden, adders.back))
            x = torch.relu((E[pairs[copy, :, 0]] + E[pairs[copy, :, 1]]) @ W) @ V
            torch.testing.assert_close(logits[h, copy], head(x[None], E[None], CONFIG.exponent)[0])
            torch.testing.assert_close(losses(logits, sums)[h, copy], cross_entropy(logits[h, copy], sums[copy]))
    losses(logits, sums)[1, 0].backward()
    lengths = adders.embedding.grad.flatten(1).norm(dim=1)
    assert (lengths > 0).tolist() == [False, False, True, False, False, False]


def test_all_heads_begin_alike():
    adders = Adders(CONFIG, torch.Generator().manual_seed(0))
    for weights in adders.parameters():
        assert torch.equal(weights[:2], weights[2:4])
        assert torch.equal(weights[:2], weights[4:])
        assert not torch.equal(weights[0], weights[1])


def test_a_small_run_has_its_exhibits_and_is_judged(tmp_path):
    run = open_run(train(replace(CONFIG, steps=30, lr=0.01), tmp_path))
    exhibits = [event.data["name"] for event in run.events("exhibit")]
    assert exhibits == ["understanding", "delay", "norms", "waves", "planes", "embedding"]
    steps, norms = run.scalars("norm/cross-entropy/1")
    assert (steps[0], steps[-1]) == (1, 30)
    chart = run.measurement("exhibit/norms")
    assert chart.low["cross-entropy"][-1] <= norms[-1] <= chart.high["cross-entropy"][-1]
    assert len(judge(run)) == 5


def judged(tmp_path, series):
    """What the judge makes of scalars that are given by measure and head for both copies."""
    with Study("harmonic", CONFIG, tmp_path, total=3) as study:
        for step in range(3):
            study.advance()
            for (measure, head), values in series.items():
                study.scalars({f"{measure}/{head}/{copy}": values[step] for copy in range(2)})
    return [one.outcome for one in judge(open_run(study.path))]


@pytest.mark.parametrize("there", [True, False])
def test_the_judge_says_yes_or_no(tmp_path, there):
    plain, *others = HEADS
    series = {("train", head): [0.0, 1.0, 1.0] for head in HEADS} | {("test", plain): [0.0, 0.0, 1.0]}
    for head in others:
        series["test", head] = [0.0, 1.0, 1.0] if there else [0.0, 0.0, 0.5]
    for measure, large in (("norm", not there), ("gini", there), ("explained", there)):
        series |= {(measure, head): [1.0, 2.0, 3.0 if large else 1.5] for head in others}
        series[measure, plain] = [1.0, 2.0, 2.2]
    assert judged(tmp_path, series) == ["reproduced" if there else "not here"] * 5


def test_never_to_understand_is_late(tmp_path):
    series = {("train", head): [1.0] * 3 for head in HEADS} | {("test", head): [0.0] * 3 for head in HEADS}
    series |= {(measure, head): [1.0] * 3 for measure in ("norm", "gini", "explained") for head in HEADS}
    assert judged(tmp_path, series)[:2] == ["not here"] * 2
