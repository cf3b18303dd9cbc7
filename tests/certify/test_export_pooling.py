import pytest
import torch
from torch import nn

from onelip import layers as L
from onelip.certify.export import freeze
from onelip.certify.export_modules import module_operation
from onelip.certify.export_pooling import sliding_ranges
from onelip.certify.forward import evaluate

POOLS = [
    nn.AvgPool2d(3, 2, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AvgPool2d(2, 2, 1, ceil_mode=True),
    nn.AvgPool2d(2, divisor_override=3), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, 2, ceil_mode=True),
    nn.AdaptiveAvgPool2d((3, 1)), nn.AdaptiveAvgPool2d((None, 2)), nn.AdaptiveMaxPool2d(4), L.ScaledAvgPool2d(3, 2, 1),
    L.ScaledAvgPool2d(2, ceil_mode=True), L.L2NormPool2d(3, 1, 1), L.AdaptiveScaledAvgPool2d((3, 2)),
    L.AdaptiveL2NormPool2d((3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_pooling_windows(pool):
    x = torch.randn(3, 2, 7, 5, dtype=torch.float64)
    y = evaluate(freeze(nn.Sequential(pool), (2, 7, 5)).network, x)[0]
    torch.testing.assert_close(y, pool(x), rtol=1e-12, atol=1e-12)


def test_windows_are_cut_at_the_border():
    assert sliding_ranges(5, 3, 2, 1, 4) == [(0, 2), (1, 4), (3, 5), (5, 5)]


def test_windows_of_dilated_max_pooling():
    operation = module_operation(nn.MaxPool1d(2, 3, 1, dilation=2), (1, 6), (1, 2))
    assert operation.attributes == {"axes": [1], "windows": [[[1], [2, 4]]]}


def test_lines_are_pooled_as_images_of_height_one():
    operation = module_operation(nn.LPPool1d(2, 2), (1, 6), (1, 3))
    (pool,) = operation.sources
    assert (operation.op, pool.op, pool.sources[0].op) == ("reshape", "window_norm", "reshape")
    with pytest.raises(ValueError, match="norm_type=4"):
        module_operation(nn.LPPool1d(4, 2), (1, 6), (1, 3))
