"""Row sums of Gram kernels."""

from __future__ import annotations

import pytest
import torch

from onelip.linalg import autocorrelation
from onelip.linalg.gram_sums import gram_sums, outputs_are_fewer, perron_vector

CASES = [
    (4, 4, (3, 3), (1, 1), (1, 1), 1),
    (8, 4, (3, 2), (1, 1), (2, 1), 2),
    (4, 8, (1, 4), (1, 1), (1, 1), 2),
    (8, 3, (3, 3), (2, 2), (1, 1), 1),
    (16, 3, (3, 3), (2, 2), (1, 1), 1),
    (16, 3, (3, 4), (1, 2), (2, 1), 1),
    (4, 3, (3, 4), (1, 2), (2, 3), 1),
    (20, 2, (3, 5), (2, 3), (2, 2), 1),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_sums_are_those_of_the_autocorrelation(case) -> None:  # type: ignore[no-untyped-def]
    out, into, size, stride, dilation, groups = case
    kernel = torch.randn(out, into // groups, *size, dtype=torch.float64)
    side = "out" if outputs_are_fewer(kernel, stride, groups) else "in"
    gram = autocorrelation(kernel, stride=stride, dilation=dilation, groups=groups, side=side)
    expected = gram.abs().sum((-2, -1)).unflatten(0, (groups, -1))
    torch.testing.assert_close(gram_sums(kernel, stride, dilation, groups), expected, atol=1e-12, rtol=0)


def test_perron_vector_of_one_component() -> None:
    m = torch.rand(1, 7, 7, dtype=torch.float64)
    m = m + m.mT
    x = perron_vector(m)[0]
    values, vectors = torch.linalg.eigh(m[0])
    expected = vectors[:, -1].abs()
    assert values[-1] > 0
    torch.testing.assert_close(x / x.norm(), expected, atol=1e-8, rtol=0)


def test_perron_vector_treats_components_apart() -> None:
    strong, weak = 5 * torch.ones(2, 2).double(), torch.tensor([[1.0, 0.5], [0.5, 2.0]]).double()
    m = torch.block_diag(strong, weak, torch.zeros(1, 1).double())[None]
    x = perron_vector(m)[0]
    ratio = (m[0] @ x)[:4] / x[:4]
    expected = torch.tensor([10.0, 10.0, *[(3 + 2**0.5) / 2] * 2]).double()
    torch.testing.assert_close(ratio, expected, atol=1e-7, rtol=0)
    assert x[4] == 1
