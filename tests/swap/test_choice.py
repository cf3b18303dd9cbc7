"""Names are checked before anything is built."""

from dataclasses import replace

import pytest
from torch import nn

import onelip
from onelip import layers
from onelip.layers import registry
from onelip.swap.choice import Choice


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"conv": "aocc"}, "convolution 'aocc' is unknown; did you mean 'aoc'"),
        ({"linear": "cholesk"}, "linear layer 'cholesk' is unknown; did you mean 'cholesky'"),
        ({"activation": "maxmn"}, "activation layer 'maxmn' is unknown; did you mean 'maxmin'"),
        ({"padding": "circle"}, "padding mode 'circle' is unknown; did you mean 'circular'"),
        ({"padding": "reflect"}, "padding mode 'reflect' is unknown; it must be one of 'circular', 'zeros'"),
    ],
)
def test_unknown_names_give_the_nearest(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        onelip.swap(nn.Linear(2, 2), **options)


def test_a_padding_that_the_method_does_not_allow_is_refused(refusing, monkeypatch):
    record = replace(layers.record("conv2d", refusing), paddings=("circular",))
    monkeypatch.setitem(registry._RECORDS, ("conv2d", refusing), record)
    with pytest.raises(ValueError, match="padding='zeros' is not allowed by conv='refusing'; use 'circular'"):
        onelip.swap(nn.Linear(2, 2), conv=refusing, padding="zeros")


def test_records_are_those_of_the_kind():
    choice = Choice("aoc", "cholesky", None, None)
    assert choice.record("conv2d").factory is layers.AOCConv2d
    assert choice.record("conv_transpose2d").factory is layers.AOCConvTranspose2d
    assert choice.record("linear").factory is layers.CholeskyLinear
    assert Choice("cpl", None, None, None).record("conv_transpose2d") is None
    assert Choice(None, None, None, None).record("linear") is None
