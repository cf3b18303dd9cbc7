"""GloRo against values by hand and the divergence written out."""

import math

import pytest
import torch
from tests.losses.by_hand import value

from onelip import losses
from onelip.losses.gloro import gloro_logit
from onelip.metrics import certified_radius

CONSTANTS = [[0.0, 1.0, 4.0], [1.0, 0.0, 9.0], [4.0, 9.0, 0.0]]
ROWS = [[2.0, 1.0, 0.0]]


def test_by_hand():
    # Class 0 is predicted; r = 1/2 lets class 1 climb to 1.5 and class 2 to 2: the further logit is 2.
    for label in range(3):
        expected = math.log(2 * math.exp(2) + math.e + 1) - ROWS[0][label]
        assert value("gloro", ROWS, [label], constants=CONSTANTS, radius=0.5) == pytest.approx(expected)


def test_trades_by_hand():
    plain = math.log(math.exp(2) + math.e + 1)
    uncertain = math.log1p(math.exp(2 - plain))
    options = {"constants": CONSTANTS, "radius": 0.5, "form": "trades"}
    assert value("gloro", ROWS, [1], **options) == pytest.approx(plain - 1 + uncertain)
    assert value("gloro", ROWS, [1], weight=3, **options) == pytest.approx(plain - 1 + 3 * uncertain)


def test_the_divergence_of_trades_is_the_one_it_says():
    logits, labels = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 4
    bottom = gloro_logit(logits, None, 0.2)
    clean = (logits / 0.5).softmax(1)
    wide = (torch.cat([logits, bottom[:, None]], 1) / 0.5).softmax(1)
    divergence = (clean * (clean / wide[:, :-1]).log()).sum(1).mean()
    both = losses.build("gloro", radius=0.2, form="trades", weight=7.0, temperature=0.5)(logits, labels)
    plain = losses.build("cross-entropy", temperature=0.5)(logits, labels)
    assert (both - plain).item() == pytest.approx(7 * 0.5 * divergence.item())


def test_trades_of_weight_one_is_the_cross_entropy():
    # log(1 + exp(b - l)) + l - z_y with l = logsumexp(z) is logsumexp([z, b]) - z_y.
    batch = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 4
    torch.testing.assert_close(losses.build("gloro", form="trades")(*batch), losses.build("gloro")(*batch))


def test_the_further_class_wins_where_the_radius_is_not_certified():
    logits = torch.randn(300, 3, dtype=torch.float64)
    certified = certified_radius(logits, logits.argmax(1)) > 0.25
    assert torch.equal(gloro_logit(logits, None, 0.25) < logits.amax(1), certified)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"form": "trade"}, "form of GloRo 'trade' is unknown; did you mean 'trades'"),
        ({"weight": 2.0}, "weight=2.0 in GloRo has no effect with form='cross-entropy'"),
        ({"form": "trades", "weight": -1.0}, "weight=-1.0 in GloRo must be positive"),
    ],
)
def test_mistakes(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        losses.build("gloro", **options)
