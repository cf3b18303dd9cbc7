import numpy as np
import pytest
from flint import arb
from tests.certify.paranoid.balls import conv_step, middle

from onelip.certify.paranoid import pixels
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.pixels import pairs_of, pattern, pixels_at_most
from onelip.certify.paranoid.taps import convolution


def case(channels, stride=1, size=(12, 5)):
    w = np.random.default_rng(0).standard_normal((*channels, 3, 3))
    taps = convolution(conv_step(w, (stride, stride), (1, 1, 1, 1)), (1, channels[1], *size))
    outputs = tuple(len(line) for line in taps.lines)
    pairs = pairs_of(taps.sources().reshape(outputs[0] * outputs[1], -1), size, turned=False)
    shape = pattern(pairs, (outputs[0] * outputs[1], size[0] * size[1]), channels, (outputs[1], size[1]))
    weights = list(exact(w.reshape(*channels, 9).transpose(2, 0, 1)))
    return shape, weights, float(np.linalg.norm(middle(taps.dense(0)), 2))


@pytest.mark.parametrize(("channels", "stride"), [((7, 8), 1), ((8, 3), 1), ((8, 8), 2)])
def test_the_norm_is_proved_and_nothing_below(channels, stride):
    shape, weights, true = case(channels, stride)
    assert shape.turned == (channels[1] < channels[0] and stride == 1)
    assert shape.band < -(-len(shape.rows) // shape.group) - 1
    assert pixels_at_most(shape, weights, arb(true * (1 + 1e-10)))
    assert not pixels_at_most(shape, weights, arb(true * (1 - 1e-10)))


def test_the_factor_is_not_trusted(monkeypatch):
    shape, weights, true = case((4, 4))
    genuine = np.linalg.cholesky
    monkeypatch.setattr(np.linalg, "cholesky", lambda a: genuine(a) * (1 + 1e-6))
    assert not pixels_at_most(shape, weights, arb(true * 1.1))
    # One that completes on what is indefinite.
    monkeypatch.setattr(np.linalg, "cholesky", lambda a: genuine(a + 0.5 * np.eye(len(a))))
    assert not pixels_at_most(shape, weights, arb(true * 0.95))
    monkeypatch.undo()
    weights[0] = weights[0] * arb("nan")
    assert not pixels_at_most(shape, weights, arb(true * 1.1))


def test_pairs_leave_zeros_out():
    sources = np.array([[0, 2], [1, 0]])
    first, second = pairs_of(sources, (2,), turned=False)
    assert [p.tolist() for p in (*first, *second)] == [[0, 1], [0, 1], [1], [0]]
    assert [p.tolist() for p in pairs_of(sources, (2,), turned=True)[1]] == [[0], [1]]
    assert pixels.LARGEST_SIDE > 4096
