"""The map of every affine operation is what the certificate's own evaluation computes."""

import pytest
import torch
from tests.certify.relaxation.dense import absolute_slack, frozen, matrix_of
from torch import nn

from onelip import layers as L
from onelip.certify.forward import apply_operation
from onelip.certify.relaxation.affine_operations import AFFINE, REARRANGEMENTS


class Joined(nn.Module):
    """Sums, differences and concatenations."""

    def forward(self, x):
        return torch.cat([x + x.abs(), x - 0.5 * x.relu(), -x + 1.5], 1).permute(0, 2, 3, 1).transpose(1, 3)


class Scaled(nn.Module):
    """Products and quotients with stored numbers."""

    def __init__(self):
        super().__init__()
        self.register_buffer("numbers", torch.tensor([[0.3], [-2.0]]))

    def forward(self, x):
        return x * self.numbers / (self.numbers - 1)


def _batch_norm():
    norm = nn.BatchNorm2d(12)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def _network():
    torch.manual_seed(0)
    model = nn.Sequential(
        L.Normalize([0.5, 0.4], [0.5, 0.25]),
        nn.Conv2d(2, 4, 3, stride=(1, 2), padding=1, groups=2, padding_mode="circular"),
        Joined(),
        _batch_norm(),
        L.LayerCentering(12),
        nn.PixelShuffle(2),
        L.InvertibleDownsampling2d((2, 1)),
        L.ChannelPad(8),
        nn.ChannelShuffle(2),
        nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.ZeroPad2d((1, -1, 0, 2)),
        nn.AvgPool2d(3, 2, 1),
        L.ChannelKeep(3),
        nn.Flatten(2),
        nn.Conv1d(3, 6, 2, padding=1, dilation=2, stride=2),
        L.Scale(0.7),
        nn.Flatten(),
        nn.LazyLinear(5),
    )
    model(torch.zeros(2, 2, 6, 6))
    return frozen(model, (2, 6, 6))


def _volumes():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Unfold(3, stride=3),
        nn.Fold((5, 5), 3, stride=2),
        nn.Unflatten(2, (1, 5)),
        nn.Conv3d(2, 4, 2, padding=1, stride=(1, 2, 3), groups=2),
        nn.Conv3d(4, 3, (1, 3, 2), padding=(0, 1, 1), padding_mode="replicate"),
        nn.ConvTranspose3d(3, 2, (2, 1, 1)),
        nn.ReflectionPad3d((0, 1, 0, 0, 1, 0)),
        nn.Flatten(2),
        nn.ConstantPad1d((2, 0), 1.5),
        nn.AdaptiveAvgPool1d(9),
        nn.ConvTranspose1d(2, 2, 2, stride=2, padding=3),
        Scaled(),
    )
    return frozen(model, (2, 6, 6))


def _nodes(network):
    """Each affine operation with the shapes of its inputs and output."""
    shapes, nodes = {"input": network.input_shape}, []
    for node in network.nodes:
        inputs = [torch.zeros(1, *shapes[name], dtype=torch.float64) for name in node.inputs]
        shapes[node.name] = tuple(apply_operation(node, inputs).shape[1:])
        if node.op in AFFINE:
            nodes.append((node, [shapes[name] for name in node.inputs], shapes[node.name]))
    return nodes


NODES = [*_nodes(_network()), *_nodes(_volumes())]


@pytest.mark.parametrize(("node", "shapes", "after"), NODES, ids=[f"{node.op} {node.name}" for node, _, _ in NODES])
def test_maps_are_the_operation(node, shapes, after):
    maps = AFFINE[node.op](node, shapes)
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(3, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
    total = sum(m.apply(x) + (0 if m.offset is None else m.offset) for m, x in zip(maps, inputs, strict=True))
    assert torch.allclose(total, apply_operation(node, inputs), rtol=1e-12, atol=1e-12)
    for own, shape in zip(maps, shapes, strict=True):
        dense = matrix_of(own.apply, shape)
        assert torch.allclose(matrix_of(own.adjoint, after), dense.T, rtol=0, atol=1e-12)
        assert bool((matrix_of(own.absolute, shape) >= dense.abs() - absolute_slack(dense)).all())
        if own.offset is not None:
            assert bool((own.offset_size >= own.offset.abs()).all())
        if own.row_norms is not None:
            norms = torch.linalg.vector_norm(dense, dim=1)
            assert bool((own.row_norms.expand(after).flatten() >= norms).all())


def test_no_operation_is_left_out():
    missing = set(AFFINE) - {node.op for node, _, _ in NODES}
    assert not missing, f"this test has no {missing}"
    assert set(REARRANGEMENTS) <= set(AFFINE)
