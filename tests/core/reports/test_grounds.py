"""Pictures on a dark ground that were read off light ones are those that would have been built."""

import pytest

from landscope.reports.grounds import colours_of, dark_colours, recoloured

LIGHT = {"data": [{"line": {"color": "#0072b2", "width": 2}, "name": "a", "y": [1, 2]}, {"fill": "rgba(1,2,3,0.5)"}],
         "layout": {"template": {"colorway": ["#0072b2", "#ffffff"]}, "title": {"text": "one"}}}  # fmt: skip
DARK = {"data": [{"line": {"color": "#56b4e9", "width": 2}, "name": "a", "y": [1, 2]}, {"fill": "rgba(1,2,3,0.5)"}],
        "layout": {"template": {"colorway": ["#111111", "#000000"]}, "title": {"text": "one"}}}  # fmt: skip


def test_colours_are_learnt_and_put_on_a_later_picture():
    colours = dark_colours([(LIGHT, DARK)])
    assert colours == {"#0072b2": "#56b4e9", "rgba(1,2,3,0.5)": "rgba(1,2,3,0.5)"}
    assert set(colours_of(LIGHT)) == set(colours)
    assert recoloured(LIGHT, colours, DARK["layout"]["template"]) == DARK
    later = {"data": [{"line": {"color": "#0072b2"}, "y": [5]}], "layout": {"template": {}}}
    assert recoloured(later, colours, "dark") == {
        "data": [{"line": {"color": "#56b4e9"}, "y": [5]}], "layout": {"template": "dark"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("light", "dark"),
    [
        (["#000000", "#000000"], ["#ffffff", "#eeeeee"]),  # of two roles
        (["#000000", "#000000"], ["#ffffff", "#000000"]),
        ({"opacity": 0.5}, {"opacity": 0.7}),
        ({"name": "a"}, {"name": "b"}),
        ([1, 2], [1, 2, 3]),
        ({"a": 1}, {"b": 1}),
        ({"color": "#000000"}, {"color": 3}),
    ],
)
def test_pictures_that_differ_in_more_are_left_alone(light, dark):
    assert dark_colours([(light, dark)]) is None
