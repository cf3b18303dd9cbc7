"""Activations in float64 with error bounds."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.certify.records import Node
from onelip.certify.values import Rule, Values, exact, rounded, sample_norms, stored
from onelip.linalg import gamma


def _axis(node: Node) -> int:
    axis: int = node.attributes["axis"] + 1
    return axis


def _along(values: Tensor, axis: int, like: Tensor) -> Tensor:
    # One number for each entry of the axis, or a row of them in front.
    return values.reshape(*values.shape[:-1], -1, *[1] * (like.dim() - 1 - axis))


def _halves(x: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    half = x.shape[axis] // 2
    return x.narrow(axis, 0, half), x.narrow(axis, half, half), x.narrow(axis, 2 * half, x.shape[axis] % 2)


def _maxmin(node: Node, inputs: list[Tensor]) -> Values:
    axis = _axis(node)
    first, second, rest = _halves(inputs[0], axis)
    return exact(torch.cat([torch.maximum(first, second), torch.minimum(first, second), rest], axis))


def _groups(node: Node, x: Tensor) -> Tensor:
    return x.unflatten(_axis(node), (-1, node.attributes["group_size"]))


def _group_sort(node: Node, inputs: list[Tensor]) -> Values:
    axis = _axis(node)
    return exact(_groups(node, inputs[0]).sort(axis + 1).values.flatten(axis, axis + 1))


def _maxout(node: Node, inputs: list[Tensor]) -> Values:
    return exact(_groups(node, inputs[0]).amax(_axis(node) + 1))


def _beta_abs(node: Node, inputs: list[Tensor]) -> Values:
    x, axis, count = inputs[0], _axis(node), node.attributes["count"]
    return exact(torch.cat([x.narrow(axis, 0, count).abs(), x.narrow(axis, count, x.shape[axis] - count)], axis))


def _prelu(node: Node, inputs: list[Tensor]) -> Values:
    x = inputs[0]
    slope = _along(stored(node, "slope", x), 1, x)
    return rounded(torch.where(x > 0, x, slope * x), 1)


def _n_activation(node: Node, inputs: list[Tensor]) -> Values:
    x, axis = inputs[0], _axis(node)
    low, high = _along(stored(node, "thresholds", x).sort(0).values, axis, x)
    return rounded(torch.where(x < low, x - 2 * low, torch.where(x < high, -x, x - 2 * high)), 1)


def _soft_huber(node: Node, inputs: list[Tensor]) -> Values:
    # A hypotenuse within a unit, a sum, a quotient and a product of numbers of one sign.
    x, delta = inputs[0], node.attributes["delta"]
    return rounded(x * (x / (delta + torch.hypot(x, torch.full_like(x, delta)))), 8)


def _householder(node: Node, inputs: list[Tensor]) -> Values:
    x, axis = inputs[0], _axis(node)
    first, second, _ = _halves(x, axis)
    angle = _along(stored(node, "angle", x), axis, x)
    sine, cosine = torch.sin(angle / 2), torch.cos(angle / 2)
    twice = 2 * torch.relu(first * sine - second * cosine)
    y = torch.cat([first - twice * sine, second + twice * cosine], axis)
    # Sine and cosine within 4 units, three roundings in the product with the normal, two after it; times 2 sqrt 2.
    return y, sample_norms(x) * gamma(64)


def _householder2(node: Node, inputs: list[Tensor]) -> Values:
    x, axis = inputs[0], _axis(node)
    first, second, _ = _halves(x, axis)
    angle = _along(stored(node, "angle", x), axis, x) / 2
    (c0, ca, cb), (s0, sa, sb) = torch.cos(angle), torch.sin(angle)
    sa, sb = sa.abs(), sb.abs()
    u, v = first * c0 + second * s0, second * c0 - first * s0
    kept = (v >= 0) & (u * sa - v * ca > 0)
    mirrored = (v < 0) & (u * sb - v * cb >= 0)
    turned = v * (ca * cb - sa * sb) - u * (sa * cb + ca * sb) >= 0
    c, s = torch.where(turned, cb * cb - sb * sb, ca * ca - sa * sa), torch.where(turned, 2 * sb * cb, 2 * sa * ca)
    p, q = c * u + s * v, torch.where(turned, c * v - s * u, s * u - c * v)
    p, q = torch.where(kept | mirrored, u, p), torch.where(kept, v, torch.where(mirrored, -v, q))
    y = torch.cat([p * c0 - q * s0, p * s0 + q * c0], axis)
    # In units of |z|: sines and cosines within 4, (u, v) within 10, (c, s) within 14, (p, q) within 30, the image
    # within 50. A sector is mistaken only within 40 of its border, where neighbouring pieces differ by at most 80.
    return y, sample_norms(x) * gamma(256)


ACTIVATIONS: dict[str, Rule] = {
    "abs": lambda n, v: exact(v[0].abs()),
    "beta_abs": _beta_abs,
    "group_sort": _group_sort,
    "householder": _householder,
    "householder2": _householder2,
    "leaky_relu": lambda n, v: rounded(torch.nn.functional.leaky_relu(v[0], n.attributes["slope"]), 1),
    "maxmin": _maxmin,
    "maxout": _maxout,
    "n_activation": _n_activation,
    "prelu": _prelu,
    "relu": lambda n, v: exact(torch.relu(v[0])),
    "soft_huber": _soft_huber,
}
"""Operations by name."""
