"""A small ConvNet learns with every registered convolution, in float32 and bfloat16, at a proved constant of 1."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import onelip
from onelip import data, layers, losses, models
from onelip.layers import LayerRecord

SHAPE = (1, 8, 8)
STEPS, IMAGES, BATCH = 50, 512, 128
LARGEST = 1.0001


@pytest.mark.slow
@pytest.mark.parametrize("bfloat16", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("record", layers.records("conv2d"), ids=lambda r: r.name)
def test_loss_falls(record: LayerRecord, bfloat16: bool) -> None:
    """`benchmarks/convnet_methods.py` does the same with the whole ConvNet-XS."""
    torch.manual_seed(0)
    train = data.load("digits").train
    images, labels = train.pixels(slice(0, IMAGES)), train.labels[:IMAGES]
    linear = {"linf": "l-infinity"}.get(record.norm)
    sizes = {"width": 4, "blocks": 2, "depth": 2}
    model = models.build("convnet-xs", input_shape=SHAPE, n_classes=10, layer=record.name, linear=linear, **sizes)
    loss = losses.build("offset-cross-entropy", margin=0.3993, temperature=0.25)
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9, nesterov=True)
    before, constants = _loss(model, loss, images, labels), [_constant(model, record)]
    for step in range(STEPS):
        chosen = torch.arange(step * BATCH, (step + 1) * BATCH) % IMAGES
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(images[chosen])
        loss(logits.float(), labels[chosen]).backward()
        optimizer.step()
        layers.retract_(model)
        if step == STEPS // 2:
            constants.append(_constant(model, record))
    constants.append(_constant(model, record))
    assert max(constants) <= LARGEST
    assert _loss(model, loss, images, labels) < before


def _loss(model: nn.Module, loss: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    with torch.no_grad():
        value = float(loss(model(images), labels))
    model.train()
    return value


def _constant(model: nn.Module, record: LayerRecord) -> float:
    if record.norm == "l2":
        bound = onelip.lipschitz_bound(model, SHAPE)
        assert bound.proved
        return bound.value
    # Every other part of this network permutes, drops or compares entries.
    bounds = [module.linf_bound() for module in model.modules() if hasattr(module, "linf_bound")]
    assert bounds
    assert all(bound.proved for bound in bounds)
    return math.prod(bound.value for bound in bounds)
