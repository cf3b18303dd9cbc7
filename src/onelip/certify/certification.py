"""Freeze a network, prove its constant, and certify samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from onelip.bounds.registry import checked_norm
from onelip.certify.certificate import Certificate, now
from onelip.certify.checker.files import EXECUTED, SEMANTICS
from onelip.certify.executed import error_growth, executed_errors, growth_of
from onelip.certify.export import freeze
from onelip.certify.forward import evaluate, prepare
from onelip.certify.head import find_head
from onelip.certify.limits import beyond_limits
from onelip.certify.radius import class_radii
from onelip.certify.records import Network, named_tensors
from onelip.certify.tightened import tightened
from onelip.layers import to_plain
from onelip.layers.plain import evaluating

AGREEMENT = 1e-3
"""How far, relative to the largest logit, the model's own output may be from that of the frozen network. Larger
differences than float32 rounding mean that they are not the same function."""

Progress = Callable[[int, int], None]


class CertificationError(ValueError):
    """A model or its samples cannot be certified.

    Args:
        message: One sentence.
    """


def certify(
    model: nn.Module,
    images: Tensor | npt.NDArray[Any],
    labels: Tensor | npt.NDArray[Any],
    *,
    scale: float = 1.0,
    norm: str = "l2",
    semantics: str = "real",
    batch_size: int = 64,
    allow_estimates: bool = False,
    search_steps: int | None = None,
    progress: Progress | None = None,
) -> Certificate:
    """Certify the predictions of a network in balls around samples.

    The model is rebuilt of plain modules, whose stored numbers are what the certificate is about; its Lipschitz
    constant is proved; logits are computed in float64 with a proved bound of their rounding error; radii are as in
    `class_radii`. The model itself is left alone.

    Two semantics. "real": the claim is about the function of the stored numbers in real arithmetic, of which every
    program computes an approximation. "executed-float64": it is about what is computed, for every float64 input in the
    ball and every float64 evaluation of the frozen operations with IEEE rounding, sums of products taken as such in
    any order, fused or not (direct and matrix-product convolutions; neither Winograd's nor fast Fourier transforms),
    as `onelip.certify.run` does it. Radii shrink by the rounding error in the whole ball; they become 0 where it could
    change the prediction.

    Args:
        model: A classifier that maps `(N, ...)` images to `(N, n_classes)` logits.
        images: `(N, ...)` uint8, or floating point (stored as float32). Pixels are float32(images) / float32(scale).
        labels: `(N,)` integers.
        scale: Stored value of a pixel of 1, such as 255 for bytes.
        norm: "l2", or "linf" for the largest change of a pixel; the latter needs layers with a rule in l_inf.
        semantics: "real" or "executed-float64".
        batch_size: Samples evaluated at a time.
        allow_estimates: Accept constants that are estimates? The certificate then says so on its first line.
        search_steps: Gradient steps towards the smallest constants of runs of dense layers, in l2, which radii are
            divided by where they are below the products; 0 for a closed form, None for as many as take seconds.
        progress: Called as `progress(done, total)` with numbers of samples.

    Returns:
        The certificate.

    Raises:
        CertificationError: If the constant contains an estimate and `allow_estimates` is false, the frozen network
            is not the same function as the model, or one of its numbers is NaN or infinite.
        ValueError: If an argument is out of range, or the model has a part that cannot be certified.
    """
    stored, targets = _checked_images(images), _checked_labels(labels)
    pixels = to_pixels(stored, scale)
    _check_options(stored, targets, semantics, batch_size)
    kind = checked_norm(norm, "certify")
    plain = to_plain(model)
    frozen = freeze(plain, tuple(stored.shape[1:]), kind, tighten=True, search_steps=search_steps)
    bound = frozen.in_norm.total
    if not bound.proved and not allow_estimates:
        raise CertificationError(
            f"the Lipschitz constant {bound.method}; use layers with proved bounds, or allow_estimates=True for a "
            f"certificate that says it is not proved"
        )
    _check_numbers(frozen.network)
    _check_agreement(plain, frozen.network, pixels[:2])
    executed = growth_of(frozen.network) if semantics == EXECUTED else None
    network = frozen.network if executed is None else executed.network
    logits, errors = _evaluate(network, pixels, _device(plain), batch_size, progress)
    _check_logits(logits, targets)
    head = find_head(frozen)
    shorter = tightened(frozen.network, frozen.in_norm.segments)
    slopes = shorter.slopes(frozen.network, head, head.slopes(logits.shape[1], kind))
    growth = 0.0 if executed is None else error_growth(executed, kind)
    enough = errors if executed is None else executed_errors(errors, torch.from_numpy(pixels))
    radii = class_radii(logits, enough, torch.from_numpy(targets), slopes + 2 * growth).numpy()
    known = torch.isfinite(logits).all(1) & torch.isfinite(errors)
    return Certificate(
        network=frozen.network,
        bound=replace(bound, tightened=shorter.below(bound.bound)),
        runs=shorter.to_json(),
        semantics=semantics,
        images=stored,
        scale=float(scale),
        labels=targets,
        predictions=torch.where(known, logits.argmax(1), -1).numpy(),
        radii=radii.min(1),
        class_radii=radii,
        pair_constants=slopes.numpy(),
        growth=growth,
        head=head.kind,
        head_constant=head.constant,
        head_node=head.node,
        constants=dict(_constants(frozen.network)),
        created=now(),
    )


def to_pixels(stored: npt.NDArray[Any], scale: float) -> npt.NDArray[np.float32]:
    """Turn stored values into the pixels that a certificate is about.

    Args:
        stored: uint8 or float32.
        scale: Stored value of a pixel of 1.

    Returns:
        float32(stored) / float32(scale), rounded to float32.

    Raises:
        ValueError: If `scale` is not a positive finite number in float32, or a pixel is NaN or infinite; the message
            has the index of its image.
    """
    with np.errstate(over="ignore"):
        single = np.float32(scale)
    if not (single > 0 and np.isfinite(single)):
        raise ValueError(f"scale={scale} in certify must be positive and finite")
    pixels = stored.astype(np.float32) / single
    finite = np.isfinite(pixels.reshape(len(pixels), -1)).all(1)
    if not finite.all():
        raise ValueError(f"images[{int(np.argmin(finite))}] in certify has a NaN or infinite pixel")
    return pixels


def _as_array(values: Tensor | npt.NDArray[Any]) -> npt.NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return np.asarray(values)


def _checked_images(images: Tensor | npt.NDArray[Any]) -> npt.NDArray[Any]:
    array = _as_array(images)
    if array.ndim < 2 or len(array) == 0:
        raise ValueError(f"images of shape {array.shape} in certify must be (N, ...) with N >= 1")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"images of {array.dtype} in certify must be uint8 or floating point")
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def _checked_labels(labels: Tensor | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    array = _as_array(labels)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"labels of shape {array.shape} and {array.dtype} in certify must be (N,) integers")
    return np.ascontiguousarray(array, dtype=np.int64)


def _check_options(images: npt.NDArray[Any], labels: npt.NDArray[np.int64], semantics: str, batch_size: int) -> None:
    if len(images) != len(labels):
        raise ValueError(f"labels of length {len(labels)} in certify must be as many as the {len(images)} images")
    if semantics not in SEMANTICS:
        raise ValueError(f"semantics={semantics!r} in certify must be {' or '.join(map(repr, SEMANTICS))}")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} in certify must be at least 1")


def _check_logits(logits: Tensor, labels: npt.NDArray[np.int64]) -> None:
    n_classes = logits.shape[1]
    wrong = (labels < 0) | (labels >= n_classes)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise ValueError(f"labels[{index}]={labels[index]} in certify must be a class from 0 to {n_classes - 1}")


def _device(model: nn.Module) -> torch.device:
    device = next((p.device for p in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    # Other accelerators have no float64.
    return device if device.type in ("cpu", "cuda") else torch.device("cpu")


def _evaluate(
    network: Network, pixels: npt.NDArray[np.float32], device: torch.device, batch_size: int, progress: Progress | None
) -> tuple[Tensor, Tensor]:
    logits, errors = [], []
    network = prepare(network, device)
    for start in range(0, len(pixels), batch_size):
        batch = torch.from_numpy(pixels[start : start + batch_size]).to(device, torch.float64)
        values, error = evaluate(network, batch)
        if values.dim() != 2 or values.shape[1] < 2:
            raise ValueError(
                f"model in certify must map images to (N, n_classes) logits of at least two classes, "
                f"not to {('N', *values.shape[1:])}"
            )
        logits.append(values.cpu())
        errors.append(error.cpu())
        if progress is not None:
            progress(min(start + batch_size, len(pixels)), len(pixels))
    return torch.cat(logits), torch.cat(errors)


def _check_numbers(network: Network) -> None:
    for name, tensor in named_tensors(network):
        if not bool(torch.isfinite(tensor).all()):
            raise CertificationError(
                f"{name} of the model has a NaN or infinite entry, so nothing about it can be certified"
            )
    extreme = beyond_limits(network)
    if extreme is not None:
        raise CertificationError(f"{extreme} is too extreme for a bound of the rounding error of the logits")


def _check_agreement(plain: nn.Module, network: Network, pixels: npt.NDArray[np.float32]) -> None:
    tensors = [t for t in [*plain.parameters(), *plain.buffers()] if t.is_floating_point()]
    dtype = tensors[0].dtype if tensors else torch.float32
    if dtype not in (torch.float32, torch.float64):
        return
    x = torch.from_numpy(pixels).to(_device(plain))
    with torch.no_grad(), evaluating(plain):
        theirs = plain(x.to(tensors[0].device if tensors else x.device, dtype)).double().cpu()
    ours = evaluate(network, x.double())[0].cpu()
    both = torch.isfinite(ours) & torch.isfinite(theirs)
    if ours.shape != theirs.shape or bool(((ours - theirs).abs() > AGREEMENT * (1 + ours.abs().max()))[both].any()):
        raise CertificationError(
            "the frozen network and the model give different logits, so the certificate would not be about the model; "
            "check modules that change torch's own ones"
        )


def _constants(network: Network, prefix: str = "") -> list[tuple[str, float]]:
    rows: list[tuple[str, float]] = []
    for node in network.nodes:
        rows.append((prefix + node.name, node.constant))
        if node.branch is not None:
            rows += _constants(node.branch, f"{prefix}{node.name}/")
    return rows
