import json
import shutil

import numpy as np
import pytest
from dash import html

import landscope as ls
from landscope.measurements import Chart, Provenance, Slice2D
from landscope.runs import RunWriter
from landscope_app.server import create_server

AXIS = np.linspace(-1.0, 1.0, 3)


def record(root, lr, seed):
    with RunWriter.create(root, name="digits", recipe="digits", config={"lr": lr, "seed": seed}) as made:
        for step in (0, 10):
            made.scalars(step, {"train/loss": 1.0 + lr * step + seed})
            loss = seed + AXIS[:, None] ** 2 + AXIS[None] ** 2
            plane = Slice2D(
                provenance=Provenance(method="test", step=step, parameters=7, seed=0),
                alpha=AXIS,
                beta=AXIS,
                loss=loss,
                centre_loss=float(seed),
                plane="random",
                normalisation="filter",
                axes=("one", "two"),
            )
            made.measurement(step, "slice/random", plane)
        made.event(10, "finding", "It learns.", {"kind": "learning"})
        made.progress(10, 10)
    return made.id


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def ids(root):
    return [record(root, 0.1, 0), record(root, 0.1, 1), record(root, 0.2, 0)]


@pytest.fixture(scope="module")
def client(root):
    def blank(app):
        app.layout = html.Div()

    return create_server(root, page=blank).server.test_client()


def body(response, status=200):
    assert response.status_code == status, response.get_data(as_text=True)
    return json.loads(response.data, parse_constant=lambda constant: pytest.fail(f"not JSON: {constant}"))


def test_what_the_page_is_told(client, ids):
    found = body(client.get(f"/api/v1/compare?runs={','.join(ids)}"))
    assert [run["id"] for run in found["runs"]] == ids
    assert [run["label"] for run in found["runs"]][1:] == ["digits, lr 0.1, seed 1", "digits, lr 0.2, seed 0"]
    assert found["runs"][0]["finding"] == "It learns."
    assert [run["groupHue"] for run in found["runs"]] == [0, 0, 1]
    assert found["settings"] == [
        {"name": "lr", "values": ["0.1", "0.1", "0.2"]},
        {"name": "seed", "values": ["0", "1", "0"]},
    ]
    assert (found["common"], found["last"], found["stops"]) == (10, 10, [0, 10])
    assert (found["planes"], found["grouped"], found["gone"]) == (["random"], True, [])
    assert found["pictures"] == ["curves", "curve_difference", "planes", "difference"]
    assert (found["exhibits"], found["deciles"]) == ([], False)


def test_what_a_study_exhibits_is_a_picture_for_each(client, monkeypatch, root):
    def chart(slope):
        x = np.arange(4.0)
        words = {"title": "t", "summary": "", "x_name": "x", "y_name": "y", "labels": ("a",)}
        return Chart(provenance=Provenance(method="test"), x={"a": x}, y={"a": slope * x}, **words)

    made = []
    for slope in (1.0, 2.0):
        with RunWriter.create(root, name=f"study {slope}", recipe="width") as run:
            run.event(0, "exhibit", "A line", {"name": "line", "title": "A line"})
            for step in (0, 5):
                run.measurement(step, "exhibit/line", chart(slope + step))
            run.progress(5, 5)
        made.append(run.id)
    query = f"runs={','.join(made)}"
    found = body(client.get(f"/api/v1/compare?{query}"))
    assert (found["pictures"], found["exhibits"]) == ([], [{"name": "line", "title": "A line"}])
    early = body(client.get(f"/api/v1/compare?{query}&step=0"))
    assert found["stamps"]["exhibit/line"] != early["stamps"]["exhibit/line"]
    monkeypatch.chdir(root.parent)
    drawn = body(client.get(f"/api/v1/compare/exhibit?{query}&exhibit=line&step=3"))
    compared = ls.compare(*(root / one for one in made))
    assert drawn["figure"] == json.loads(compared.exhibit("line", step=3).figure().to_json())
    assert eval(drawn["code"], {"ls": ls}) == compared.exhibit("line", step=3).figure()  # noqa: S307 - as above
    assert body(client.get(f"/api/v1/compare/exhibit?{query}&exhibit=nothing"))["figure"] is None
    for run_id in made:
        shutil.rmtree(root / run_id)


def test_it_is_not_sent_again_while_nothing_changes(client, ids):
    address = f"/api/v1/compare?runs={','.join(ids)}"
    tag = client.get(address).headers["ETag"]
    assert client.get(address, headers={"If-None-Match": tag}).status_code == 304


