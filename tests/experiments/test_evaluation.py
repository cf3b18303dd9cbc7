"""Which samples are certified and attacked, and what is written about them."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.experiments.small_run import small_run
from torch import nn

from onelip.certify import certify, verify
from onelip.data import ImageData
from onelip.experiments import RunFolder
from onelip.experiments.config import Attack
from onelip.experiments.evaluation import (
    Certified,
    attack_certified,
    certify_best,
    even_index,
    evenly,
    load_certified,
    plain_network,
    radius_key,
)
from onelip.experiments.preparation import prepare


@given(n_all=st.integers(1, 500), n_wanted=st.one_of(st.none(), st.integers(1, 600)))
def test_even_positions_are_distinct_inside_and_spread(n_all, n_wanted):
    index = even_index(n_all, n_wanted)
    n = n_all if n_wanted is None else min(n_all, n_wanted)
    assert len(index) == n
    assert index[0] == 0
    assert index[-1] < n_all
    steps = index.diff()
    assert all((steps >= n_all // n) & (steps <= -(-n_all // n)))


def test_evenly_covers_all_classes_of_sorted_data():
    data = ImageData(torch.zeros(100, 1, 2, 2, dtype=torch.uint8), torch.arange(100) // 10, 255.0)
    assert evenly(data, 10).labels.tolist() == list(range(10))


@pytest.mark.parametrize(("radius", "key"), [(0.25, "0.25"), (1.0, "1"), (36 / 255, "0.141176")])
def test_radii_are_short_keys(radius, key):
    assert radius_key(radius) == key


@pytest.fixture
def certified():
    """Points of the unit square, told apart by their first coordinate: the distance to the boundary is |x - 1/2|."""
    x = torch.linspace(0.0, 1.0, 21)
    images = torch.stack([x, torch.full_like(x, 0.5)], dim=1).view(-1, 2, 1, 1)
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[-0.5, 0.0], [0.5, 0.0]]))
        network[1].bias.copy_(torch.tensor([0.25, -0.25]))
    samples = ImageData(images, (x > 0.5).long(), 1.0)
    return Certified(network.eval(), samples, certify(network, samples.images, samples.labels), 0)


def test_attacked_accuracy_of_a_linear_classifier_is_its_certified_accuracy(certified, tmp_path):
    options = Attack(radii=(0.12, 0.33), steps=10, restarts=1, samples=21)
    result = attack_certified(certified, options, 0, RunFolder(tmp_path))
    distances = np.abs(np.linspace(0.0, 1.0, 21) - 0.5)
    exact = [float((distances > radius).mean()) for radius in options.radii]
    assert result["accuracy"] == pytest.approx(exact)
    assert result["certified_on_same"] == pytest.approx(exact)
    assert json.loads((tmp_path / "attack.json").read_text()) == result
    assert {key: result[key] for key in ("norm", "steps", "restarts", "samples", "radii", "seed")} == {
        "norm": "l2", "steps": 10, "restarts": 1, "samples": 21, "radii": [0.12, 0.33], "seed": 0,
    }  # fmt: skip


def test_fewer_samples_are_compared_on_the_same_samples(certified, tmp_path):
    result = attack_certified(certified, Attack(radii=(0.2,), steps=2, restarts=1, samples=3), 0, RunFolder(tmp_path))
    assert result["samples"] == 3
    # Positions 0, 7 and 14 lie 0.5, 0.15 and 0.2 from the boundary.
    assert result["certified_on_same"] == pytest.approx([1 / 3], abs=1e-9)


def test_the_average_over_mirror_images_is_certified_and_read_back(tmp_path):
    certified, slopes = [], []
    for mirror in ("false", "true"):
        changes = ["layer=bjorck", "activation=maxmin", "model.widths=[16]", f"certify.mirror_average={mirror}"]
        folder, model = small_run(tmp_path, *changes, f"name=mirror-{mirror}", "certify.max_samples=20")
        experiment = prepare(folder.config())
        certified.append(certify_best(experiment, folder))
        assert verify(folder.path).ok
        again = load_certified(experiment, folder).network
        images = experiment.data.test.pixels(slice(0, 4))
        logits = model(images) if mirror == "false" else (model(images) + model(images.flip(3))) / 2
        torch.testing.assert_close(again(images), logits, atol=1e-5, rtol=0)
        slopes.append(certified[-1].certificate.pair_constants)
    assert [c.certificate.head for c in certified] == ["linear", "linear"]
    np.testing.assert_allclose(*slopes, rtol=1e-6)


def test_a_plain_network_leaves_the_parametrised_one_as_it_is():
    network = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)), nn.ReLU())
    x = torch.rand(5, 4)
    expected = network.eval()(x)
    for _ in range(2):
        plain = plain_network(network)
        assert not hasattr(plain[0], "parametrizations")
        torch.testing.assert_close(plain(x), expected)
        torch.testing.assert_close(network(x), expected)
