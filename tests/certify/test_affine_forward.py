from fractions import Fraction

import pytest
import torch

from onelip.certify.affine_forward import AFFINE
from onelip.certify.records import Node


def exact_sums(weight, x, bias):
    """W x + b in rational arithmetic."""
    return [
        sum((Fraction(w) * Fraction(v) for w, v in zip(row, x, strict=True)), Fraction(b))
        for row, b in zip(weight, bias, strict=True)
    ]


@pytest.mark.parametrize("offset", [0.0, 1e10])
@pytest.mark.parametrize(("scale", "size"), [(1.0, 1.0), (1e-165, 1e150), (1e150, 1e-150)])
def test_the_error_of_products_is_bounded_at_every_scale(scale, size, offset):
    g = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 40, generator=g, dtype=torch.float64) * scale
    x = torch.randn(1, 40, generator=g, dtype=torch.float64) * size
    # The last entry cancels what the others add up to.
    weight[:, -1] = -(weight[:, :-1] @ x[0, :-1]) / x[0, -1]
    bias = torch.randn(5, generator=g, dtype=torch.float64) * offset
    node = Node("n", "linear", ("input",), {}, {"weight": weight, "bias": bias})
    y, error = AFFINE["linear"](node, [x])
    sums = exact_sums(weight.tolist(), x[0].tolist(), bias.tolist())
    off = [abs(Fraction(v) - e) for v, e in zip(y[0].tolist(), sums, strict=True)]
    # Underflow is charged to the step, not to the operation.
    assert sum(d * d for d in off) <= (Fraction(float(error)) + Fraction(2) ** -500) ** 2
    assert 0 < float(error) < 1e-10 * (1 + offset)


def test_convolutions_in_every_dimension_have_the_error_of_their_dense_form():
    g = torch.Generator().manual_seed(0)
    for axes in (1, 2, 3):
        weight = torch.randn(3, 2, *[3] * axes, generator=g)
        a = {"stride": [1] * axes, "pads": [1] * 2 * axes, "dilation": [1] * axes, "groups": 1, "padding_mode": "zeros"}
        node = Node("n", f"conv{axes}d", ("input",), a, {"weight": weight})
        x = torch.randn(2, 2, *[5] * axes, generator=g, dtype=torch.float64)
        y, error = AFFINE[node.op](node, [x])
        convolve = getattr(torch.nn.functional, f"conv{axes}d")
        reference = convolve(x, weight.double(), padding=1)
        assert y.shape == reference.shape
        assert ((y - reference).flatten(1).norm(dim=1) <= error).all()
        assert (error < 1e-11).all()
