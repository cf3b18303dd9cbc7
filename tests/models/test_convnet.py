import pytest
import torch

from onelip import models

CIFAR, TINY = (3, 32, 32), (3, 64, 64)


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("convnet-xs", CIFAR, 1_572_288),
        ("convnet-s", CIFAR, 6_283_136),
        ("convnet-m", CIFAR, 25_120_512),
        ("convnet-l", CIFAR, 100_457_984),
        ("tiny-convnet-xs", TINY, 1_575_008),
        ("tiny-convnet-s", TINY, 6_293_952),
        ("tiny-convnet-m", TINY, 25_163_648),
        ("tiny-convnet-l", TINY, 100_630_272),
    ],
)
def test_parameter_counts_of_the_paper(name, shape, count):
    with torch.device("meta"):
        net = models.build(name, input_shape=shape, n_classes=10, layer="plain")
    assert sum(p.numel() for p in net.parameters()) == count
    assert net(torch.empty(2, *shape, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_smaller_images_with_fewer_blocks(blocks):
    net = models.build("convnet-xs", input_shape=(1, 8, 16), n_classes=3, layer="plain", width=4, blocks=blocks)
    assert net(torch.rand(2, 1, 8, 16)).shape == (2, 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_shape": (1, 8, 8)}, "8x8 pixels are too small for model 'convnet-xs'.*at least 32x32"),
        ({"input_shape": (3, 48, 32)}, "48x32 pixels do not fit.*multiples of 32"),
        ({"input_shape": (17, 32, 32)}, "17 channels"),
        ({"input_shape": (32, 32)}, "must be \\(channels, height, width\\)"),
        ({"width": 15}, "width=15"),
        ({"n_classes": 513}, "n_classes=513"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    arguments = {"input_shape": CIFAR, "n_classes": 10, "layer": "plain", **options}
    with pytest.raises(ValueError, match=words):
        models.build("convnet-xs", **arguments)
