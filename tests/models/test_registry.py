"""What holds for every registered model, and what building refuses."""

import math

import pytest
import torch
from torch import nn

from onelip import layers, models
from onelip.bounds import lipschitz_bound
from onelip.models.registry import check_choice, check_flags, check_sizes

# The smallest image that each model takes at its smallest options, so that a test builds in milliseconds.
SMALL = {
    **{name: ((3, 4, 4), {"width": 4, "blocks": 2, "depth": 1}) for name in models.available() if "convnet-" in name},
    **{f"lconvnet-{size}": ((1, 4, 4), {"width": 4, "dense": 8}) for size in ("small", "large")},
    **{f"kw-{size}": ((1, 4, 4), {"width": 4, "dense": 8}) for size in ("small", "large")},
    "l2nnn": ((1, 4, 4), {"widths": [2, 2], "shared": [4], "dense": [2], "kernel_size": 3}),
    **{
        f"resnet{depth}": ((3, 8, 8), {"width": 4, "blocks": (1, 1), "batch_norm": False, "rescale": "all"})
        for depth in (18, 34, 50, 101, 152)
    },
    "dla": ((3, 8, 8), {"widths": (4,) * 7, "batch_norm": False, "rescale": "all"}),
    "liresnet": ((3, 8, 8), {"width": 4, "depth": 2, "dense_width": 6, "dense_depth": 2, "neck_size": 2}),
    "bronet": ((3, 8, 8), {"width": 4, "depth": 1, "regularized": 1, "dense_width": 6, "dense_depth": 1}),
    "lipnext": ((3, 4, 4), {"width": 4, "depth": 2}),
    "dcgan-critic": ((3, 8, 8), {"width": 4}),
    "infogan-critic": ((1, 4, 8), {"widths": [4, 4], "dense": [8]}),
    "lenet": ((1, 16, 16), {"width": 2, "dense": 4}),
    "simple-conv": ((3, 4, 5), {"width": 4, "batch_norm": False}),
    "digits-net": ((1, 4, 4), {"widths": [4, 4], "depth": 1, "dense": [8]}),
    "mlp": ((1, 3, 5), {"widths": [8, 8]}),
    "fc-3": ((1, 3, 5), {"widths": [8, 8, 8]}),
    **{f"lipconvnet-{n}": ((3, 4, 4), {"width": 4, "depth": 2, "stages": 2}) for n in range(5, 45, 5)},
    "pyramid": ((3, 4, 4), {"patch": 2, "widths": [8, 4], "depths": [1, 1], "dense": [4], "head": "aoc"}),
    "patchnet": ((3, 4, 4), {"width": 4, "depth": 1}),
    "patch-cnn": ((3, 4, 4), {"width": 4, "depth": 1}),
    "conv-mixer": ((3, 4, 4), {"width": 4, "depth": 1}),
    "staged-cnn": ((3, 4, 4), {"widths": [4, 8], "repeats": [1, 1], "dense": [8]}),
    "large-staged-cnn": (
        (3, 4, 4),
        {"patch": 2, "widths": [4, 8], "repeats": [1, 1], "dense": [8], "head": "aoc", "norm": "batch-centering"},
    ),
    "bcop-large": ((3, 8, 8), {"width": 2, "dense": [8], "norm": "layer-centering"}),
    **{
        f"split-concat-net-{size}": ((3, 32, 32), {"width": 16, "depth": 1, "groups": 1, "head": "aoc"})
        for size in ("m", "m2", "l")
    },
    "lip-resnet": ((3, 8, 8), {"width": 4, "blocks": [1, 2], "head": "aoc", "norm": "batch-centering"}),
    "lip-vgg": ((3, 32, 32), {"width": 2, "dense": [8]}),
    "sll-resnet50": ((3, 8, 8), {"width": 2, "blocks": [2, 1], "norm": "batch-centering"}),
    **{
        f"aol-{size}": ((3, 4, 4), {"per_patch": 2, "patch": 2, "width": 4, "depth": 1, "dense": 2})
        for size in ("small", "medium", "large")
    },
    **{
        f"sandwich-{size}": ((3, 4, 4), {"widths": [4], "dense": [8], "head": "aoc"}) for size in ("net", "s", "m", "l")
    },
    "aol-fc": ((3, 4, 4), {"width": 8, "depth": 2}),
    "aol-conv": ((3, 8, 8), {"width": 4, "depth": 2, "stages": 3}),
    "aol-std": ((3, 4, 4), {"widths": [4, 4], "depth": 2}),
    **{
        f"{layer}-{size}": (
            (3, 4, 4),
            {"width": 4, "depth": 2, "dense": 1, "inner": 2, "dense_inner": 3, "head": "aoc"},
        )
        for layer in ("cpl", "sll")
        for size in ("s", "m", "l", "xl")
    },
}


