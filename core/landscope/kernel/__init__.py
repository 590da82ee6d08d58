"""The empirical neural tangent kernel: its Gram matrix, its spectrum, and what it says of a training."""

from landscope.kernel.empirical import ntk
from landscope.kernel.function_space import eigenmodes, kernel_regression, linearised
from landscope.kernel.gauss_newton import ggn_eigenvalues
from landscope.kernel.laziness import Moment, laziness, moment
from landscope.kernel.operators import leading_eigenvalues, ntk_operator
from landscope.kernel.power_laws import fit_power_laws
from landscope.kernel.spectrum import alignment, effective_rank

__all__ = [
    "Moment",
    "alignment",
    "effective_rank",
    "eigenmodes",
    "fit_power_laws",
    "ggn_eigenvalues",
    "kernel_regression",
    "laziness",
    "leading_eigenvalues",
    "linearised",
    "moment",
    "ntk",
    "ntk_operator",
]
