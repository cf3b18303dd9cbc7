"""The checker's tables of pixels agree with its own padding, and its frequencies with dense operators."""

import itertools
import math

import numpy as np
import pytest

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.images import images, padded_axis, transposed_axis

MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "replicate": "edge"}


def dense(operator, axes):
    """Matrix of one operator, entry by entry from the tables."""
    out, inner = operator.shape[:2]
    heights, widths = [len(a.table) for a in axes], [a.pixels for a in axes]
    matrix = np.zeros((out, *heights, inner, *widths), dtype=operator.dtype)
    for place in np.ndindex(*heights):
        for taps in np.ndindex(*operator.shape[2:]):
            pixels = [int(axis.table[t, a]) for axis, t, a in zip(axes, place, taps, strict=True)]
            if min(pixels, default=0) >= 0:
                matrix[(slice(None), *place, slice(None), *pixels)] += operator[(..., *taps)]
    return matrix.reshape(out * math.prod(heights), -1)


def largest(operators):
    return max(float(np.linalg.norm(dense(w, operators.axes), 2)) for w in operators.weights)


@pytest.mark.parametrize("mode", MODES)
def test_tables(mode):
    for stride, dilation, pads in itertools.product((1, 2), (1, 2), ((0, 0), (2, 1))):
        line = np.pad(np.arange(1, 7), pads, mode=MODES[mode])
        axis = padded_axis(6, 3, stride, dilation, pads, mode)
        for t, a in np.ndindex(*axis.table.shape):
            assert axis.table[t, a] == line[t * stride + a * dilation] - 1


@pytest.mark.parametrize("mode", MODES)
def test_frequencies_bound_the_operator(mode):
    rng = np.random.default_rng(0)
    for stride, dilation, pads in itertools.product((1, 2), (1, 2), ((0, 0), (1, 1), (0, 3))):
        axes = tuple(padded_axis(n, 3, stride, dilation, pads, mode) for n in (6, 5))
        whole = images(rng.standard_normal((2, 2, 2, 3, 3)), axes)
        exact = largest(whole)
        assert exact <= whole.size
        for given_up in ((0,), (1,), (0, 1)):
            for halves in itertools.product((0, 1), repeat=len(given_up)):
                if all(axes[i].parted or not half for i, half in zip(given_up, halves, strict=True)):
                    ring = whole.at_frequencies(given_up, halves)
                    bound = math.sqrt(ring.copies) * largest(ring)
                    assert exact <= bound * (1 + 1e-12)
                    if all(axes[i].closed for i in given_up):
                        assert bound == pytest.approx(exact, rel=1e-11)


def test_transposed_frequencies_bound_the_operator():
    rng = np.random.default_rng(1)
    for stride, padding, extra in itertools.product((1, 2, 3), (0, 1), (0, 1)):
        whole = images(rng.standard_normal((1, 2, 2, 4)), (transposed_axis(5, 4, stride, 1, padding, extra),))
        for half in (0, 1):
            assert largest(whole) <= largest(whole.at_frequencies((0,), (half,))) * (1 + 1e-12)


def test_refused():
    with pytest.raises(VerificationError, match="padding_mode='mirror' does not fit"):
        padded_axis(4, 3, 1, 1, (1, 1), "mirror")
    with pytest.raises(VerificationError, match="do not fit"):
        padded_axis(2, 3, 1, 1, (0, 0), "zeros")
    with pytest.raises(VerificationError, match="do not fit"):
        padded_axis(3, 3, 1, 1, (3, 0), "reflect")
    with pytest.raises(VerificationError, match="leaves none"):
        transposed_axis(1, 1, 1, 1, 2, 0)
