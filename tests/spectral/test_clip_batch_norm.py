"""The norm of a batch normalisation, and its clipping, against its dense Jacobian."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from onelip.spectral import batch_norm_norm, clip_batch_norm_


def random_norm(cls=nn.BatchNorm2d, n=5, seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    bn = cls(n, **options)
    bn.running_var.copy_(torch.rand(n, generator=generator) * 4 + 0.01)
    bn.running_mean.copy_(torch.randn(n, generator=generator))
    if bn.affine:
        with torch.no_grad():
            bn.weight.copy_(torch.randn(n, generator=generator) * 2)
            bn.bias.copy_(torch.randn(n, generator=generator))
    return bn


def dense_norm(bn, shape):
    bn = copy.deepcopy(bn).double().eval()
    matrix = torch.autograd.functional.jacobian(lambda x: bn(x[None])[0], torch.zeros(shape, dtype=torch.float64))
    n = matrix.numel() ** 0.5
    return float(torch.linalg.svdvals(matrix.reshape(round(n), round(n)))[0])


@pytest.mark.parametrize(("cls", "shape"), [(nn.BatchNorm1d, (5,)), (nn.BatchNorm2d, (5, 2, 3))])
@given(seed=st.integers(0, 10**6), max_norm=st.floats(0.1, 3.0))
def test_clipped_to_the_norm_and_no_further(cls, shape, seed, max_norm):
    bn = random_norm(cls, seed=seed)
    before = {name: tensor.clone() for name, tensor in bn.state_dict().items()}
    norm = dense_norm(bn, shape)
    assert batch_norm_norm(bn) == pytest.approx(norm, rel=1e-6)

    clip_batch_norm_(bn, max_norm)
    assert dense_norm(bn, shape) == pytest.approx(min(norm, max_norm), rel=1e-6)
    gains = before["weight"].abs() / (before["running_var"] + bn.eps).sqrt()
    below = gains < max_norm * (1 - 1e-6)
    assert torch.equal(bn.weight[below], before["weight"][below])
    assert torch.equal(bn.weight.sign(), before["weight"].sign())
    for name in set(before) - {"weight"}:
        assert torch.equal(bn.state_dict()[name], before[name]), name

    after = bn.weight.clone()
    clip_batch_norm_(bn, max_norm)
    assert torch.equal(bn.weight, after), "a second call changed it"


def test_nothing_else_is_touched():
    bn = random_norm().train()
    bn.weight.grad = torch.ones(5)
    weight, state = bn.weight, torch.get_rng_state()
    clip_batch_norm_(bn, 0.1)
    assert bn.training
    assert bn.weight is weight
    assert weight.requires_grad
    assert torch.equal(weight.grad, torch.ones(5))
    assert torch.equal(torch.get_rng_state(), state)


def test_without_gamma_it_is_left_alone_or_refused():
    bn = random_norm(affine=False)
    bn.running_var.fill_(4.0)
    assert batch_norm_norm(bn) == pytest.approx(0.5, rel=1e-4)
    clip_batch_norm_(bn, 0.6)
    with pytest.raises(ValueError, match="affine=False in BatchNorm2d leaves no gamma to clip"):
        clip_batch_norm_(bn, 0.4)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"max_norm=0\.0 in clip_batch_norm_"):
        clip_batch_norm_(random_norm(), 0.0)
    with pytest.raises(ValueError, match="track_running_stats=False in BatchNorm1d"):
        clip_batch_norm_(nn.BatchNorm1d(3, track_running_stats=False), 1.0)
