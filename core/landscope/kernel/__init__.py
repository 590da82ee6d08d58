"""The empirical neural tangent kernel: its Gram matrix, its spectrum, and what it says of a training."""

from landscope.kernel.empirical import ntk
from landscope.kernel.function_space import ResidualModes, eigenmodes, kernel_regression, linearised
from landscope.kernel.gauss_newton import ggn_eigenvalues
from landscope.kernel.infinite_width import InfiniteKernels, infinite_width
from landscope.kernel.laziness import Moment, laziness, moment
from landscope.kernel.operators import leading_eigenvalues, ntk_operator
from landscope.kernel.parametrisations import PARAMETRISATIONS, Parametrisation, parametrised
from landscope.kernel.power_laws import fit_power_laws
from landscope.kernel.spectrum import alignment, effective_rank
from landscope.kernel.support_vectors import KernelMachine, tangent_svm
from landscope.kernel.widths import feature_movement, feature_scaling, width_scaling

__all__ = [
    "PARAMETRISATIONS",
    "InfiniteKernels",
    "KernelMachine",
    "Moment",
    "Parametrisation",
    "ResidualModes",
    "alignment",
    "effective_rank",
    "eigenmodes",
    "feature_movement",
    "feature_scaling",
    "fit_power_laws",
    "ggn_eigenvalues",
    "infinite_width",
    "kernel_regression",
    "laziness",
    "leading_eigenvalues",
    "linearised",
    "moment",
    "ntk",
    "ntk_operator",
    "parametrised",
    "tangent_svm",
    "width_scaling",
]
