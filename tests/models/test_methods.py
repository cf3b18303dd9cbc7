import pytest
from torch import nn

from onelip import layers
from onelip.models.methods import Methods


@pytest.mark.parametrize("name", layers.available("conv2d"))
def test_every_convolution_keeps_the_image(name):
    import torch

    conv = Methods("test", name, None, "maxmin").conv(4, 4, 3)
    assert conv(torch.rand(1, 4, 6, 6)).shape == (1, 4, 6, 6)


def test_partner_of_a_method():
    assert Methods("test", "aol", None, "maxmin").dense_method == "aol"
    assert Methods("test", "bcop", None, "maxmin").dense_method == "bjorck"
    assert Methods("test", "bcop", "qr", "maxmin").dense_method == "qr"
    assert type(Methods("test", "plain", None, "relu").dense(2, 3)) is nn.Linear


def test_a_dense_method_has_no_convolution():
    with pytest.raises(ValueError, match="has no convolution"):
        Methods("test", "qr", None, "maxmin").conv(4, 4, 3)
