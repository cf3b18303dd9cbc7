import pytest
import torch
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.bounds.refusals import FUNCTIONS, REASONS, reason


def test_reasons_are_of_classes_that_torch_has():
    assert all(hasattr(nn, name) for name in REASONS)
    assert all(10 < len(words) < 200 and not words.endswith(".") for words in (*REASONS.values(), *FUNCTIONS.values()))


def test_losses_and_lazy_modules_have_a_reason():
    assert "two signals" in (reason(nn.MSELoss) or "")
    assert "first call" in (reason(nn.LazyConv2d) or "")
    assert reason(nn.Conv2d) is None


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if callable(f)][-10:], ids=lambda f: f.__name__)
def test_functions_are_refused(function):
    class Call(nn.Module):
        def forward(self, x):
            return function(x, 2) if function is torch.pow else function(x)

    with pytest.raises(UnknownLipschitzConstant):
        lipschitz_bound(Call(), (3,))


def test_values_changed_in_place_and_used_again_are_refused():
    class Hidden(nn.Module):
        def forward(self, x):
            y = x.flatten(1) + 1
            y.view(-1, 2, 2).mul_(100)
            return y

    class Open(nn.Module):
        def forward(self, x):
            return (x + 1).mul_(100).relu_()

    with pytest.raises(UnknownLipschitzConstant, match=r"changes 'view' in place|changes 'add' in place"):
        lipschitz_bound(Hidden(), (4,))
    assert lipschitz_bound(Open(), (4,)).value == 100
