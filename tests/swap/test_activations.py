"""Activations get the axis and the number of channels where they are known."""

import pytest
from torch import nn

from onelip import layers
from onelip.swap.activations import build_activation
from onelip.swap.graph import Site


def record(name):
    return layers.record("activation", name)


def test_channels_and_axis_are_passed_on():
    built = build_activation(record("householder"), [Site(6, 1), Site(6, 1)])
    assert (built.channels, built.dim) == (6, 1)
    assert build_activation(record("maxmin"), [Site(6, -1)]).dim == -1


def test_an_activation_without_parameters_needs_no_number():
    assert build_activation(record("maxmin"), []).channels is None
    assert build_activation(record("groupsort"), [Site(4, 1), Site(6, -1)]).dim == 1


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        ([], "the network's graph does not tell it"),
        ([Site(None, 1)], "the network's graph does not tell it"),
        ([Site(4, 1), Site(8, 1)], r"it is called with \[4, 8\] of them"),
    ],
)
def test_one_with_parameters_needs_one_number(places, reason):
    with pytest.raises(ValueError, match=f"'householder' needs the number of channels, and {reason}"):
        build_activation(record("householder"), places)


def test_a_number_that_does_not_suit_is_refused():
    with pytest.raises(ValueError, match="must be even"):
        build_activation(record("householder"), [Site(5, 1)])


def test_one_that_returns_fewer_channels_is_refused():
    class Half(nn.Module):
        @classmethod
        def for_channels(cls, channels):
            return cls()

        def forward(self, x):
            return x[:, ::2]

    half = layers.LayerRecord("activation", "half", Half, False, (), False, True, "", "")
    with pytest.raises(ValueError, match="'half' turns 6 channels into 3"):
        build_activation(half, [Site(6, 1)])
