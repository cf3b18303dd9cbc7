"""Stored numbers so large or small that float64 under- or overflows: errors are bounded, or the step is refused.

The references are balls, whose exponents are not limited.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flint import ctx
from tests.certify.paranoid.balls import conv_step, step

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import evaluate, measure
from onelip.certify.checker.network import Graph
from onelip.certify.paranoid import composition
from onelip.certify.paranoid.balls import PRECISION, exact

X = np.linspace(-1.3, 0.9, 8).reshape(1, 2, 2, 2)


def scale(factor):
    return step("scale", {"factor": factor})


def pool(size):
    windows = {"rows": [[0, 2]], "columns": [[0, 1], [1, 2]]}
    return step("window_norm", windows | {"row_scales": [size], "column_scales": [1.0, 1.0]})


def product(first, second):
    return step("matrices", {"axes": [1, 2]}, matrix0=first * np.eye(2), matrix1=second * np.eye(2))


def series(size):
    kernel = np.zeros((2, 2, 1, 1))
    kernel[0, 1], kernel[1, 0] = size, -size
    return conv_step(kernel, mode="zeros", op="skew_series2d", coefficients=[1.0, *[0.0] * 28, size**-29.0], norm=size)


def batch_norm(weight, variance):
    return step("batch_norm", {"eps": 0.0}, mean=[0.0] * 2, variance=[variance] * 2, weight=[weight] * 2)


LARGE = step("gather", {"axes": [2], "indices": [[0, -1]], "fill": 1.7e308})

CASES = {
    "norms of windows": (scale(1e-170), pool(1e170)),
    "denormal norms of windows": (scale(1e-162), pool(1e162)),
    "batch normalisation": (scale(1e300), batch_norm(2e-170, 1e308), scale(5e23)),
    "wide exponentials": (scale(1e-24), step("elu", {"alpha": 1e300, "width": 1e300, "scale": 1.0}), scale(1e24)),
    "matrices": (scale(1e-110), product(1e-214, 1e300), scale(1e24)),
    "series": (scale(1e-49), series(1e9), scale(1e49)),
    "huge constants": (LARGE, step("soft_huber", {"delta": 1.7e308}), scale(1e-308)),
    "sums": (scale(1e-170), step("linear", weight=1e170 * np.array([[1.0, 0.1], [-0.7, 0.3]]))),
    "infinite constants": (LARGE, scale(10.0), step("tanh")),
    "quotients": (step("divide", value=np.full((1, 1, 1), 5e-324)),),
    "softplus": (step("softplus", {"beta": 5e-324, "threshold": 20.0}), scale(1e-300)),
}


def network(steps):
    names = ["input", *(f"s{i}" for i in range(len(steps)))]
    linked = [replace(s, name=b, inputs=(a,), claimed=1e308) for a, b, s in zip(names, names[1:], steps, strict=False)]
    return Graph(X.shape[1:], tuple(linked), names[-1])


@pytest.mark.parametrize("name", CASES)
def test_errors_are_bounded_or_the_step_is_refused(name):
    graph = network(CASES[name])
    try:
        with np.errstate(all="ignore"):
            y, error = evaluate(measure(graph, 1e-9), X)
    except VerificationError:
        return
    if not (np.isfinite(error).all() and np.isfinite(y).all()):
        return
    with ctx.workprec(PRECISION):
        true = composition.evaluate(graph, exact(X))
        distance = sum((v - w) ** 2 for v, w in zip(true.ravel(), exact(y).ravel(), strict=True)).sqrt()
        assert float(distance.upper()) <= error[0]


@pytest.mark.parametrize("name", ["wide exponentials", "matrices", "series", "huge constants"])
def test_what_multiplies_underflow_is_refused(name):
    with pytest.raises(VerificationError, match="does not fit"), np.errstate(all="ignore"):
        measure(network(CASES[name]), 1e-9)


def test_constants_below_the_normal_numbers_are_rounded_up():
    # 2.4 times the smallest number there is, which float64 rounds to 2 times that.
    norm = batch_norm(1.2 * 2.0**-562, 2.0**1022)
    assert measure(network((norm, scale(2.0**1000))), 1e-9).cumulative["s1"] >= 1.2 * 2.0**-73


def test_ordinary_numbers_are_accepted():
    steps = (batch_norm(1e-30, 0.5), scale(1e30), pool(4.0), step("elu", {"alpha": 1.0, "width": 1.0, "scale": 1.0}))
    assert measure(network(steps), 1e-9).cumulative["s3"] > 0
