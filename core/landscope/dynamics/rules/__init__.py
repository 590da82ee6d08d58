"""The rules by which a run is told in words; each a pure function of its scalars, the most telling first."""

from landscope.dynamics.rules import generalisation, loss, noise, representation, stability

__all__ = ["RULES"]

_LOSS = {rule.kind: rule for rule in loss.RULES}

RULES = (
    _LOSS["diverged"],
    _LOSS["diverging"],
    *generalisation.RULES,
    *stability.RULES[:4],
    *representation.RULES,
    *noise.RULES,
    stability.RULES[4],
    _LOSS["plateau"],
    _LOSS["learning"],
)
