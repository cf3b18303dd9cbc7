"""Certified accuracy while training: the certificate's formula on the logits at hand."""

from __future__ import annotations

from torch import Tensor, nn

from onelip.bounds import NetworkBound, lipschitz_bound
from onelip.bounds.dense_head import dense_head
from onelip.metrics import certified_radius


class CertifiedCount:
    """Count the samples whose prediction is right and stays so in the l2 ball of a radius.

    The constant is proved once, from the weights at the first batch. Unlike in a certificate, the logits are taken as
    computed, without a bound of their rounding error.

    Args:
        model: Maps images to logits.
        radius: l2 radius, in units of the pixels.
    """

    def __init__(self, model: nn.Module, radius: float) -> None:
        self._model = model
        self._radius = radius
        self._bound: NetworkBound | None = None
        self._head: tuple[float, Tensor] | None = None
        self._n_certified = 0
        self._n = 0

    def add(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Args:
            images: `(B, ...)`.
            logits: The model's output for them, `(B, n_classes)`.
            labels: `(B,)` int64.
        """
        if self._bound is None:
            self._bound = lipschitz_bound(self._model, tuple(images.shape[1:]))
            self._head = linear_head(self._model, self._bound)
        if self._head is None:
            radii = certified_radius(logits, labels, lipschitz=self._bound.value)
        else:
            constant, rows = self._head
            radii = certified_radius(logits, labels, lipschitz=constant, last_layer="pairwise", head=rows)
        self._n_certified += int((radii > self._radius).sum())
        self._n += len(labels)

    def fraction(self) -> float:
        """Give the share of certified samples.

        Returns:
            Between 0 and 1.
        """
        return self._n_certified / self._n


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
