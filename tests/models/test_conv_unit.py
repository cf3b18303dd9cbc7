"""A convolution, an activation and a normalisation in line, and the checks of their options."""

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.models import choose_method
from onelip.models.conv_unit import check_multiple, check_norm, check_odd, conv_unit, norm_part

AOC = choose_method("aoc", None, "maxmin")


def test_the_parts_act_in_order():
    torch.manual_seed(0)
    unit = conv_unit(AOC, (3, 4), 3, norm="layer-centering", bias=True)
    x = torch.randn(2, 3, 4, 4)
    y = layers.activation("maxmin", 4)(unit.conv(x))
    torch.testing.assert_close(unit(x), y - y.mean((2, 3), keepdim=True))
    assert list(dict(unit.named_children())) == ["conv", "act", "norm"]
    assert unit.conv.bias is not None


def test_every_option_reaches_the_convolution():
    unit = conv_unit(AOC, (4, 4), 5, stride=2, padding_mode="circular")
    assert (unit.conv.kernel_size, unit.conv.stride, unit.conv.padding) == ((5, 5), (2, 2), (2, 2))
    assert (unit.conv.padding_mode, unit.conv.bias) == ("circular", None)
    assert conv_unit(AOC, (4, 4), 3).conv.padding_mode == "zeros"


@pytest.mark.parametrize("norm", ["none", *layers.available("normalization")])
def test_every_normalisation_fits_and_none_leaves_nothing(norm):
    check_norm("m", norm)
    part = nn.Sequential(norm_part(norm, 4))
    assert len(part) == (norm != "none")
    assert part(torch.rand(2, 4, 3, 3)).shape == (2, 4, 3, 3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="norm='batch' for model 'm' must be one of 'none', 'batch-centering'"):
        check_norm("m", "batch")
    check_odd("m", kernel_size=3, patch=1)
    with pytest.raises(ValueError, match="kernel_size=4 for model 'm' must be odd"):
        check_odd("m", kernel_size=4)
    check_multiple("m", (3, 8, 4), 4)
    for shape in ((3, 6, 4), (3, 4, 6)):
        with pytest.raises(ValueError, match=r"does not fit model 'm'; height and width must be multiples of 4"):
            check_multiple("m", shape, 4)
