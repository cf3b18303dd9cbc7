"""Certified accuracy while training: the certificate's formula on the logits at hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onelip.bounds import lipschitz_bound


class CertifiedCount:
    """Count the samples whose prediction is right and stays so in the l2 ball of a radius.

    The constant is proved once, from the weights at the first batch. Unlike a certificate, the logits are taken as
    computed, without a bound of their rounding error.

    Args:
        model: Maps images to logits.
        radius: l2 radius, in units of the pixels.
    """

    def __init__(self, model: nn.Module, radius: float) -> None:
        self._model = model
        self._radius = radius
        self._constant: float | None = None
        self._n_certified = 0
        self._n = 0

    def add(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Args:
            images: `(B, ...)`.
            logits: The model's output for them, `(B, n_classes)`.
            labels: `(B,)` int64.
        """
        if self._constant is None:
            self._constant = lipschitz_bound(self._model, tuple(images.shape[1:])).value
        right = logits.gather(1, labels[:, None])[:, 0]
        others = logits.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
        self._n_certified += int(((right - others) / (2**0.5 * self._constant) > self._radius).sum())
        self._n += len(labels)

    def fraction(self) -> float:
        """Give the share of certified samples.

        Returns:
            Between 0 and 1.
        """
        return self._n_certified / self._n
