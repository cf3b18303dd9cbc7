"""The leaky ReLU of the registry is torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onelip.layers import LeakyReLU, activation, to_plain


def test_plain_form_is_torchs() -> None:
    layer = activation("leaky-relu", 3, negative_slope=0.1)
    x = torch.randn(4, 3)
    plain = to_plain(layer)
    assert isinstance(plain, nn.LeakyReLU)
    assert plain.negative_slope == 0.1
    assert torch.equal(layer(x), torch.where(x > 0, x, 0.1 * x))
    assert torch.equal(plain(x), layer(x))


@pytest.mark.parametrize("slope", [-0.1, 1.5, float("nan"), True, "0.2"])
def test_slopes_that_stretch_or_are_no_numbers_are_refused(slope: object) -> None:
    with pytest.raises(ValueError, match=r"negative_slope=.* in LeakyReLU must be a number in \[0, 1\]"):
        LeakyReLU(slope)  # type: ignore[arg-type]
