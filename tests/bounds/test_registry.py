import pytest
import torch
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound, register_bound
from onelip.bounds.registry import has_module_rule, module_bound
from onelip.linalg import Bound


def triple(x, factor=3.0):
    return x * factor


torch.fx.wrap("triple")


class Triple(nn.Module):
    def forward(self, x):
        return x.mul(3)


class Child(Triple):
    pass


class Other(Triple):
    def forward(self, x):
        return x.mul(5)


class UsesFunction(nn.Module):
    def forward(self, x):
        return triple(x, factor=2.0)


def test_users_can_register_functions():
    with pytest.raises(UnknownLipschitzConstant, match="triple"):
        lipschitz_bound(UsesFunction(), (2,))
    register_bound(triple, lambda input_shape, factor=3.0: Bound(factor * len(input_shape), True, "by hand"))
    assert lipschitz_bound(UsesFunction(), (2,)).value == 2


def test_a_rule_holds_for_subclasses_that_keep_forward():
    register_bound(Triple, lambda module, input_shape: Bound(3.5, True, "by hand"))
    assert has_module_rule(Child())
    assert not has_module_rule(Other())
    assert lipschitz_bound(Child(), (2,)).value == 3.5
    assert lipschitz_bound(Other(), (2,)).value == 5
    assert module_bound(nn.ModuleList(), (2,)) is None


@pytest.mark.parametrize(("target", "rule"), [("name", lambda m, s: None), (Triple, 3.0)])
def test_bad_registrations(target, rule):
    with pytest.raises(ValueError, match="must both be callable"):
        register_bound(target, rule)


def test_a_layer_must_return_a_bound():
    class Number(nn.Module):
        def forward(self, x):
            return x

        def lipschitz_bound(self, input_shape=None):
            return 1.0

    with pytest.raises(UnknownLipschitzConstant, match="returned float"):
        lipschitz_bound(Number(), (2,))
