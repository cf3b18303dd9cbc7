import pytest
import torch
from tests.bounds.dense import ROUNDING, jacobian, steepest
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.bounds.pooling_rules import avg_pool_bound, max_pool_bound, pad_bound, pool_counts, power_pool_bound

LINEAR = [
    nn.AvgPool2d(2), nn.AvgPool2d(3, 2), nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    nn.AvgPool2d(2, 2, ceil_mode=True), nn.AvgPool2d((1, 3), 1), nn.AvgPool2d(2, 3),
    nn.AvgPool2d(2, divisor_override=1),
    nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((3, 2)), nn.AdaptiveAvgPool2d((None, 4)),
    nn.Upsample(scale_factor=2), nn.Upsample(size=(7, 11)), nn.UpsamplingNearest2d(scale_factor=3),
    nn.ZeroPad2d(2), nn.ZeroPad2d((-1, 1, 0, -2)), nn.ReflectionPad2d(2), nn.ReflectionPad2d((0, 1, 3, 0)),
    nn.ReplicationPad2d((1, 0, 2, 4)), nn.CircularPad2d((2, 1, 0, 3)),
]  # fmt: skip


@pytest.mark.parametrize("layer", LINEAR, ids=str)
def test_linear_pooling(layer):
    exact = float(torch.linalg.matrix_norm(jacobian(layer, torch.zeros(1, 7, 6)), 2))
    bound = lipschitz_bound(layer, (1, 7, 6))
    assert bound.proved
    assert exact <= bound.value * (1 + ROUNDING)
    assert bound.value <= exact * (1 + 1e-7)


@pytest.mark.parametrize(
    "layer",
    [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(3, 1), nn.MaxPool2d(2, 2, dilation=2),
     nn.MaxPool2d((3, 2), (1, 2)),
     nn.AdaptiveMaxPool2d(2), nn.AdaptiveMaxPool2d((3, 4))],
    ids=str,
)  # fmt: skip
def test_max_pooling(layer):
    bound = lipschitz_bound(layer, (1, 7, 6))
    assert steepest(layer, (1, 7, 6), 20) <= bound.value * (1 + ROUNDING)
    # A single bright pixel is the maximum of every window that it is in.
    counts = [int((layer(torch.eye(42)[i].reshape(1, 1, 7, 6)) > 0).sum()) for i in range(42)]
    assert bound.value == pytest.approx(max(counts) ** 0.5)


def test_closed_forms():
    assert max_pool_bound((4, 4), 2).value == 1
    assert max_pool_bound((7, 7), 3, 2).value == 2
    assert max_pool_bound((20, 20), 3, 1, 0, 2).value == 3
    # One window alone, however many there are on larger images.
    assert max_pool_bound((3, 3), 3, 1).value == 1
    assert avg_pool_bound((4, 4), 2).value == pytest.approx(0.5)
    assert max_pool_bound((4, 4, 4), 2, 1).value == pytest.approx(8**0.5)
    assert power_pool_bound((7,), 2, 3, 2, True).value == pytest.approx(2**0.5)
    assert power_pool_bound((4,), 2, 3, 2, True).value == pytest.approx(2**0.5 * 1.5**0.5)
    assert pad_bound((4, 4), (1, 1, 1, 1), "constant").value == 1
    assert pad_bound((5, 5), (1, 1), "reflect").value == pytest.approx(2**0.5)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_windows_are_counted_as_torch_does(ceil_mode):
    for size in range(3, 12):
        for kernel, stride, padding in [(1, 1, 0), (2, 3, 1), (3, 2, 1), (3, 3, 0), (3, 1, 1)]:
            theirs = nn.functional.max_pool1d(torch.zeros(1, 1, size), kernel, stride, padding, ceil_mode=ceil_mode)
            assert pool_counts((size,), (kernel,), (stride,), (padding,), ceil_mode) == tuple(theirs.shape[2:])


def test_roots_that_are_not_norms_are_refused():
    with pytest.raises(UnknownLipschitzConstant, match="norm_type=3"):
        lipschitz_bound(nn.LPPool2d(3, 2), (1, 4, 4))
