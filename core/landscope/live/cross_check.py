"""Sharpness and trace of a watched model by PyHessian, beside ours at the same weights."""

from __future__ import annotations

from landscope import curvature
from landscope.live.watched import Watched

__all__ = ["cross_check"]

_PROBES = 30
_TOLERANCE = 1e-3


def cross_check(watched: Watched) -> tuple[str, dict[str, float]]:
    """The Hessian's largest eigenvalue and its trace by both, each with its error: a sentence, and the numbers.

    PyHessian ranks eigenvalues by magnitude, so that where negative curvature prevails it finds another one.

    Raises:
        ValueError: if PyHessian does not take the model, the loss or the data.
    """
    focus = watched.focus
    with focus.measuring():
        theirs = curvature.eigenvalues(focus, 1, backend="pyhessian", tolerance=_TOLERANCE)
        ours = curvature.eigenvalues(focus, 1, tolerance=_TOLERANCE)
        their_trace = curvature.trace(focus, probes=_PROBES, backend="pyhessian")
        our_trace = curvature.trace(focus, budget=2 * _PROBES)
    numbers = {
        "eigenvalue": float(ours.values[0]),
        "eigenvalue_error": float(ours.residuals[0]),
        "pyhessian_eigenvalue": float(theirs.values[0]),
        "pyhessian_eigenvalue_error": float(theirs.residuals[0]),
        "trace": our_trace.value,
        "trace_error": our_trace.stderr,
        "pyhessian_trace": their_trace.value,
        "pyhessian_trace_error": their_trace.stderr,
    }
    said = {name: f"{value:.4g}" for name, value in numbers.items()}
    text = (
        "The largest eigenvalue is {eigenvalue} ± {eigenvalue_error}, and by PyHessian, which ranks by magnitude, "
        "{pyhessian_eigenvalue} ± {pyhessian_eigenvalue_error}; the trace is {trace} ± {trace_error}, and by PyHessian "
        "{pyhessian_trace} ± {pyhessian_trace_error}."
    ).format_map(said)
    return text, numbers
