"""What each activation computes, as an operation of a frozen network."""

from __future__ import annotations

from typing import Any

from torch import nn

from onelip import layers
from onelip.certify.export_modules import Operation, Shape, register_exporter, sample_axis


def _relu(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("relu")


def _leaky_relu(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("leaky_relu", {"slope": float(module.negative_slope)})


def _prelu(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("prelu", {}, {"slope": module.weight})


def _abs(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("abs")


def _beta_abs(module: Any, before: Shape, after: Shape) -> Operation:
    axis = sample_axis(module.dim, before)
    return Operation("beta_abs", {"axis": axis, "count": module.folded(before[axis])})


def _maxmin(module: Any, before: Shape, after: Shape) -> Operation:
    # A certificate is about real arithmetic, in which its form with ReLU is the same function.
    return Operation("maxmin", {"axis": sample_axis(module.dim, before)})


def _group_sort(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("group_sort", {"axis": sample_axis(module.dim, before), "group_size": module.group_size})


def _maxout(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("maxout", {"axis": sample_axis(module.dim, before), "group_size": module.group_size})


def _householder(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("householder", {"axis": sample_axis(module.dim, before)}, {"angle": module.angle})


def _householder2(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("householder2", {"axis": sample_axis(module.dim, before)}, {"angle": module.angle})


def _n_activation(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("n_activation", {"axis": sample_axis(module.dim, before)}, {"thresholds": module.thresholds})


def _soft_huber(module: Any, before: Shape, after: Shape) -> Operation:
    return Operation("soft_huber", {"delta": module.delta})


register_exporter(_relu, nn.ReLU)
register_exporter(_leaky_relu, nn.LeakyReLU)
register_exporter(_prelu, nn.PReLU)
register_exporter(_abs, layers.Abs)
register_exporter(_beta_abs, layers.BetaAbs)
register_exporter(_maxmin, layers.MaxMin, layers.MaxMinReLU)
register_exporter(_group_sort, layers.GroupSort)
register_exporter(_maxout, layers.Maxout)
register_exporter(_householder, layers.HouseHolder)
register_exporter(_householder2, layers.HouseHolder2)
register_exporter(_n_activation, layers.NActivation)
register_exporter(_soft_huber, layers.SoftHuber)
