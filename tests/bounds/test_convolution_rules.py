import pytest
import torch
import torch.nn.functional as F
from tests.bounds.dense import ROUNDING, steepest
from torch import nn

from onelip import lipschitz_bound
from onelip.bounds import UnknownLipschitzConstant
from onelip.layers import AdditiveResidual
from onelip.linalg import conv_norm_bound

GAP = 1.01

LAYERS = {
    "1d": (nn.Conv1d(2, 3, 3, 2, 1, padding_mode="reflect"), (2, 9)),
    "2d": (nn.Conv2d(4, 2, 3, padding=1, groups=2), (4, 6, 5)),
    "2d circular": (nn.Conv2d(2, 2, 3, 2, 1, padding_mode="circular"), (2, 6, 7)),
    "2d one-sided": (nn.Conv2d(2, 2, (2, 3), padding="same"), (2, 5, 4)),
    "3d": (nn.Conv3d(2, 2, 3, padding=(0, 1, 2), dilation=(1, 2, 1)), (2, 4, 5, 3)),
    "3d replicate": (nn.Conv3d(2, 1, 2, padding=1, padding_mode="replicate"), (2, 3, 3, 3)),
    "1d transposed": (nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 6)),
    "2d transposed": (nn.ConvTranspose2d(4, 2, 3, stride=2, groups=2, dilation=2), (4, 4, 3)),
    "3d transposed": (nn.ConvTranspose3d(2, 2, (1, 2, 3), stride=(1, 2, 2), padding=(0, 1, 1)), (2, 3, 3, 2)),
}


class Functional(nn.Module):
    """A call of a function of the image and a stored kernel."""

    def __init__(self, function, shape, **options):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape))
        self.function, self.options = function, options

    def forward(self, x):
        return self.function(x, self.weight, **self.options)


FUNCTIONS = {
    "conv1d": (Functional(F.conv1d, (3, 2, 3), padding="same", dilation=2), (2, 7)),
    "conv2d": (Functional(F.conv2d, (2, 2, 3, 3), padding="valid", groups=2), (4, 5, 6)),
    "conv3d": (Functional(F.conv3d, (2, 2, 2, 2, 2), stride=(1, 2, 2), padding=1), (2, 3, 4, 3)),
    "conv_transpose1d": (Functional(F.conv_transpose1d, (2, 3, 3), stride=2, padding=1, output_padding=1), (2, 6)),
    "conv_transpose2d": (Functional(F.conv_transpose2d, (4, 1, 3, 2), groups=2, dilation=(1, 2)), (4, 4, 4)),
    "conv_transpose3d": (Functional(F.conv_transpose3d, (2, 1, 2, 2, 2), stride=2), (2, 2, 3, 2)),
}


# Torch says that it copies the image if "same" needs more zeros on one side.
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("model", "shape"), [*LAYERS.values(), *FUNCTIONS.values()], ids=[*LAYERS, *FUNCTIONS])
def test_at_the_image_size(model, shape):
    exact = steepest(model, shape, 1)
    here = lipschitz_bound(model, shape)
    anywhere = lipschitz_bound(model, shape, size_free=True)
    assert here.proved
    assert anywhere.proved
    assert exact <= here.value * (1 + ROUNDING)
    assert here.value <= exact * GAP
    assert here.value <= anywhere.value * (1 + 1e-6)


def test_size_free_bounds_hold_for_other_sizes_and_are_those_of_the_kernel():
    layer = nn.Conv2d(3, 3, 3, padding=1)
    anywhere = lipschitz_bound(layer, (3, 4, 4), size_free=True).value
    assert anywhere == conv_norm_bound(layer.weight).value
    assert lipschitz_bound(layer, (3, 4, 4)).value < 0.99 * anywhere
    assert steepest(layer, (3, 15, 15), 1) <= anywhere


def test_branches_are_bounded_alike():
    inner = nn.Conv2d(2, 2, 3, padding=1, bias=False)
    block = AdditiveResidual(inner).eval()
    for size_free in (False, True):
        branch = lipschitz_bound(inner, (2, 4, 4), size_free=size_free)
        expected = block.bound_from(branch.bound).value
        assert lipschitz_bound(block, (2, 4, 4), size_free=size_free).value == pytest.approx(expected, rel=1e-14)


def test_what_a_module_is_called_with_may_change_its_size():
    class Grown(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose1d(1, 1, 3, stride=2)

        def forward(self, x):
            return self.up(x, output_size=[10])

    with pytest.raises(UnknownLipschitzConstant, match="more than its input"):
        lipschitz_bound(Grown(), (1, 4))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(UnknownLipschitzConstant, match="does not fit a weight"):
        lipschitz_bound(nn.Conv2d(2, 2, 3), (2, 8))


def test_a_weight_that_depends_on_the_input_is_refused():
    class Dynamic(nn.Module):
        def forward(self, x):
            return F.conv1d(torch.ones(1, 1, 3), x)

    with pytest.raises(UnknownLipschitzConstant, match="only its input may depend"):
        lipschitz_bound(Dynamic(), (1, 3))
