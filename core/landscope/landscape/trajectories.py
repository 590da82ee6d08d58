"""The path of training seen from a plane through weight space, and the plane that lies closest to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["PathProjection", "project_path", "trajectory_plane"]


def trajectory_plane(
    path: Tensor, centre: Tensor, *, previous: Tensor | None = None, fallback: Tensor | None = None
) -> Tensor:
    """The plane through `centre` that lies closest to a path: two orthonormal directions (2, P).

    They are the leading right singular vectors of the rows theta_t - centre (Li et al. 2018, section 7.2), found
    through their T x T Gram matrix in float64, so that the cost is that of a T x P product. `project_path` says how
    much of the path each of them explains.

    Args:
        path: (T, P) earlier weights.
        centre: (P,) the weights the plane passes through.
        previous: (2, P) the last plane's directions; each new one is given the sign that agrees with them.
        fallback: (P,) a direction to complete the plane with while the path is straight or has a single point.

    Raises:
        ValueError: if the path is not finite, never leaves the centre, or is straight and no fallback is given.
    """
    rows = (path - centre).double()
    gram = rows @ rows.T
    if not bool(torch.isfinite(gram).all()):
        raise ValueError("path and centre must be finite; leave out the steps after which training diverged")
    values, vectors = torch.linalg.eigh(gram)
    rank = int((values > 1e-10 * values[-1]).sum()) if float(values[-1]) > 0 else 0
    if rank == 0:
        raise ValueError("the path has no extent: every point of it equals the centre; train for a step first")
    leading = vectors[:, -2:].flip(1).T if rank > 1 else vectors[:, -1:].T
    directions: Tensor = leading @ rows
    directions = directions / directions.norm(dim=1, keepdim=True)
    if rank == 1:
        if fallback is None:
            raise ValueError("the path is straight, so it spans no plane; give a fallback direction to complete it")
        along, other = directions[0], fallback.double()
        rest = other - (other @ along) * along
        if not float(rest.norm()) > 1e-10 * float(other.norm()):
            raise ValueError("the fallback direction is parallel to the straight path; give another one")
        directions = torch.stack([along, rest / rest.norm()])
    if previous is not None:
        agreement = (directions * previous.double()).sum(dim=1, keepdim=True)
        directions = torch.where(agreement < 0, -directions, directions)
    return directions.to(path.dtype)


@dataclass(frozen=True)
class PathProjection:
    """A path seen from a plane, or from a line or a space of more dimensions.

    Attributes:
        coordinates: (T, d) of each point's foot, in multiples of the directions.
        distances: (T,) from each point to its foot.
        explained: Share of the sum of squared distances from the centre that lies in the plane.
        shares: (d,) what each direction adds to that share, taken in their order. For orthogonal directions, the share
            along each: explained variances of a principal component analysis about the centre.
    """

    coordinates: Tensor
    distances: Tensor
    explained: float
    shares: Tensor


def project_path(path: Tensor, centre: Tensor, directions: Tensor) -> PathProjection:
    """The orthogonal projection of a path (T, P) on centre + span(directions), directions (d, P).

    Least squares in the directions' own metric, so that they need be neither orthogonal nor of unit length.

    Raises:
        ValueError: if the directions are linearly dependent.
    """
    rows, basis = (path - centre).double(), directions.double()
    lengths = basis.norm(dim=1)
    cosines = basis @ basis.T / torch.outer(lengths, lengths)
    if not float(torch.linalg.det(cosines)) > 1e-12:
        what = "span a plane, got two that are" if len(basis) == 2 else "be independent, got some that are"
        raise ValueError(f"directions must {what} parallel or zero")
    triangle = torch.linalg.cholesky(cosines)  # basis = lengths * triangle @ (orthonormal rows)
    along = torch.linalg.solve_triangular(triangle, basis @ rows.T / lengths[:, None], upper=False)
    coordinates = (torch.linalg.solve_triangular(triangle.T, along, upper=True) / lengths[:, None]).T
    residual = rows - coordinates @ basis
    total = float(rows.square().sum())
    shares = along.square().sum(dim=1) / total if total > 0 else torch.zeros_like(lengths)
    explained = 1.0 - float(residual.square().sum()) / total if total > 0 else 1.0
    return PathProjection(coordinates, residual.norm(dim=1), explained, shares)
