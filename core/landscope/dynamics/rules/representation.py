"""Lazy or rich, neural collapse, dimensional collapse, and classes that sit on saddles."""

from __future__ import annotations

import numpy as np

from landscope.dynamics.series import History
from landscope.dynamics.states import Finding, Rule

__all__ = ["RULES"]

# The kernel has hardly turned, or has turned for good, at these distances 1 - cos from its beginning; what lies between
# is said of neither. They are small, since a part that all examples share makes up most of a kernel and turns little.
_LAZY, _RICH = 0.01, 0.02
# A linearised network that errs by less than this share explains the training; by more than the other, it does not.
_LINEAR, _NONLINEAR = 0.1, 0.5
# The loss must have fallen to this share before a kernel that stands still says anything.
_LEARNT = 0.5
_FITTED = 0.99
# Shares of their largest value to which NC1, NC2's angles and NC3 must have fallen: fitting alone halves NC1.
_NC1, _NC2, _NC3 = 0.25, 0.75, 0.5
# Negative curvature of a class's loss, as a share of its largest curvature, from which on it is called a saddle, and
# how many times that of the median class it is then, at so many readings in a row: before fitting every class has some.
_SADDLE, _APART, _READINGS = 0.1, 2.0, 3


def _learnt(series: History) -> bool:
    loss = series.get("train/loss")
    return loss is not None and len(loss.values) > 1 and loss.first > 0 and loss.last < _LEARNT * loss.first


def _regime(series: History) -> tuple[float, float] | None:
    """Drift of the kernel and error of the linearised network, once something is learnt."""
    drift, linearised = series.get("ntk/drift"), series.get("linearised/error")
    if drift is None or linearised is None or len(drift.values) < 2 or not _learnt(series):
        return None
    return drift.last, linearised.last


def _lazy(series: History) -> Finding | None:
    regime = _regime(series)
    if regime is None or not (regime[0] < _LAZY and regime[1] < _LINEAR):
        return None
    text = (
        f"Lazy: the loss has fallen to {_share(series)} of its start while the tangent kernel turned by only "
        f"{regime[0]:.1%}, and the network linearised at its start errs by {regime[1]:.1%}: features hardly move."
    )
    return Finding("lazy", text, None, ("ntk/drift", "linearised/error", "train/loss"))


def _rich(series: History) -> Finding | None:
    regime = _regime(series)
    if regime is None or not (regime[0] > _RICH and regime[1] > _NONLINEAR):
        return None
    drift = series["ntk/drift"]
    text = (
        f"Rich: the tangent kernel has turned by {regime[0]:.0%} since the start, and the network linearised there "
        f"errs by {regime[1]:.0%}: features are being learnt."
    )
    return Finding("rich", text, drift.holds_since(drift.values > _RICH), ("ntk/drift", "linearised/error"))


def _share(series: History) -> str:
    loss = series["train/loss"]
    return f"{loss.last / loss.first:.0%}"


def _neural_collapse(series: History) -> Finding | None:
    accuracy = series.get("train/accuracy")
    within, angles, duality = (series.get(f"geometry/{name}") for name in ("nc1", "nc2_angles", "nc3"))
    if accuracy is None or within is None or angles is None or duality is None:
        return None
    fitted = accuracy.holds_since(accuracy.values >= _FITTED)
    if fitted is None or len(within.since(fitted).values) < 2:
        return None
    fallen = [one.last < share * one.values.max() for one, share in ((within, _NC1), (angles, _NC2), (duality, _NC3))]
    if not all(fallen):
        return None
    text = (
        f"Neural collapse has begun: with the data fitted, the variability within classes fell to {within.last:.3g} "
        f"of that between them (NC1) from {float(within.values.max()):.3g}, and the class means' angles came nearer "
        f"to equal, {angles.last:.3g} from them (NC2)."
    )
    since = within.holds_since((within.values < _NC1 * within.values.max()) & (within.steps >= fitted))
    return Finding("neural-collapse", text, since, ("geometry/nc1", "geometry/nc2_angles", "geometry/nc3"))


