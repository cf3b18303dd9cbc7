"""Images of a generator, with nothing of the training in them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from onelip.gan.latent import Latent

_BATCH = 256
"""Images made at a time."""


class GeneratorSampler:
    """The distribution of a generator's images: call it as `sampler(n, generator)`.

    It keeps a copy of the generator, in eval mode and without gradients: batch normalisation takes its running
    statistics, so that the images of a batch are independent of each other, and training the generator further does
    not change the distribution.

    Args:
        generator: Maps `(B, latent.size)` to images `(B, C, H, W)`.
        latent: Draws what images are made of.

    Attributes:
        generator: The copy.
        latent: What images are made of.
        shape: `(C, H, W)` of one image.
    """

    def __init__(self, generator: nn.Module, latent: Latent) -> None:
        self.generator = copy.deepcopy(generator).eval().requires_grad_(False)
        self.latent = latent
        self.shape = tuple(self.images(torch.zeros(1, latent.size)).shape[1:])

    def __call__(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw images.

        Args:
            n: How many.
            generator: Source of the latent numbers.

        Returns:
            `(n, C, H, W)` pixels in [0, 1], on the device of the generator of images.
        """
        return self.images(self.latent(n, generator))

    def images(self, latent: Tensor) -> Tensor:
        """Make the images of given latent numbers.

        Args:
            latent: `(n, latent.size)`.

        Returns:
            `(n, C, H, W)` pixels in [0, 1].
        """
        like = next(self.generator.parameters())
        with torch.no_grad():
            parts = [self.generator(z) for z in latent.to(like).split(_BATCH)]
        return torch.cat(parts)


@torch.no_grad()
def settle_batch_norm_(generator: nn.Module, latent: Latent, *, n: int = 4096, seed: int = 0) -> None:
    """Measure the statistics that batch normalisation uses in eval mode anew, as means over many images.

    Running statistics are those of the last few batches, of weights that have moved on, and of averaged weights they
    are unknown. They become the mean over batches of 256, or n, of this very generator. Modules without them are left
    alone.

    Args:
        generator: Maps `(B, latent.size)` to images; changed in place, left in eval mode.
        latent: Draws what images are made of.
        n: How many images to measure with, at least 2, rounded up to whole batches.
        seed: Of their latent numbers.

    Raises:
        ValueError: `n` is smaller.
    """
    if n < 2:
        raise ValueError(f"n={n} in settle_batch_norm_ must be at least 2")
    norms = [m for m in generator.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    generator.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # The mean of all batches, each counting alike.
    source, like = torch.Generator().manual_seed(seed), next(generator.parameters())
    size = min(n, _BATCH)
    for _ in range(-(-n // size)):
        generator(latent(size, source).to(like))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    generator.eval()