def small(name, **more):
    input_shape, options = SMALL[name]
    return models.build(name, **({"input_shape": input_shape, "n_classes": 3} | options | more))


@pytest.mark.parametrize("name", models.available())
@pytest.mark.parametrize("layer", ["plain", "aoc"])
def test_every_model_trains_all_of_its_parameters(name, layer):
    model = small(name, layer=layer)
    logits = model(torch.rand(5, *SMALL[name][0]))
    assert logits.shape == (5, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1])).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert bool(parameter.grad.isfinite().all()), key


@pytest.mark.parametrize("name", [name for name in models.available() if models.usual_method(name).layer != "plain"])
def test_every_model_with_the_default_layers_is_proved_1_lipschitz(name):
    model = small(name).eval()
    bound = lipschitz_bound(model, SMALL[name][0])
    assert bound.proved
    # Stems of records are not constrained, but known. Weights are rounded to float32 once per layer.
    stems = [m.lipschitz_bound().value for m in model.modules() if isinstance(m, layers.RegularizedConv2d)]
    # Logits that are separate networks are 1-Lipschitz each.
    rows = [len(m.branches) for m in model.modules() if isinstance(m, layers.Join)]
    assert bound.value <= math.prod(stems) * math.sqrt(math.prod(rows)) * (1 + 1e-5)
    plain = layers.to_plain(model)
    x = torch.rand(4, *SMALL[name][0])
    assert torch.allclose(plain(x), model(x), atol=1e-6)


@pytest.mark.parametrize("name", models.available())
def test_the_generator_decides_the_weights(name):
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in small(name).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def conv_methods():
    return [record.name for record in layers.records("conv2d")]


@pytest.mark.parametrize("layer", conv_methods())
@pytest.mark.parametrize("name", ["convnet-xs", "digits-net"])
def test_every_convolution_method_makes_every_convolutional_model(name, layer):
    model = small(name, layer=layer).eval()
    assert model(torch.rand(2, *SMALL[name][0])).shape == (2, 3)


@pytest.mark.parametrize("linear", [record.name for record in layers.records("linear")])
def test_every_dense_method_makes_the_mlp(linear):
    x = torch.rand(2, *SMALL["mlp"][0])
    assert small("mlp", layer=linear).eval()(x).shape == (2, 3)
    assert small("mlp", layer="plain", linear=linear).eval()(x).shape == (2, 3)


@pytest.mark.parametrize("activation", [name for name in layers.available("activation") if name != "two-sided-relu"])
def test_every_activation_fits(activation):
    assert small("mlp", activation=activation)(torch.rand(2, *SMALL["mlp"][0])).shape == (2, 3)
    assert small("digits-net", activation=activation)(torch.rand(2, *SMALL["digits-net"][0])).shape == (2, 3)


def test_a_mean_is_subtracted_first():
    torch.manual_seed(1)
    centred = small("mlp", mean=(0.25,))
    torch.manual_seed(1)
    raw = small("mlp")
    x = torch.rand(4, 1, 3, 5)
    assert torch.equal(centred(x), raw(x - 0.25))
    assert lipschitz_bound(centred.eval(), (1, 3, 5)).value <= 1 + 1e-5


