"""Pages that stand alone, and the figures packed into them."""

import base64
import json
import re

import numpy as np
import plotly.io
import pytest

from landscope import formats
from landscope.figures import figure
from landscope.formats.packing import REFERENCE, packed, unpacked
from landscope.measurements import Chart, Matrix, Provenance, Trace

PROVENANCE = Provenance(method="by hand")
HOSTILE = "</script><script>alert(1)</script><!--"


def chart(**changes):
    axes = {"x_name": "x", "y_name": "y", "labels": ("a", "b"), "title": "Two lines", "summary": ""}
    x = {"a": np.arange(3.0), "b": np.arange(2.0)}
    y = {"a": np.array([0.1, 1e-300, np.nan]), "b": np.array([2.0, 3.0])}
    return Chart(provenance=PROVENANCE, **axes | {"x": x, "y": y} | changes)


def test_what_repeats_is_written_once():
    heights = {"dtype": "f8", "bdata": "QUJD" * 64, "shape": "1, 24"}
    frames = [{"step": step, "data": [{"z": heights, "name": f"step {step}"}], "words": "the same long words " * 9}
              for step in range(40)]  # fmt: skip
    assert unpacked(packed(frames)) == frames
    assert len(packed(frames)) < 2 * len(packed(frames[:1])) + 40 * 40


def test_large_arrays_are_rounded_to_single_precision_and_small_ones_are_exact():
    fine, coarse = np.array([0.1, 0.2]), np.linspace(0, 1, 600)
    huge = np.append(coarse, 1e300)
    drawn = json.loads(plotly.io.to_json({"data": [{"type": "scatter", "x": fine, "y": coarse, "text": huge}]}))
    (found,) = unpacked(packed([drawn]))
    (trace,) = found["data"]
    assert trace["x"] == drawn["data"][0]["x"]
    assert trace["text"] == drawn["data"][0]["text"]
    assert trace["y"]["dtype"] == "f4"
    assert np.array_equal(np.frombuffer(base64.b64decode(trace["y"]["bdata"]), "<f4"), coarse.astype(np.float32))


def test_no_text_can_end_the_script_it_is_in():
    page = formats.to_html(chart(title=HOSTILE, labels=(HOSTILE, "b"), x={HOSTILE: np.ones(1), "b": np.ones(1)},
                                 y={HOSTILE: np.ones(1), "b": np.ones(1)})).decode()  # fmt: skip
    assert "alert(1)" not in page.replace("&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;", "")
    assert "<title>&lt;/script&gt;" in page
    (told,) = re.findall(r'class="frames">([^<]*)<', page)
    (frame,) = unpacked(told)
    assert frame["light"]["data"][0]["name"] == HOSTILE
    assert frame["step"] is None


def test_a_page_has_its_figure_in_both_themes_and_fetches_nothing():
    page = formats.to_html(chart()).decode()
    assert "default-src 'none'" in page
    assert not re.search(r'(src|href)="(?!data:)', page[: page.index("<script>")])
    assert page.count("plotly.js v") == 1
    (frame,) = unpacked(re.findall(r'class="frames">([^<]*)<', page)[0])
    for name in ("light", "dark"):
        expected = json.loads(figure(chart(), dark=name == "dark").to_json())
        assert frame[name] == {"data": expected["data"], "layout": expected["layout"]}
    assert REFERENCE not in json.dumps(frame)
    assert "by hand" in frame["words"]


def test_the_figure_as_plotly_s_json(tmp_path):
    path = formats.export(chart(), tmp_path / "lines.json")
    assert plotly.io.from_json(path.read_text()) == figure(chart())


def test_images_say_what_they_need(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=r"a \.png file needs kaleido.*pip install kaleido, or write an \.html"
    ):
        formats.export(chart(), tmp_path / "lines.png")
    assert not list(tmp_path.iterdir())


def test_charts_matrices_and_scalars_are_tables():
    bands = {"low": {"b": np.array([1.0, 2.0])}, "high": {"b": np.array([3.0, 4.0])}}
    assert formats.to_csv(chart()).decode().split() == [
        "line,x,y", "a,0.0,0.1", "a,1.0,1e-300", "a,2.0,nan", "b,0.0,2.0", "b,1.0,3.0",
    ]  # fmt: skip
    assert formats.to_csv(chart(**bands)).decode().split()[-2:] == ["b,0.0,2.0,1.0,3.0", "b,1.0,3.0,2.0,4.0"]
    matrix = Matrix(
        provenance=PROVENANCE, title="", summary="", row_name="r", column_name="c", value_name="v",
        rows=("p", "q"), columns=("s", 'with "quotes", and a comma'), values=np.arange(4.0).reshape(2, 2),
    )  # fmt: skip
    assert formats.to_csv(matrix).decode().splitlines()[:3] == [
        "row,column,value", "p,s,0.0", 'p,"with ""quotes"", and a comma",1.0',
    ]  # fmt: skip
    series = {"train/loss": (np.array([0, 2]), np.array([0.5, np.inf]))}
    assert formats.series_to_csv(series).decode().split() == [
        "name,step,value", "train/loss,0,0.5", "train/loss,2,inf",
    ]  # fmt: skip


def test_several_measurements_in_one_archive(tmp_path):
    trace = Trace(value=1.5, stderr=0.5, probes=9, operator="hessian", provenance=Provenance(method="probes", step=7))
    (tmp_path / "all.npz").write_bytes(formats.to_archive({"lab/3/trace": trace, "exhibit/lines": chart()}))
    with np.load(tmp_path / "all.npz") as archive:
        assert archive["exhibit/lines:y.b"].tolist() == [2.0, 3.0]
        assert json.loads(str(archive["lab/3/trace:fields"]))["value"] == 1.5
        assert json.loads(str(archive["lab/3/trace:provenance"]))["step"] == 7
