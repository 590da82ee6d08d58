"""Where the page is, unless one says otherwise, and whether somebody can see it here."""

from __future__ import annotations

import os
import sys

__all__ = ["DEFAULT_HOST", "DEFAULT_PORT", "has_display"]

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8050


def has_display() -> bool:
    """Whether a browser can be opened before the user's eyes."""
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform in ("darwin", "win32") or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))
