import numpy as np
import pytest

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.network import Step, hexadecimal, read_graph

NODE = {"name": "a", "op": "linear", "inputs": ["input"], "attributes": {}, "tensors": {"weight": "a.weight"}}
GRAPH = {"format": "onelip-network-1", "input_shape": [3], "nodes": [NODE], "output": "a"}
ARRAYS = {"a.weight": np.ones((2, 3), np.float32)}
CLAIMS = {"a": (2.5).hex()}


def test_reading():
    graph = read_graph(GRAPH, ARRAYS, CLAIMS)
    assert graph.input_shape == (3,)
    assert graph.step("a").claimed == 2.5
    assert graph.step("a").arrays["weight"].dtype == np.float64


@pytest.mark.parametrize(
    "change",
    [{"nodes": None}, {"nodes": [{}]}, {"input_shape": 3}, {"nodes": [NODE | {"attributes": 3}]}, {"nodes": ["a"]}],
)
def test_malformed(change):
    with pytest.raises(VerificationError):
        read_graph(GRAPH | change, ARRAYS, CLAIMS)


@pytest.mark.parametrize("text", ["one", 1.0, None, "nan", "0x1p99999"])
def test_bad_numbers(text):
    with pytest.raises(VerificationError, match="in the certificate is not"):
        hexadecimal(text)


def test_attributes_are_typed():
    step = Step("s", "op", ("input",), {"n": True, "x": "1", "l": [1, 2.0]}, {}, 1.0, None)
    with pytest.raises(VerificationError, match="n of 's' is True"):
        step.whole("n")
    with pytest.raises(VerificationError, match="x='1' of 's' must be a number"):
        step.number("x")
    with pytest.raises(VerificationError, match=r"l of 's' is 2\.0"):
        step.wholes("l", 0)
