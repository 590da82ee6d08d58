import pytest

from landscope.comparison import ABSENT, Setting, differences, flattened, labels, seed_groups

DIGITS = {"lr": 0.1, "seed": 0, "steps": 100, "optimizer": {"name": "SGD", "lr": 0.1, "momentum": 0}}


def changed(**changes):
    return {**DIGITS, **changes}


def test_settings_are_flat_and_said_once():
    assert flattened(DIGITS) == {"lr": 0.1, "seed": 0, "steps": 100, "optimizer.name": "SGD", "optimizer.momentum": 0}
    assert flattened({"a": {"b": {"c": 1}}, "lr": 0.2, "optimizer": {"lr": 0.1}}) == {
        "lr": 0.2,
        "a.b.c": 1,
        "optimizer.lr": 0.1,
    }


def test_only_what_differs_is_told():
    found = differences([DIGITS, changed(seed=1), changed(lr=0.02, momentum=0.9)])
    assert found == (
        Setting("lr", ("0.1", "0.1", "0.02")),
        Setting("seed", ("0", "1", "0")),
        Setting("momentum", (ABSENT, ABSENT, "0.9")),
        Setting("optimizer.lr", (ABSENT, ABSENT, "0.1")),
    )
    assert differences([DIGITS, dict(DIGITS)]) == ()
    assert differences([{"on": True, "x": None, "w": [1, 2]}, {"on": False, "x": 1, "w": [1, 3]}]) == (
        Setting("on", ("yes", "no")),
        Setting("x", ("none", "1")),
        Setting("w", ("1, 2", "1, 3")),
    )


def test_a_value_that_is_there_and_one_that_is_not_differ():
    assert differences([{"x": "–"}, {}]) == ()  # the sign for absence is nobody's value
    assert differences([{"x": None}, {}]) == (Setting("x", ("none", ABSENT)),)


def test_runs_that_differ_by_their_seed_alone_are_a_group():
    configs = [DIGITS, changed(seed=1), changed(lr=0.02), changed(lr=0.02, seed=5), changed(steps=3)]
    assert seed_groups(configs) == ((0, 1), (2, 3), (4,))
    assert seed_groups([{"data": {"seed": 1}}, {"data": {"seed": 2}}]) == ((0, 1),)
    assert seed_groups([{"seeds": 1}, {"seeds": 2}]) == ((0,), (1,))


@pytest.mark.parametrize(
    ("names", "configs", "expected"),
    [
        (("a", "b"), (DIGITS, DIGITS), ("a", "b")),
        (("a", "a"), (DIGITS, changed(seed=1)), ("a, seed 0", "a, seed 1")),
        (("a", "a"), (DIGITS, DIGITS), ("a (id0)", "a (id1)")),
        (("a", "a", "b"), (DIGITS, DIGITS, changed(lr=1.0)), ("a (id0)", "a (id1)", "b")),
        (("a", "a", "b"), (DIGITS, changed(seed=1), changed(lr=1.0)), ("a, seed 0", "a, seed 1", "b")),
        (
            ("a",) * 4,
            (DIGITS, changed(lr=1.0, steps=7), changed(lr=1.0, steps=7, seed=1), changed(lr=1.0, steps=7, seed=2)),
            ("a, lr 0.1, seed 0", "a, lr 1, seed 0", "a, lr 1, seed 1", "a, lr 1, seed 2"),  # steps would add nothing
        ),
    ],
)
def test_labels_are_all_different(names, configs, expected):
    ids = tuple(f"id{position}" for position in range(len(names)))
    found = labels(names, ids, differences(configs))
    assert found == expected
    assert len(set(found)) == len(found)
