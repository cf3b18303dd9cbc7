"""AOC: every singular value stays 1, for every stride, dilation and grouping; pretrained kernels; refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.layers.dense import dense_matrix, singular_values, train

from onelip.layers import AOCConv2d, AOCConvTranspose2d, BCOPConv2d, RKOConv2d

LEAST = 0.9999
"""The promise for orthogonal layers; measured 0.99999996 in float32."""

CASES: list[tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ((4, 4, 3), {"padding": 1}, (4, 5, 7)),
    ((3, 6, 3), {"padding": 1}, (3, 5, 5)),
    ((6, 3, 3), {"padding": 1}, (6, 5, 5)),
    ((5, 5, 3), {"padding": 1}, (5, 5, 5)),
    ((8, 4, 3), {"padding": 1, "groups": 2}, (8, 5, 5)),
    ((4, 4, 4), {"padding": "same"}, (4, 5, 7)),
    ((4, 4, (1, 5)), {"padding": (0, 2)}, (4, 3, 6)),
    ((5, 3, 1), {}, (5, 3, 3)),
    ((3, 7, 1), {}, (3, 3, 3)),
    ((4, 4, 3), {"padding": 2, "dilation": 2}, (4, 6, 7)),
    ((3, 8, 3), {"padding": 1, "stride": 2}, (3, 6, 8)),
    ((16, 64, 4), {"padding": 1, "stride": 2}, (16, 6, 6)),
    ((8, 32, 3), {"padding": 1, "stride": 2}, (8, 6, 6)),
    ((3, 64, 3), {"padding": 1, "stride": 2}, (3, 6, 6)),
    ((8, 2, 5), {"padding": 2, "stride": 2}, (8, 6, 6)),
    ((2, 8, 2), {"stride": 2}, (2, 4, 6)),
    ((2, 8, (3, 4)), {"padding": 1, "stride": (1, 2)}, (2, 4, 6)),
    ((3, 12, 3), {"padding": 3, "stride": 2, "dilation": 3}, (3, 12, 12)),
    ((4, 4, 2), {"padding": 1, "stride": 3, "dilation": 2}, (4, 6, 6)),
    ((4, 4, 1), {"stride": 2}, (4, 4, 4)),
    ((6, 4, (1, 5)), {"padding": (0, 2), "stride": (2, 2)}, (6, 4, 6)),
    ((1, 1, 3), {"padding": 1}, (1, 5, 7)),
    ((4, 4, 3), {"padding": 1, "groups": 4}, (4, 5, 5)),
    ((2, 2, 3), {"padding": 1, "groups": 2, "stride": 2}, (2, 6, 6)),
    ((4, 4, 3), {"padding": 2, "stride": 2, "dilation": 2}, (4, 8, 8)),
    ((4, 8, 3), {"padding": 2, "stride": 4, "dilation": 2}, (4, 8, 8)),
    ((4, 4, 3), {"padding": 1, "rank": "free"}, (4, 5, 5)),
    ((3, 8, 3), {"padding": 1, "rank": "free", "stride": 2}, (3, 6, 6)),
    ((8, 4, 3), {"padding": 1, "rank": "free", "groups": 2}, (8, 5, 5)),
]


@pytest.mark.parametrize(("sizes", "options", "shape"), CASES, ids=str)
def test_orthogonal_at_init_and_after_training(sizes, options, shape) -> None:  # type: ignore[no-untyped-def]
    layer = AOCConv2d(*sizes, **options, padding_mode="circular")
    assert layer.orthogonal
    x = torch.randn(4, *shape)
    for steps in (0, 3):
        train(layer, x, steps, 0.1)
        values = singular_values(layer, shape)
        assert values[-1] >= LEAST
        assert values[0] <= 1 + 1e-5
        assert float(values[0]) * (1 - 1e-12) <= layer.lipschitz_bound().value <= 1 + 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("retract", [False, True])
@pytest.mark.parametrize(("sizes", "stride"), [((8, 8, 3), 1), ((3, 16, 3), 2)])
def test_orthogonal_after_300_steps(sizes: tuple[int, ...], stride: int, retract: bool) -> None:
    layer = AOCConv2d(*sizes, stride, 1, padding_mode="circular")
    before = layer.weight.detach().clone()
    train(layer, torch.randn(4, sizes[0], 6, 6), 300, 1e-2, retract=retract)
    assert (layer.weight - before).norm() > 0.1
    assert singular_values(layer, (sizes[0], 6, 6))[-1] >= LEAST


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("name", ["bjorck", "cholesky", "newton-schulz", "polar-express", "qr"])
def test_orthogonal_from_ill_conditioned_weights(name: str, scale: float) -> None:
    layer = AOCConv2d(3, 8, 3, 2, 1, padding_mode="circular", orthogonaliser=name)
    with torch.no_grad():
        for raw in layer.raw:
            raw.mul_(scale * torch.logspace(0, -3, raw.shape[-2])[:, None])
    assert singular_values(layer, (3, 4, 4))[-1] >= LEAST


def test_zero_weights_stay_finite_and_short() -> None:
    layer = AOCConv2d(4, 4, 3)
    with torch.no_grad():
        for raw in layer.raw:
            raw.zero_()
    layer.weight.sum().backward()
    assert all(raw.grad.isfinite().all() for raw in layer.raw)
    assert layer.lipschitz_bound().value <= 1


def test_float64_is_orthogonal_to_float64() -> None:
    layer = AOCConv2d(4, 16, 3, 2, 1, padding_mode="circular", dtype=torch.float64)
    values = singular_values(layer, (4, 6, 6))
    assert float(values[0] - values[-1]) < 1e-13
    assert layer.lipschitz_bound().value <= 1 + 1e-10


TRANSPOSED = [
    ((4, 4, 3), {"padding": 1}, (4, 5, 7)),
    ((3, 6, 3), {"padding": 1}, (3, 5, 5)),
    ((8, 2, 4), {"padding": 1, "stride": 2}, (8, 3, 4)),
    ((2, 4, 4), {"padding": 1, "stride": 2}, (2, 3, 3)),
    ((9, 2, 5), {"padding": 2, "stride": 3, "groups": 1}, (9, 3, 3)),
    ((16, 4, 3), {"padding": 1, "stride": 2, "groups": 2}, (16, 3, 3)),
]


@pytest.mark.parametrize(("sizes", "options", "shape"), TRANSPOSED, ids=str)
def test_transposed_is_orthogonal_and_the_adjoint(sizes, options, shape) -> None:  # type: ignore[no-untyped-def]
    layer = AOCConvTranspose2d(*sizes, **options, padding_mode="circular", bias=False)
    values = singular_values(layer, shape)
    assert values[-1] >= LEAST
    assert values[0] <= 1 + 1e-5
    into, out, *rest = sizes
    forth = AOCConv2d(out, into, *rest, **options, padding_mode="circular", bias=False)
    forth.load_state_dict(layer.state_dict())
    image = (out, *(n * options.get("stride", 1) for n in shape[1:]))
    torch.testing.assert_close(dense_matrix(layer, shape), dense_matrix(forth, image).T)


def test_zero_padding_keeps_the_norm_below_one_but_not_orthogonality() -> None:
    layer = AOCConv2d(4, 4, 3, padding=1)
    values = singular_values(layer, (4, 5, 5))
    assert values[0] <= 1 + 1e-6
    assert values[-1] < 0.9


@pytest.mark.parametrize(("sizes", "options", "shape"), CASES[:9] + CASES[10:13], ids=str)
def test_kernels_of_the_class_come_back(sizes, options, shape) -> None:  # type: ignore[no-untyped-def]
    target = AOCConv2d(*sizes, **options, dtype=torch.float64).weight.detach()
    layer = AOCConv2d(*sizes, **options, dtype=torch.float64)
    layer.weight = target
    torch.testing.assert_close(layer.weight, target, atol=1e-8, rtol=0)


def test_a_generic_kernel_lands_nearer_than_chance() -> None:
    target = torch.randn(8, 8, 3, 3)
    layer = AOCConv2d(8, 8, 3)
    distances = [(AOCConv2d(8, 8, 3).weight - target).norm() for _ in range(20)]
    layer.weight = target
    assert (layer.weight - target).norm() < min(distances)
    assert layer.lipschitz_bound().value <= 1 + 1e-5


def test_it_is_rko_where_kernel_and_stride_agree_and_bcop_at_stride_one() -> None:
    rko, aoc = RKOConv2d(3, 5, 2, 2), AOCConv2d(3, 5, 2, 2)
    rko.weight = aoc.weight
    torch.testing.assert_close(rko.weight, aoc.weight)
    bcop, aoc = BCOPConv2d(3, 5, 3), AOCConv2d(3, 5, 3)
    bcop.load_state_dict(aoc.state_dict())
    assert torch.equal(bcop.weight, aoc.weight)


@pytest.mark.parametrize(
    ("sizes", "options", "text"),
    [
        ((2, 4, 3), {"stride": 2, "dilation": 2}, r"dilation=\(2, 2\) in AOCConv2d has a common divisor with stride"),
        ((2, 8, 1), {"stride": 2}, r"kernel_size=\(1, 1\) in AOCConv2d is smaller than stride=\(2, 2\)"),
        ((4, 4, 3), {"rank": "quarter"}, "rank='quarter' in AOCConv2d is not known"),
        ((4, 4, 3), {"orthogonaliser": "bjork"}, "orthogonaliser='bjork' in AOCConv2d .* did you mean 'bjorck'"),
        ((4, 4, 3), {"orthogonaliser": "cayley"}, "orthogonaliser='cayley' in AOCConv2d is not a projection"),
    ],
)
def test_what_cannot_be_orthogonal_is_refused(sizes, options, text) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=text):
        AOCConv2d(*sizes, **options)


def test_one_channel_per_group_with_a_kernel_as_large_as_the_stride() -> None:
    assert AOCConv2d(4, 4, 1, groups=4).orthogonal
    assert singular_values(AOCConv2d(2, 8, 2, 2, groups=2), (2, 4, 4))[-1] >= LEAST


def test_retraction_keeps_the_weight_and_makes_the_next_build_one_step() -> None:
    layer = AOCConv2d(4, 16, 3, 2)
    with torch.no_grad():
        for raw in layer.raw:
            raw.add_(0.3 * torch.randn_like(raw))
    before = layer.weight.detach().clone()
    layer.retract_()
    torch.testing.assert_close(layer.weight, before, atol=2e-6, rtol=0)
    for raw in layer.raw:
        q = raw.detach().double()
        gram = q.mT @ q if q.shape[-2] >= q.shape[-1] else q @ q.mT
        assert (gram - torch.eye(gram.shape[-1])).abs().max() < 1e-5


@pytest.mark.parametrize("sizes", [(3, 64, 3, 2), (2, 8, (3, 4), (1, 2)), (4, 4, 3)])
def test_assigning_its_own_weight_changes_nothing(sizes: tuple[Any, ...]) -> None:
    layer = AOCConv2d(*sizes)
    before = layer.weight.detach().clone()
    layer.weight = before
    torch.testing.assert_close(layer.weight.detach(), before, atol=1e-5, rtol=0)
