"""Lazy or rich, neural collapse, dimensional collapse, and classes that sit on saddles."""

from __future__ import annotations

from landscope.dynamics.findings import Finding, Rule
from landscope.dynamics.series import History

__all__ = ["RULES"]

# The kernel has hardly turned, or has turned for good, at these distances 1 - cos from its beginning; what lies between
# is said of neither. Kernels of finite networks that stay in the lazy regime move by a few hundredths.
_LAZY, _RICH = 0.05, 0.3
# A linearised network that errs by less than this share explains the training; by more than the other, it does not.
_LINEAR, _NONLINEAR = 0.1, 0.5
# The loss must have fallen to this share before a kernel that stands still says anything.
_LEARNT = 0.5
_FITTED = 0.99
# Share of their value at fitting to which the measures of collapse must have fallen.
_COLLAPSED = 0.5
# Negative curvature of a class's loss, as a share of its largest curvature, from which on it is called a saddle.
_SADDLE = 0.1


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
        f"{regime[0]:.1%}, "
        f"and the network linearised at its start errs by {regime[1]:.1%}: features hardly move."
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
    accuracy, within = series.get("train/accuracy"), series.get("geometry/nc1")
    angles, duality = series.get("geometry/nc2_angles"), series.get("geometry/nc3")
    if accuracy is None or within is None or angles is None:
        return None
    fitted = accuracy.first_step_above(_FITTED)
    if fitted is None or accuracy.last < _FITTED or len(within.since(fitted).values) < 3:
        return None
    at_fit = within.value_at(fitted)
    shrunk = within.last < _COLLAPSED * at_fit
    equal = angles.last < _COLLAPSED * max(angles.first, angles.value_at(fitted))
    dual = duality is None or duality.last < max(duality.first, duality.value_at(fitted))
    if not (shrunk and equal and dual):
        return None
    text = (
        f"Neural collapse has begun: since the data were fitted at step {fitted:,} the variability within classes "
        f"fell from {at_fit:.3g} to {within.last:.3g} of that between them (NC1), and the class means' angles came "
        f"nearer to equal, {angles.last:.3g} from them (NC2)."
    )
    since = within.holds_since((within.values < _COLLAPSED * at_fit) & (within.steps >= fitted))
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
    ratios = {name: one for name, one in series.items() if name.startswith(prefix) and len(one.values)}
    bent = {name: one for name, one in ratios.items() if one.last > _SADDLE}
    if not bent or len(bent) == len(ratios) or not _learnt(series):
        return None
    worst = max(bent, key=lambda name: bent[name].last)
    labels = ", ".join(name.removeprefix(prefix) for name in bent)
    text = (
        f"A saddle for some classes: the loss of class {labels} alone curves downward, of "
        f"{worst.removeprefix(prefix)} by {bent[worst].last:.0%} of its largest curvature, while others are at a "
        "minimum."
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
        f"Training accuracy has stayed at {_FITTED:.0%}, and since it was reached NC1 halved, NC2's angles halved "
        "against their largest, and NC3 fell.",
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
        f"The most negative curvature of a class's own loss exceeds {_SADDLE:.0%} of its largest, and not that of "
        "all classes.",
        "Seen for rare classes, whose loss the others' gradients leave at a saddle.",
        "Negative curvature of a class is normal before the data are fitted.",
        ("Rangwani et al. 2022, Escaping saddle points for effective generalization on class-imbalanced data",),
        _saddle,
    ),
)
