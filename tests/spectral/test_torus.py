"""Layers on a torus: the norm there is at least that of the layer, and for circular padding the same."""

import pytest
import torch
from tests.spectral.dense import dense_norm
from torch import nn

from onelip.linalg import polyphase
from onelip.spectral.tensor_train import TTConv2d
from onelip.spectral.torus import covering_torus, has_torus, published_torus, torus_kernel


def _norm(module, torus):
    kernel = polyphase(torus_kernel(module).detach().double(), torus.stride, torus.dilation)
    spectrum = torch.stack([_at(kernel, i / torus.size[0], j / torus.size[1]) for i, j in _grid(torus.size)])
    grouped = spectrum.unflatten(1, (torus.groups, -1))
    return float(torch.linalg.svdvals(grouped).max())


def _grid(size):
    return [(i, j) for i in range(size[0]) for j in range(size[1])]


def _at(kernel, v, h):
    rows, columns = torch.arange(kernel.shape[2]).double(), torch.arange(kernel.shape[3]).double()
    turns = v * rows[:, None] + h * columns
    return (kernel * torch.exp(-2j * torch.pi * turns)).sum((2, 3))


CONVOLUTIONS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "stride": 2},
    {"kernel_size": (3, 2), "padding": "same"},
    {"kernel_size": 3, "dilation": 2, "stride": 2, "padding": 2},
    {"kernel_size": 5, "padding": 2, "stride": 3},
    {"kernel_size": 1, "padding": 3},
    {"kernel_size": 9, "padding": 4},
    {"kernel_size": 3, "padding": (0, 2), "groups": 2},
    {"kernel_size": 2, "padding": 5, "stride": (1, 2)},
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("size", [(6, 6), (6, 7)])
def test_the_covering_torus_has_at_least_the_norm_of_the_layer(options, mode, size):
    module = nn.Conv2d(2, 4, **options, padding_mode=mode)
    nn.init.normal_(module.weight)
    torus = covering_torus(module, (2, *size))
    assert torus.gain * _norm(module, torus) >= dense_norm(module, (2, *size)) * (1 - 1e-9)


@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (3, 2), (5, 3), ((3, 1), (2, 1))])
def test_with_circular_padding_the_norm_is_the_same(kernel_size, stride):
    padding = kernel_size // 2 if isinstance(kernel_size, int) else (1, 0)
    module = nn.Conv2d(2, 3, kernel_size, stride, padding, padding_mode="circular")
    for find in (covering_torus, published_torus):
        torus = find(module, (2, 6, 6))
        assert torus.gain == 1
        assert _norm(module, torus) == pytest.approx(dense_norm(module, (2, 6, 6)), rel=1e-6)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, groups=2), (2, 4, 5)),
        (nn.ConvTranspose1d(2, 3, 4, 3, dilation=2), (2, 5)),
        (nn.Conv1d(2, 3, 3, padding=1), (2, 7)),
        (nn.Linear(6, 5), (4, 6)),
        (TTConv2d(3, 4, 3, 2, 1, ranks=(2, 3)), (3, 6, 6)),
    ],
)
def test_other_layers_are_covered(module, shape):
    assert has_torus(module)
    torus = covering_torus(module, shape)
    assert _norm(module, torus) >= dense_norm(module, shape) * (1 - 1e-6)
    assert _norm(module, torus) <= dense_norm(module, shape) * 1.5


def test_the_published_torus_is_the_input_or_the_kernel():
    assert published_torus(nn.Conv2d(2, 2, 3, padding=1), (2, 8, 9)).size == (8, 9)
    assert published_torus(nn.Conv2d(2, 2, 3, 2, padding=1), (2, 8, 9)).size == (4, 5)
    assert published_torus(nn.Conv2d(2, 2, 5, padding=2), (2, 3, 3)).size == (5, 5)
    assert published_torus(nn.ConvTranspose2d(2, 2, 3, 2), (2, 3, 4)).size == (3, 4)
    assert not has_torus(nn.Conv3d(1, 1, 3))
