"""Points of attacks, on images whose distances are known."""

import numpy as np
import pytest
import torch
from torch import nn

from onelip.attacks import AttackCurve, attack_curve
from onelip.data import ImageData
from onelip.experiments import kept_points
from onelip.experiments.kept_points import keep_points, read_points

N = 40


@pytest.fixture
def attacked():
    """Class 1 is above 1/2; the margin is the distance, and the attack finds it."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[-0.5], [0.5]]))
        network[1].bias.copy_(torch.tensor([0.25, -0.25]))
    x = torch.linspace(0.01, 0.985, N).view(N, 1, 1, 1)
    labels = (x.flatten() > 0.5).long()
    labels[5] = 1
    curve = attack_curve(network, x, labels, [0.1, 0.3, 0.48], steps=5, restarts=1)
    return network, ImageData(x, labels, 1.0), curve


def test_the_points_are_misclassified_and_as_far_as_is_said(attacked, tmp_path):
    network, samples, curve = attacked
    index = torch.arange(N) * 3
    keep_points(tmp_path / "attack-pgd-l2.npz", network, samples, index, curve, None)
    kept = read_points(tmp_path / "attack-pgd-l2.npz")
    assert kept.attack == "pgd-l2"
    at = kept.index // 3
    assert kept.labels.tolist() == samples.labels[at].tolist()
    assert (network(kept.points).argmax(1).numpy() != kept.labels).all()
    moved = (kept.points - samples.pixels()[at]).abs().flatten().numpy()
    assert moved == pytest.approx(kept.distances, abs=1e-6)
    # The three that are nearest to 1/2 come first; the misclassified one and those out of reach are not there.
    nearest = (samples.pixels().flatten() - 0.5).abs().argsort()[:3]
    assert set(nearest.tolist()) <= set(at.tolist())
    assert 5 not in at
    assert len(set(at.tolist())) == len(at) > 10


def test_they_are_chosen_by_certified_radii_where_there_are_some(attacked, tmp_path):
    network, samples, curve = attacked
    radii = np.zeros(N)
    radii[[3, 30]] = 0.01
    keep_points(tmp_path / "attack-pgd-l2.npz", network, samples, torch.arange(N), curve, radii)
    kept = read_points(tmp_path / "attack-pgd-l2.npz")
    changed = {k for k in (3, 30) if np.isfinite(curve.distances[k])}
    nearest = set(np.argsort(np.where(curve.distances > 0, curve.distances, np.inf), kind="stable")[:3].tolist())
    assert set(kept.index.tolist()) == changed | nearest


def test_of_large_images_few_are_kept_and_at_least_one(attacked, tmp_path, monkeypatch):
    network, samples, curve = attacked
    for most, n in ((8, 2), (1, 1)):
        monkeypatch.setattr(kept_points, "MOST_BYTES", most)
        keep_points(tmp_path / "a.npz", network, samples, torch.arange(N), curve, None)
        assert len(read_points(tmp_path / "a.npz").index) == n


def test_nothing_changed_leaves_an_empty_file(attacked, tmp_path):
    network, samples, _ = attacked
    curve = AttackCurve((0.1,), (1.0,), np.full(N, np.inf), samples.labels.numpy(), samples.pixels())
    keep_points(tmp_path / "a.npz", network, samples, torch.arange(N), curve, None)
    assert read_points(tmp_path / "a.npz").points.shape == (0, 1, 1, 1)


@pytest.mark.parametrize("what", ["text", "pickle", "missing", "lengths"])
def test_a_file_that_holds_something_else_is_refused(tmp_path, what):
    path = tmp_path / "attack-pgd-l2.npz"
    arrays = {name: np.zeros(2, np.float32) for name in ("index", "labels", "distances", "points")}
    if what == "text":
        path.write_text("no archive")
    elif what == "pickle":
        np.savez(path, **arrays | {"labels": np.array([object()], dtype=object)})
    elif what == "missing":
        np.savez(path, index=arrays["index"])
    else:
        np.savez(path, **arrays | {"points": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="does not hold the points of an attack"):
        read_points(path)
