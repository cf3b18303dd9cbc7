"""Whole networks: the function of a converted checkpoint is that of its formula, written out in float64."""

from __future__ import annotations

import pytest
import torch
from tests.experiments.convert import published_formulas as theirs
from tests.experiments.convert.settings_files import search_settings
from tests.experiments.convert.test_layers_compared import converted

from onelip import models
from onelip.experiments.convert.network_weights import convert_network
from onelip.experiments.errors import UserError

WIDTH, BLOCKS = 4, 5
MEAN = torch.tensor([0.49139968, 0.48215841, 0.44653091], dtype=torch.float64)[:, None, None]


def settings(method="AOLConv2d", **changes):
    """Those of a small network without anything random."""
    text = search_settings(method, **changes).replace("name: conv_net", "name: SimplifiedConvNet")
    text = text.replace("model_id: ConvNetXS", f"base_width: {WIDTH}\n  nrof_layers_per_block: 1\n  kernel_size: 3")
    return text.replace("!randlog10 [-4, -1]", "0.1").replace("!randlog10 [-5.5, -3.5]", "0.0")


def checkpoint():
    """Weights of AOL, by the names of the published network."""
    places = {"FirstConv": (WIDTH, 1), "ClassificationHead.0": (WIDTH * 2**BLOCKS, 1)}
    places |= {f"Block{i + 1}.0": (WIDTH * 2**i, 3 if i + 1 < BLOCKS else 1) for i in range(BLOCKS)}
    found = {}
    for place, (width, kernel) in places.items():
        raw = torch.randn(width, width, kernel, kernel, dtype=torch.float64) / 4
        raw += torch.nn.init.dirac_(torch.empty_like(raw))
        found |= {f"{place}.parametrizations.weight.original": raw, f"{place}.bias": torch.randn(width) / 9}
    return found


def pairs(x):
    """(max, min) of channels 2i and 2i + 1."""
    return torch.stack([x[:, ::2].maximum(x[:, 1::2]), x[:, ::2].minimum(x[:, 1::2])], 2).flatten(1, 2)


def published(tensors, x):
    """Pad, first convolution, blocks that drop half of the channels and unshuffle, head, first ten outputs."""

    def conv(x, place):
        kernel = theirs.aol(tensors[f"{place}.parametrizations.weight.original"].double())
        return theirs.circular(x, kernel, tensors[f"{place}.bias"].double())

    x = torch.nn.functional.pad(x - MEAN, (0, 0, 0, 0, 0, WIDTH - 3))
    x = pairs(conv(x, "FirstConv"))
    for i in range(BLOCKS):
        x = pairs(conv(x, f"Block{i + 1}.0"))
        x = torch.nn.functional.pixel_unshuffle(x[:, : x.shape[1] // 2], 2)
    return conv(x.amax((2, 3), keepdim=True), "ClassificationHead.0").flatten(1)[:, :10]


def test_the_network_is_the_published_function(tmp_path):
    tensors = checkpoint()
    network = convert_network(converted(tmp_path, settings()), {f"module.{k}": v for k, v in tensors.items()})
    config = network.config
    ours = models.build(
        config.model.name,
        input_shape=(3, 32, 32),
        n_classes=10,
        layer=config.layer,
        linear=config.linear,
        activation=config.activation,
        mean=[0.0] * 3,
        **config.model.options,
    )
    ours.load_state_dict(network.state_dict)
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(x), published(tensors, x), atol=1e-5, rtol=0)
    assert network.notes == ()


def test_what_is_subtracted_from_pixels_is_theirs(tmp_path):
    text = settings(trainset="!dataset {name: CIFAR10, center: true, rescale: true}")
    state = convert_network(converted(tmp_path, text), checkpoint()).state_dict
    torch.testing.assert_close(state["normalize.mean"].double(), 2 * MEAN.flatten(), atol=1e-7, rtol=0)
    torch.testing.assert_close(state["normalize.std"], torch.tensor([0.24703223, 0.24348513, 0.26158784]))
    text = settings(trainset="!dataset {name: CIFAR10, center: false}")
    assert "normalize.mean" not in convert_network(converted(tmp_path, text), checkpoint()).state_dict


def soc_layer(width, kernel):
    raw = torch.randn(width, width, kernel, kernel)
    parts = {"random_conv_filter": raw, "bias": torch.zeros(width), "correction": torch.tensor([0.7])}
    skew = theirs.skew(raw)
    scaled = skew * 2 * width * kernel / skew.square().sum()
    return parts | {f"u{i}": scaled for i in range(1, 5)} | {f"v{i}": torch.ones(1, 1, 1, 1) for i in range(1, 5)}


def test_soc_takes_its_angles_and_its_head_becomes_dense(tmp_path):
    tensors = {}
    for place, value in checkpoint().items():
        if place.endswith(".bias"):
            raw = checkpoint()[place.replace("bias", "parametrizations.weight.original")]
            tensors |= {place.replace("bias", key): v for key, v in soc_layer(len(value), raw.shape[-1]).items()}
    network = convert_network(converted(tmp_path, settings("SOC")), tensors)
    assert network.config.layer_options == {"largest_angle": 2.5, "n_terms": 13}
    assert network.notes == ()
    head = network.state_dict["network.head.raw_weight"].double()
    torch.testing.assert_close(head @ head.T, torch.eye(len(head), dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("Block2.0.bias"), "bias of Block2.0, a AOLConv2dDirac, has shape None"),
        (
            lambda t: [t.pop(k) for k in [*t] if k.startswith("Block3")],
            "the checkpoint has no Block3.0, the weights of",
        ),
        (
            lambda t: t.update({"Block9.0.bias": torch.zeros(1)}),
            "the checkpoint holds Block9.0, which this network has",
        ),
    ],
)
def test_checkpoints_of_other_networks_are_refused(tmp_path, change, sentence):
    tensors = checkpoint()
    change(tensors)
    with pytest.raises(UserError, match=sentence):
        convert_network(converted(tmp_path, settings()), tensors)


def test_settings_that_are_drawn_are_no_network(tmp_path):
    with pytest.raises(UserError, match="a value of the settings is drawn"):
        convert_network(converted(tmp_path, search_settings("AOLConv2d")), {})
    changed = converted(tmp_path, settings().replace("lr: 0.1", "lr: !randlog10 [-2, -1]"), "optimizer.lr=0.1")
    assert convert_network(changed, checkpoint()).config.optimizer.lr == 0.1


def test_checkpoints_of_other_code_bases_are_refused(tmp_path):
    from tests.experiments.convert.settings_files import classifier_json, write_json

    from onelip.experiments.convert.settings import convert_settings

    with pytest.raises(UserError, match="--checkpoint is for networks of Layers Compared"):
        convert_network(convert_settings(write_json(tmp_path, classifier_json())), {})
