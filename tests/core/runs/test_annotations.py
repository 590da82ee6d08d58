import json

import pytest

from landscope.runs import Annotation, read_annotation, write_annotation
from landscope.runs.annotations import ANNOTATION


def test_what_was_said_is_read_again_and_replaced(tmp_path):
    assert read_annotation(tmp_path) == Annotation()
    write_annotation(tmp_path, Annotation(("good", "für später"), "a <b>note</b>"))
    assert read_annotation(tmp_path) == Annotation(("good", "für später"), "a <b>note</b>")
    write_annotation(tmp_path, Annotation())
    assert read_annotation(tmp_path) == Annotation()
    assert [path.name for path in tmp_path.iterdir()] == [ANNOTATION]


@pytest.mark.parametrize("tags", [("",), ("a,b",), ("x" * 41,), ("t",) * 13])
def test_tags_are_few_short_words(tags):
    with pytest.raises(ValueError, match="tag"):
        Annotation(tags)


def test_notes_have_an_end():
    with pytest.raises(ValueError, match="at most 2000 letters long, got 2001"):
        Annotation((), "x" * 2001)
    with pytest.raises(TypeError, match="must be texts"):
        Annotation((), 3)


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", json.dumps({"tags": [""], "note": ""}), "3"])
def test_a_file_of_another_kind_is_named(tmp_path, text):
    (tmp_path / ANNOTATION).write_text(text)
    with pytest.raises(ValueError, match="is not an annotation"):
        read_annotation(tmp_path)
