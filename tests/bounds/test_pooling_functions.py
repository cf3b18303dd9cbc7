import pytest
import torch
import torch.nn.functional as F
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound


class Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


PAIRS = [
    (lambda x: F.avg_pool1d(x, 3, 2, 1, True, False), nn.AvgPool1d(3, 2, 1, True, False), (2, 8)),
    (lambda x: F.avg_pool2d(x, kernel_size=2, divisor_override=3), nn.AvgPool2d(2, divisor_override=3), (2, 5, 6)),
    (lambda x: F.max_pool2d(x, (2, 3), dilation=2, stride=1), nn.MaxPool2d((2, 3), 1, dilation=2), (2, 7, 6)),
    (lambda x: F.max_pool3d(x, 3, 1), nn.MaxPool3d(3, 1), (1, 4, 4, 4)),
    (lambda x: F.lp_pool2d(x, 2, 3, 2, True), nn.LPPool2d(2, 3, 2, True), (2, 6, 6)),
    (lambda x: F.adaptive_avg_pool3d(x, (2, None, 1)), nn.AdaptiveAvgPool3d((2, None, 1)), (1, 3, 4, 5)),
    (lambda x: F.adaptive_max_pool1d(x, 4), nn.AdaptiveMaxPool1d(4), (2, 6)),
    (lambda x: F.pad(x, (1, 2), mode="reflect"), nn.ReflectionPad1d((1, 2)), (2, 6)),
    (lambda x: F.unfold(x, 3, 1, 1, 2), nn.Unfold(3, padding=1, stride=2), (2, 6, 6)),
    (lambda x: F.fold(x, (4, 5), 2), nn.Fold((4, 5), 2), (8, 12)),
]


@pytest.mark.parametrize(
    ("function", "module", "shape"), PAIRS, ids=lambda v: str(v) if isinstance(v, nn.Module) else ""
)
def test_functions_have_the_constant_of_their_module(function, module, shape):
    bound = lipschitz_bound(Call(function), shape)
    assert bound.proved
    assert bound.value == lipschitz_bound(module, shape).value


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: F.pad(x, (0, 0, 0, 0, 1, 0)), "axis of the samples"),
        (lambda x: F.max_pool1d(x, 2, return_indices=True)[0], "return_indices=True"),
        (lambda x: F.lp_pool1d(x, 3, 2), "norm_type=3"),
    ],
)
def test_refusals(function, words):
    with pytest.raises(UnknownLipschitzConstant, match=words):
        lipschitz_bound(Call(function), (2, 6))


def test_a_pixel_is_in_as_many_windows_as_unfolding_copies_it():
    columns = F.unfold(torch.ones(1, 1, 5, 5), 3, padding=1)
    largest = float(F.fold(columns, (5, 5), 3, padding=1).max())
    assert lipschitz_bound(nn.Unfold(3, padding=1), (1, 5, 5)).value == pytest.approx(largest**0.5)
