import numpy as np
import pytest
from flint import arb
from tests.certify.paranoid.balls import conv_step, middle

from onelip.certify.paranoid import convolution_norms
from onelip.certify.paranoid.convolution_norms import adjoint_norm, convolution_norm
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.taps import circular_adjoint, convolution, zero_adjoint


def true_norm(taps):
    return max(float(np.linalg.norm(middle(taps.dense(g)), 2)) for g in range(len(taps.weight)))


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize(
    ("stride", "pads", "dilation", "groups"),
    [
        ((1, 1), (1, 1, 1, 1), (1, 1), 1),
        ((1, 1), (0, 0, 0, 0), (1, 1), 2),
        ((2, 2), (1, 1, 0, 1), (1, 1), 1),
        ((2, 3), (2, 2, 1, 2), (2, 1), 2),
        ((1, 1), (3, 3, 3, 3), (1, 1), 1),
    ],
)
def test_bounds_are_above_the_dense_norm_and_reachable(mode, stride, pads, dilation, groups):
    w = np.random.default_rng(0).standard_normal((4, 4 // groups, 3, 3))
    step, shape = conv_step(w, stride, pads, dilation, groups, mode), (1, 4, 6, 5)
    true = true_norm(convolution(step, shape))
    # The dense operator decides where the torus does not.
    assert convolution_norm(step, shape, (arb(true * (1 + 1e-10)),)) <= true * (1 + 1e-10)
    assert convolution_norm(step, shape, (arb(true * (1 - 1e-10)),)) >= true
    assert convolution_norm(step, shape, (arb("inf"),)) >= true


@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_torus_bounds_alone_are_above_the_dense_norm(stride, monkeypatch):
    monkeypatch.setattr(convolution_norms, "DENSE", 0)
    w = np.random.default_rng(2).standard_normal((3, 3, 3, 2))
    for mode, pads in (("zeros", (1, 1, 1, 0)), ("zeros", (0, 1, 0, 0)), ("circular", (1, 1, 1, 0))):
        step, shape = conv_step(w, stride, pads, mode=mode), (1, 3, 6, 6)
        true = true_norm(convolution(step, shape))
        best = min(s for s in np.linspace(0.9, 1.5, 25) if convolution_norm(step, shape, (arb(true * s),)) <= true * s)
        assert 1 - 1e-12 <= best <= 1.3
        if mode == "circular":
            assert convolution_norm(step, shape, (arb(true * (1 + 1e-9)),)) <= true * (1 + 1e-9)


def test_adjoints():
    w = np.random.default_rng(3).standard_normal((4, 2, 3, 2))
    shape = (1, 4, 3, 3)
    step = conv_step(w, (2, 2), (1, 1, 1, 0), mode="circular", groups=2)
    for taps, circular in ((circular_adjoint(step, shape), True), (zero_adjoint(step, shape, (1, 0), (5, 6)), False)):
        true = true_norm(taps)
        assert adjoint_norm(step, taps, (arb(true * 1.0001),), circular) <= true * 1.0001
        assert adjoint_norm(step, taps, (arb(true * 0.9999),), circular) >= true


def test_zero_kernels_and_huge_ones():
    assert convolution_norm(conv_step(np.zeros((2, 2, 3, 3))), (1, 2, 4, 4), (arb(0),)) == 0
    huge = conv_step(np.ones((512, 512, 1, 1)))
    with pytest.raises(NotCoveredError, match="too large"):
        convolution_norm(huge, (1, 512, 64, 64), (arb(1),))