def test_stamps_change_with_what_a_picture_is_made_of(client, ids):
    def stamps(query):
        return body(client.get(f"/api/v1/compare?runs={','.join(ids)}{query}"))["stamps"]

    newest, start, between = stamps(""), stamps("&step=0"), stamps("&step=4")
    assert newest["planes"] != start["planes"] == between["planes"]
    assert newest["curves"] == start["curves"]
    assert newest["planes"] != stamps("&plane=hessian")["planes"]


def test_a_run_that_is_gone_is_named_and_the_others_are_compared(client, ids):
    found = body(client.get(f"/api/v1/compare?runs={ids[0]},nobody,{ids[1]}"))
    assert found["gone"] == ["nobody"]
    assert [run["id"] for run in found["runs"]] == ids[:2]
    assert body(client.get(f"/api/v1/compare?runs={ids[0]},nobody")) == {"runs": [], "gone": ["nobody"]}


def test_pictures_come_with_their_python(client, ids, monkeypatch, root):
    monkeypatch.chdir(root.parent)
    query = f"runs={ids[0]},{ids[2]}&theme=dark&step=4"
    found = body(client.get(f"/api/v1/compare/planes?{query}"))
    compared = ls.compare(*(root / one for one in (ids[0], ids[2])))
    assert found["figure"] == json.loads(compared.planes("random", step=4).figure(dark=True).to_json())
    drawn = eval(found["code"], {"ls": ls})  # noqa: S307 - what the page shows is what Python does
    assert drawn == compared.planes("random", step=4).figure()
    assert found["config"]["showSendToCloud"] is False


@pytest.mark.parametrize("what", ["curves", "curve_difference", "difference", "densities", "kernels", "embeddings"])
def test_every_picture_answers_also_where_nothing_was_measured(client, ids, what):
    found = body(client.get(f"/api/v1/compare/{what}?runs={','.join(ids)}&stamp=1&bands=no&x=log"))
    if what in ("curves", "curve_difference", "difference"):
        assert found["figure"]["data"]
    else:
        assert found["figure"] is None
        assert len(found["missing"]) == 3
    assert found["code"].startswith("ls.compare(")


def test_an_answer_to_a_stamp_is_for_ever_and_another_is_not(client, ids):
    address = f"/api/v1/compare/curves?runs={','.join(ids)}"
    assert client.get(address).headers["Cache-Control"] == "no-store"
    assert "immutable" in client.get(f"{address}&stamp=abc").headers["Cache-Control"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("curves?runs={a},{b}&step=x", 400, "step must be a number"),
        ("planes?runs={a},{b}&plane=nose", 400, "plane must be one of"),
        ("difference?runs={a},{b}&first=2", 400, "from 0 to 1"),
        ("nose?runs={a},{b}", 404, "picture must be one of"),
        ("curves?runs={a}", 404, "two runs at least"),
        ("curves?runs={a},../{b}", 404, "gone are ../"),
        ("curves?runs=1,2,3,4,5,6,7,8,9,a,b,c,d", 400, "at most 12 runs"),
    ],
)
def test_what_cannot_be_compared_is_said(client, ids, query, status, words):
    address = query.format(a=ids[0], b=ids[1])
    assert words in body(client.get(f"/api/v1/compare/{address}"), status)["error"]


def test_a_recipe_s_reference_is_a_run_beside_the_others(client, ids):
    found = body(client.get(f"/api/v1/compare?runs={ids[0]},reference:digits"))
    mine, other = found["runs"]
    assert (mine["id"], mine["reference"], mine["verdict"]) == (ids[0], False, None)
    assert (other["id"], other["label"], other["reference"]) == ("reference:digits", "digits, reference", True)
    assert other["verdict"]["claims"] == 3
    assert "CPU" in other["recorded"]
    assert {"name": "lr", "values": ["0.1", "0.2"]} in found["settings"]
    assert found["references"] == ["reference:digits"]
    drawn = body(client.get(f"/api/v1/compare/curves?runs={ids[0]},reference:digits"))
    assert drawn["code"].endswith(', ls.recipes.reference("digits")).curves().figure()')
    assert {trace["name"] for trace in drawn["figure"]["data"]} == {"digits", "digits, reference"}


@pytest.mark.parametrize("name", ["nobody", "../digits", ".", ""])
def test_a_reference_is_named_by_a_recipe_alone(client, ids, name):
    found = body(client.get(f"/api/v1/compare?runs={ids[0]},{ids[1]},reference:{name}"))
    assert found["gone"] == [f"reference:{name}"]
    assert len(found["runs"]) == 2


def test_a_reference_has_no_page_and_takes_no_notes(client):
    for path in ("head", "manifest", "frames/1.bin"):
        assert client.get(f"/api/v1/runs/reference:digits/{path}").status_code == 404
    assert client.post("/api/v1/runs/reference:digits/annotation", json={"tags": [], "note": "x"}).status_code in (
        403,
        404,
    )
