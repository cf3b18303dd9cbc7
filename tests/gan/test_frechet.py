"""The Frechet distance against closed forms and SciPy's matrix root, and principal components against an SVD."""

import numpy as np
import pytest
import torch
from scipy import linalg

from onelip.gan import frechet_distance_sq, frechet_of_samples_sq, principal_features


def gaussian(k, rank, seed):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(k, rank))
    return torch.from_numpy(rng.normal(size=k)), torch.from_numpy(a @ a.T)


def test_commuting_gaussians_have_a_closed_form():
    mean_p, mean_q = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([0.0, 0.0, 0.0])
    p, q = torch.tensor([4.0, 1.0, 0.0]), torch.tensor([1.0, 9.0, 0.25])
    expected = 5 + float((p.sqrt() - q.sqrt()).square().sum())
    assert frechet_distance_sq(mean_p, p.diag(), mean_q, q.diag()) == pytest.approx(expected)


@pytest.mark.parametrize(("rank_p", "rank_q"), [(6, 6), (2, 6), (6, 3)])
def test_others_agree_with_the_root_of_the_product(rank_p, rank_q):
    (m, p), (n, q) = gaussian(6, rank_p, 0), gaussian(6, rank_q, 1)
    if min(rank_p, rank_q) == 6:
        root = linalg.sqrtm(p.numpy() @ q.numpy())
        overlap = float(np.trace(root).real)
    else:
        # The root of singular products is not to be had; their eigenvalues are, real and not negative.
        overlap = float(np.sqrt(np.clip(linalg.eigvals(p.numpy() @ q.numpy()).real, 0, None)).sum())
    expected = float((m - n).square().sum() + p.trace() + q.trace()) - 2 * overlap
    assert frechet_distance_sq(m, p, n, q) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance_sq(n, q, m, p) == pytest.approx(expected, rel=1e-6)


def test_a_gaussian_is_at_no_distance_of_itself_and_a_shift_counts():
    mean, covariance = gaussian(5, 5, 2)
    assert frechet_distance_sq(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-9)
    assert frechet_distance_sq(mean + 2, covariance, mean, covariance) == pytest.approx(5 * 4)


def test_samples_are_taken_by_their_moments():
    torch.manual_seed(0)
    x, y = torch.randn(50, 3), 2 * torch.randn(40, 3) + 1
    expected = frechet_distance_sq(
        x.double().mean(0), torch.from_numpy(np.cov(x.double().numpy().T)),
        y.double().mean(0), torch.from_numpy(np.cov(y.double().numpy().T)),
    )  # fmt: skip
    assert frechet_of_samples_sq(x, y) == pytest.approx(expected)
    one = frechet_of_samples_sq(x[:, :1], y[:, :1])
    deviations = float(x[:, 0].double().std() - y[:, 0].double().std())
    assert one == pytest.approx(float(x[:, 0].double().mean() - y[:, 0].double().mean()) ** 2 + deviations**2)
    with pytest.raises(ValueError, match="samples of 1 and 40"):
        frechet_of_samples_sq(x[:1], y)


@pytest.mark.parametrize("n", [20, 9])
def test_features_are_the_leading_principal_components(n):
    torch.manual_seed(0)
    images = torch.rand(n, 1, 3, 4)
    features = principal_features(images, 4)
    x = images.flatten(1).double()
    _, values, rows = torch.linalg.svd(x - x.mean(dim=0), full_matrices=False)
    assert torch.allclose((features.directions @ rows[:4].T).abs(), torch.eye(4, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(features.directions @ features.directions.T, torch.eye(4, dtype=torch.float64), atol=1e-9)
    assert features.explained == pytest.approx(float(values[:4].square().sum() / values.square().sum()))
    assert torch.allclose(features(images), (x - x.mean(dim=0)) @ features.directions.T)
    assert features(images).mean(dim=0).abs().max() < 1e-9


def test_no_more_features_are_taken_than_there_are_directions():
    torch.manual_seed(0)
    flat = torch.rand(10, 2, 1, 1).repeat(1, 3, 1, 1)
    assert principal_features(flat, 5).directions.shape == (2, 6)
    assert principal_features(flat, 5).explained == pytest.approx(1.0)
    assert len(principal_features(torch.rand(3, 1, 4, 4), 8).directions) == 2
    assert principal_features(torch.zeros(3, 1, 2, 2), 2).explained == 1.0
    with pytest.raises(ValueError, match="1 images and n_features=4"):
        principal_features(flat[:1], 4)
