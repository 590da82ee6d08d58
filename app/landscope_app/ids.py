"""Ids of the components that more than one module, or a script in assets/, refers to."""

MANTINE = "mantine"
PAGE = "page"
"""The store with what the scripts need to draw: themes, palettes and the panels' series."""

ASKED = "asked"
"""The store with what the drawer is to explain."""

VISITED = "visited"
"""The store with the name of the page that was last visited for the first time."""

RUN_PICKER = "run-picker"
STYLE = "style"
X_SCALE = "x-scale"
DRAWER = "drawer"


def panel(name: str) -> str:
    """The section of one panel."""
    return f"panel-{name}"


def graph(name: str) -> str:
    """The graph inside one panel."""
    return f"graph-{name}"


def view(panel_name: str) -> str:
    """The choice between a panel's few views."""
    return f"view-{panel_name}"


def about(name: str) -> dict[str, str]:
    """The button that explains one panel, or the page with the name "keys"."""
    return {"type": "about", "subject": name}
