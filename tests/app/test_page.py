from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import dash
import plotly.utils
import pytest
from dash.development.base_component import Component

from landscope import lab
from landscope.figures.theme import DARK, LIGHT, Theme
from landscope_app.explanations import EXPLANATIONS, KEYS, explanation
from landscope_app.laboratory import ON_DEMAND
from landscope_app.page import build_page, drawing_data, page_layout
from landscope_app.panels import PANELS
from landscope_app.runs_page import SNIPPET
from landscope_app.server import assets_folder
from landscope_app.steering import COMMANDS, STEERING

ASSETS = assets_folder()
SCRIPTS = sorted(ASSETS.glob("*.js"))
VIEWS = [view for panel in PANELS for view in panel.views]

# The scalars that a training records; see the recorder.
RECORDED = {
    *(f"{split}/{name}" for split in ("train", "test") for name in ("loss", "accuracy")),
    "step/loss",
    "norm/gradient",
    "norm/weights",
    "sharpness/lambda_max",
    "sharpness/stderr",
    "sharpness/threshold",
    "density/eigenvalue.*",
    "ntk/eigenvalue.*",
    "ntk/effective_rank",
    *(f"ntk/{name}" for name in ("alignment", "test_alignment", "label_energy", "drift", "features", "weights")),
    *(f"geometry/{name}" for name in ("nc1", "nc2_norms", "nc2_angles", "nc3", "nc4")),
    *(f"geometry/{name}" for name in ("effective_rank", "participation_ratio", "intrinsic")),
    *(f"geometry/{name}" for name in ("alignment", "uniformity", "knn_accuracy", "probe_accuracy")),
    *(f"tokens/{name}" for name in ("restricted", "excluded", "excluded.train", "gini", "share")),
    *(f"gradients/{name}" for name in ("noise_scale", "noise_scale_error", "signal_to_noise")),
    "batch/size",
    "step/update_ratio",
    "step/update_cosine",
    *(f"units/{name}" for name in ("dead", "dormant", "saturated")),
    "plasticity/loss",
    "plasticity/lambda_max",
    *(f"outputs/change/{name}" for name in ("kl", "kl_error", "logit_norm")),
}


def components(root: object) -> list[Component]:
    if isinstance(root, list | tuple):
        return [found for child in root for found in components(child)]
    return [root, *components(getattr(root, "children", None))] if isinstance(root, Component) else []


@pytest.fixture(scope="module")
def app() -> dash.Dash:
    made = dash.Dash("test", assets_folder=str(ASSETS))
    build_page(made)
    return made


def test_page_is_json_and_every_id_is_used_once() -> None:
    json.dumps(page_layout(), cls=plotly.utils.PlotlyJSONEncoder)
    found = [str(one.id) for one in components(page_layout()) if getattr(one, "id", None) is not None]
    assert len(found) == len(set(found))


def test_panels_draw_every_recorded_scalar() -> None:
    lines = [line for view in VIEWS for line in view.series]
    assert {line.name for line in lines} | {line.error for line in lines if line.error} == RECORDED


def test_every_panel_is_on_the_page_and_explained() -> None:
    names = [panel.name for panel in PANELS]
    assert len(set(names)) == len(names) == 7
    others = {f"{panel.name}/{view.name}" for panel in PANELS for view in panel.views[1:]}
    assert set(EXPLANATIONS) == set(names) | others
    for panel in PANELS:
        assert explanation(panel.name)[0] == panel.title
        titles = {explanation(panel.name, view.name)[0] for view in panel.views}
        assert len(titles) == len(panel.views)
        for view in panel.views:
            assert len(components(explanation(panel.name, view.name)[1])) > 4
    assert sum(2 if panel.wide else 1 for panel in PANELS) == 8


def test_views_have_a_name_in_the_address_and_a_drawer() -> None:
    view_script = (ASSETS / "20-view.js").read_text()
    taken = {"step", *re.findall(r"^    (\w+): \[", view_script, re.MULTILINE), "show"}
    assert {"plane", "style", "x"} < taken
    assert not taken & {panel.name for panel in PANELS}
    drawers = {name for path in SCRIPTS for name in re.findall(r"^landscope\.drawers\.(\w+) =", path.read_text(), re.M)}
    assert {view.drawer for view in VIEWS if view.drawer} == drawers
    for panel in PANELS:
        assert len({view.name for view in panel.views}) == len(panel.views)
        for view in panel.views:
            assert bool(view.drawer) != bool(view.series)
            assert view.frames or view.probes
            assert set(view.drawing()["layout"]) >= {"xaxis", "yaxis"}


