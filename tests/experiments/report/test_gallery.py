"""Which images are shown, and what is found near them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from onelip.certify import load_certificate
from onelip.data import ImageData
from onelip.experiments import UserError
from onelip.experiments.report.gallery import Example, choose_examples, gallery_of_run, make_gallery


@given(data=st.data(), total=st.integers(0, 80), n=st.integers(1, 15))
def test_examples_are_certified_distinct_rising_and_spread(data, total, n):
    radii = torch.tensor(data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.7]), min_size=total, max_size=total)))
    labels = torch.arange(total) % 3
    index = choose_examples(radii, labels, n)
    n_certified = int((radii > 0).sum())
    assert len(index) == min(n, n_certified) == len(set(index.tolist()))
    assert bool((radii[index] > 0).all())
    assert bool((radii[index].diff() >= 0).all())
    for k, position in enumerate(index):
        below = int(((radii > 0) & (radii < radii[position])).sum())
        assert below < (k + 1) * n_certified / len(index)


def test_classes_take_turns():
    radii = torch.linspace(0.1, 1.0, 60)
    index = choose_examples(radii, torch.arange(60) % 6, 12)
    assert sorted((index % 6).tolist()) == sorted([0, 1, 2, 3, 4, 5] * 2)


@pytest.fixture
def half_plane():
    """Class 1 is where the first pixel exceeds 1/2: the distance to the boundary is |x - 1/2|."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[-0.5, 0.0], [0.5, 0.0]]))
        network[1].bias.copy_(torch.tensor([0.25, -0.25]))
    x = torch.tensor([0.1, 0.4, 0.6, 0.95])
    images = torch.stack([x, torch.full_like(x, 0.5)], 1).view(4, 1, 1, 2)
    return network, ImageData(images, (x > 0.5).long(), 1.0), (x - 0.5).abs().double().numpy()


def test_the_adversarial_images_of_a_half_plane_lie_on_its_edge(half_plane):
    network, samples, distances = half_plane
    gallery = make_gallery(network, samples, 0.999 * distances, ("left", "right"))
    assert [e.index for e in gallery.examples] == [1, 2, 0, 3]
    assert gallery.consistent
    for e in gallery.examples:
        assert e.distance == pytest.approx(distances[e.index], rel=0.02)
        assert {e.label, e.answer} == {"left", "right"}
        assert e.adversarial.startswith("data:image/png")


def test_a_radius_that_is_too_large_is_noticed(half_plane):
    network, samples, distances = half_plane
    assert not make_gallery(network, samples, 1.5 * distances, ("left", "right")).consistent


def test_where_nothing_is_found_nothing_is_shown(half_plane):
    _, samples, distances = half_plane
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor([0.0, 1.0]))
    gallery = make_gallery(network, samples, np.where(samples.labels.numpy() == 1, distances, 0.0), ("a", "b"))
    assert [(e.answer, e.adversarial) for e in gallery.examples] == [(None, "")] * 2
    assert all(math.isinf(e.distance) for e in gallery.examples)
    assert 0 < gallery.scale < math.inf


def test_nothing_certified_gives_an_empty_gallery(half_plane):
    network, samples, distances = half_plane
    assert make_gallery(network, samples, 0 * distances, ("a", "b")).examples == ()


def test_a_run_has_a_gallery_of_its_certified_images(finished, gallery):
    certificate = load_certificate(finished.certificate_file)
    assert len(gallery.examples) == 12
    assert gallery.consistent
    assert all(isinstance(e, Example) and e.radius == certificate.radii[e.index] for e in gallery.examples)
    assert gallery == gallery_of_run(finished, 0)


def test_other_weights_than_the_certified_ones_are_not_shown(run):
    checkpoint = torch.load(run.best_checkpoint)
    for tensor in checkpoint["state_dict"].values():
        tensor.neg_() if tensor.dim() == 2 else None
    torch.save(checkpoint, run.best_checkpoint)
    with pytest.raises(UserError, match="not those of the certificate; renew it with: onelip certify"):
        gallery_of_run(run, 0)
