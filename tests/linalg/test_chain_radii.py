from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onelip.linalg.chain_radii import choose_radii
from onelip.linalg.dense_chain import Link, Matrix, Slopes, chain_image
from onelip.linalg.ellipsoids import radius_bound


def weights(seed: int, *sizes: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    pairs = itertools.pairwise(sizes)
    return [torch.randn(m, n, generator=g, dtype=torch.float64) / math.sqrt(n) for n, m in pairs]


def relu_chain(ws: list[Tensor]) -> list[Link]:
    links: list[Link] = []
    for w in ws:
        half = torch.full((len(w),), 0.5, dtype=torch.float64)
        links += [Matrix(w), Slopes(half, half, torch.arange(len(w)))]
    return links[:-1]


def proved(links: list[Link], steps: int) -> float:
    image = chain_image(links, choose_radii(links, steps))
    assert image is not None
    return radius_bound(image).value


def product(ws: list[Tensor]) -> float:
    return math.prod(float(torch.linalg.matrix_norm(w, 2)) for w in ws)


def eclipse_fast(ws: list[Tensor]) -> float:
    """Xu and Sivaranjani 2024: lambda = 2 / sigma_max(W M^-1 W^T), M' = lambda I - lambda^2 / 4 W M^-1 W^T."""
    m = np.eye(ws[0].shape[1])
    for w in (x.numpy() for x in ws[:-1]):
        inner = w @ np.linalg.inv(m) @ w.T
        factor = 2 / np.linalg.eigvalsh(inner)[-1]
        m = factor * np.eye(len(w)) - factor**2 / 4 * inner
    last = ws[-1].numpy()
    return math.sqrt(np.linalg.eigvalsh(last @ np.linalg.inv(m) @ last.T)[-1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 12), min_size=3, max_size=6))
def test_closed_form_is_eclipse_fast_or_better_and_at_most_the_product(seed: int, sizes: list[int]) -> None:
    ws = weights(seed, *sizes)
    value = proved(relu_chain(ws), 0)
    assert value <= eclipse_fast(ws) * (1 + 1e-6)
    assert value <= product(ws) * (1 + 1e-9)


def test_closed_form_equals_eclipse_fast_on_rows_of_one_length() -> None:
    ws = weights(0, 8, 16, 16, 4)
    ws = [w / torch.linalg.vector_norm(w, dim=1, keepdim=True) for w in ws]
    assert proved(relu_chain(ws), 0) == pytest.approx(eclipse_fast(ws), rel=1e-6)


def test_search_nearly_reaches_the_semidefinite_programme() -> None:
    torch.manual_seed(0)
    ws = [torch.randn(b, a, dtype=torch.float64) / a**0.5 for a, b in ((20, 32), (32, 32), (32, 10))]
    closed, searched = proved(relu_chain(ws), 0), proved(relu_chain(ws), 60)
    # 2.5851 is LipSDP's optimum by SCS (eps 1e-5), 6.2806 the product, 3.8049 ECLipsE-Fast.
    assert product(ws) == pytest.approx(6.2806, rel=1e-4)
    assert closed == pytest.approx(3.8049, rel=1e-4)
    assert 2.585 <= searched <= 2.65


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1e8])
def test_the_constant_scales_with_each_weight(scale: float) -> None:
    ws = weights(1, 6, 8, 8, 3)
    base = proved(relu_chain(ws), 10)
    for k in range(3):
        scaled = [w * scale if i == k else w for i, w in enumerate(ws)]
        assert proved(relu_chain(scaled), 10) == pytest.approx(base * scale, rel=2e-2)


@pytest.mark.parametrize("case", ["zero rows", "zero layer", "rank one", "uneven rows", "huge and tiny"])
def test_degenerate_weights_are_proved_or_refused(case: str) -> None:
    ws = weights(2, 5, 7, 7, 4)
    if case == "zero rows":
        ws[0][:4], ws[1][2:] = 0, 0
    elif case == "zero layer":
        ws[1][:] = 0
    elif case == "rank one":
        ws[1] = ws[1][:, :1] @ ws[1][:1]
    elif case == "uneven rows":
        ws[0] *= 10.0 ** torch.arange(-3, 4)[:, None]
    else:
        ws = [w * s for w, s in zip(ws, (1e-200, 1e150, 1e40), strict=True)]
    image = chain_image(relu_chain(ws), choose_radii(relu_chain(ws), 5))
    if image is None:
        return
    value = radius_bound(image).value
    g = torch.Generator().manual_seed(0)
    for _ in range(200):
        masks = [(torch.rand(len(w), generator=g) < 0.5).double() for w in ws[:-1]]
        jacobian = ws[2] @ (masks[1][:, None] * ws[1]) @ (masks[0][:, None] * ws[0])
        assert float(torch.linalg.matrix_norm(jacobian, 2)) <= value * (1 + 1e-13)
