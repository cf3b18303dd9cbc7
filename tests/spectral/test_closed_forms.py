"""Closed forms agree with the dense matrix of what the layer computes."""

import pytest
import torch
from tests.spectral.dense import dense_values
from tests.spectral.networks import randomise_
from torch import nn
from torch.nn.utils import parametrizations

from onelip.spectral.closed_forms import closed_form

LAYERS = {
    "dense": (nn.Linear(5, 3), (5,)),
    "dense on rows": (nn.Linear(3, 4), (2, 3)),
    "batch norm": (nn.BatchNorm2d(3), (3, 2, 3)),
    "batch norm of vectors": (nn.BatchNorm1d(4), (4,)),
    "batch norm without weights": (nn.BatchNorm1d(4, affine=False), (4, 2)),
    "1x1": (nn.Conv2d(3, 4, 1), (3, 3, 2)),
    "1x1 with stride": (nn.Conv2d(4, 3, 1, stride=2), (4, 5, 4)),
    "1x1 in groups": (nn.Conv2d(4, 6, 1, groups=2, bias=False), (4, 2, 2)),
    "patches": (nn.Conv2d(2, 3, 2, stride=2), (2, 5, 4)),
    "patches with gaps": (nn.Conv1d(2, 5, 2, stride=4), (2, 11)),
    "patches with holes": (nn.Conv1d(2, 5, 2, stride=3, dilation=2), (2, 10)),
    "patches of a volume": (nn.Conv3d(1, 2, 2, stride=2, padding="valid"), (1, 2, 4, 2)),
    "transposed": (nn.ConvTranspose2d(3, 2, 2, stride=2), (3, 2, 3)),
    "transposed in groups": (nn.ConvTranspose1d(4, 6, 2, stride=3, groups=2, output_padding=1), (4, 3)),
    "parametrised": (parametrizations.weight_norm(nn.Linear(4, 4)), (4,)),
}


@pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("k", [1, 7, 1000])
def test_values_with_their_multiplicity(layer, shape, k):
    randomise_(layer.double())
    reference = dense_values(layer, shape)
    values = closed_form(layer, shape, k)
    assert len(values) <= k
    torch.testing.assert_close(values, reference[: len(values)], rtol=1e-9, atol=1e-9)
    # What is left out is 0.
    if len(values) < k:
        assert bool((reference[len(values) :] < 1e-9).all())


OPEN = {
    "windows that overlap": nn.Conv2d(2, 2, 3, stride=2),
    "padding": nn.Conv2d(2, 2, 1, padding=1),
    "padding by a word": nn.Conv2d(2, 2, 3, padding="same"),
    "another module": nn.AvgPool2d(2),
    "holes": nn.Conv2d(2, 2, 2, stride=2, dilation=2),
    "large": nn.Linear(2000, 2000, device="meta"),
}


@pytest.mark.parametrize("layer", OPEN.values(), ids=OPEN)
def test_others_have_none(layer):
    assert closed_form(layer, (2, 8, 8), 1) is None


def test_a_module_that_computes_something_else_has_none():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    hooked = nn.Linear(3, 3)
    hooked.register_forward_hook(lambda module, inputs, output: 2 * output)
    assert closed_form(Doubled(3, 3), (3,), 1) is closed_form(hooked, (3,), 1) is None


def test_reading_a_parametrised_weight_leaves_its_state():
    layer = parametrizations.spectral_norm(nn.Linear(4, 4))
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    closed_form(layer, (4,), 1)
    assert layer.training
    torch.testing.assert_close(dict(layer.state_dict()), before, rtol=0, atol=0)
