"""Since which step examples have been right."""

import numpy as np
import pytest

from landscope.embedding import steps_learned


def test_an_example_is_learned_when_it_was_last_wrong():
    rng = np.random.default_rng(0)
    right = rng.random((9, 50)) < 0.7  # frames x examples
    steps = np.cumsum(rng.integers(1, 20, 9))
    learned = None
    for frame, step in enumerate(steps):
        learned = steps_learned(right[frame], step, learned)
        for example, found in enumerate(learned):
            wrong = np.flatnonzero(~right[: frame + 1, example])
            since = int(wrong[-1]) + 1 if len(wrong) else 0
            assert found == (steps[since] if since <= frame else -1)


def test_frames_must_be_of_the_same_examples():
    with pytest.raises(ValueError, match="before must be of the same 3 examples, got 2"):
        steps_learned(np.ones(3, bool), 5, np.zeros(2, np.int32))
