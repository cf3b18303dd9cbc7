"""The library's own methods under one roof."""

import pytest
import torch
from tests.spectral.norm_estimates import dense
from torch import nn

from onelip import lipschitz_bound
from onelip.spectral import norm_estimate


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_the_proved_bound_is_that_of_the_layer(mode):
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, 3, padding=1, padding_mode=mode).double()
    assert float(norm_estimate(conv, "proved", (2, 6, 6))) == lipschitz_bound(conv, (2, 6, 6)).value
    assert not norm_estimate(conv, "proved", (2, 6, 6)).value.requires_grad


def test_singular_values_reach_the_norm():
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1).double()
    norm = dense.norm(conv, (3, 8, 8))
    assert norm * (1 - 1e-4) <= float(norm_estimate(conv, kind="lower", input_shape=(3, 8, 8))) <= norm * (1 + 1e-12)


def test_the_published_value_of_a_mean_filter():
    mean = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64)
    assert float(norm_estimate(mean, "svd", (1, 8, 8), padding=1)) == pytest.approx(0.92121, abs=1e-5)
