"""Run a certified network as its certificate says."""

from __future__ import annotations

import torch
from torch import Tensor

from onelip.certify.certificate import Certificate
from onelip.certify.forward import evaluate


def run(certificate: Certificate, images: Tensor) -> Tensor:
    """Compute the logits of the frozen network in float64, each operation as it is stored.

    This is an evaluation as certificates with semantics "executed-float64" speak of: within the certified radius of a
    sample, the largest of these logits is that of its label, whatever the device, the batch and the order in which sums
    are taken. A program of one's own has that guarantee too if it computes every stored operation in float64 with IEEE
    rounding (no flushing of denormals), convolutions and products as sums of products (neither Winograd's nor Fourier's
    method, no TF32), and elementary functions within a few units.

    Args:
        certificate: Of the network.
        images: `(N, ...)` pixels in the units of the radii, floating point: stored values divided by the scale.

    Returns:
        `(N, n_classes)` float64 logits on the device of the images; the prediction is the position of the largest.

    Raises:
        ValueError: If the images have another shape than the certified ones, or are not floating point.
    """
    shape = certificate.network.input_shape
    if tuple(images.shape[1:]) != shape or not images.is_floating_point():
        raise ValueError(
            f"images of {images.dtype} and shape {tuple(images.shape)} in run must be floating-point pixels of shape "
            f"{('N', *shape)}"
        )
    with torch.autocast(images.device.type, enabled=False):
        return evaluate(certificate.network, images.to(torch.float64))[0]
