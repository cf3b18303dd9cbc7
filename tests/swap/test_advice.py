"""Modules that stay: what they do to the constant, checked against the bounds that the library proves."""

import pytest
import torch
from torch import nn

import onelip
from onelip import layers
from onelip.swap.advice import advice


@pytest.mark.parametrize(
    ("module", "words", "remedy"),
    [
        (nn.BatchNorm2d(3), "running deviations", "folded"),
        (nn.LayerNorm(3), "own deviation", "no normalisation"),
        (nn.GroupNorm(1, 3), "own deviation", "no normalisation"),
        (nn.MultiheadAttention(4, 2), "unbounded derivatives", "convolutions"),
        (nn.LSTM(3, 3), "length of the sequence", "convolutions"),
        (nn.Conv3d(1, 1, 3), "no constrained form of Conv3d", "axes"),
        (nn.MaxPool2d(3, 2), r"up to 4 of them", "ScaledAvgPool2d"),
        (nn.MaxPool1d(3, 1), r"up to 3 of them", "kernel_size equal to the stride"),
        (nn.AdaptiveMaxPool2d(2), "overlap", "AdaptiveL2NormPool2d"),
        (nn.AvgPool2d(2), "below 1", "layers.ScaledAvgPool2d"),
        (nn.AdaptiveAvgPool2d(1), "below 1", "layers.AdaptiveScaledAvgPool2d"),
        (nn.ReflectionPad2d(1), "copies pixels", "ZeroPad2d"),
        (nn.Upsample(scale_factor=2), "copies", "InvertibleUpsampling2d"),
        (nn.Embedding(3, 3), "no constant exists", "nothing before it"),
        (nn.GELU(), "1.129", "maxmin"),
        (nn.GELU("tanh"), "1.13", "maxmin"),
        (nn.SiLU(), "1.0999", "maxmin"),
        (nn.LeakyReLU(-2), "its constant is 2", "slope"),
        (nn.ELU(1.5), "its constant is 1.5", "slope"),
        (nn.Hardshrink(), "it jumps", "register_bound"),
        (nn.CosineSimilarity(), "no known Lipschitz constant", "register_bound"),
    ],
)
def test_what_is_said(module, words, remedy):
    problem, instead = advice(module)
    assert words in problem
    assert remedy in instead


@pytest.mark.parametrize(
    "module",
    [
        nn.Identity(), nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Dropout(), nn.Flatten(), nn.Softmax(1), nn.MaxPool2d(2),
        nn.MaxPool2d(2, 3), nn.ZeroPad2d(1), nn.PixelShuffle(2), nn.LeakyReLU(0.1), nn.PReLU(), nn.ELU(),
        nn.Sequential(nn.BatchNorm2d(3)), nn.ModuleList(), layers.MaxMin(), layers.AOLConv2d(2, 2, 3),
    ],
    ids=repr,
)  # fmt: skip
def test_what_needs_no_word(module):
    assert advice(module) is None


@pytest.mark.parametrize(
    "module", [nn.ReLU(), nn.Tanh(), nn.MaxPool2d(2), nn.MaxPool2d(2, 3), nn.ZeroPad2d(1), nn.LeakyReLU(0.1), nn.ELU()]
)
def test_nothing_is_said_only_where_the_constant_is_proved_to_be_1(module):
    assert onelip.lipschitz_bound(nn.Sequential(module), (2, 6, 6)).value <= 1


def test_averages_shrink_as_much_as_is_said():
    assert onelip.lipschitz_bound(nn.AdaptiveAvgPool2d(1), (2, 8, 8)).value == pytest.approx(1 / 8)
    assert onelip.lipschitz_bound(nn.AvgPool2d(2), (2, 8, 8)).value == pytest.approx(1 / 2)


def test_parameters_of_a_module_of_the_users_own_are_named():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.gamma = nn.Parameter(torch.ones(3))

    assert "gamma" in advice(Own())[0]
