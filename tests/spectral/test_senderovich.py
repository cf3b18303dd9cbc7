"""Singular values clipped at every frequency: one published step, and steps until the layer obeys."""

import copy

import numpy as np
import pytest
import torch
from tests.spectral.dense import dense_matrix, dense_norm
from tests.spectral.loops import INPUT_SHAPE, SHAPES, resumes, small_net, train
from torch import nn

from onelip.spectral.senderovich import Senderovich, fft_, senderovich_

LAYERS = {
    "zeros": (nn.Conv2d(3, 4, 3, padding=1), (3, 7, 6)),
    "strided": (nn.Conv2d(3, 4, 3, stride=2, padding=1), (3, 7, 6)),
    "circular": (nn.Conv2d(3, 4, (3, 5), padding=(1, 2), padding_mode="circular"), (3, 6, 6)),
    "circular, strided": (nn.Conv2d(2, 6, 3, stride=2, padding=1, padding_mode="circular"), (2, 6, 8)),
    "reflect": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 5)),
    "replicate": (nn.Conv2d(2, 3, 5, padding=2, padding_mode="replicate"), (2, 5, 5)),
    "dilated": (nn.Conv2d(2, 4, 3, padding=2, dilation=2, groups=2), (2, 6, 6)),
    "larger than the image": (nn.Conv2d(2, 3, 5, padding=2), (2, 3, 2)),
    "transposed": (nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1, groups=2), (4, 4, 4)),
    "line": (nn.Conv1d(2, 3, 3), (2, 9)),
    "line, transposed": (nn.ConvTranspose1d(2, 3, 4, stride=3), (2, 6)),
    "dense": (nn.Linear(12, 7), (12,)),
    "one tap": (nn.Conv2d(4, 4, 1, stride=2), (4, 5, 5)),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    module, shape = LAYERS[request.param]
    module = copy.deepcopy(module)
    with torch.no_grad():
        module.weight.normal_()
    return module, shape


@pytest.mark.parametrize("max_norm", [0.5, 2.0])
def test_iterated_the_layer_obeys_and_moves_less_than_by_division(layer, max_norm):
    module, shape = layer
    bias, before = module.bias.detach().clone(), module.weight.detach().clone()
    norm = dense_norm(module, shape)
    identity, gradient = (id(module.weight), module.weight.data_ptr()), torch.ones_like(module.weight)
    module.weight.grad = gradient
    fft_(module, max_norm, shape)
    assert dense_norm(module, shape) <= max_norm * (1 + 1e-3)
    divided = before * max_norm / norm
    assert (module.weight - before).norm() <= (divided - before).norm() * (1 + 1e-3)
    assert torch.equal(module.bias, bias)
    assert (id(module.weight), module.weight.data_ptr()) == identity
    assert module.weight.grad is gradient


def test_with_circular_padding_little_more_than_the_excess_is_taken():
    module, shape = copy.deepcopy(LAYERS["circular"])
    nn.init.normal_(module.weight)
    matrix = dense_matrix(module, shape)
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    nearest = (matrix - (u * s.clamp_max(4.0)) @ vh).norm()
    fft_(module, 4.0, shape)
    assert nearest <= (matrix - dense_matrix(module, shape)).norm() <= 1.1 * nearest


def test_iterated_again_or_below_no_bit_changes(layer):
    module, shape = layer
    fft_(module, 1.0, shape)
    once = module.weight.detach().clone()
    assert fft_(module, 1.0, shape) == 0
    assert fft_(module, 3.0, shape) == 0
    assert torch.equal(module.weight, once)


