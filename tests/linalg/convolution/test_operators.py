"""Operators at one size, by pixels or by frequencies, have the norms that they should."""

import itertools
import math

import pytest
import torch
from tests.linalg.convolution.image_sizes import ROUNDING, cases, true_norm

from onelip.linalg.convolution.lines import conv_line
from onelip.linalg.convolution.operators import LineOperators, norm_with_error


def operators_of(case):
    options = case.options
    axes = zip(
        case.shape[1:], case.weight.shape[2:], options["stride"], options["dilation"], options["pads"], strict=True
    )
    lines = [conv_line(n, k, stride=s, dilation=d, pads=p, mode=options["mode"]) for n, k, s, d, p in axes]
    return LineOperators.of(case.weight.double().unflatten(0, (options["groups"], -1)), lines)


def largest_norm(operators):
    """Of the batch, by dense matrices built from the selections of pixels."""
    found = 0.0
    for weights in operators.weights:
        total = 0
        for taps in itertools.product(*(range(line.taps) for line in operators.lines)):
            matrix = weights[(slice(None), slice(None), *taps)]
            for tap, line in zip(taps, operators.lines, strict=True):
                matrix = torch.kron(matrix, line.selections()[tap].to(matrix.dtype))
            total = total + matrix
        found = max(found, float(torch.linalg.matrix_norm(total, 2)))
    return found


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_pixels_are_torchs_layer(axes):
    for case in cases(12, axes):
        operators = operators_of(case)
        exact = true_norm(case.layer, case.shape)
        assert largest_norm(operators) == pytest.approx(exact, rel=1e-11)
        assert exact * 0.9 <= operators.estimate() <= exact * (1 + ROUNDING)
        assert exact <= operators.size * (1 + ROUNDING)


@pytest.mark.parametrize("axes", [1, 2])
def test_frequencies_of_some_axes_bound_the_norm(axes):
    for case in cases(25, axes, seed=1):
        operators = operators_of(case)
        exact = true_norm(case.layer, case.shape)
        for chosen in ((0,), (axes - 1,), tuple(range(axes))):
            for twists in itertools.product((0, 1), repeat=len(chosen)):
                if any(t and not operators.lines[axis].ring.twisted for t, axis in zip(twists, chosen, strict=True)):
                    continue
                ring = operators.at_frequencies(chosen, twists)
                bound = math.sqrt(ring.factor_sq) * largest_norm(ring)
                assert exact <= bound * (1 + ROUNDING)
                if all(operators.lines[axis].ring.whole for axis in chosen):
                    assert bound == pytest.approx(exact, rel=1e-11)


def test_frequencies_are_the_ones_of_the_fourier_transform():
    kernel = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    lines = [conv_line(n, 3, pads=(1, 1), mode="circular") for n in (5, 8)]
    ring = LineOperators.of(kernel[None], lines).at_frequencies((0, 1), (0, 0))
    expected = torch.linalg.svdvals(torch.fft.fft2(kernel, (5, 8)).permute(2, 3, 0, 1)).flatten().sort().values
    found = torch.linalg.svdvals(ring.weights).flatten()
    assert len(ring.weights) == 5 * 8 // 2 + 1
    assert all(float((expected - value).abs().min()) < 1e-12 for value in found)
    assert float(found.max()) == pytest.approx(float(expected[-1]), rel=1e-12)
    assert ring.error < 1e-11


def test_errors_and_factors_round_up():
    operators = LineOperators(torch.ones(1, 1, 1), (), 1.0, 1e-3, 2)
    assert norm_with_error(4.0, operators) >= (2 + 1e-3) * math.sqrt(2)
    assert norm_with_error(4.0, operators) <= (2 + 1e-3) * math.sqrt(2) * (1 + 1e-15)


def test_an_estimate_stops_when_it_is_enough():
    kernel = torch.randn(1, 6, 6, 3, 3, dtype=torch.float64)
    operators = LineOperators.of(kernel, [conv_line(9, 3, pads=(1, 1))] * 2)
    best = operators.estimate()
    assert 0.5 * best <= operators.estimate(0.5 * best) < best
