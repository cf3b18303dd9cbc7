import torch
from tests.certify.networks import samples, small

from onelip.certify.export import freeze
from onelip.certify.forward import evaluate
from onelip.certify.records import from_json, named_tensors, to_json


def test_round_trip():
    network = freeze(small(), (2, 6, 6)).network
    tensors = dict(named_tensors(network))
    assert all("." in name for name in tensors)
    assert any("/" in name for name in tensors)
    constants = {}

    def collect(part, prefix=""):
        for node in part.nodes:
            constants[prefix + node.name] = node.constant
            if node.branch is not None:
                collect(node.branch, f"{prefix}{node.name}/")

    collect(network)
    again = from_json(to_json(network), tensors, constants)
    x = samples().double()
    assert torch.equal(evaluate(network, x)[0], evaluate(again, x)[0])
    assert torch.equal(evaluate(network, x)[1], evaluate(again, x)[1])
    assert again.node(again.output).op == "linear"
