import pytest
import torch
from tests.bounds.dense import ROUNDING, jacobian, steepest
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound

SUPREMUM = 1.02
"""How far the bound of a general kernel may lie above the supremum over frequencies."""

MODES = ("zeros", "circular", "reflect", "replicate")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(5, 7), (8, 6)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_conv2d_in_every_padding(mode, size, stride, padding):
    torch.manual_seed(stride + 10 * padding)
    layer = nn.Conv2d(2, 3, 3, stride, padding, padding_mode=mode)
    bound = lipschitz_bound(layer, (2, *size))
    assert bound.proved
    assert steepest(layer, (2, *size), 1) <= bound.value * (1 + ROUNDING)


# Torch says that it copies the image if "same" needs more zeros on one side.
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, padding="same", padding_mode="circular"),
        nn.Conv2d(4, 4, (2, 3), padding="same"),
        nn.Conv2d(4, 8, 3, dilation=2, groups=4),
        nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.ConvTranspose2d(4, 3, (2, 3), dilation=(1, 2)),
    ],
)
def test_conv_options(layer):
    bound = lipschitz_bound(layer, (4, 7, 6))
    assert steepest(layer, (4, 7, 6), 1) <= bound.value * (1 + ROUNDING)


@pytest.mark.parametrize("layer", [nn.Conv1d(2, 3, 3, padding=1), nn.ConvTranspose1d(2, 3, 3, stride=2)])
def test_one_dimension(layer):
    bound = lipschitz_bound(layer, (2, 9))
    exact = steepest(layer, (2, 9), 1)
    assert exact <= bound.value * (1 + ROUNDING)
    assert bound.value <= 1.2 * exact


def test_circular_conv_is_nearly_tight():
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")
    exact = steepest(layer, (3, 12, 12), 1)
    assert exact <= lipschitz_bound(layer, (3, 12, 12)).value <= exact * SUPREMUM


def test_replicated_corners_count():
    # One input pixel, nine copies of it: the constant of the sum is 9, not 3.
    layer = nn.Conv2d(1, 1, 3, padding=1, padding_mode="replicate", bias=False)
    torch.nn.init.ones_(layer.weight)
    assert float(jacobian(layer, torch.zeros(1, 1, 1))) == 9
    assert lipschitz_bound(layer, (1, 1, 1)).value >= 9


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.BatchNorm1d])
def test_batch_norm_by_hand(kind):
    layer = kind(2, eps=0.0).eval()
    layer.running_var[:] = torch.tensor([4.0, 0.25])
    layer.weight.data[:] = torch.tensor([-8.0, 1.0])
    shape = (2, 3, 3) if kind is nn.BatchNorm2d else (2,)
    bound = lipschitz_bound(layer, shape)
    assert 4 <= bound.value <= 4 * (1 + 1e-14)
    assert steepest(layer, shape, 1) <= bound.value * (1 + ROUNDING)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.BatchNorm1d(2, track_running_stats=False), "without running statistics"),
        (nn.LayerNorm(2), "standard deviation"),
        (nn.GroupNorm(1, 2), "standard deviation"),
    ],
)
def test_normalisation_by_the_sample_is_refused(layer, words):
    with pytest.raises(UnknownLipschitzConstant, match=words):
        lipschitz_bound(layer, (2,))


def test_zero_variance_is_refused():
    layer = nn.BatchNorm1d(2, eps=0.0).eval()
    layer.running_var[0] = 0
    with pytest.raises(UnknownLipschitzConstant, match="not positive"):
        lipschitz_bound(layer, (2,))


def test_attention_is_refused():
    class Self(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 1)

        def forward(self, x):
            return self.attention(x, x, x)[0]

    with pytest.raises(UnknownLipschitzConstant, match="attention"):
        lipschitz_bound(Self(), (2, 4))