def test_every_axis_of_the_empty_figures_has_a_name() -> None:
    for view in VIEWS:
        axes = view.axes(LIGHT)
        named = {key: axis["title"]["text"] for key, axis in axes.items() if re.fullmatch(r"[xy]axis\d?", key)}
        assert len(named) >= 2
        assert all(named.values()), f"{view.name} has an axis without a name"


def test_two_lines_on_one_axis_differ_in_more_than_colour() -> None:
    for view in VIEWS:
        for row in range(1, len(view.rows) + 1):
            lines = [line for line in view.series if line.row == row]
            assert len({(line.dash, line.faint) for line in lines}) == len(lines)


def test_theme_has_one_source() -> None:
    css = (ASSETS / "app.css").read_text()
    light, dark = re.findall(r":root[^{]*\{([^}]*)\}", css)[:2]
    for block, look in ((light, LIGHT), (dark, DARK)):
        shown = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        assert {name: shown[name] for name in ("surface", "text", "muted", "accent", "first", "third")} == {
            name: getattr(look, name) for name in ("surface", "text", "muted", "accent", "first", "third")
        }


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=lambda look: look.name)
def test_scripts_are_given_what_they_draw_with(look: Theme) -> None:
    data = drawing_data()["themes"][look.name]
    assert data["template"]["layout"]["paper_bgcolor"] == look.surface
    assert len(data["colours"]["palette"]) == 10
    assert len(data["cyclic"]) == 360
    roles = {line.colour for view in VIEWS for line in view.series} - {"sequential"}
    assert roles <= set(data["colours"])


def test_index_chooses_the_theme_in_its_head_without_an_inline_script(app: dash.Dash) -> None:
    page = app.server.test_client().get("/run/anything").get_data(as_text=True)
    head = page[: page.index("</head>")]
    assert re.search(r'<script src="/assets/00-theme\.js[^"]*"></script>', head)
    assert not re.search(r"<script>\s*\S", head)


def test_no_script_style_or_icon_names_another_host() -> None:
    for path in (*SCRIPTS, *ASSETS.glob("*.css"), *ASSETS.glob("icons/*.svg")):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", text), path.name


def test_scripts_never_write_markup() -> None:
    for path in SCRIPTS:
        text = path.read_text()
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert way not in text, f"{path.name} uses {way}"


def test_icons_exist() -> None:
    css = (ASSETS / "app.css").read_text()
    for name in re.findall(r'url\("([^"]+)"\)', css):
        assert (ASSETS / name).is_file()
    used = {
        word.removeprefix("icon-")
        for one in components(page_layout())
        for word in str(getattr(one, "className", "")).split()
        if word.startswith("icon-")
    }
    assert all(f".icon-{name} " in css for name in used)


def test_every_key_of_the_help_is_handled() -> None:
    script = (ASSETS / "53-keyboard.js").read_text()
    named = {"Space": '" "', "← →": "ArrowLeft", "Shift ← →": "shiftKey", "Home, End": "Home", "[ ]": '"]"'}
    for key, _ in KEYS:
        needle = named.get(key) or (f'"{key.lower()}"' if f'"{key.lower()}"' in script else f"{key.lower()}:")
        assert needle in script, key


def test_what_a_panel_draws_is_measured_on_demand_by_the_laboratory() -> None:
    drawn = {name for view in VIEWS for name in view.frames}
    assert set(ON_DEMAND) <= drawn
    assert set(ON_DEMAND.values()) <= set(lab.ENTRIES)


def test_every_control_is_explained_in_one_sentence_or_two() -> None:
    help_text = json.dumps(explanation("steering")[1], cls=plotly.utils.PlotlyJSONEncoder)
    for label, words in STEERING.values():
        assert label in help_text
        assert words.endswith(".")
        assert len(words) < 120
    assert set(COMMANDS) - {"resume", "set", "cross-check", "measure", "cancel"} <= set(STEERING)


def test_snippet_of_the_empty_page_is_the_public_interface() -> None:
    import landscope

    assert "ls.watch(" in SNIPPET
    assert "watch" in landscope.__all__
    compile(SNIPPET.replace("...", "pass"), "snippet", "exec")


def test_building_the_page_needs_no_torch() -> None:
    code = "import landscope_app.page, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
