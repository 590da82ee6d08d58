"""Attaching to a training loop."""

from landscope.live.probes import Probe, Watched, default_probes
from landscope.live.scope import Scope, watch

__all__ = ["Probe", "Scope", "Watched", "default_probes", "watch"]