def _published(kernel, n, stride, limit):
    # Section 4 of the paper: phases of the padded kernel side by side, transformed, clipped, put back and cropped.
    out, inner, k, _ = kernel.shape
    padded = np.zeros((out, inner, n, n))
    padded[:, :, :k, :k] = kernel
    phases = [padded[:, :, i::stride, j::stride] for i in range(stride) for j in range(stride)]
    spectrum = np.fft.fft2(np.stack(phases, 2)).reshape(out, -1, n // stride, n // stride)
    u, s, v = np.linalg.svd(spectrum.transpose(2, 3, 0, 1), full_matrices=False)
    clipped = ((u * np.minimum(s, limit)[..., None, :]) @ v).transpose(2, 3, 0, 1)
    back = np.fft.ifft2(clipped.reshape(out, inner, -1, n // stride, n // stride)).real
    for position in range(stride**2):
        padded[:, :, position // stride :: stride, position % stride :: stride] = back[:, :, position]
    return padded[:, :, :k, :k]


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (5, 2), (2, 3)])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_one_step_is_that_of_the_paper(kernel_size, stride, mode):
    conv = nn.Conv2d(3, 4, kernel_size, stride, kernel_size // 2, padding_mode=mode).double()
    nn.init.normal_(conv.weight)
    expected = _published(conv.weight.detach().numpy(), 6, stride, 0.7)
    senderovich_(conv, 0.7, (3, 6, 6))
    np.testing.assert_allclose(conv.weight.detach().numpy(), expected, atol=1e-12)


def test_one_step_is_exact_for_dense_layers_and_without_a_crop():
    dense = nn.Linear(9, 6)
    nn.init.normal_(dense.weight)
    u, s, vh = torch.linalg.svd(dense.weight.detach(), full_matrices=False)
    senderovich_(dense, 0.7, (9,))
    torch.testing.assert_close(dense.weight.detach(), u @ torch.diag(s.clamp_max(0.7)) @ vh)
    full = nn.Conv2d(2, 3, 5, padding=2, padding_mode="circular")
    nn.init.normal_(full.weight)
    senderovich_(full, 1.0, (2, 5, 5))
    assert dense_norm(full, (2, 5, 5)) <= 1 + 1e-5


def test_one_step_leaves_norms_above_the_limit_where_it_crops():
    # What the published method leaves; `fft_` and the documentation are there for it.
    conv = nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular")
    nn.init.normal_(conv.weight)
    before = dense_norm(conv, (8, 6, 6))
    senderovich_(conv, 1.0, (8, 6, 6))
    assert 1.05 < dense_norm(conv, (8, 6, 6)) < 2 < before


def test_one_step_leaves_a_layer_below_bit_for_bit(layer):
    module, shape = layer
    with torch.no_grad():
        module.weight.mul_(1e-3)
    before = module.weight.detach().clone()
    senderovich_(module, 1.0, shape)
    assert torch.equal(module.weight, before)


def test_batch_normalisations_are_clamped():
    bn = nn.BatchNorm2d(3)
    bn.running_var.copy_(torch.tensor([0.25, 1.0, 4.0]))
    fft_(bn, 1.0, (3, 2, 2))
    assert dense_norm(bn, (3, 2, 2)) <= 1 + 1e-6
    assert torch.equal(bn.weight[2:], torch.ones(1))


def test_what_has_no_frequencies_is_refused():
    for clip_ in (fft_, senderovich_):
        with pytest.raises(ValueError, match="Conv3d has no matrix for each frequency"):
            clip_(nn.Conv3d(1, 1, 3), 1.0, (1, 4, 4, 4))
    with pytest.raises(ValueError, match="Conv3d has no matrix for each frequency"):
        Senderovich(nn.Sequential(nn.Conv3d(1, 1, 3)), (1, 4, 4, 4))
    with pytest.raises(ValueError, match="period=0 in senderovich"):
        Senderovich(small_net(), INPUT_SHAPE, period=0)
    with pytest.raises(ValueError, match="max_steps=0 in fft_"):
        fft_(nn.Linear(2, 2), 1.0, (2,), max_steps=0)


def test_training_clips_every_period_and_only_then():
    net = small_net()
    method = Senderovich(net, INPUT_SHAPE, 1.0, period=4)
    norms = []
    for _ in train(net, method, 12):
        norms.append([dense_norm(net[int(name)], shape) for name, shape in SHAPES.items()])
    # Dense layers obey right after a clip; what convolutions keep is measured, not promised.
    assert all(after[2] <= 1 + 1e-5 for after in norms[3::4])
    assert all(before[1] > 2 for before in norms[:3])
    assert all(1 < after[1] < 1.6 for after in norms[3::4])
    assert norms[10][2] > 1 + 1e-4


def test_a_resumed_training_goes_on_to_the_same_numbers():
    assert resumes(lambda net: Senderovich(net, INPUT_SHAPE, period=2))
    assert method_steps_are_kept()


def method_steps_are_kept():
    method = Senderovich(small_net(), INPUT_SHAPE, period=2)
    method.step()
    return method.state_dict() == {"n_steps": 1} and method.penalty() is None
