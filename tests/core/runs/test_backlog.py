from collections import Counter

from landscope.runs.backlog import Backlog, PendingEvent, PendingFrame, PendingScalars


def scalars(step, *names):
    return PendingScalars(step, 0.0, names, bytes(8 * len(names)))


def frame(step, size):
    return PendingFrame(step, 0.0, "f", "k", None, bytes(size))


def test_it_gives_back_what_it_got_once():
    backlog = Backlog()
    backlog.add_scalars(scalars(1, "a"))
    backlog.add_frame(frame(2, 10))
    backlog.add_event(PendingEvent(3, 0.0, "k", "t", None))
    batch = backlog.take()
    assert ([s.step for s in batch.scalars], [f.step for f in batch.frames], [e.step for e in batch.events]) == (
        [1],
        [2],
        [3],
    )
    assert not backlog.take()


def test_put_back_goes_to_the_front():
    backlog = Backlog()
    for step in (1, 2):
        backlog.add_scalars(scalars(step, "a"))
        backlog.add_frame(frame(step, 10))
        backlog.add_event(PendingEvent(step, 0.0, "k", "t", None))
    first = backlog.take()
    backlog.add_scalars(scalars(3, "a"))
    backlog.add_frame(frame(3, 10))
    backlog.add_event(PendingEvent(3, 0.0, "k", "t", None))
    backlog.put_back(first)
    batch = backlog.take()
    for records in (batch.scalars, batch.frames, batch.events):
        assert [record.step for record in records] == [1, 2, 3]


def test_scalars_thin_evenly_and_keep_the_newest():
    backlog = Backlog(max_values=100)
    for step in range(101):
        backlog.add_scalars(scalars(step, "a"))
    assert [record.step for record in backlog.take().scalars] == list(range(0, 101, 2))
    assert backlog.dropped == 50


def test_thinning_spares_every_name():
    """Calls alternate between two sets of names: dropping every second call would lose one of them altogether."""
    backlog = Backlog(max_values=100)
    for step in range(51):
        backlog.add_scalars(scalars(step, "a"))
        backlog.add_scalars(scalars(step, "b"))
    counts = Counter(name for record in backlog.take().scalars for name in record.names)
    assert set(counts) == {"a", "b"}
    assert abs(counts["a"] - counts["b"]) <= 2


def test_memory_stays_bounded_however_long_the_disk_is_away():
    backlog = Backlog(max_values=1000)
    for step in range(50_000):
        backlog.add_scalars(scalars(step, "a", "b"))
        if step % 5000 == 0:
            backlog.put_back(backlog.take())
    kept = backlog.take().scalars
    assert sum(len(record.names) for record in kept) <= 1000
    assert backlog.dropped == 50_000 - len(kept)
    assert kept[-1].step == 49_999


def test_frames_drop_oldest_first_but_never_the_newest():
    backlog = Backlog(max_frame_bytes=100)
    for step in range(5):
        backlog.add_frame(frame(step, 40))
    assert [record.step for record in backlog.take().frames] == [3, 4]
    assert backlog.dropped == 3
    backlog.add_frame(frame(6, 40))
    backlog.add_frame(frame(7, 1000))
    assert [record.step for record in backlog.take().frames] == [7]
    assert backlog.dropped == 4


def test_events_drop_oldest_first():
    backlog = Backlog(max_events=3)
    for step in range(5):
        backlog.add_event(PendingEvent(step, 0.0, "k", "t", None))
    assert [record.step for record in backlog.take().events] == [2, 3, 4]
    assert backlog.dropped == 2