def _dimensional_collapse(series: History) -> Finding | None:
    alarm, rank = series.get("geometry/collapsed"), series.get("geometry/effective_rank")
    if alarm is None or rank is None or not alarm.last > 0:
        return None
    text = (
        f"Dimensional collapse: the features' effective rank is {rank.last:.3g}, at most "
        f"{float(rank.values.max()):.3g} before: too few directions for what they are to tell apart."
    )
    return Finding("dimensional-collapse", text, alarm.holds_since(alarm.values > 0), ("geometry/effective_rank",))


def _saddle(series: History) -> Finding | None:
    prefix = "classes/negative ratio/"
    ratios = {name: one for name, one in series.items() if name.startswith(prefix)}
    if len(ratios) < 3 or min(len(one.values) for one in ratios.values()) < _READINGS or not _learnt(series):
        return None
    recent = np.stack([one.values[-_READINGS:] for one in ratios.values()])  # (classes, readings)
    typical = np.median(recent, axis=0)
    apart = ((recent > _SADDLE) & (recent > _APART * typical)).all(axis=1)
    if not apart.any():
        return None
    bent = {name: one for (name, one), far in zip(ratios.items(), apart, strict=True) if far}
    worst = max(bent, key=lambda name: bent[name].last)
    labels = ", ".join(name.removeprefix(prefix) for name in bent)
    text = (
        f"A saddle for some classes: the loss of class {labels} alone curves downward, of {worst.removeprefix(prefix)} "
        f"by {bent[worst].last:.0%} of its largest curvature, and of a typical class by {typical[-1]:.0%}."
    )
    since = bent[worst].holds_since(bent[worst].values > _SADDLE)
    return Finding("class-saddle", text, since, tuple(bent))


_CHIZAT = "Chizat, Oyallon and Bach 2019, On lazy training in differentiable programming"
_PAPYAN = (
    "Papyan, Han and Donoho 2020, Prevalence of neural collapse during the terminal phase of deep learning training"
)

RULES = (
    Rule(
        "lazy",
        "Lazy",
        f"The loss fell to {_LEARNT:.0%} of its start or less, the kernel turned by less than {_LAZY:.0%} (1 - "
        f"cosine), and the linearised network errs by less than {_LINEAR:.0%}. Both, since a kernel may stand still "
        "while nothing is learnt.",
        "Training is what kernel regression with the first kernel would do.",
        "Lazy networks may generalise well or badly; it depends on whether the first kernel suits the task.",
        (_CHIZAT, "Fort et al. 2020, Deep learning versus kernel learning"),
        _lazy,
    ),
    Rule(
        "rich",
        "Rich",
        f"The kernel turned by more than {_RICH:.0%} and the linearised network errs by more than {_NONLINEAR:.0%}.",
        "Features are learnt: the network is no longer near its first linearisation.",
        "Rich is not better by itself: memorising networks move their kernel, too.",
        (_CHIZAT,),
        _rich,
    ),
    Rule(
        "neural-collapse",
        "Neural collapse begun",
        f"Training accuracy stays above {_FITTED:.0%}, NC1 is below {_NC1:.0%} of its largest value, NC2's angles "
        f"below {_NC2:.0%} and NC3 below {_NC3:.0%}. Fitting alone halves NC1.",
        "Features of a class draw together, and class means towards equal angles, as the theory of long training says.",
        "On training data; it may be absent on held-out data, and with unbalanced classes the target is another one.",
        (_PAPYAN,),
        _neural_collapse,
    ),
    Rule(
        "dimensional-collapse",
        "Dimensional collapse",
        "The effective rank is below half of what the classes need, or, without classes, below a tenth of what is "
        "possible.",
        "Features are confined to few directions.",
        "With few classes a low rank is what neural collapse makes, and no fault.",
        (
            "Jing, Vincent, LeCun and Tian 2022, Understanding dimensional collapse in contrastive self-supervised "
            "learning",
        ),
        _dimensional_collapse,
    ),
    Rule(
        "class-saddle",
        "A saddle for some classes",
        f"For {_READINGS} readings the most negative curvature of a class's own loss exceeded {_SADDLE:.0%} of its "
        f"largest and {_APART:.0f} times what the median class has.",
        "Seen for rare classes, whose loss the others' gradients leave at a saddle.",
        "Negative curvature of a class is normal before the data are fitted.",
        ("Rangwani et al. 2022, Escaping saddle points for effective generalization on class-imbalanced data",),
        _saddle,
    ),
)
