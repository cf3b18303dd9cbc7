"""Norms of small matrices in exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np


def gram(w: np.ndarray) -> list[list[Fraction]]:
    """W^T W of the smaller side, exactly."""
    w = w if w.shape[0] >= w.shape[1] else w.T
    columns = [[Fraction(float(v)) for v in column] for column in w.T]
    return [[sum((a * b for a, b in zip(x, y, strict=True)), Fraction(0)) for y in columns] for x in columns]


def is_above(bound: Fraction | float, g: list[list[Fraction]]) -> bool:
    """Is bound^2 I - G positive semi-definite? By exact elimination."""
    square = Fraction(bound) ** 2
    a = [[square * (i == j) - value for j, value in enumerate(row)] for i, row in enumerate(g)]
    for k in range(len(a)):
        if a[k][k] < 0 or (a[k][k] == 0 and any(a[k][j] for j in range(k, len(a)))):
            return False
        if a[k][k] == 0:
            continue
        for i in range(k + 1, len(a)):
            factor = a[i][k] / a[k][k]
            for j in range(k + 1, len(a)):
                a[i][j] -= factor * a[k][j]
    return True
