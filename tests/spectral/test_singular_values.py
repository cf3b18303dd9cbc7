"""Singular values against the dense SVD in float64, over everything that makes a convolution; closed forms; limits."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spectral.operators import check, dense
from torch import nn

from onelip import layers
from onelip.spectral import AffineMap, power_qr, singular_values

KERNELS, STRIDES, DILATIONS, SIZES = (1, 2, 3, 5), (1, 2, 3), (1, 2), (6, 7)
PADDINGS = (0, 1, 2, "same")
CHANNELS = 2


def why_not(kernel, padding, stride, dilation, mode, size) -> str | None:
    """Why torch accepts no such convolution, if so."""
    reach = dilation * (kernel - 1)
    if padding == "same":
        if stride > 1:
            return "padding='same' takes no stride"
        widest = math.ceil(reach / 2)
    else:
        widest = padding
        if size + 2 * padding < reach + 1:
            return "the kernel is larger than the padded image"
    if mode == "reflect" and widest >= size:
        return "more is reflected than there is"
    return None


@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel")
@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_grid_of_convolutions_against_dense_svd(mode):
    grid = itertools.product(KERNELS, PADDINGS, STRIDES, DILATIONS, (1, CHANNELS), SIZES)
    cases = [
        (kernel, padding, stride, dilation, groups, size)
        for kernel, padding, stride, dilation, groups, size in grid
        if why_not(kernel, padding, stride, dilation, mode, size) is None
    ]
    assert len(cases) > 250
    for done, (kernel, padding, stride, dilation, groups, size) in enumerate(cases):
        torch.manual_seed(done)
        conv = nn.Conv2d(
            CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups, padding_mode=mode, dtype=torch.float64
        )
        operator = AffineMap(conv, (CHANNELS, size, size))
        most = min(operator.n_inputs, operator.n_outputs)
        # Five at once, and every fewth time fewer.
        check(operator, min((5, 5, 5, 1, 2, 3, 4)[done % 7], most), dense(operator))


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class Branches(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def moved(norm: nn.Module) -> nn.Module:
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        tensor.data = torch.rand_like(tensor) + 0.2
    return norm


MAPS = {
    "conv then batch norm": lambda: (nn.Sequential(nn.Conv2d(2, 3, 3), moved(nn.BatchNorm2d(3))), (2, 6, 6)),
    "conv then conv": lambda: (
        nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 2, 2, stride=2)),
        (2, 7, 6),
    ),
    "residual": lambda: (
        Residual(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), moved(nn.BatchNorm2d(2)), nn.Conv2d(2, 2, 1))),
        (2, 5, 6),
    ),
    "concatenated": lambda: (
        Branches(nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 1, 5, padding=2), nn.Identity()),
        (2, 6, 5),
    ),
    "average pool": lambda: (nn.AvgPool2d(3, 2, padding=1), (2, 7, 7)),
    "adaptive pool": lambda: (nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d((2, 3))), (1, 8, 9)),
    "transposed": lambda: (nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1, dilation=2), (2, 5, 4)),
    "transposed in groups": lambda: (nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2), (4, 3, 3)),
    "one dimension": lambda: (nn.Conv1d(3, 4, 5, stride=2, padding=2, padding_mode="reflect"), (3, 11)),
    "one dimension transposed": lambda: (nn.ConvTranspose1d(3, 2, 4, stride=3), (3, 7)),
    "three dimensions": lambda: (nn.Conv3d(2, 2, (2, 3, 1), padding=(1, 1, 0), padding_mode="circular"), (2, 3, 4, 3)),
    "three dimensions transposed": lambda: (nn.ConvTranspose3d(2, 1, 2, stride=2), (2, 2, 3, 2)),
    "dense": lambda: (nn.Linear(7, 5), (3, 7)),
    "batch norm": lambda: (moved(nn.BatchNorm1d(6)), (6,)),
    "rectangular": lambda: (nn.Conv2d(2, 2, (1, 4), stride=(2, 1), padding=(0, 2), dilation=(1, 2)), (2, 5, 9)),
    "function": lambda: (lambda x: 3 * x.flip(-1).cumsum(-1) + 1, (9,)),
    "resizing": lambda: (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 4, 5)),
    "of this library": lambda: (layers.conv2d("aol", 3, 4, 3, padding=1), (3, 6, 6)),
    "of this library, dense": lambda: (layers.linear("cayley", 6, 6), (6,)),
    "parametrised": lambda: (nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 3)), (2, 6, 6)),
}


@pytest.mark.parametrize("name", MAPS)
def test_any_affine_map_against_dense_svd(name):
    function, shape = MAPS[name]()
    for dtype in (torch.float32, torch.float64):
        if isinstance(function, nn.Module):
            function = function.to(dtype)
        operator = AffineMap(function, shape, dtype=dtype)
        most = min(operator.n_inputs, operator.n_outputs)
        matrix = dense(operator)
        check(operator, min(5, most), matrix)
        check(operator, 1, matrix)
        check(operator, most, matrix)


@settings(max_examples=25)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(4, 7), st.integers(4, 7)),
    st.integers(0, 4),
    st.booleans(),
)
def test_compositions_of_any_shapes(inputs, outputs, kernel, size, exponent, skip):
    torch.manual_seed(inputs + 10 * outputs)
    first = nn.Conv2d(inputs, outputs, kernel, dtype=torch.float64)
    last = nn.ConvTranspose2d(outputs, inputs, kernel, dtype=torch.float64)
    model = nn.Sequential(first, last)
    with torch.no_grad():
        first.weight.mul_(10.0 ** (4 * exponent - 8))
    operator = AffineMap(Residual(model) if skip else model, (inputs, *size))
    check(operator, min(2, operator.n_inputs), dense(operator))


def test_closed_forms():
    def box(kernel, value, padding, mode):
        conv = nn.Conv2d(1, 1, kernel, padding=padding, padding_mode=mode, bias=False, dtype=torch.float64)
        nn.init.constant_(conv.weight, value)
        return conv

    mean = box(3, 1 / 9, 1, "circular")
    assert singular_values(mean, (1, 8, 8)).values.item() == pytest.approx(1.0, rel=1e-6)
    # The eigenvalues of the path of 8 are 2 cos(i pi / 9), hence ((1 + 2 cos(pi / 9)) / 3)^2.
    padded = singular_values(box(3, 1 / 9, 1, "zeros"), (1, 8, 8), tol=1e-6).values.item()
    assert padded == pytest.approx(((1 + 2 * math.cos(math.pi / 9)) / 3) ** 2, rel=1e-6)
    assert padded == pytest.approx(0.92121, abs=5e-6)
    for k in (2, 3, 5):
        circular = nn.Sequential(nn.CircularPad2d((0, k - 1, 0, k - 1)), box(k, 1 / k, 0, "zeros"))
        assert singular_values(circular.double(), (1, 9, 9), tol=1e-6).values.item() == pytest.approx(k, rel=1e-6)
    patches = nn.Conv2d(3, 5, 4, stride=4, dtype=torch.float64)
    values = singular_values(patches, (3, 12, 8), k=2, tol=1e-8).values
    flattened = torch.linalg.svdvals(patches.weight.detach().flatten(1))
    # Each of six patches has the same values.
    assert torch.allclose(values, flattened[:1].expand(2), rtol=1e-8)


def test_repeated_and_vanishing_values():
    found = singular_values(nn.Identity(), (9,), k=5)
    assert found.values.tolist() == pytest.approx([1.0] * 5)
    for function, shape in (
        (nn.Identity(), (9,)),
        (lambda x: 0 * x, (9,)),
        (lambda x: x * torch.arange(9.0).ge(7), (9,)),
    ):
        operator = AffineMap(function, shape)
        for k in (1, 5, 9):
            check(operator, k, dense(operator))
    constant = AffineMap(lambda x: x.new_ones(len(x), 4), (5,))
    assert check(constant, 4, dense(constant)).values.tolist() == [0.0] * 4
    # A rank that the block does not see at first, and a multiplicity above the block.
    torch.manual_seed(0)
    weight = torch.linalg.qr(torch.randn(60, 60, dtype=torch.float64))[0]
    spectrum = torch.cat([torch.full((12,), 3.0), torch.linspace(2.9, 0, 20), torch.zeros(28)]).double()
    linear = nn.Linear(60, 60, dtype=torch.float64)
    linear.weight = nn.Parameter(weight * spectrum @ torch.linalg.qr(torch.randn(60, 60, dtype=torch.float64))[0])
    operator = AffineMap(linear)
    for k in (1, 3, 12, 13, 40):
        check(operator, k, dense(operator), tol=1e-6)


def test_accuracy_follows_the_tolerance_and_the_dtype():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1, dtype=torch.float64)
    operator = AffineMap(conv, (3, 9, 9))
    true = torch.linalg.svdvals(dense(operator))[:5]
    steps = []
    for tol in (1e-2, 1e-4, 1e-6, 1e-9, 1e-13):
        found = singular_values(operator, k=5, tol=tol)
        assert found.converged
        assert float((true - found.values).max()) <= max(tol, 1e-14) * float(true[0])
        steps.append(found.n_iter)
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]
    single = singular_values(conv.float(), (3, 9, 9), k=5, tol=1e-9)
    assert single.converged
    assert torch.allclose(single.values, true, rtol=1e-5)
    half = nn.Conv2d(3, 4, 3, padding=1).bfloat16()
    exact = dense(AffineMap(half, (3, 9, 9), dtype=torch.float64))
    found = singular_values(half, (3, 9, 9), k=5, tol=1e-6)
    assert torch.allclose(found.values, torch.linalg.svdvals(exact)[:5], rtol=1e-5)
    assert found.right.dtype == torch.float32


def test_steps_that_run_out_are_reported_without_a_warning():
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 4, 3, padding=1, dtype=torch.float64)
    operator = AffineMap(conv, (4, 12, 12))
    true = torch.linalg.svdvals(dense(operator))
    found = singular_values(operator, k=3, max_iter=2)
    assert not found.converged
    assert found.n_iter == 2
    # Near each value, as near as its residual, there is a true one.
    assert ((true[None] - found.values[:, None]).abs().amin(1) <= found.residuals).all()
    restarted = singular_values(operator, k=1, tol=1e-12, max_iter=1000)
    assert restarted.converged
    assert restarted.values[0].item() == pytest.approx(float(true[0]), rel=1e-12)


def test_a_warm_start_saves_steps():
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 4, 3, padding=1, stride=2)
    cold = singular_values(conv, (4, 16, 16), k=3, tol=1e-6)
    with torch.no_grad():
        conv.weight.add_(1e-4 * torch.randn_like(conv.weight))
    again = singular_values(conv, (4, 16, 16), k=3, tol=1e-4, start=cold.right)
    without = singular_values(conv, (4, 16, 16), k=3, tol=1e-4)
    assert again.n_iter < without.n_iter
    assert torch.allclose(again.values, without.values, rtol=1e-3)


def test_a_wrong_start_does_not_mislead():
    # The start is exact for small values, and leaves out all of the large ones.
    linear = nn.Linear(30, 30, dtype=torch.float64)
    linear.weight = nn.Parameter(torch.diag(torch.tensor([5.0] * 4 + [1.0] * 26, dtype=torch.float64)))
    operator = AffineMap(linear)
    check(operator, 4, dense(operator), start=torch.eye(30)[10:14])


def test_kernels_made_to_mislead_the_plane_waves():
    # Two peaks of nearly the same height; one between the frequencies of the grid; large at the border only.
    for seed in range(6):
        torch.manual_seed(seed)
        conv = nn.Conv2d(1, 2, (1, 5), padding=(0, 2), dtype=torch.float64, bias=False)
        places = torch.arange(5.0, dtype=torch.float64)
        for row, (angle, height) in enumerate(((0.39 + 0.1 * seed, 1.0), (2.0 - 0.2 * seed, 1.0005))):
            conv.weight.data[row, 0, 0] = height * torch.cos(angle * places)
        operator = AffineMap(conv, (1, 4, 60))
        check(operator, 1, dense(operator), tol=3e-4)


def test_another_default_device_changes_nothing():
    for module, shape in ((nn.Conv2d(2, 3, 3, padding=1), (2, 16, 16)), (nn.Sequential(nn.Linear(4, 3)), (4,))):
        usual = singular_values(module, shape, k=2)
        with torch.device("meta"):
            found = singular_values(module, shape, k=2)
            assert power_qr(module, shape).values.device.type == "cpu"
        assert torch.equal(usual.values, found.values)
        assert torch.equal(usual.right, found.right)


WIDE = {
    "zeros": ({}, 32),
    "circular": ({"padding_mode": "circular"}, 32),
    "dilated": ({"dilation": 2, "padding": 2}, 32),
    "stride": ({"stride": 2}, 32),
    "even": ({"kernel_size": 4}, 20),
    "large": ({"kernel_size": 5, "padding": 2}, 20),
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_convolutions_against_power_iteration(name):
    options, size = WIDE[name]
    for seed in range(3):
        torch.manual_seed(seed)
        conv = nn.Conv2d(24, 32, bias=False, **{"kernel_size": 3, "padding": 1, **options})
        if seed == 2:
            # As training leaves them: few directions, and noise.
            conv.weight.data += (0.05 * torch.randn(32, 2) @ torch.randn(2, conv.weight[0].numel())).view_as(
                conv.weight
            )
        found = singular_values(conv, (24, size, size), tol=1e-3)
        operator = AffineMap(conv, (24, size, size))
        # From a random direction too: what the search overlooks would grow.
        x = found.right.flatten(1) + 0.3 * torch.randn(1, operator.n_inputs) / operator.n_inputs**0.5
        for _ in range(150):
            y = operator.apply(x / x.norm(), for_adjoint=True)
            x = operator.adjoint(y)
        assert found.converged
        assert abs(float(found.values[0]) / float(y.norm()) - 1) <= 1e-3, seed


def test_the_same_in_every_context_and_nothing_is_touched():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    model[1].eval()
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    pointers = [(id(p), p.data_ptr(), p.requires_grad, p._version) for p in model.parameters()]
    state = torch.get_rng_state()
    first = singular_values(model, (3, 8, 8), k=2)
    with torch.no_grad():
        results = [singular_values(model, (3, 8, 8), k=2)]
    with torch.inference_mode():
        results.append(singular_values(model, (3, 8, 8), k=2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results.append(singular_values(model, (3, 8, 8), k=2))
    for other in results:
        assert torch.equal(first.values, other.values)
        assert torch.equal(first.right, other.right)
        assert torch.equal(first.left, other.left)
    assert not first.right.is_inference()
    assert not first.right.requires_grad
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == [True, True, False, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(torch.equal(g, p.grad) for g, p in zip(gradients, model.parameters(), strict=True))
    assert pointers == [(id(p), p.data_ptr(), p.requires_grad, p._version) for p in model.parameters()]
    other_seed = singular_values(model, (3, 8, 8), k=2, seed=1)
    assert not torch.equal(first.right, other_seed.right)
    assert torch.allclose(first.values, other_seed.values, rtol=1e-3)


def test_a_batch_norm_in_training_mode_counts_as_in_eval():
    norm = moved(nn.BatchNorm2d(3)).train()
    expected = (norm.weight / (norm.running_var + norm.eps).sqrt()).abs().max().item()
    assert singular_values(norm, (3, 2, 2)).values.item() == pytest.approx(expected, rel=1e-5)
    assert norm.training


def test_bad_arguments():
    linear = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="k=3 must be from 1 to 2"):
        singular_values(linear, k=3)
    with pytest.raises(ValueError, match="k=0"):
        singular_values(linear, k=0)
    for tol in (0.0, -1.0, math.nan, 2.0):
        with pytest.raises(ValueError, match="tol="):
            singular_values(linear, tol=tol)
    with pytest.raises(ValueError, match="max_iter=0"):
        singular_values(linear, max_iter=0)
    with pytest.raises(ValueError, match="input_shape=None"):
        singular_values(nn.Conv2d(2, 2, 1))
    with pytest.raises(ValueError, match=r"not \(3,\), that of the AffineMap"):
        singular_values(AffineMap(linear), (4,))
    with pytest.raises(ValueError, match="start must be finite"):
        singular_values(linear, start=torch.full((1, 3), math.nan))
    with pytest.raises(ValueError, match="start of shape"):
        singular_values(linear, start=torch.ones(1, 4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_cuda_device_as_on_the_cpu():
    torch.manual_seed(0)
    for module, shape, k in (
        (nn.Conv2d(3, 8, 3, padding=1), (3, 20, 20), 1),
        (nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect", stride=2), (3, 9, 9), 4),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval(), nn.AvgPool2d(2)), (3, 10, 10), 5),
        (nn.Linear(20, 30), (20,), 20),
    ):
        here = singular_values(module, shape, k=k, tol=1e-6)
        there = singular_values(module.cuda(), shape, k=k, tol=1e-6)
        assert there.right.is_cuda
        assert there.converged
        assert torch.allclose(here.values, there.values, rtol=1e-5)
        warm = singular_values(module, shape, k=k, tol=1e-5, start=here.right)
        assert warm.n_iter <= there.n_iter
