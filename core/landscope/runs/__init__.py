"""The run store: a training and all that was measured of it, in a folder.

A trainer writes it through `RunWriter`; anybody reads it, also while it is written, through `Run`; what is measured
after its training is added through `RunAppender`. It needs neither torch nor a server, and it survives the death of the
trainer at any instant.

    runs/<id>/run.json        what was trained, where, with what; never changes
    runs/<id>/run.sqlite      scalars, frames and events; written by the trainer alone
    runs/<id>/control.sqlite  commands to the trainer; written by the dashboard alone
    runs/<id>/annotation.json tags and a note; written by the dashboard alone
    runs/<id>/blobs/          frames above one mebibyte, each named by its SHA-256
    runs/<id>/checkpoints/    step-<n>.pt: what a training needs to go on from step n; written by the trainer alone
    runs/.trash/<id>/         what was thrown away
"""

from landscope.runs.annotations import Annotation, read_annotation, write_annotation
from landscope.runs.appender import RunAppender
from landscope.runs.catalogue import RunSummary, latest_id, list_runs, open_run
from landscope.runs.checkpoints import checkpoint_path, checkpoint_steps
from landscope.runs.commands import Command
from landscope.runs.manifest import Manifest, Parent
from landscope.runs.reader import Event, FrameRef, Head, Increment, Run
from landscope.runs.status import RunStatus
from landscope.runs.trash import discard, erase, restore, trashed
from landscope.runs.writer import RunWriter

__all__ = [
    "Annotation",
    "Command",
    "Event",
    "FrameRef",
    "Head",
    "Increment",
    "Manifest",
    "Parent",
    "Run",
    "RunAppender",
    "RunStatus",
    "RunSummary",
    "RunWriter",
    "checkpoint_path",
    "checkpoint_steps",
    "discard",
    "erase",
    "latest_id",
    "list_runs",
    "open_run",
    "read_annotation",
    "restore",
    "trashed",
    "write_annotation",
]
