import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.certify.paranoid.balls import conv_step, middle, step

from onelip.certify.checker.errors import VerificationError
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.taps import (
    circular_adjoint,
    convolution,
    grouped,
    most_copies,
    padded_line,
    rectified,
    with_bias,
    zero_adjoint,
)

CASES = [
    ((1, 1), (1, 1, 1, 1), (1, 1), 1, "zeros"),
    ((2, 1), (0, 2, 1, 0), (1, 2), 2, "zeros"),
    ((1, 2), (1, 1, 2, 1), (2, 1), 1, "circular"),
    ((1, 1), (1, 2, 0, 1), (1, 1), 2, "reflect"),
    ((2, 2), (2, 1, 1, 1), (1, 1), 1, "replicate"),
]


def torch_convolution(x, w, stride, pads, dilation, groups, mode):
    top, bottom, left, right = pads
    mode = {"zeros": "constant"}.get(mode, mode)
    x = F.pad(torch.from_numpy(x), (left, right, top, bottom), mode=mode)
    return F.conv2d(x, torch.from_numpy(w), stride=stride, dilation=dilation, groups=groups).numpy()


@pytest.mark.parametrize("case", CASES)
def test_convolutions_agree_with_torch_and_with_their_matrix(case):
    rng = np.random.default_rng(0)
    stride, pads, dilation, groups, mode = case
    w, x = rng.standard_normal((4, 4 // groups, 3, 2)), rng.standard_normal((2, 4, 5, 6))
    found = convolution(conv_step(w, stride, pads, dilation, groups, mode), x.shape)
    expected = torch_convolution(x, w, *case)
    assert np.allclose(middle(found.apply(exact(x))), expected, rtol=0, atol=1e-13)
    part = 4 // groups
    for g in range(groups):
        dense = middle(found.dense(g))
        assert dense.shape == found.entries
        flat = x[:, g * part : (g + 1) * part].reshape(2, -1) @ dense.T
        assert np.allclose(flat, expected[:, g * part : (g + 1) * part].reshape(2, -1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_adjoints_are_adjoint(stride, groups):
    rng = np.random.default_rng(1)
    w, y = rng.standard_normal((4, 4 // groups, 3, 2)), rng.standard_normal((1, 4, 4, 3))
    plain = conv_step(w, stride, (0, 0, 0, 0), (2, 1), groups)
    full = ((4 - 1) * stride[0] + 5, (3 - 1) * stride[1] + 2)
    back = zero_adjoint(plain, y.shape, (0, 0), full).apply(exact(y))
    expected = F.conv_transpose2d(
        torch.from_numpy(y), torch.from_numpy(w), stride=stride, dilation=(2, 1), groups=groups
    ).numpy()
    assert np.allclose(middle(back), expected, rtol=0, atol=1e-13)

    wrapped = conv_step(w, stride, (2, 2, 1, 0), (2, 1), groups, "circular")
    x = rng.standard_normal((1, 4, 4 * stride[0], 3 * stride[1]))
    ahead = convolution(wrapped, x.shape).apply(exact(x))
    back = circular_adjoint(wrapped, y.shape).apply(exact(y))
    assert np.isclose((middle(ahead) * y).sum(), (middle(back) * x).sum(), rtol=1e-12)


def test_padding_copies():
    reflect = conv_step(np.ones((1, 1, 3, 3)), pads=(2, 2, 1, 0), mode="reflect")
    assert padded_line(reflect, 4, 2, 1).tolist() == [2, 1, 0, 1, 2, 3, 2]
    assert padded_line(conv_step(np.ones((1, 1, 3, 3))), 2, 1, 1).tolist() == [-1, 0, 1, -1]
    assert most_copies(padded_line(reflect, 3, 2, 2)) == 3
    assert most_copies(padded_line(reflect, 4, 1, 0)) == 2
    with pytest.raises(VerificationError, match="reflected padding"):
        padded_line(reflect, 2, 2, 0)
    with pytest.raises(VerificationError, match="padding_mode 'mirror'"):
        padded_line(conv_step(np.ones((1, 1, 3, 3)), mode="mirror"), 2, 1, 1)


def test_shapes_are_checked():
    bad = conv_step(np.ones((3, 1, 3, 3)), groups=2)
    for call in (
        lambda: grouped(bad, 2),
        lambda: convolution(conv_step(np.ones((2, 2, 3, 3))), (1, 3, 5, 5)),
        lambda: convolution(conv_step(np.ones((2, 2, 3, 3))), (1, 2, 2, 5)),
        lambda: zero_adjoint(conv_step(np.ones((2, 2, 3, 3))), (1, 2, 2, 2), (3, 0), (2, 2)),
        lambda: with_bias(step("x", bias=[1.0]), exact(np.ones((1, 2, 3)))),
    ):
        with pytest.raises(VerificationError, match="does not fit"):
            call()


def test_bias_and_rectifier():
    x = exact(np.arange(-3.0, 3.0).reshape(1, 2, 3))
    assert (middle(with_bias(step("x", bias=[1, 2]), x)) == [[[-2, -1, 0], [2, 3, 4]]]).all()
    assert (middle(with_bias(step("x", bias=[1, 2, 3]), x, 2)) == [[[-2, 0, 2], [1, 3, 5]]]).all()
    assert (middle(rectified(x)) == [[[0, 0, 0], [0, 1, 2]]]).all()


def test_volumes_and_lines():
    rng = np.random.default_rng(2)
    w, x = rng.standard_normal((4, 2, 2, 1, 3)), rng.standard_normal((2, 4, 4, 3, 5))
    attributes = {"stride": [2, 1, 2], "pads": [1, 0, 0, 1, 1, 1], "dilation": [1, 2, 1], "groups": 2}
    volume = step("conv3d", attributes | {"padding_mode": "zeros"}, weight=w)
    padded = F.pad(torch.from_numpy(x), (1, 1, 0, 1, 1, 0))
    expected = F.conv3d(padded, torch.from_numpy(w), stride=(2, 1, 2), dilation=(1, 2, 1), groups=2).numpy()
    taps = convolution(volume, x.shape)
    assert np.allclose(middle(taps.apply(exact(x))), expected, rtol=0, atol=1e-13)
    flat = x[:, :2].reshape(2, -1) @ middle(taps.dense(0)).T
    assert np.allclose(flat, expected[:, :2].reshape(2, -1), rtol=0, atol=1e-13)
    line = step(
        "conv1d", {"pads": [1, 2], "dilation": [2], "groups": 1, "padding_mode": "circular"}, weight=w[:, :, 0, 0]
    )
    assert convolution(line, (1, 2, 6)).lines[0].shape == (5, 3)
