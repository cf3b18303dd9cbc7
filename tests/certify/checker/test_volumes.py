import numpy as np
import pytest

from onelip.certify.checker import volumes
from onelip.certify.checker.convolutions import AFFINE
from onelip.certify.checker.network import Step
from onelip.certify.checker.volumes import VOLUME_CONSTANTS

RNG = np.random.default_rng(0)
SHAPE = (1, 2, 3, 4, 3)


def norm(operation):
    basis = np.eye(int(np.prod(SHAPE))).reshape(-1, *SHAPE[1:])
    return np.linalg.norm(AFFINE[operation.op](operation, basis)[0].reshape(len(basis), -1), 2)


def conv3d(mode, weight):
    options = {
        "stride": [1, 2, 1],
        "dilation": [1, 1, 2],
        "groups": 2,
        "pads": [1, 0, 1, 1, 1, 2],
        "padding_mode": mode,
    }
    return Step("s", "conv3d", ("input",), options, {"weight": weight}, 1.0, None)


def transposed(weight):
    options = {
        "stride": [2, 1, 1],
        "dilation": [1, 2, 1],
        "groups": 2,
        "padding": [1, 0, 0],
        "output_padding": [1, 0, 0],
    }
    return Step("s", "conv_transpose3d", ("input",), options, {"weight": weight}, 1.0, None)


CASES = [conv3d(mode, RNG.standard_normal((4, 1, 2, 3, 2))) for mode in ("zeros", "circular", "reflect", "replicate")]
CASES.append(transposed(RNG.standard_normal((2, 3, 2, 2, 2))))


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("operation", CASES, ids=lambda s: f"{s.op} {s.attributes.get('padding_mode')}")
def test_constants_are_above_the_norm(operation, dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(volumes, "DENSE_ENTRIES", 0)
    constant, exact = VOLUME_CONSTANTS[operation.op](operation, SHAPE), norm(operation)
    assert exact <= constant * (1 + 1e-12)
    if dense and operation.attributes.get("padding_mode", "zeros") == "zeros":
        assert constant <= exact * (1 + 1e-6)


def test_the_bias_plays_no_part():
    operation = conv3d("zeros", np.ones((2, 1, 1, 1, 1)))
    operation.arrays["bias"] = np.full(2, 1e9)
    assert VOLUME_CONSTANTS["conv3d"](operation, SHAPE) <= 1 + 1e-6
