"""Clipping with the matrix of the map formed: every singular value seen, weights as near as they can be."""

from __future__ import annotations

from torch import Tensor, nn

from onelip.spectral.descent import descend, square_norm
from onelip.spectral.nearest import nearest
from onelip.spectral.shrinking import Factors
from onelip.spectral.weighted_map import WeightedMap


def clip_exact_dense_(module: nn.Module, input_shape: tuple[int, ...], max_norm: float) -> None:
    """Move the weights of an affine module to the nearest whose matrix has norm at most a bound.

    For a single layer the matrix A is linear in the weights w, and this is the projection onto the convex set
    {w : |A(w)| <= max_norm}, to within 1 % of the distance; for a dense layer it is U min(S, max_norm) V^T. Where
    A is not linear in w, as for layers one after the other and for skip connections, it is a descent to weights that
    are near, but need not be nearest.

    Args:
        module: Affine, in eval mode; changed in place.
        input_shape: Shape of one input, without the batch.
        max_norm: What the norm is to be at most.

    Cost: 10 to 300 singular value decompositions of `(n_outputs, n_inputs)`.
    """
    map_ = WeightedMap(module, input_shape)
    if not (map_.is_affine_in_weights() and map_.homogeneous()):
        map_.write_(descend(map_, max_norm))
        return

    def pull(factors: Factors) -> Tensor:
        return map_.pull(map_.start, factors.left, factors.right)

    step = 1 / square_norm(map_)
    map_.write_(nearest(map_.start, map_.matrix, pull, map_.start.new_tensor(max_norm), step=step).point)
