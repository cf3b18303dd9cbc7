"""The parts of a network are found at the shapes that they really get."""

import pytest
import torch
from tests.spectral.networks import Untraceable, randomise_, resnet18
from torch import nn
from torch.nn.utils import parametrizations

from onelip import layers
from onelip.spectral import affine_parts
from onelip.spectral.parts import Called, find_parts


def names(model, shape, **options):
    return [(part.name, part.kind, part.input_shape) for part in affine_parts(model, shape, **options)]


def test_a_resnet18_has_twenty_convolutions_and_a_head_at_their_true_sizes():
    parts = affine_parts(resnet18(4), (3, 32, 32))
    convs = [part.input_shape for part in parts if part.kind == "Conv2d"]
    assert convs == [
        (3, 32, 32), *[(4, 32, 32)] * 5, (8, 16, 16), (4, 32, 32), *[(8, 16, 16)] * 3,
        (16, 8, 8), (8, 16, 16), *[(16, 8, 8)] * 3, (32, 4, 4), (16, 8, 8), *[(32, 4, 4)] * 2,
    ]  # fmt: skip
    assert [part.kind for part in parts].count("BatchNorm2d") == 20
    assert (parts[-1].kind, parts[-1].input_shape) == ("Linear", (32,))
    joint = affine_parts(resnet18(4), (3, 32, 32), joint=True)
    assert [part.kind for part in joint] == ["Conv2d + BatchNorm2d"] * 20 + ["Linear"]
    assert [part.input_shape for part in joint[:-1]] == convs


def test_a_network_that_cannot_be_traced_is_taken_apart_and_what_did_not_run_is_named():
    found = find_parts(Untraceable(), (2, 6, 6))
    assert [part.name for part in found.affine] == ["conv", "bn", "head"]
    assert found.not_reached == ("fallback",)
    assert found.not_affine == ()


def test_a_joint_part_computes_what_the_network_does():
    model = randomise_(Untraceable()).eval()
    part = affine_parts(model, (2, 6, 6), joint=True)[0]
    assert (part.name, part.kind) == ("conv + bn", "Conv2d + BatchNorm2d")
    assert [*part.module] == [model.conv, model.bn]
    x = torch.randn(2, 2, 6, 6)
    torch.testing.assert_close(part.module.eval()(x), model.bn(model.conv(x)))


class Shared(nn.Module):
    """One convolution that runs at two sizes, and at one of them twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.other = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.BatchNorm2d(2)

    def forward(self, x):
        half = self.conv(nn.functional.avg_pool2d(x, 2))
        return self.norm(self.conv(x)).mean() + self.other(self.conv(x)).mean() + half.mean()


def test_shared_modules_are_listed_once_for_each_shape():
    conv, norm = ("conv", "Conv2d"), "BatchNorm2d"
    assert names(Shared(), (2, 8, 8)) == [
        (*conv, (2, 4, 4)), (*conv, (2, 8, 8)), ("norm", norm, (2, 8, 8)), ("other", norm, (2, 8, 8)),
    ]  # fmt: skip
    joint = names(Shared(), (2, 8, 8), joint=True)
    assert [name for name, *_ in joint] == ["conv", "conv + norm", "conv + other"]


def test_a_joint_call_does_not_hide_the_same_module_alone():
    class Both(Shared):
        def forward(self, x):
            return self.norm(self.conv(x)) + self.conv(x)

    model = Both()
    assert [part.name for part in affine_parts(model, (2, 8, 8), joint=True)] == ["conv + norm", "conv"]


def test_an_output_that_is_used_elsewhere_is_not_joined():
    class Skip(Shared):
        def forward(self, x):
            y = self.conv(x)
            return y + self.norm(y)

    assert [part.name for part in affine_parts(Skip(), (2, 8, 8), joint=True)] == ["conv", "norm"]


def test_layers_of_this_library_and_parametrised_ones_are_parts_as_a_whole():
    model = nn.Sequential(
        layers.AOLConv2d(2, 3, 3, padding=1),
        layers.AdditiveResidual(nn.Conv2d(3, 3, 1)),
        layers.CPLConv2d(3, 3, 3, padding=1),
        layers.MaxMin(),
        parametrizations.weight_norm(nn.Conv2d(3, 4, 2)),
        nn.utils.spectral_norm(nn.Conv2d(4, 4, 1)),
        nn.Flatten(),
        layers.BjorckLinear(100, 5),
        nn.LayerNorm(5),
    )
    found = find_parts(model, (2, 6, 6))
    assert [(part.name, part.kind) for part in found.affine] == [
        ("0", "AOLConv2d"), ("1.fn", "Conv2d"), ("4", "Conv2d"), ("5", "Conv2d"), ("7", "BjorckLinear"),
    ]  # fmt: skip
    assert found.not_affine == ("2", "8")
    assert found.not_reached == ()


class Mixing(nn.Module):
    """An affine layer of the user's own, or, with a bend, none."""

    def __init__(self, bend):
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(3, 4))
        self.bend = bend

    def forward(self, x):
        y = x @ self.matrix + 1
        return y.abs() if self.bend else y


