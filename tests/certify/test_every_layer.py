"""Every registered layer can be certified, and the checker confirms it: a new layer is tested by existing."""

import pytest
import torch
from torch import nn

from onelip import layers as L
from onelip.certify import certify, verify

RECORDS = L.records()


def build(record):
    """The layer with default options, and the shape of its input."""
    if record.kind == "linear":
        return record.factory(8, 8), (8,)
    if record.kind == "activation":
        return record.factory.for_channels(8), (8, 4, 4)
    if record.kind == "normalization":
        return record.factory(8), (8, 4, 4)
    if record.kind == "pool":
        return record.factory(2), (8, 4, 4)
    if record.kind == "conv1d":
        return record.factory(8, 8, 3, padding=1, padding_mode=record.paddings[-1]), (8, 6)
    if record.kind == "conv_transpose2d":
        return record.factory(8, 8, 2, stride=2), (8, 2, 2)
    return record.factory(8, 8, 3, padding=1, padding_mode=record.paddings[-1]), (8, 4, 4)


@pytest.mark.parametrize("record", RECORDS, ids=[f"{r.kind}-{r.name}" for r in RECORDS])
def test_layer_is_certified_and_verified(record, tmp_path):
    torch.manual_seed(0)
    layer, shape = build(record)
    x = torch.rand(3, *shape)
    with torch.no_grad():
        width = layer.eval()(x)[0].numel()
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(width, 4)).eval()
    with torch.no_grad():
        labels = model(x).argmax(1)
    certificate = certify(model, x, labels)
    assert certificate.proved
    assert (certificate.radii > 0).all()
    outcome = verify(certificate.save(tmp_path))
    assert outcome.ok, str(outcome)
