"""Shares certified by linear relaxation, beside those of the constant."""

import json

import pytest
import torch
from torch import nn

from onelip import layers
from onelip.certify import certify, relaxed_radii
from onelip.data import ImageData
from onelip.experiments import RunFolder, UserError
from onelip.experiments.config import Certify
from onelip.experiments.evaluation import Certified
from onelip.experiments.relaxation import relax_certified


def _certified(activation):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 16), activation, nn.Linear(16, 3)).eval()
    images = torch.randint(0, 17, (30, 1, 2, 2), dtype=torch.uint8)
    samples = ImageData(images, network(images / 16).argmax(1), 16.0)
    return Certified(network, samples, certify(network, images, samples.labels, scale=16.0), 0)


def test_shares_are_those_of_the_radii(tmp_path):
    certified = _certified(nn.ReLU())
    options = Certify(radii=(0.05, 0.2, 5.0), relaxation="crown")
    result = relax_certified(certified, options, RunFolder(tmp_path))
    assert result == json.loads((tmp_path / "relaxation.json").read_text())
    assert (result["method"], result["norm"], result["samples"]) == ("crown", "l2", 30)
    samples = certified.samples
    radii = relaxed_radii(certified.certificate.network, samples.pixels(), samples.labels, steps=12)
    for radius, share in zip(options.radii, result["certified"].values(), strict=True):
        assert share == pytest.approx(float((radii > radius).double().mean()), abs=1 / 30)
        assert share >= certified.certificate.certified_accuracy(radius)
    assert list(result["certified"]) == ["0.05", "0.2", "5"]
    assert result["certified"]["0.05"] > certified.certificate.certified_accuracy(0.05)


def test_without_a_method_nothing_is_written(tmp_path):
    assert relax_certified(_certified(nn.ReLU()), Certify(), RunFolder(tmp_path)) is None
    assert not list(tmp_path.iterdir())


def test_an_activation_without_lines_is_named(tmp_path):
    with pytest.raises(UserError, match="op='householder' of node"):
        relax_certified(_certified(layers.HouseHolder(16)), Certify(relaxation="ibp"), RunFolder(tmp_path))
