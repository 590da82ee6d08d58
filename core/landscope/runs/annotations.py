"""What people say of a run: tags and a note, in a file of their own that the dashboard alone writes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["ANNOTATION", "Annotation", "read_annotation", "write_annotation"]

ANNOTATION = "annotation.json"
_LONGEST = {"tag": 40, "note": 2000}
_MOST_TAGS = 12
_LIMIT = 64 * 1024  # bytes; a longer file is not one of ours


@dataclass(frozen=True)
class Annotation:
    """Tags and a note.

    Attributes:
        tags: Short words, without commas.
        note: Any text.

    Raises:
        ValueError: if there are too many tags, or one or the note is too long.
        TypeError: if they are no texts.
    """

    tags: tuple[str, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.note, str) or not all(isinstance(tag, str) for tag in self.tags):
            raise TypeError(f"tags and note must be texts, got {self.tags!r} and {self.note!r}")
        if len(self.tags) > _MOST_TAGS:
            raise ValueError(f"at most {_MOST_TAGS} tags, got {len(self.tags)}")
        for tag in self.tags:
            if not tag.strip() or "," in tag or len(tag) > _LONGEST["tag"]:
                raise ValueError(f"a tag is from 1 to {_LONGEST['tag']} letters without commas, got {tag!r}")
        if len(self.note) > _LONGEST["note"]:
            raise ValueError(f"a note is at most {_LONGEST['note']} letters long, got {len(self.note)}")


def read_annotation(folder: Path) -> Annotation:
    """What is said of the run in a folder; nothing where nobody has said anything.

    Raises:
        ValueError: if the file is none of ours.
    """
    path = folder / ANNOTATION
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT + 1)
    except FileNotFoundError:
        return Annotation()
    try:
        values = json.loads(text)
        return Annotation(tuple(values["tags"]), values["note"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is not an annotation: {error}") from None


def write_annotation(folder: Path, annotation: Annotation) -> None:
    """Keep what is said of the run in a folder, whole or not at all."""
    temporary = folder / f".{ANNOTATION}"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(annotation), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / ANNOTATION)
