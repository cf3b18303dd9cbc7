import torch
from tools.module_table import Call

from onelip.bounds.network import analyse
from onelip.bounds.tracing import trace
from onelip.certify.export_functions import function_operation, is_signal, tensors_of


def facts_of(function, shape=(2, 3)):
    traced = trace(Call(function, c=torch.ones(3)))
    nodes = analyse(traced, shape).nodes
    (name,) = nodes
    return next(n.target for n in traced.graph.nodes if n.name == name), nodes[name]


def test_calls_are_known_with_their_numbers_but_not_their_signals():
    target, facts = facts_of(lambda m, x: x * m.c)
    signal, number = facts.call.args
    assert is_signal(signal)
    assert not is_signal(number)
    assert torch.equal(number.value, torch.ones(3))
    assert signal.value.shape == (1, 2, 3)
    assert signal.value.untyped_storage().nbytes() <= 8
    assert function_operation(target, facts).op == "multiply"


def test_unknown_functions_have_no_operation():
    assert function_operation(torch.erf, facts_of(lambda m, x: x * m.c)[1]) is None
    assert tensors_of({"weight": torch.ones(1), "bias": None}).keys() == {"weight"}