def test_pixels_are_standardised_inside_and_the_constant_counts_it():
    torch.manual_seed(1)
    inside = small("mlp", mean=(0.25,), std=(0.125,))
    torch.manual_seed(1)
    raw = small("mlp")
    x = torch.rand(4, 1, 3, 5)
    torch.testing.assert_close(inside(x), raw((x - 0.25) / 0.125))
    constant = lipschitz_bound(raw.eval(), (1, 3, 5)).value
    assert lipschitz_bound(inside.eval(), (1, 3, 5)).value == pytest.approx(8 * constant)
    torch.manual_seed(1)
    torch.testing.assert_close(small("mlp", std=(0.125,))(x), raw(x / 0.125))


def test_records_say_what_a_list_needs():
    parts = models.available()
    assert list(parts) == sorted(parts)
    assert parts["mlp"].options == ("widths", "head", "dropout_input", "dropout_hidden")
    assert parts["convnet-s"].options == ("width", "blocks", "depth", "kernel_size", "padding_mode")
    assert all(part.summary for part in parts.values())


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("convnet-xss", {}, "model 'convnet-xss' is unknown; did you mean 'convnet-xs'"),
        ("mlp", {"wdiths": [3]}, r"wdiths=\[3\] is not an option of model 'mlp'; its options: widths, head"),
        ("mlp", {"method": 1}, "method=1 is not an option"),
        ("mlp", {"layer": "aocc"}, "layer 'aocc' is unknown; did you mean 'aoc'"),
        ("mlp", {"linear": "bjork"}, "linear layer 'bjork' is unknown; did you mean 'bjorck'"),
        ("mlp", {"activation": "maxmn"}, "activation 'maxmn' is unknown; did you mean 'maxmin'"),
        ("mlp", {"n_classes": 0}, "n_classes=0"),
        ("mlp", {"input_shape": (3, 8)}, r"input_shape=\(3, 8\)"),
        ("mlp", {"input_shape": (1, 0, 8)}, r"input_shape=\(1, 0, 8\)"),
        ("mlp", {"mean": (0.1, 0.2)}, "mean has 2 entries"),
        ("mlp", {"std": (0.1, 0.2)}, "std has 2 entries"),
        ("mlp", {"std": (0.0,)}, r"std=\[0.0\] in Normalize must be positive"),
        ("mlp", {"widths": 16}, "widths=16 for model 'mlp' must be a list of integers >= 1"),
        ("mlp", {"widths": [16, 0]}, r"widths=\[16, 0\]"),
        ("digits-net", {"depth": [2]}, r"depth=\[2\] for model 'digits-net' must be an integer >= 1"),
    ],
)
def test_mistakes_are_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        models.build(name, **({"input_shape": (1, 8, 8), "n_classes": 3} | options))


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "3", None])
def test_sizes_are_positive_integers(value):
    check_sizes("model", width=1, lists={"widths": (1, 2)})
    with pytest.raises(ValueError, match="width="):
        check_sizes("model", width=value)
    with pytest.raises(ValueError, match="widths="):
        check_sizes("model", lists={"widths": [1, value]})


def test_choices_and_flags_are_checked():
    check_choice("m", "pool", "l2", ("none", "l2"))
    check_flags("m", bias=True, skip=False)
    for value in ("max", None, ["l2"]):
        with pytest.raises(ValueError, match=r"pool=.* for model 'm' must be one of 'none', 'l2'"):
            check_choice("m", "pool", value, ("none", "l2"))
    for value in (1, None, "yes"):
        with pytest.raises(ValueError, match=r"bias=.* for model 'm' must be True or False"):
            check_flags("m", bias=value)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("LiResNetConv2d", "CholeskyLinear", "MaxMin")),
        ({"layer": "aoc"}, ("AOCConv2d", "CholeskyLinear", "MaxMin")),
        ({"linear": "bjorck"}, ("LiResNetConv2d", "BjorckLinear", "MaxMin")),
        ({"layer": "plain", "activation": "abs"}, ("Conv2d", "Linear", "Abs")),
    ],
)
def test_an_architecture_may_have_its_own_method(options, expected):
    model = small("liresnet", **options)
    assert tuple(type(m).__name__ for m in (model.block1.conv, model.dense, model.dense_act)) == expected
    assert type(small("lipnext").block1.act).__name__ == "BetaAbs"
    assert type(small("digits-net").get_submodule("head")).__name__ == "AOCLinear"
