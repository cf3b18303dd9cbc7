import pytest
import torch
import torch.nn.functional as F
from tests.bounds.dense import ROUNDING, jacobian
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, convolution_rules, lipschitz_bound
from onelip.bounds.convolution_rules import call_pads, volume_norm_bound

SHAPE = (2, 3, 4, 3)


def norm(layer, shape=SHAPE):
    return float(torch.linalg.matrix_norm(jacobian(layer, torch.zeros(shape)), 2))


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize("dense", [True, False])
def test_volumes_in_every_padding(mode, dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(convolution_rules, "DENSE_ENTRIES", 0)
    layer = nn.Conv3d(2, 3, (3, 2, 2), stride=(1, 2, 1), padding=1, padding_mode=mode)
    bound, true = lipschitz_bound(layer, SHAPE), norm(layer)
    assert bound.proved
    assert true <= bound.value * (1 + ROUNDING)
    if dense and mode == "zeros":
        assert bound.value <= true * (1 + 1e-6)


@pytest.mark.parametrize("dense", [True, False])
def test_transposed_volumes(dense, monkeypatch):
    if not dense:
        monkeypatch.setattr(convolution_rules, "DENSE_ENTRIES", 0)
    layer = nn.ConvTranspose3d(2, 4, 2, stride=2, padding=1, output_padding=1, groups=2)
    assert norm(layer) <= lipschitz_bound(layer, SHAPE).value * (1 + ROUNDING)


def test_the_sum_over_taps_of_groups_is_that_of_the_largest():
    weight = torch.zeros(2, 1, 2, 1, 1)
    weight[0, 0, :, 0, 0] = torch.tensor([3.0, -4.0])
    weight[1, 0, 0, 0, 0] = 5.0
    bound = volume_norm_bound(weight, 2, lambda x: x.expand(1, 2**20), (1,))
    assert bound.method == "sum over taps"
    assert 7 <= bound.value <= 7 * (1 + 1e-9)


def test_words_for_padding():
    weight = torch.zeros(1, 1, 4, 3)
    assert call_pads(weight, "same", (2, 1)) == ((3, 3), (1, 1))
    assert call_pads(weight, "same", 1) == ((1, 2), (1, 1))
    assert call_pads(weight, "valid", 1) == ((0, 0), (0, 0))
    assert call_pads(weight, (1, 2), 1) == ((1, 1), (2, 2))


def test_a_weight_that_depends_on_the_input_is_refused():
    class Dynamic(nn.Module):
        def forward(self, x):
            return F.conv1d(torch.ones(1, 1, 3), x)

    with pytest.raises(UnknownLipschitzConstant, match="only its input may depend"):
        lipschitz_bound(Dynamic(), (1, 3))
