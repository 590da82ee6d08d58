"""Attaching to a training loop."""

from landscope.live.attachment import watch
from landscope.live.minibatches import Batches
from landscope.live.probes import Probe, Watched, default_probes
from landscope.live.sam import SAM
from landscope.live.scope import Scope

__all__ = ["SAM", "Batches", "Probe", "Scope", "Watched", "default_probes", "watch"]
