"""DLA: its published size, names and wiring, and that its constant can be proved."""

import pytest
import torch
from torch import nn

import onelip
from onelip import models
from onelip.certify import certify
from onelip.spectral import affine_parts


def plain(size=32, **options):
    options = {"layer": "plain", "activation": "relu", "n_classes": 10} | options
    return models.build("dla", input_shape=(3, size, size), **options)


SMALL = (2,) * 7


def test_the_published_size():
    # Counts of github.com/kuangliu/pytorch-cifar.
    with torch.device("meta"):
        model = plain()
    assert sum(p.numel() for p in model.parameters()) == 16_291_386
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == 43
    assert len(model.state_dict()) == 260
    assert {"base.0.weight", "layer2.1.bias", "layer3.root.conv.weight", "layer4.level_1.root.bn.weight"} < set(
        model.state_dict()
    )
    assert {"layer5.prev_root.shortcut.0.weight", "layer4.left_node.conv1.weight", "linear.bias"} < set(
        model.state_dict()
    )


def test_every_convolution_gets_the_image_that_it_should():
    parts = affine_parts(plain(widths=(1, 1, 2, 3, 4, 5, 6)), (3, 32, 32))
    shapes = {p.name: p.input_shape for p in parts if isinstance(p.module, nn.Conv2d | nn.Linear)}
    assert len(shapes) == 44
    assert shapes["layer4.root.conv"] == (16, 16, 16)
    assert shapes["layer4.level_1.root.conv"] == (8, 16, 16)
    assert shapes["layer4.prev_root.conv1"] == shapes["layer4.level_1.left_node.conv1"] == (3, 32, 32)
    assert shapes["layer6.right_node.conv2"] == (6, 4, 4)


def test_the_wiring_of_a_tree():
    torch.manual_seed(0)
    tree = plain(widths=SMALL).eval().layer4
    x = torch.randn(2, 2, 8, 8)
    inner = tree.level_1
    a = inner.left_node(x)
    b = inner.root.act(inner.root.bn(inner.root.conv(torch.cat([a, inner.right_node(a)], 1))))
    left = tree.left_node(b)
    joined = torch.cat([tree.prev_root(x), b, left, tree.right_node(left)], 1)
    torch.testing.assert_close(tree(x), tree.root.act(tree.root.bn(tree.root.conv(joined))))


def test_concatenations_are_divided_by_the_root_of_their_number():
    model = plain(widths=SMALL, rescale="all")
    assert model.layer4.root.scale.factor == pytest.approx(0.5)
    assert model.layer3.root.scale.factor == pytest.approx(0.5**0.5)
    assert 2 * model.layer3.root.scale.factor**2 <= 1


@pytest.mark.parametrize("batch_norm", [True, False])
def test_it_can_be_bounded_and_certified(batch_norm):
    torch.manual_seed(0)
    model = plain(8, widths=SMALL, batch_norm=batch_norm, n_classes=3)
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == batch_norm
    assert onelip.lipschitz_bound(model.eval(), (3, 8, 8)).proved
    assert certify(model, torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])).bound.proved


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"widths": (2, 2)}, r"widths=\(2, 2\) for model 'dla' must have 7 entries"),
        ({"rescale": "some"}, "rescale='some'"),
        ({"batch_norm": None}, "batch_norm=None"),
        ({"layer": "aoc", "size": 12}, "multiples of 8"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        plain(**options)
