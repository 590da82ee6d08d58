"""The empirical neural tangent kernel: its Gram matrix, its spectrum, and its alignment with the labels."""

from landscope.kernel.empirical import ntk
from landscope.kernel.spectrum import alignment, effective_rank

__all__ = ["alignment", "effective_rank", "ntk"]
