"""Steps and plain numbers for the tests of ball arithmetic."""

from __future__ import annotations

import numpy as np

from onelip.certify.checker.network import Step


def step(op, attributes=None, **arrays):
    """A step that reads the input."""
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}
    return Step("n", op, ("input",), attributes or {}, arrays, 1.0, None)


def conv_step(weight, stride=(1, 1), pads=(0, 0, 0, 0), dilation=(1, 1), groups=1, mode="zeros", op="conv2d", **more):
    """A 2-D convolution."""
    attributes = {
        "stride": list(stride), "pads": list(pads), "dilation": list(dilation), "groups": groups, "padding_mode": mode,
    }  # fmt: skip
    return step(op, attributes | more, weight=weight)


def middle(values):
    """Midpoints as float64, after a look at the radii."""
    assert all(v.is_finite() and v.rad() < 1e-25 for v in np.ravel(values)), "wide balls"
    return np.array([float(v.mid()) for v in np.ravel(values)]).reshape(np.shape(values))