def test_layers_of_the_users_own_are_parts_if_they_are_affine():
    assert names(nn.Sequential(Mixing(False)), (3,)) == [("0", "Mixing", (3,))]
    found = find_parts(nn.Sequential(Mixing(True), nn.PReLU()), (3,))
    assert (found.affine, found.not_affine) == ((), ("0", "1"))


def test_attention_hides_its_projection():
    found = find_parts(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (5, 8))
    assert [part.input_shape for part in found.affine] == [(5, 8), (5, 16)]
    assert found.not_affine == ("norm1", "norm2")
    assert found.not_reached == ("self_attn.out_proj",)


def test_a_normalisation_by_its_input_is_not_affine():
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    for joint in (False, True):
        found = find_parts(model, (2, 3, 3), joint=joint)
        assert ([part.name for part in found.affine], found.not_affine) == (["0"], ("1",))


def test_a_transposed_convolution_keeps_the_output_size_that_the_network_asks_for():
    class Up(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.norm = nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1), nn.BatchNorm2d(2)

        def forward(self, x):
            return self.norm(self.up(x, output_size=[8, 8])).mean() + self.up(x).mean()

    first, _, second = affine_parts(Up(), (2, 4, 4))
    assert isinstance(first.module, Called)
    assert (first.name, first.kind) == (second.name, second.kind) == ("up", "ConvTranspose2d")
    assert first.module(torch.zeros(1, 2, 4, 4)).shape[-2:] == (8, 8)
    assert second.module(torch.zeros(1, 2, 4, 4)).shape[-2:] == (7, 7)
    assert names(Up(), (2, 4, 4), joint=True)[0][:2] == ("up + norm", "ConvTranspose2d + BatchNorm2d")


def test_inputs_without_a_batch_have_their_whole_shape():
    class Single(nn.Sequential):
        def forward(self, x):
            return super().forward(x[0])

    assert names(Single(nn.Conv2d(3, 2, 2), nn.Flatten(0), nn.Linear(18, 2)), (3, 4, 4)) == [
        ("0", "Conv2d", (3, 4, 4)), ("2", "Linear", (18,)),
    ]  # fmt: skip


def test_a_layer_alone_is_its_own_part():
    assert names(nn.Conv2d(2, 3, 3), (2, 5, 5)) == [("", "Conv2d", (2, 5, 5))]
    assert names(nn.ReLU(), (2, 5, 5)) == []


@pytest.mark.parametrize("shape", [(3, 0, 4), (3, 2.0), (-1,)])
def test_shapes_are_positive_integers(shape):
    with pytest.raises(ValueError, match="must be positive integers"):
        affine_parts(nn.Conv2d(3, 3, 1), shape)
