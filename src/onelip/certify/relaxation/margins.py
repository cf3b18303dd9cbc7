"""Margins and radii of ordinary networks by linear relaxation, proved in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from onelip.certify.records import Network
from onelip.certify.relaxation.backward import BUDGET, Enclosures, Method
from onelip.certify.relaxation.program import Program, rewrite
from onelip.certify.relaxation.region import Norm, make_region, values_at
from onelip.certify.relaxation.steps import Slopes
from onelip.certify.values import Values
from onelip.linalg import unknown_name

Relaxation = Literal["crown", "kw", "crown-ibp", "ibp"]

_PARTS: dict[str, tuple[Method, Slopes]] = {
    "crown": ("crown", "adaptive"),
    "kw": ("crown", "parallel"),
    "crown-ibp": ("crown-ibp", "adaptive"),
    "ibp": ("ibp", "adaptive"),
}


@dataclass(frozen=True)
class Options:
    """How margins are bounded.

    Attributes:
        norm: Of the balls.
        method: Of `relaxed_margins`.
        constants: Use the constants of operations?
    """

    norm: Norm
    method: Relaxation
    constants: bool


def relaxed_margins(
    network: Network,
    images: Tensor,
    labels: Tensor,
    radius: float | Tensor,
    *,
    norm: Norm = "l2",
    method: Relaxation = "crown",
    constants: bool = True,
) -> Tensor:
    """Bound how far the label's logit stays above each other one in balls around samples.

    Each ReLU (leaky ReLU, absolute value, MaxMin, GroupSort of pairs, max pooling) is enclosed between two lines over
    what its input can be; going back through the network, z_t - z_j is then at least an affine function of the
    input, whose minimum over a ball is known: <a, x> + b - radius ||a||, with the dual norm. With `constants`, the
    same is done at each value on the way, over the l2 ball in which its Lipschitz constant keeps it, and the best is
    taken: so the result is at least what the constant of the network proves. All roundings are bounded outward, see
    docs/proofs.md, section 14.

    Args:
        network: A frozen network, such as `certificate.network`.
        images: `(N, ...)` floating point samples, taken as exact.
        labels: `(N,)` int64.
        radius: One for all, or `(N,)`; in the norm and the units of the input.
        norm: "l2" or "linf". Balls are not cut at a box of pixels.
        method: How the inputs of the activations are enclosed, and by which lines. "crown": by going back from each;
            the line below a ReLU has slope 1 or 0. "kw": by going back from each; it has the slope of the chord.
            "crown-ibp": by boxes. "ibp": by boxes, and the logits, too, from the last activation on.
        constants: Use the constants of the network's operations? Pass False if they are estimates, or for the plain
            method of the paper.

    Returns:
        `(N, n_classes)` float64, lower bounds of z_t - z_j for all inputs of the ball; inf for j = t, and -inf where
        nothing could be shown.

    Raises:
        UnrelaxableOperation: If the network has an operation without a relaxation.
        ValueError: If an argument is out of range.

    Cost:
        One pass through the network for each of its activations with "crown" and "kw", for each logit otherwise.

    Paper:
        Wong and Kolter 2018, arXiv:1711.00851; Zhang et al. 2018, arXiv:1811.00866; Zhang et al. 2020,
        arXiv:1906.06316.
    """
    program = checked(network, images, labels, Options(norm, method, constants))
    radii = torch.as_tensor(radius, dtype=torch.float64).cpu().expand(len(images))
    if not bool((radii >= 0).all()):
        raise ValueError(f"radius={radius} in relaxed_margins must be at least 0")
    found = []
    for part, values in evaluated(program, images):
        found.append(margins_of(program, values, labels[part].cpu(), radii[part], Options(norm, method, constants)))
    return torch.cat(found)


def checked(network: Network, images: Tensor, labels: Tensor, options: Options) -> Program:
    """Check what a relaxation is asked for, and rewrite the network.

    Args:
        network: A frozen network.
        images: `(N, ...)` samples.
        labels: `(N,)` classes.
        options: Norm and method.

    Returns:
        The rewritten network.

    Raises:
        ValueError: If something does not fit.
    """
    for kind, value, allowed in (("norm", options.norm, get_args(Norm)), ("method", options.method, tuple(_PARTS))):
        if value not in allowed:
            raise ValueError(unknown_name(kind, value, allowed))
    if tuple(images.shape[1:]) != tuple(network.input_shape) or not images.is_floating_point():
        raise ValueError(
            f"images of shape {tuple(images.shape)} and {images.dtype} do not fit the network; they must be floating "
            f"point, of shape {('N', *network.input_shape)}"
        )
    program = rewrite(network)
    shape = program.output_shape
    if len(shape) != 1 or shape[0] < 2:
        raise ValueError(f"network with an output of shape {shape} has no logits of at least two classes")
    if labels.shape != images.shape[:1] or bool(((labels < 0) | (labels >= shape[0])).any()):
        raise ValueError(
            f"labels of shape {tuple(labels.shape)} must be {len(images)} classes from 0 to {shape[0] - 1}"
        )
    return program


def evaluated(program: Program, images: Tensor) -> Iterator[tuple[slice, dict[str, Values]]]:
    """Evaluate a network at samples, as many at a time as fit into the memory that functionals may take.

    Args:
        program: The rewritten network.
        images: `(N, ...)`.

    Yields:
        Which samples, and the values there.
    """
    size = max(1, min(128, BUDGET // (program.output_shape[0] * program.largest)))
    for start in range(0, len(images), size):
        part = slice(start, start + size)
        yield part, values_at(program, images[part].detach().to("cpu", torch.float64))


def margins_of(program: Program, values: dict[str, Values], labels: Tensor, radii: Tensor, options: Options) -> Tensor:
    """Bound margins of samples that the network was evaluated at.

    Args:
        program: The rewritten network.
        values: From `evaluated`.
        labels: `(N,)`.
        radii: `(N,)` float64.
        options: Norm and method.

    Returns:
        `(N, n_classes)` as from `relaxed_margins`.
    """
    method, slopes = _PARTS[options.method]
    region = make_region(program, values, radii, options.norm, options.constants)
    # Row j of a sample is e_t - e_j.
    unit = torch.eye(program.output_shape[0], dtype=torch.float64)
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=False):
        enclosures = Enclosures(program, region, method, slopes, options.constants)
        enclosures.enclose()
        margins = enclosures.lower_bounds(program.output, unit[labels][:, None] - unit)
    margins[torch.arange(len(labels)), labels] = math.inf
    return margins
