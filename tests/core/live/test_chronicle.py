"""What is said of a run stays bounded however long it is."""

import numpy as np

from landscope.live import chronicle
from landscope.live.chronicle import Chronicle


class Writer:
    """Keeps what it is told."""

    def __init__(self):
        self.events = []

    def scalars(self, step, values):
        pass

    def event(self, step, kind, text, data=None):
        self.events.append((step, kind, text))


def test_a_hundred_thousand_steps_leave_bounded_memory_and_few_sentences(monkeypatch):
    monkeypatch.setattr(chronicle, "_FINDING_INTERVAL", -1.0)
    writer = Writer()
    said = Chronicle(writer, None, None)
    for step in range(100_000):
        said.record(step, {"train/loss": 1.0 + 10.0 / (step + 1)})
        if step % 50 == 0:
            said.say(step, 0.05)
    said.end(99_999, 0.05)
    curve = said._history["train/loss"].series
    assert len(curve.steps) <= 4096
    assert (curve.steps[0], curve.steps[-1]) == (0, 99_999)
    np.testing.assert_allclose(curve.values, 1.0 + 10.0 / (curve.steps + 1))
    findings = [event for event in writer.events if event[1] == "finding"]
    assert len(findings) < 700
    assert findings[0][0] == 0


def test_another_finding_is_said_at_once_and_the_last_numbers_at_the_end(monkeypatch):
    monkeypatch.setattr(chronicle, "_FINDING_INTERVAL", -1.0)
    writer = Writer()
    said = Chronicle(writer, None, None)
    for step, loss in ((10_000, 3.0), (10_001, 2.0), (10_002, float("nan"))):
        said.record(step, {"train/loss": loss})
        said.say(step, None)
    assert [(step, text[:8]) for step, _, text in writer.events] == [(10_000, "Learning"), (10_002, "Diverged")]
    said.record(10_003, {"train/loss": 1.5})
    said.end(10_003, None)
    assert writer.events[-1][2] == "Learning: training loss 1.5."
