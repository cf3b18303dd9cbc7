"""The multi-margin loss against values by hand and torch's own."""

import pytest
import torch
from tests.losses.by_hand import value
from torch.nn import functional

from onelip import losses


def test_by_hand():
    # Leads over the wrong classes: 0.5, -1, 4; hinges at margin 1: 0.5, 2, 0.
    rows, labels = [[1.0, 0.5, 2.0, -3.0]], [0]
    assert value("multi-margin", rows, labels) == pytest.approx(2.5 / 4)
    assert value("multi-margin", rows, labels, p=2) == pytest.approx(4.25 / 4)
    assert value("multi-margin", rows, labels, p=3, margin=2.0) == pytest.approx((1.5**3 + 3.0**3) / 4)


@pytest.mark.parametrize("p", [1, 2])
def test_it_is_torchs_where_torch_has_it(p):
    batch = torch.randn(7, 4, dtype=torch.float64), torch.arange(7) % 4
    ours = losses.build("multi-margin", p=p, margin=0.7)(*batch)
    assert ours.item() == pytest.approx(functional.multi_margin_loss(*batch, p=p, margin=0.7).item())
