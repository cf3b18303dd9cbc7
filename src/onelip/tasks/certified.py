"""Certified accuracy while training: the certificate's formula on the logits at hand."""

from __future__ import annotations

import math

import torch
from torch import Tensor, fx, nn

from onelip.bounds import NetworkBound
from onelip.bounds.dense_head import dense_head
from onelip.bounds.network import Analysis, analyse
from onelip.bounds.registry import Norm
from onelip.bounds.tracing import Traced, trace
from onelip.certify.radius import joined_slopes, pair_slopes
from onelip.layers import to_plain


class CertifiedCount:
    """Count the samples whose prediction is right and stays so in the ball of a radius.

    The constant is proved once, from the weights at the first batch. Unlike in a certificate, the logits are taken as
    computed, without a bound of their rounding error.

    Args:
        model: Maps images to logits.
        radius: Of the ball, in units of the pixels.
        norm: Of the ball, "l2" or "linf".
    """

    def __init__(self, model: nn.Module, radius: float, norm: Norm = "l2") -> None:
        self._model = model
        self._radius = radius
        self._norm = norm
        self._slopes: Tensor | None = None
        self._n_certified = 0
        self._n = 0

    def add(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Args:
            images: `(B, ...)`.
            logits: The model's output for them, `(B, n_classes)`.
            labels: `(B,)` int64.
        """
        if self._slopes is None:
            slopes = _slopes(self._model, tuple(images.shape[1:]), self._norm, logits.shape[1])
            self._slopes = slopes.to(logits.device, torch.float64 if logits.device.type != "mps" else torch.float32)
        wide = logits.to(self._slopes.dtype)
        # A lead over a class whose difference is constant holds everywhere.
        leads = wide.gather(1, labels[:, None]) - wide
        sure = (leads > self._radius * self._slopes[labels]).scatter(1, labels[:, None], True)
        right = ~wide.isnan().any(1) & (leads.scatter(1, labels[:, None], math.inf) > 0).all(1)
        self._n_certified += int((sure.all(1) & right).sum())
        self._n += len(labels)

    def fraction(self) -> float:
        """Give the share of certified samples.

        Returns:
            Between 0 and 1.
        """
        return self._n_certified / self._n


def _slopes(model: nn.Module, shape: tuple[int, ...], norm: Norm, n_classes: int) -> Tensor:
    # Constants of all differences of logits, as in a certificate.
    model = model if norm == "l2" else to_plain(model)
    traced = trace(model)
    analysis = analyse(traced, shape, norm)
    head = linear_head(model, analysis.total)
    if head is not None:
        return pair_slopes(head[0], n_classes, head[1], norm)
    parts = _joined(traced, analysis)
    return joined_slopes(parts, norm) if parts else pair_slopes(analysis.total.value, n_classes, None, norm)


def _joined(traced: Traced, analysis: Analysis) -> list[tuple[int, float]]:
    # How many logits each branch gives that the network ends with, and its constant.
    output = next(node for node in traced.graph.nodes if node.op == "output").args[0]
    if not isinstance(output, fx.Node) or output.target is not torch.cat:
        return []
    facts = [analysis.nodes.get(node.name) for node in output.all_input_nodes]
    known = [f for f in facts if f is not None]
    sizes = [math.prod(f.output_shape) for f in known]
    # The same value twice, or the input itself, is left to the certificate.
    whole = len(known) == len(facts) and sum(sizes) == math.prod(analysis.nodes[output.name].output_shape)
    return [(n, f.cumulative.value) for n, f in zip(sizes, known, strict=True)] if whole else []


def linear_head(model: nn.Module, bound: NetworkBound) -> tuple[float, Tensor] | None:
    """Find the dense layer that a chain of modules ends with.

    Args:
        model: The network.
        bound: Its constant, with a row for each module.

    Returns:
        The constant of what comes before it, and its rows `(n_classes, features)`; None if the network ends otherwise.
    """
    if not isinstance(model, nn.Sequential):
        return None
    modules = dict(model.named_modules())
    head = dense_head([modules.get(layer.name) for layer in bound.layers])
    if head is None:
        return None
    constant = bound.layers[head.index - 1].cumulative.value if head.index else 1.0
    return constant, head.rows().detach()
