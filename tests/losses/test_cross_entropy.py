"""Cross-entropy at a temperature."""

import math

import pytest
import torch
from tests.losses.by_hand import value
from torch.nn import functional

from onelip import losses


def test_by_hand():
    # z / T = (6, 0): log(1 + exp(-6)), times T.
    assert value("cross-entropy", [[3.0, 0.0]], [0], temperature=0.5) == pytest.approx(0.5 * math.log1p(math.exp(-6)))


def test_at_temperature_one_it_is_torchs():
    batch = torch.randn(7, 4, dtype=torch.float64), torch.arange(7) % 4
    assert losses.build("cross-entropy")(*batch) == functional.cross_entropy(*batch)
