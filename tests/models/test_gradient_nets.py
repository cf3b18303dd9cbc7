"""CPL and SLL networks: published sizes, structure, what does not fit."""

import pytest
import torch

from onelip import layers, models

SHAPES = {"s": (20, 45, 7), "m": (30, 60, 10), "l": (50, 90, 10), "xl": (70, 120, 15)}


def on_meta(name, shape=(3, 32, 32), **options):
    with torch.device("meta"):
        return models.build(name, input_shape=shape, n_classes=10, **options)


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("family", ["cpl", "sll"])
def test_sizes_by_the_layers_of_the_published_programs(family, size):
    model = on_meta(f"{family}-{size}")
    n_parameters = sum(p.numel() for p in model.parameters())
    if size == "xl":
        # CPL-XL and SLL-XL have 236M parameters in the table of arXiv:2303.03169.
        assert round(n_parameters / 1e6) == 236
    depth, width, dense = SHAPES[size]
    n = 64 * width
    # SLL learns a weight for each inner channel and feature beside the bias.
    own = 2 if family == "sll" else 1
    assert n_parameters == depth * 5 * (9 * width + own) + dense * 2048 * (n + own) + 10 * n + 10


@pytest.mark.parametrize("family", ["cpl", "sll"])
def test_the_structure(family):
    model = on_meta(f"{family}-s", depth=2, dense=1)
    assert [n for n, _ in model.named_children()] == ["pad", "conv1", "conv2", "pool", "flatten", "dense1", "head"]
    assert type(model.conv1) is layers.record("conv2d", family).factory
    assert type(model.dense1) is layers.record("linear", family).factory
    assert type(model.head) is layers.UnitNormLinear
    assert model.conv1.arguments.padding_mode == "zeros"
    assert model(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


def test_the_pool_divides_sums_by_four():
    x = torch.ones(1, 4, 4, 4)
    pool = models.build("cpl-s", input_shape=(3, 4, 4), n_classes=2, width=4, depth=1, dense=1, dense_inner=2).pool
    assert torch.equal(pool(x), torch.full((1, 4, 1, 1), 4.0))


@pytest.mark.parametrize(
    "options", [{"width": 4}, {"depth": 2}, {"dense": 2}, {"inner": 4}, {"dense_inner": 8}, {"head": None}]
)
def test_each_option_changes_the_network(options):
    assert str(on_meta("sll-s", **options)) != str(on_meta("sll-s"))


@pytest.mark.parametrize(
    ("shape", "options", "sentence"),
    [
        ((3, 30, 32), {}, r"input_shape=\(3, 30, 32\) does not fit model 'sll-s'; .* multiples of 4"),
        ((3, 32, 32), {"width": 2}, "width=2 for model 'sll-s' must be at least the 3 channels of the image"),
        ((3, 32, 32), {"inner": 0}, "inner=0"),
        ((3, 32, 32), {"dense_inner": 0}, "dense_inner=0"),
    ],
)
def test_what_does_not_fit_is_refused(shape, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        on_meta("sll-s", shape, **options)
