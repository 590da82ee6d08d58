"""The report of a run: everything of it in one file, escaped, at the steps that were chosen."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import landscope
from landscope.figures import figure
from landscope.formats.packing import unpacked
from landscope.formats.web_pages import plain
from landscope.measurements import Chart, Provenance, Slice2D, Snapshot
from landscope.reports import chosen_frames, picture_frames, pieces, report
from landscope.reports.curves import curve_frames
from landscope.runs import RunWriter, open_run

HOSTILE = "<img src=x onerror=alert(1)></script>"
AXIS = np.linspace(-1.0, 1.0, 5)
PROVENANCE = Provenance(method="by hand", examples=10, split="train")


def plane(step):
    loss = 1.0 + step + AXIS[:, None] ** 2 + AXIS**2
    return Slice2D(
        provenance=replace(PROVENANCE, step=step), alpha=AXIS, beta=AXIS, loss=loss, centre_loss=1.0 + step,
        plane="random", normalisation="filter", axes=("one", HOSTILE),
    )  # fmt: skip


def lines(step):
    x = {"a": np.arange(step + 2.0)}
    return Chart(
        provenance=PROVENANCE, title="Lines", summary="", x_name="x", y_name="y", labels=("a",), x=x, y=x,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = {"lr": 0.1, "optimizer": {"name": HOSTILE}}
    with RunWriter.create(tmp_path_factory.mktemp("runs"), name=HOSTILE, recipe="digits", config=config) as writer:
        for step in range(0, 99, 7):
            writer.scalars(step, {"train/loss": 1000.0 / (step + 1), "train/accuracy": step / 100})
            writer.measurement(step, "exhibit/lines", lines(step))
        for step in (0, 50):
            writer.measurement(step, "slice/random", plane(step))
        writer.measurement(50, "slice/random", plane(60).at(50))  # a finer one of the same step
        writer.measurement(50, "snapshot", Snapshot(theta=np.zeros(3), names=("w",), sizes=(3,), provenance=PROVENANCE))
        writer.event(0, "exhibit", "Lines", {"name": "lines", "title": "What is seen", "summary": HOSTILE})
        rule = {"title": "Edge of stability", "criterion": "above 2/lr", "meaning": HOSTILE, "sources": ["Cohen"]}
        writer.event(10, "phase", "it began", {"kind": "edge", "begins": True, "evidence": ["train/loss"], **rule})
        writer.event(40, "phase", "it was last seen", {"kind": "edge", "begins": False, "evidence": []})
        claims = [{"text": HOSTILE, "measured": "3 against 2", "outcome": "reproduced"}]
        writer.event(98, "verdict", "reproduced", {"outcome": "reproduced", "claims": claims})
        writer.progress(98, 98)
    return open_run(writer.path)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attributes):
        self.found |= {tag, *(name for name, _ in attributes)}


def frames_of(page):
    """The frames of every picture, by its title."""
    found = re.findall(r'<h3>([^<]*)</h3>.*?class="frames">([^<]*)<', page)
    return {title: unpacked(told) for title, told in found}


def test_everything_is_there_and_escaped(run, tmp_path):
    path = report(run, tmp_path / "report.html", most=2)
    page = path.read_text()
    body = page[page.index("<main>") : page.index("</main>")]
    tags = Tags()
    tags.feed(body)
    assert not tags.found & {"img", "onerror", "src"}
    for words in ("What is seen", "reproduced", "3 against 2", "Edge of stability", "steps 10 to 40", "above 2/lr",
                  "it was last seen", "train/loss", "Cohen", "optimizer.name", "finished at step 98"):  # fmt: skip
        assert words in body, words
    assert body.count("&lt;img") == 5  # name, claim, meaning, summary, setting
    assert list(frames_of(page)) == ["Loss", "Accuracy", "What is seen", "Loss landscape on a random plane"]
    assert not list(tmp_path.glob(".*"))


def test_frames_are_those_of_the_chosen_steps_and_their_scales_hold_still(run):
    found = frames_of("".join(pieces(run, most=4)))
    exhibits = [frame["step"] for frame in found["What is seen"]]
    assert len(exhibits) <= 4
    assert (exhibits[0], exhibits[-1]) == (0, 98)
    slices = found["Loss landscape on a random plane"]
    assert [frame["step"] for frame in slices] == [0, 50]
    assert "step 50 · by hand · 10 train examples" in slices[1]["words"]
    scales = [(trace["zmin"], trace["zmax"]) for frame in slices for trace in frame["light"]["data"][:1]]
    assert scales[0] == scales[1] == pytest.approx((0.0, np.log10(63.0)))  # of the finer one; losses from 1 to 63
    ranges = [frame["dark"]["layout"]["xaxis"]["range"] for frame in found["What is seen"]]
    assert ranges[0][1] > 99
    assert all(one == ranges[0] for one in ranges)


@pytest.mark.parametrize("name", ["slice/random", "exhibit/lines"])
def test_the_dark_pictures_are_those_that_would_be_built(run, name):
    frames = chosen_frames(run)[name]
    span = {"span": run.span(name)} if name == "slice/random" else {}
    for frame, shown in zip(frames, picture_frames(run, frames), strict=True):
        for dark, found in ((False, shown.light), (True, shown.dark)):
            expected = plain(figure(run.measurement(name, frame.step), dark=dark, **span))
            for axis in ("xaxis", "yaxis"):
                assert found["layout"][axis].pop("autorange") is False
                assert len(found["layout"][axis].pop("range")) == 2
            assert found == expected


def test_curves_are_logarithmic_where_they_span_much(run):
    found = {group.title: frame for group, frame in curve_frames(run)}
    assert found["Loss"].light["layout"]["yaxis"]["type"] == "log"
    assert found["Accuracy"].light["layout"]["yaxis"]["type"] == "linear"
    assert found["Loss"].step is None


def test_the_newest_frame_of_a_step_counts(run):
    chosen = chosen_frames(run)
    assert list(chosen) == ["exhibit/lines", "slice/random", "snapshot"]
    assert [frame.seq for frame in chosen["slice/random"]][-1] == run.frames("slice/random")[-1].seq
    assert len(chosen["exhibit/lines"]) == 15
    thinned = [frame.step for frame in chosen_frames(run, 5)["exhibit/lines"]]
    assert len(thinned) <= 5
    assert (thinned[0], thinned[-1]) == (0, 98)


def test_a_run_without_anything_has_a_report(tmp_path):
    with RunWriter.create(tmp_path, name="empty", recipe=None, config={}) as writer:
        pass
    page = report(writer.path, tmp_path / "empty.html").read_text()
    assert "finished at step 0" in page
    assert 'type="range"' not in page


def test_what_is_damaged_is_said_and_the_rest_is_shown(tmp_path):
    with RunWriter.create(tmp_path, name="damaged", recipe=None, config={}) as writer:
        writer.measurement(0, "exhibit/lines", lines(0))
        writer.measurement(0, "slice/random", plane(0))
    with closing(sqlite3.connect(writer.path / "run.sqlite")) as database:
        database.execute("UPDATE frame SET data = substr(data, 1, 40) WHERE name = 'exhibit/lines'")
        database.commit()
    page = "".join(pieces(open_run(writer.path)))
    assert "<h3>exhibit/lines</h3><p>It cannot be read: measurement is cut short" in page
    assert list(frames_of(page)) == ["Loss landscape on a random plane"]


def test_a_report_that_fails_leaves_the_old_one(run, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")

    def interrupt(name):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        landscope.report(run, path, most=2, progress=interrupt)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.glob("*report*")] == ["report.html"]
    with pytest.raises(FileNotFoundError):
        landscope.report("no-such-run", path)
