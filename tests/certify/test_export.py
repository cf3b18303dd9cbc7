import pytest
import torch
from tests.certify.networks import small
from torch import nn

from onelip.certify import UncertifiableOperation
from onelip.certify.export import freeze
from onelip.certify.records import INPUT


class Limited(nn.Module):
    def __init__(self):
        super().__init__()
        self.limits = nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self, x):
        return x.clamp(max=self.limits)


class Reversed(nn.Module):
    def forward(self, x):
        return 1 - x


class Twice(nn.Module):
    def forward(self, x):
        return x + x


def test_identities_vanish_and_inputs_are_named():
    network = freeze(nn.Sequential(nn.Identity(), nn.Linear(3, 2), nn.Dropout()), (3,)).network
    assert [(node.op, node.inputs) for node in network.nodes] == [("linear", (INPUT,))]
    assert network.output == network.nodes[0].name


def test_a_signal_added_to_itself_is_a_scale_by_two():
    (node,) = freeze(nn.Sequential(Twice()), (3,)).network.nodes
    assert (node.op, node.attributes, node.constant) == ("scale", {"factor": 2.0}, 2.0)


def test_numbers_are_copies_of_what_is_stored():
    model = small()
    network = freeze(model, (2, 6, 6)).network
    stored = next(node for node in network.nodes if node.op == "linear").tensors["weight"]
    assert torch.equal(stored, model[-1].weight)
    with torch.no_grad():
        model[-1].weight.zero_()
    assert bool(stored.any())


def test_half_precision_is_widened_exactly():
    model = nn.Linear(3, 2).bfloat16()
    stored = freeze(model, (3,)).network.nodes[0].tensors["weight"]
    assert stored.dtype == torch.float32
    assert torch.equal(stored.bfloat16(), model.weight)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Linear(2, 2), Limited()), "clamp at 'clamp' cannot be part of a certificate"),
    ],
)
def test_what_a_certificate_cannot_hold(model, words):
    with pytest.raises(UncertifiableOperation, match=words):
        freeze(model, (2,))


def test_steps_on_the_way_are_named_after_the_node_and_have_facts():
    frozen = freeze(nn.Sequential(Reversed()), (2,))
    first, second = frozen.network.nodes
    assert (first.op, second.op) == ("scale", "shift")
    assert first.name == f"{second.name}~1"
    assert frozen.analysis.nodes[first.name].output_shape == (2,)
    assert frozen.analysis.nodes[first.name].cumulative.value == 1
