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
    executed = certify(model, x, labels, semantics="executed-float64")
    assert (executed.radii > 0.999 * certificate.radii).all()
    outcome = verify(executed.save(tmp_path))
    assert outcome.ok, str(outcome)


@pytest.mark.parametrize("name", ["cpl", "liresnet", "ossn", "spectral-norm", "spectral-rescaling"])
def test_perturbed_networks_are_certified_and_verified(name, tmp_path):
    # Away from the orthogonal kernels that most layers begin with, only refined frequencies prove a norm near 1.
    torch.manual_seed(0)
    record = next(r for r in RECORDS if (r.kind, r.name) == ("conv2d", name))
    convolutions = [record.factory(8, 8, 3, padding=1, padding_mode=record.paddings[-1]) for _ in range(3)]
    model = nn.Sequential(convolutions[0], L.MaxMin(), convolutions[1], L.MaxMin(), convolutions[2], nn.Flatten())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * parameter.abs().mean() * torch.randn_like(parameter)
    model = model.append(nn.Linear(8 * 6 * 6, 4)).eval()
    x = torch.rand(3, 8, 6, 6)
    with torch.no_grad():
        labels = model(x).argmax(1)
    certificate = certify(model, x, labels)
    assert certificate.proved
    outcome = verify(certificate.save(tmp_path))
    assert outcome.ok, str(outcome)
    constants = [layer.lipschitz_bound().value for layer in convolutions]
    assert max(constants) <= 1 + 1e-6, constants
