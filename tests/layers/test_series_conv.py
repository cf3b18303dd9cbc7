"""Series layers on images and on signals: channels, groups, plain forms and refusals."""

from __future__ import annotations

import pytest
import scipy.linalg
import torch
from tests.layers.dense import dense_matrix, singular_values
from torch import nn

from onelip.layers import ChannelKeep, ChannelPad, SkewSeries2d, SOCConv1d, SOCConv2d

CHANNELS = [(4, 4, 1), (4, 4, 4), (4, 8, 2), (8, 4, 4), (2, 8, 2), (1, 3, 1), (3, 1, 1)]


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("inputs", "outputs", "groups"), CHANNELS)
def test_channels_and_groups(inputs: int, outputs: int, groups: int, mode: str) -> None:
    image = SOCConv2d(inputs, outputs, 3, padding=1, groups=groups, padding_mode=mode)
    line = SOCConv1d(inputs, outputs, 3, padding=1, groups=groups, padding_mode=mode)
    for layer, shape in ((image, (inputs, 4, 5)), (line, (inputs, 6))):
        x = torch.randn(2, *shape)
        assert layer(x).shape == (2, outputs, *shape[1:])
        assert layer(x[0]).shape == (outputs, *shape[1:])
        torch.testing.assert_close(layer.eval()(x), layer.to_plain()(x), rtol=0, atol=1e-6)
        values = singular_values(layer, shape)
        assert 1 - 2e-5 <= float(values[-1]) <= float(values[0]) <= 1 + 1e-6
        pixels = torch.Size(shape[1:]).numel()
        blocks = dense_matrix(layer, shape).reshape(groups, -1, groups, inputs // groups * pixels)
        for i in range(groups):
            assert not any(bool(blocks[i, :, j].any()) for j in range(groups) if j != i)


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 1), (3, 2)])
def test_line_is_the_matrix_exponential(kernel: int, dilation: int, mode: str) -> None:
    layer = SOCConv1d(
        3, 3, kernel, padding="same", dilation=dilation, bias=False, padding_mode=mode, dtype=torch.float64, n_terms=14
    )
    generator = nn.Conv1d(3, 3, kernel, 1, "same", dilation, bias=False, padding_mode=mode, dtype=torch.float64)
    generator.weight = nn.Parameter(layer.weight.detach())
    a = generator(torch.eye(27, dtype=torch.float64).view(27, 3, 9)).detach().flatten(1).T
    assert torch.equal(a, -a.T)
    expected = torch.tensor(scipy.linalg.expm(a.numpy()))
    torch.testing.assert_close(dense_matrix(layer, (3, 9)), expected, rtol=0, atol=1e-12)


def test_line_is_the_image_of_height_one() -> None:
    line, image = SOCConv1d(2, 4, 3, padding=1).eval(), SOCConv2d(2, 4, (1, 3), padding=(0, 1)).eval()
    image.load_state_dict(line.state_dict())
    x = torch.randn(2, 2, 7)
    torch.testing.assert_close(line(x), image(x[:, :, None])[:, :, 0])
    assert line.weight.shape == (4, 4, 3)


def test_plain_forms() -> None:
    kinds = [type(m) for m in SOCConv1d(3, 5, 3, padding=1).to_plain()]
    assert kinds == [nn.Unflatten, ChannelPad, SkewSeries2d, nn.Flatten]
    assert [type(m) for m in SOCConv2d(6, 4, 3, padding=1, groups=2).to_plain()] == [SkewSeries2d, nn.Conv2d]
    assert [type(m) for m in SOCConv2d(6, 4, 3, padding=1).to_plain()] == [SkewSeries2d, ChannelKeep]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"kernel_size": 2}, r"kernel_size=\(1, 2\) in SOCConv1d must be odd"),
        ({"stride": 2, "padding": 1}, r"stride=\(1, 2\) in SOCConv1d must be 1, since the series adds images"),
        ({"padding": 0}, r"padding=\(0, 0\) in SOCConv1d must be 'same'"),
    ],
)
def test_refusals(options: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        SOCConv1d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": "same", **options})  # type: ignore[arg-type]
