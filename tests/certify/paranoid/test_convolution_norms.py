import itertools

import numpy as np
import pytest
from flint import arb
from tests.certify.paranoid.balls import conv_step, middle, step

from onelip.certify.paranoid import convolution_norms
from onelip.certify.paranoid.affine import transposed
from onelip.certify.paranoid.convolution_norms import adjoint_norm, convolution_norm
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.taps import circular_adjoint, convolution, zero_adjoint


def true_norm(taps):
    return max(float(np.linalg.norm(middle(taps.dense(g)), 2)) for g in range(len(taps.weight)))


GEOMETRIES = [
    ((1, 1), (1, 1, 1, 1), (1, 1), 1),
    ((1, 1), (0, 0, 0, 0), (1, 1), 2),
    ((2, 2), (1, 1, 0, 1), (1, 1), 1),
    ((2, 3), (2, 2, 1, 2), (2, 1), 2),
    ((1, 1), (3, 3, 3, 3), (1, 1), 1),
]


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize(("stride", "pads", "dilation", "groups"), GEOMETRIES)
def test_bounds_are_above_the_dense_norm_and_reachable(mode, stride, pads, dilation, groups):
    w = np.random.default_rng(0).standard_normal((4, 4 // groups, 3, 3))
    step, shape = conv_step(w, stride, pads, dilation, groups, mode), (1, 4, 6, 5)
    true = true_norm(convolution(step, shape))
    # Pixels decide where rings do not.
    assert convolution_norm(step, shape, (arb(true * (1 + 1e-10)),)) <= true * (1 + 1e-10)
    assert convolution_norm(step, shape, (arb(true * (1 - 1e-10)),)) >= true
    assert convolution_norm(step, shape, (arb("inf"),)) >= true


def chosen(count):
    plans = convolution_norms._plans

    def only(given):
        return (plan for plan in plans(given) if len(plan[0]) == count)

    return only


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("stride", "pads", "dilation", "groups"), GEOMETRIES[:4])
def test_bounds_by_rings_alone_are_above_the_dense_norm(count, stride, pads, dilation, groups, monkeypatch):
    monkeypatch.setattr(convolution_norms, "_plans", chosen(count))
    w = np.random.default_rng(2).standard_normal((4, 4 // groups, 3, 3))
    for mode in ("zeros", "circular", "replicate"):
        step, shape = conv_step(w, stride, pads, dilation, groups, mode), (1, 4, 6, 6)
        true = true_norm(convolution(step, shape))
        shares = np.geomspace(0.9, 4, 30)
        best = next(s for s in shares if convolution_norm(step, shape, (arb(true * s),)) <= true * s)
        assert best > 1 - 1e-12
        if mode == "circular" and stride == (1, 1) and any(pads):
            assert convolution_norm(step, shape, (arb(true * (1 + 1e-9)),)) <= true * (1 + 1e-9)


def test_adjoints(monkeypatch):
    w = np.random.default_rng(3).standard_normal((4, 2, 3, 2))
    shape = (1, 4, 3, 3)
    wrapped = conv_step(w, (2, 2), (1, 1, 1, 0), mode="circular", groups=2)
    cases = ((circular_adjoint(wrapped, shape), ()), (zero_adjoint(wrapped, shape, (1, 0), (5, 6)), (1, 0)))
    for count, (taps, padding) in itertools.product((None, 0, 1, 2), cases):
        with monkeypatch.context() as patch:
            if count is not None:
                patch.setattr(convolution_norms, "_plans", chosen(count))
            true = true_norm(taps)
            assert adjoint_norm(wrapped, taps, padding, (arb(true * 0.9999),)) >= true
            if count in (None, 0) or not padding:
                assert adjoint_norm(wrapped, taps, padding, (arb(true * 1.0001),)) <= true * 1.0001


def test_one_and_three_axes():
    rng = np.random.default_rng(4)
    line = {"stride": [2], "pads": [1, 2], "dilation": [1], "groups": 1, "padding_mode": "zeros"}
    volume = {
        "stride": [1, 2, 1],
        "pads": [1, 1, 0, 1, 0, 0],
        "dilation": [1, 1, 2],
        "groups": 1,
        "padding_mode": "zeros",
    }
    back = {"stride": [2, 1, 1], "padding": [1, 0, 0], "output_padding": [1, 0, 0], "dilation": [1, 1, 1], "groups": 1}
    for op, attributes, kernel, size in (
        ("conv1d", line, (3,), (7,)),
        ("conv3d", volume, (2, 2, 2), (3, 4, 3)),
        ("conv_transpose3d", back, (2, 2, 1), (2, 3, 2)),
    ):
        given, shape = step(op, attributes, weight=rng.standard_normal((2, 2, *kernel))), (1, 2, *size)
        taps = convolution(given, shape) if "pads" in attributes else transposed(given, shape)
        true = true_norm(taps)
        for share in (1 - 1e-10, 1 + 1e-10):
            claims = (arb(true * share),)
            found = convolution_norm(given, shape, claims) if "pads" in attributes else None
            found = adjoint_norm(given, taps, (1, 0, 0), claims) if found is None else found
            assert (found <= true * share) == (share > 1)
            assert found >= true * (1 - 1e-14)


def test_zero_kernels_and_huge_ones():
    assert convolution_norm(conv_step(np.zeros((2, 2, 3, 3))), (1, 2, 4, 4), (arb(0),)) == 0
    huge = conv_step(np.ones((512, 512, 1, 1)))
    with pytest.raises(NotCoveredError, match="too large"):
        convolution_norm(huge, (1, 512, 64, 64), (arb(1),))
