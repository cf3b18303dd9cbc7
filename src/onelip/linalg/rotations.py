"""Rotations: the nearest one to a matrix, and its logarithm, without LU."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from onelip.linalg.polar import polar_factor

_HALVINGS = 8
"""Square roots taken before the series: the angles are then at most pi / 256."""

_HALF_TURN = 2e-5
"""Angles that are this close to pi count as pi, where the square root is not unique."""


def nearest_rotation(w: Tensor) -> Tensor:
    """Find the orthogonal matrix of determinant 1 that is nearest in the Frobenius norm.

    U diag(1, ..., 1, det(U V^T)) V^T of the singular value decomposition: the direction that matters least is turned
    round if need be.

    Args:
        w: (n, n), float64.

    Returns:
        Same shape.

    Paper: Kabsch 1976; Umeyama 1991.
    """
    u, _, vh = torch.linalg.svd(w)
    signs = torch.ones_like(w[0])
    signs[-1] = determinant_sign(u @ vh)
    return (u * signs) @ vh


def determinant_sign(q: Tensor) -> float:
    """Say whether an orthogonal matrix is a rotation.

    Args:
        q: (n, n), orthogonal.

    Returns:
        Its determinant, 1.0 or -1.0: the product of its eigenvalues, which lie on the unit circle.
    """
    return math.copysign(1.0, float(torch.linalg.eigvals(q).prod().real))


def rotation_log(q: Tensor) -> Tensor:
    """Find the skew matrix with angles in [-pi, pi] whose exponential is a rotation, or a unitary matrix.

    The square root of Q is the polar factor of I + Q. Of the 2^-8th power B the logarithm is asinh((B - B^H) / 2), a
    power series. Planes that are turned by pi are split off, with the sense of the turn chosen.

    Args:
        q: (n, n), a rotation or unitary, float64 or complex128.

    Returns:
        (n, n), exactly skew; accurate to about 1e-12, or to 2e-5 in planes turned by nearly pi.

    Cost: eight singular value decompositions.
    """
    eye = torch.eye(len(q), dtype=q.dtype, device=q.device)
    plane = _half_turns(q)
    outside = eye - plane @ plane.mH
    root = outside @ q @ outside + plane @ plane.mH
    for _ in range(_HALVINGS):
        root = polar_factor(eye + root)
    sine = (root - root.mH) / 2
    square = sine @ sine
    # asinh(x) = x - x^3 / 6 + 3 x^5 / 40 - 15 x^7 / 336 + ..., the next term below 1e-17 here.
    angle = 2.0**_HALVINGS * sine @ (eye - square @ (eye / 6 - square @ (3 / 40 * eye - square * (15 / 336))))
    turn = 0.5j * plane @ plane.mH if q.is_complex() else plane[:, ::2] @ plane[:, 1::2].T
    log = angle + math.pi * (turn - turn.mH)
    return (log - log.mH) / 2


def _half_turns(q: Tensor) -> Tensor:
    # Orthonormal columns, an even number if real, on which Q is nearly -1: the cosines at the bottom of the symmetric
    # part.
    cosines, vectors = torch.linalg.eigh((q + q.mH) / 2)
    count = int((cosines < -math.cos(_HALF_TURN)).sum())
    if not q.is_complex():
        count = min(count + count % 2, len(q) - len(q) % 2)
    return vectors[:, :count]


def completed_rotation(w: Tensor) -> Tensor:
    """Complete the nearest semi-orthogonal (semi-unitary) matrix to a rotation (unitary matrix).

    Args:
        w: (m, n), float64 or complex128.

    Returns:
        (c, c), c = max(m, n), of determinant 1 if real; its first m rows and n columns are the polar factor of `w`, or
        for square real ones the nearest rotation.
    """
    m, n = w.shape
    if m == n:
        return polar_factor(w) if w.is_complex() else nearest_rotation(w)
    if m > n:
        return completed_rotation(w.mH).mH
    rows = polar_factor(w)
    _, _, vh = torch.linalg.svd(rows, full_matrices=True)
    q = torch.cat([rows, vh[m:]])
    if not q.is_complex():
        q[-1] = q[-1] * determinant_sign(q)
    return q
