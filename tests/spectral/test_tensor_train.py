"""Convolutions as tensor trains: a small core has all their singular values."""

import copy

import pytest
import torch
from tests.spectral.dense import dense_matrix, dense_norm
from torch import nn

from onelip.spectral.senderovich import fft_, senderovich_
from onelip.spectral.tensor_train import TTConv2d

CASES = {
    "plain": {"kernel_size": 3, "padding": 1},
    "strided": {"kernel_size": 3, "padding": 1, "stride": 2},
    "circular": {"kernel_size": (3, 2), "padding": 1, "padding_mode": "circular"},
    "grouped": {"kernel_size": 3, "groups": 2, "dilation": 2, "padding_mode": "reflect", "padding": 1},
}


@pytest.fixture(params=CASES)
def options(request):
    return CASES[request.param]


def _random(options, ranks=(2, 3)):
    layer = TTConv2d(6, 8, **options, ranks=ranks)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


def test_the_whole_is_one_convolution(options):
    layer = _random(options)
    conv = nn.Conv2d(6, 8, **options)
    with torch.no_grad():
        conv.weight.copy_(layer.weight)
        conv.bias.copy_(layer.bias)
    x = torch.randn(2, 6, 6, 7)
    torch.testing.assert_close(layer(x), conv(x), rtol=1e-4, atol=1e-4)


def test_orthogonalised_it_is_the_same_function_with_the_values_of_its_core(options):
    layer = _random(options).double()
    x = torch.randn(2, 6, 6, 7, dtype=torch.float64)
    expected = layer(x)
    assert layer.orthogonalise_()
    torch.testing.assert_close(layer(x), expected)
    whole = torch.linalg.svdvals(dense_matrix(layer, (6, 6, 7)))
    core = torch.linalg.svdvals(dense_matrix(layer.core, (layer.core.in_channels, 6, 7)))
    torch.testing.assert_close(whole[: len(core)], core[: len(whole)])
    assert float(whole[len(core) :].sum()) < 1e-9
    before = copy.deepcopy(layer.state_dict())
    assert not layer.orthogonalise_()
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


@pytest.mark.parametrize("max_norm", [0.5, 2.0])
def test_clipping_the_core_clips_the_whole(options, max_norm):
    layer = _random(options)
    bias = layer.bias.detach().clone()
    fft_(layer, max_norm, (6, 6, 7))
    assert dense_norm(layer, (6, 6, 7)) <= max_norm * (1 + 1e-3)
    assert dense_norm(layer, (6, 6, 7)) >= max_norm * 0.8
    assert torch.equal(layer.bias, bias)
    before = copy.deepcopy(layer.state_dict())
    fft_(layer, max_norm, (6, 6, 7))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_one_published_step_orthogonalises_and_clips():
    layer = _random(CASES["circular"])
    before = dense_norm(layer, (6, 6, 7))
    senderovich_(layer, 1.0, (6, 6, 7))
    assert not layer.orthogonalise_()
    assert dense_norm(layer, (6, 6, 7)) < 1.8 < before


def test_decomposed_with_full_ranks_it_is_the_convolution(options):
    conv = nn.Conv2d(6, 8, **options).double()
    groups = conv.groups
    layer = TTConv2d.from_conv(conv, (6 // groups, 8 // groups))
    x = torch.randn(2, 6, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(layer(x), conv(x))
    assert not layer.orthogonalise_()
    assert layer.core.weight.dtype == torch.float64


@pytest.mark.parametrize("ranks", [(2, 3), 2, (6, 1)])
def test_decomposed_with_less_its_error_is_that_of_the_values_left_out(ranks):
    conv = nn.Conv2d(6, 8, 3, bias=False).double()
    layer = TTConv2d.from_conv(conv, ranks)
    r1, r2 = layer.ranks
    kernel = conv.weight.detach()
    error = (layer.weight.detach() - kernel).square().sum()
    left_out = torch.linalg.svdvals(kernel.transpose(0, 1).flatten(1))[r1:].square().sum()
    right_out = torch.linalg.svdvals(kernel.flatten(1))[r2:].square().sum()
    assert error <= (left_out + right_out) * (1 + 1e-9)
    assert error >= max(left_out, right_out) * (1 - 1e-9)
    assert layer.bias is None


def test_frames_that_are_nearly_orthonormal_hardly_move():
    layer = TTConv2d(6, 8, 3, ranks=(3, 4))
    noise = torch.randn_like(layer.first.weight) * 1e-3
    with torch.no_grad():
        layer.first.weight.add_(noise)
    before = layer.first.weight.detach().clone()
    assert layer.orthogonalise_()
    # The first-order bound of a change of the frame in the QR factorisation is sqrt(2) |noise|.
    assert 0 < (layer.first.weight.detach() - before).norm() <= 1.5 * noise.norm()


def test_it_starts_orthonormal_and_prints_its_ranks():
    layer = TTConv2d(6, 8, 3, ranks=4, bias=False)
    assert not layer.orthogonalise_()
    assert layer.ranks == (4, 4)
    assert "6, 8, ranks=(4, 4)" in repr(layer)


def test_rank_deficient_frames_become_orthonormal():
    layer = _random(CASES["plain"])
    nn.init.zeros_(layer.first.weight)
    assert layer.orthogonalise_()
    assert not layer.orthogonalise_()
    assert float(layer.core.weight.detach().abs().max()) == 0


@pytest.mark.parametrize("ranks", [0, True, (7, 2), (2, 9), (1,), "3", (0, 1)])
def test_wrong_ranks_are_refused(ranks):
    with pytest.raises(ValueError, match=r"ranks=.* in TTConv2d must be"):
        TTConv2d(6, 8, 3, ranks=ranks)
