"""The rules by which a run is told in words; each a pure function of its scalars, the most telling first."""

from landscope.dynamics.rules import generalisation, loss, noise, representation, stability

__all__ = ["RULES"]

_BY_KIND = {
    rule.kind: rule for module in (loss, generalisation, stability, representation, noise) for rule in module.RULES
}
_ORDER = (
    "diverged",
    "diverging",
    "grokked",
    "grokking",
    "about-to-grok",
    "memorised",
    "label-noise",
    "edge-of-stability",
    "unstable",
    "catapult",
    "sharpening",
    "lazy",
    "rich",
    "neural-collapse",
    "dimensional-collapse",
    "class-saddle",
    "plasticity-loss",
    "gradient-noise",
    "slack",
    "plateau",
    "learning",
)

RULES = tuple(_BY_KIND[kind] for kind in _ORDER)
