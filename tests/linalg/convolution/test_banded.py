"""Block Cholesky proves norms, and proves nothing false when it goes wrong."""

import pytest
import torch
from tests.linalg.convolution.image_sizes import MODES, ROUNDING, cases, true_norm
from tests.linalg.convolution.test_operators import largest_norm, operators_of
from torch import nn

from onelip.linalg.convolution import banded
from onelip.linalg.convolution.banded import operators_norm_bound, proof_cost
from onelip.linalg.convolution.lines import conv_line
from onelip.linalg.convolution.operators import LineOperators


@pytest.fixture
def small_blocks(monkeypatch):
    """Cut even small matrices into many blocks."""
    monkeypatch.setattr(banded, "_SINGLE", 0)
    monkeypatch.setattr(banded, "_BLOCK", 5)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_pixels_are_tight(small_blocks, axes):
    for case in cases(16, axes, seed=2):
        exact = true_norm(case.layer, case.shape)
        bound = operators_norm_bound(operators_of(case), exact)
        assert exact * (1 - ROUNDING) <= bound <= exact * (1 + 2e-6)


def test_strips_are_tight(small_blocks):
    for case in cases(8, 2, ("zeros",), seed=3):
        strips = operators_of(case).at_frequencies((1,), (1,))
        exact = largest_norm(strips)
        assert exact * (1 - ROUNDING) <= operators_norm_bound(strips) <= exact * (1 + 2e-6)


@pytest.mark.parametrize("broken", ["cholesky_ex", "solve_triangular"])
def test_a_broken_backend_makes_no_false_proof(small_blocks, monkeypatch, broken):
    original = getattr(torch.linalg, broken)

    def wrong(*args, **kwargs):
        result = original(*args, **kwargs)
        if broken == "cholesky_ex":
            # It lets everything pass.
            return torch.return_types.linalg_cholesky_ex((result.L.nan_to_num(1.0), torch.zeros_like(result.info)))
        return 0.7 * result

    monkeypatch.setattr(torch.linalg, broken, wrong)
    for mode in MODES:
        layer = nn.Conv2d(2, 2, 3, padding=1, padding_mode=mode, bias=False)
        weight = layer.weight.detach().double()[None]
        operators = LineOperators.of(weight, [conv_line(5, 3, pads=(1, 1), mode=mode)] * 2)
        exact = true_norm(layer, (2, 5, 5))
        # Estimates that are too low, so that factorisations that are really not possible are tried first.
        for share in (0.5, 0.9, 0.95, 0.99):
            assert operators_norm_bound(operators, share * exact) >= exact * (1 - ROUNDING)


def test_weights_that_only_meet_zeros(small_blocks):
    weight = torch.zeros(1, 2, 2, 5, 5, dtype=torch.float64)
    weight[..., 0, 0] = 1.0
    operators = LineOperators.of(weight, [conv_line(2, 5, pads=(2, 2)), conv_line(6, 5, pads=(2, 2))])
    assert 0 <= operators_norm_bound(operators) <= 1e-3


def test_cost_counts_blocks():
    def cost(n):
        return proof_cost(LineOperators.of(torch.ones(1, 128, 128, 3).double(), [conv_line(n, 3, pads=(1, 1))]))

    assert cost(40) == pytest.approx(2 * cost(20))
