"""Weights and arguments are read off torch's modules, and strides become blocks of pixels."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onelip.layers import InvertibleDownsampling2d
from onelip.swap.affine import embedded, kind_of, read_affine, without_stride


def convolve(x, conv):
    """The convolution as torch computes it, with the padding written out."""
    o = conv.options
    p = o["padding"]
    mode = "circular" if o["padding_mode"] == "circular" else "constant"
    padded = F.pad(x, (p[1], p[1], p[0], p[0]), mode=mode)
    return F.conv2d(padded, conv.weight, conv.bias, o["stride"], 0, o["dilation"], o["groups"])


SIZES = [
    (k, s, p, d, g)
    for k, s, d, g in itertools.product((1, 2, 3, 5), (2, 3, (1, 2)), (1, 2), (1, 2))
    for p in (0, 1, 2, 3)
    if all(d * (k - 1) + 1 - t <= 2 * p <= d * (k - 1) for t in ((s, s) if isinstance(s, int) else s))
]


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize(("k", "s", "p", "d", "g"), SIZES)
def test_a_strided_convolution_is_one_of_stride_1_of_blocks(k, s, p, d, g, mode):
    module = nn.Conv2d(4, 6, k, s, p, d, g, padding_mode=mode, dtype=torch.float64)
    conv = read_affine(module, "conv2d")
    blocks = without_stride(conv)
    x = torch.randn(2, 4, 12, 12, dtype=torch.float64)
    down = InvertibleDownsampling2d(conv.stride)(x)
    assert blocks.stride == (1, 1)
    assert all(
        n % 2 and q == n // 2 for n, q in zip(blocks.options["kernel_size"], blocks.options["padding"], strict=True)
    )
    assert torch.allclose(convolve(down, blocks), module(x), atol=1e-12)


@pytest.mark.parametrize("padding", ["valid", (2, 2)])
def test_outputs_of_another_size_are_refused(padding):
    with pytest.raises(ValueError, match="does not divide the size of the image"):
        without_stride(read_affine(nn.Conv2d(2, 2, 4, 2, padding), "conv2d"))


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Linear(2, 3), "linear"),
        (nn.Conv1d(2, 3, 3), "conv1d"),
        (nn.Conv2d(2, 3, 3), "conv2d"),
        (nn.ConvTranspose2d(2, 3, 3), "conv_transpose2d"),
        (nn.Conv3d(2, 3, 3), None),
        (nn.Bilinear(2, 2, 2), None),
        (nn.ReLU(), None),
    ],
)
def test_the_kind_is_that_of_the_class(module, kind):
    assert kind_of(module) == kind
    if kind is not None:
        found = read_affine(module, kind)
        assert (found.inputs, found.outputs) == (2, 3)
        assert found.weight.data_ptr() == module.weight.data_ptr()


def test_a_forward_of_its_own_has_no_kind():
    class Kept(nn.Linear):
        pass

    class Changed(nn.Linear):
        def forward(self, x):
            return x

    assert kind_of(Kept(2, 2)) == "linear"
    assert kind_of(Changed(2, 2)) is None


def test_complex_weights_are_refused():
    with pytest.raises(ValueError, match=r"torch\.complex64 in Linear must be real"):
        read_affine(nn.Linear(2, 2, dtype=torch.complex64), "linear")


def test_the_arguments_of_one_axis_are_numbers():
    options = read_affine(nn.Conv1d(2, 3, 5, 2, 1), "conv1d").options
    assert (options["kernel_size"], options["stride"], options["padding"]) == (5, 2, 1)


def test_weights_are_filled_up_with_zero_channels():
    weight = torch.ones(2, 3, 3, 3)
    filled = embedded(weight, (3, 4, 3, 3))
    assert filled.shape == (3, 4, 3, 3)
    assert torch.equal(filled[:2, :3], weight)
    assert filled.sum() == weight.sum()
    assert embedded(weight, (2, 3, 5, 5)) is None
    assert embedded(weight, (1, 3, 3, 3)) is None
    assert embedded(weight, (2, 3)) is None
