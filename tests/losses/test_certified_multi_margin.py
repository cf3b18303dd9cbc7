"""The multi-margin loss of a radius: values by hand, and that loss 0 certifies."""

import math

import pytest
import torch
from tests.losses.by_hand import value

from onelip import losses
from onelip.metrics import certified_radius

ZEROS, TEN = [[0.0] * 10], [3]


def test_by_hand_at_zero_logits():
    # Nine of ten hinges are the margin u: 0.9 u^q, with u = r c L.
    assert value("certified-multi-margin", ZEROS, TEN) == pytest.approx(0.9 * 0.5 * math.sqrt(2))
    assert value("certified-multi-margin", ZEROS, TEN, radius=1.5) == pytest.approx(0.9 * 2.1213203)
    assert value("certified-multi-margin", ZEROS, TEN, norm="linf") == pytest.approx(0.9 * 1.0)
    assert value("certified-multi-margin", ZEROS, TEN, norm="linf", lipschitz=3.0, p=2) == pytest.approx(0.9 * 9.0)


def test_loss_zero_is_where_the_radius_is_certified():
    logits, labels = torch.randn(200, 3, dtype=torch.float64), torch.arange(200) % 3
    loss = losses.build("certified-multi-margin", radius=0.3, lipschitz=2.0)
    each = torch.stack([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(200)])
    certified = certified_radius(logits, labels, lipschitz=2.0) >= 0.3
    assert torch.equal(each == 0, certified)
    assert 0 < int(certified.sum()) < 200


def test_another_norm_is_refused():
    with pytest.raises(ValueError, match="norm of CertifiedMultiMargin 'l3' is unknown"):
        losses.build("certified-multi-margin", norm="l3")
