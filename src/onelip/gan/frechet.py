"""The Frechet distance of images in simple features, for data too small for a large network's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_RANK = 1e-10
"""Directions with less than this part of the largest variance are rounding errors."""


@dataclass(frozen=True, eq=False)
class PrincipalFeatures:
    """The coordinates of images along the directions in which the training images vary most.

    Made by `principal_features`. They are an isometry on the span of the directions, so what is measured in them has
    the unit of pixels.

    Attributes:
        mean: `(d,)` float64, of the training images.
        directions: `(k, d)` float64, with orthonormal rows.
        explained: Part of the variance of the training images that lies along the directions, in [0, 1].
    """

    mean: Tensor
    directions: Tensor
    explained: float

    def __call__(self, images: Tensor) -> Tensor:
        """Compute the features of images.

        Args:
            images: `(n, ...)` with d numbers each.

        Returns:
            `(n, k)` float64, on the CPU.
        """
        return (images.detach().cpu().flatten(1).double() - self.mean) @ self.directions.T


def principal_features(images: Tensor, n_features: int = 32) -> PrincipalFeatures:
    """Fit features to training images: the leading principal components of their pixels, not whitened.

    Args:
        images: `(n, ...)`, the training images, n >= 2.
        n_features: How many; no more are taken than there are directions in which the images vary.

    Returns:
        The features, in float64.

    Raises:
        ValueError: There are too few images or features.
    """
    if len(images) < 2 or n_features < 1:
        raise ValueError(f"{len(images)} images and n_features={n_features} in principal_features; it takes 2 and 1")
    x = images.detach().cpu().flatten(1).double()
    mean = x.mean(dim=0)
    centred = x - mean
    # The smaller of the two matrices that have the same positive eigenvalues.
    wide = centred.shape[1] > len(x)
    values, vectors = torch.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    values, vectors = values.flip(0).clamp(min=0), vectors.flip(1)
    kept = int((values[:n_features] > values[0] * _RANK).sum())
    directions = vectors[:, :kept].T
    if wide:
        directions = directions @ centred / values[:kept, None].sqrt()
    explained = float(values[:kept].sum() / values.sum()) if values.sum() > 0 else 1.0
    return PrincipalFeatures(mean, directions.contiguous(), explained)


def frechet_distance_sq(mean_p: Tensor, covariance_p: Tensor, mean_q: Tensor, covariance_q: Tensor) -> float:
    """Compute the squared Frechet distance, that is Wasserstein-2, of two Gaussians.

    |m_p - m_q|^2 + tr(C_p + C_q - 2 (C_p^(1/2) C_q C_p^(1/2))^(1/2)), from eigenvalues of symmetric matrices in
    float64: the product C_p C_q, which is not symmetric, needs no square root.

    Args:
        mean_p: `(k,)`.
        covariance_p: `(k, k)`, symmetric and positive semidefinite; may be singular.
        mean_q: `(k,)`.
        covariance_q: `(k, k)`, likewise.

    Returns:
        The squared distance, at least 0, in squared units of the features.

    Paper:
        Dowson and Landau 1982, Journal of Multivariate Analysis 12; on features of a classifier, Heusel, Ramsauer,
        Unterthiner, Nessler and Hochreiter 2017, arXiv:1706.08500.
    """
    first, second = covariance_p.double(), covariance_q.double()
    values, vectors = torch.linalg.eigh(first)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    middle = root @ second @ root
    overlap = torch.linalg.eigvalsh((middle + middle.T) / 2).clamp(min=0).sqrt().sum()
    apart = (mean_p.double() - mean_q.double()).square().sum()
    return max(0.0, float(apart + first.trace() + second.trace() - 2 * overlap))


def frechet_of_samples_sq(features_p: Tensor, features_q: Tensor) -> float:
    """Compute the squared Frechet distance of the Gaussians with the means and covariances of two samples.

    It is biased upwards for small samples, the more the more features there are: compare with what two samples of the
    same images give, and only numbers from samples of the same sizes.

    Args:
        features_p: `(n, k)`, n >= 2.
        features_q: `(m, k)`, m >= 2.

    Returns:
        The squared distance, in squared units of the features.

    Raises:
        ValueError: A sample has fewer than 2 members.
    """
    if min(len(features_p), len(features_q)) < 2:
        raise ValueError(
            f"samples of {len(features_p)} and {len(features_q)} in frechet_of_samples_sq; it takes 2 each"
        )
    p, q = features_p.double(), features_q.double()
    moments = [m for x in (p, q) for m in (x.mean(dim=0), torch.cov(x.T).reshape(x.shape[1], -1))]
    return frechet_distance_sq(*moments)
