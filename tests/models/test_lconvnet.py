"""The networks of the BCOP paper: published parameter totals, structure, proved constants."""

import pytest
import torch

from onelip import layers, lipschitz_bound, models

MNIST, CIFAR = (1, 28, 28), (3, 32, 32)

# Numbers of all layers as the authors' program counts them. It keeps the mask that picks the first half of the columns
# as a parameter too: 2 (k - 1) max(in, out) numbers for each BCOP layer.
PUBLISHED = {
    ("lconvnet-small", MNIST): (171_174, 166_406),
    ("lconvnet-large", MNIST): (2_146_634, 1_974_762),
    ("lconvnet-small", CIFAR): (219_174, 214_918),
    ("lconvnet-large", CIFAR): (2_638_154, 2_466_858),
}


def on_meta(name, shape, **options):
    with torch.device("meta"):
        return models.build(name, input_shape=shape, n_classes=10, linear="bjorck", **options)


@pytest.mark.parametrize(("name", "shape"), PUBLISHED)
def test_parameter_counts_are_the_published_ones(name, shape):
    of_bcop, of_rko = PUBLISHED[name, shape]
    bcop = on_meta(name, shape, layer="bcop", layer_options={"square": True})
    convs = [m for m in bcop.modules() if isinstance(m, layers.BCOPConv2d)]
    masks = sum(2 * (c.kernel_size[0] - 1) * max(c.in_channels, c.out_channels) for c in convs)
    assert sum(p.numel() for p in bcop.parameters()) + masks == of_bcop
    assert sum(p.numel() for p in on_meta(name, shape, layer="rko").parameters()) == of_rko
    assert bcop(torch.empty(2, *shape, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("layer", [*layers.available("conv2d"), "plain"])
@pytest.mark.parametrize("name", ["lconvnet-small", "lconvnet-large"])
def test_every_method_fits(name, layer):
    # Skew kernels have a centre, so their sides are odd.
    options = {"width": 4, "dense": 6, "down_kernel": 3 if layer.endswith("soc") else 2}
    model = models.build(name, input_shape=(1, 4, 8), n_classes=3, layer=layer, **options).eval()
    assert model(torch.rand(2, 1, 4, 8)).shape == (2, 3)
    if layer != "plain" and layers.record("conv2d", layer).norm == "l2":
        assert lipschitz_bound(model, (1, 4, 8)).value <= 1.0001


def test_the_published_network_is_proved():
    options = {"layer": "bcop", "layer_options": {"square": True}, "linear": "bjorck"}
    model = models.build("lconvnet-small", input_shape=MNIST, n_classes=10, **options).eval()
    bound = lipschitz_bound(model, MNIST)
    assert bound.proved
    assert bound.value <= 1.0001


@pytest.mark.parametrize("name", ["lconvnet-small", "lconvnet-large"])
def test_images_that_cannot_be_halved_twice_are_refused(name):
    with pytest.raises(ValueError, match=rf"input_shape=\(1, 6, 8\) does not fit model '{name}'"):
        models.build(name, input_shape=(1, 6, 8), n_classes=3)


@pytest.mark.parametrize("options", [{"width": 8}, {"dense": 50}, {"down_kernel": 3}])
@pytest.mark.parametrize("name", ["lconvnet-small", "lconvnet-large"])
def test_each_option_changes_the_network(name, options):
    changed, default = (sum(p.numel() for p in on_meta(name, MNIST, **kw).parameters()) for kw in (options, {}))
    assert changed != default


def test_fc_3_has_three_hidden_layers_of_1024():
    model = on_meta("fc-3", MNIST)
    assert sum(p.numel() for p in model.parameters()) == 784 * 1024 + 1024 + 2 * (1024**2 + 1024) + 10250
    assert model(torch.empty(2, *MNIST, device="meta")).shape == (2, 10)
    assert str(on_meta("fc-3", MNIST, widths=[8])) != str(model)
    with pytest.raises(ValueError, match="widths=8 for model 'fc-3'"):
        on_meta("fc-3", MNIST, widths=8)
