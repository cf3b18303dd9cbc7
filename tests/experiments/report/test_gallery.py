"""What is found near images."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from onelip.data import ImageData
from onelip.experiments.kept_points import KeptPoints
from onelip.experiments.report.gallery import make_gallery

EDGE = 0.5 + 2.0**-23
"""Just beyond the edge of the half plane, nearer than the search comes."""


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


def gallery_of(half_plane, radii=None, **options):
    network, samples, distances = half_plane
    order = torch.from_numpy(distances).argsort()
    known = None if radii is None else torch.from_numpy(np.asarray(radii))[order]
    return make_gallery(network, samples, order, ("left", "right"), radii=known, **options)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_the_adversarial_images_of_a_half_plane_lie_on_its_edge(half_plane, norm):
    distances = half_plane[2]
    # In l_inf as far as in l2, since only one pixel counts.
    gallery = gallery_of(half_plane, 0.999 * distances, norm=norm)
    assert [e.index for e in gallery.examples] == [1, 2, 0, 3]
    assert gallery.consistent
    for e in gallery.examples:
        assert e.distance == pytest.approx(distances[e.index], rel=0.02)
        assert {e.label, e.answer} == {"left", "right"}
        assert e.adversarial.startswith("data:image/png")
        assert e.source == "search"
    assert gallery.pixels.distances == tuple(e.distance for e in gallery.examples)
    assert (half_plane[0](gallery.pixels.adversarial).argmax(1) != half_plane[0](gallery.pixels.images).argmax(1)).all()


def test_without_a_certificate_there_are_distances_alone(half_plane):
    gallery = gallery_of(half_plane)
    assert [e.radius for e in gallery.examples] == [None] * 4
    assert gallery.consistent
    assert gallery.pixels.certified is None


def kept(half_plane, index, points, distances, labels=None):
    own = half_plane[1].labels.numpy()[index] if labels is None else labels
    return KeptPoints("cw-l2", np.array(index), own, np.array(distances), points)


def test_the_nearest_point_of_any_attack_is_shown(half_plane):
    x = half_plane[1].pixels()
    exact = x.clone()
    exact[:, :, :, 0] = torch.tensor([EDGE, EDGE, 1 - EDGE, 1 - EDGE]).view(4, 1, 1)
    far = x.clone()
    far[:, :, :, 0] = 1 - far[:, :, :, 0]
    near = kept(half_plane, [3], exact[[3]], (exact - x).abs().amax((1, 2, 3)).numpy()[[3]])
    worse = kept(half_plane, [1], far[[1]], (far - x).abs().amax((1, 2, 3)).numpy()[[1]])
    examples = {e.index: e for e in gallery_of(half_plane, kept=[near, worse]).examples}
    assert {k: e.source for k, e in examples.items()} == {0: "search", 1: "search", 2: "search", 3: "cw-l2"}
    assert examples[3].distance == pytest.approx(0.45, abs=1e-6)


def test_points_of_other_images_or_weights_are_left_out(half_plane):
    x = half_plane[1].pixels()
    point = torch.tensor([[[[1 - EDGE, 0.5]]]])
    honest = kept(half_plane, [3], point, [EDGE - 0.05])
    assert gallery_of(half_plane, kept=[honest]).examples[3].source == "cw-l2"
    for other in (
        kept(half_plane, [3], point, [0.3]),
        kept(half_plane, [3], point, [EDGE - 0.05], labels=np.array([0])),
        kept(half_plane, [3], x[3:] - 0.1, [0.1 * 2**0.5]),
        kept(half_plane, [3], point.view(1, 1, 2, 1), [EDGE - 0.05]),
        kept(half_plane, [17], point, [EDGE - 0.05], labels=np.array([1])),
    ):
        assert gallery_of(half_plane, kept=[other]).examples[3].source == "search"


def test_a_radius_that_is_too_large_is_noticed(half_plane):
    assert not gallery_of(half_plane, 1.5 * half_plane[2]).consistent


def test_where_nothing_is_found_nothing_is_shown(half_plane):
    _, samples, distances = half_plane
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        network[1].weight.zero_()
        network[1].bias.copy_(torch.tensor([0.0, 1.0]))
    index = torch.tensor([2, 3])
    gallery = make_gallery(network, samples, index, ("a", "b"), radii=torch.from_numpy(distances)[index])
    assert [(e.answer, e.adversarial) for e in gallery.examples] == [(None, "")] * 2
    assert all(math.isinf(e.distance) for e in gallery.examples)
    assert 0 < gallery.scale < math.inf


def test_no_images_give_an_empty_gallery(half_plane):
    network, samples, _ = half_plane
    assert make_gallery(network, samples, torch.tensor([], dtype=torch.int64), ("a", "b")).examples == ()
