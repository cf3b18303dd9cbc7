"""What a layer computes, written down."""

import pytest
import torch
from torch import nn

from onelip.layers import AOLConv2d
from onelip.spectral import NotApplicableError
from onelip.spectral.norm_estimates.problem import describe, n_outputs, phases, zeros


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
def test_the_function_is_the_layers_without_bias(mode):
    torch.manual_seed(0)
    for conv, shape in (
        (nn.Conv2d(2, 4, (3, 2), (2, 1), (1, 2), 1, 2, padding_mode=mode), (2, 5, 6)),
        (nn.Conv1d(2, 3, 3, padding="same", dilation=2, padding_mode=mode), (2, 9)),
    ):
        x = torch.randn(4, *shape, dtype=torch.float64)
        expected = conv.double()(x) - conv.bias.reshape(-1, *[1] * (len(shape) - 1))
        problem = describe(conv, shape)
        torch.testing.assert_close(problem.function(x), expected)
        assert n_outputs(problem, shape) == expected[0].numel()


def test_a_kernel_is_a_convolution_with_the_defaults_of_torch():
    kernel = torch.randn(4, 1, 3, 3)
    problem = describe(kernel, (2, 5, 5), groups=2, stride=2, padding="valid")
    assert problem.convolution.stride == (2, 2)
    assert problem.convolution.mode == "zeros"
    assert zeros(problem, 2, (2, 5, 5)).dtype == torch.float64


def test_strides_become_phases():
    kernel = torch.randn(4, 2, 3, 3)
    assert phases(describe(kernel, (2, 6, 6), stride=2, padding=1).convolution).shape == (1, 4, 8, 2, 2)
    odd = describe(kernel, (2, 5, 5), stride=2, padding=1, padding_mode="circular").convolution
    assert phases(odd).shape == (1, 4, 2, 3, 3)


def test_padding_without_pixels_has_no_mode():
    assert describe(nn.Conv2d(1, 1, 3, padding_mode="reflect"), (1, 5, 5)).unrepeated("m").mode == "zeros"


def test_layers_of_this_library_are_taken_in_plain_form():
    assert describe(AOLConv2d(2, 3, 3, padding=1), (2, 5, 5)).convolution.weight.shape == (3, 2, 3, 3)


def test_what_has_no_claim_is_refused():
    with pytest.raises(NotApplicableError, match="norm estimate 'm' is of 1-D and 2-D convolutions, not of a 3-D conv"):
        describe(nn.Conv3d(1, 1, 2), (1, 3, 3, 3)).images("m")
    with pytest.raises(NotApplicableError, match="norm estimate 'm' is of dense layers and matrices, not of Flatten"):
        describe(nn.Flatten(), (1, 3, 3)).dense("m")
    with pytest.raises(ValueError, match=r"weight of shape \(3,\) is neither a matrix nor a convolution kernel"):
        describe(torch.ones(3), None)
