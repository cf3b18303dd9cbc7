"""Verify a certificate from its files alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import gamma
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import Head, Measured, count_steps, evaluate, find_head, measure
from onelip.certify.checker.files import (
    ARCHITECTURE,
    SAMPLES,
    WEIGHTS,
    Arrays,
    parse_json,
    read_certificate,
    read_files,
    unpack_arrays,
)
from onelip.certify.checker.network import Array, hexadecimal, read_graph

CONSTANT_TOLERANCE = 1e-6
"""How far the checker's own constant may exceed the claimed one, since the two are proved in different ways. Radii
have no tolerance: none may exceed the checker's own."""

LARGEST_RADIUS = 1e12
"""Infinite radii are written as this."""

BATCH = 64

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Verification:
    """What came of checking a certificate.

    Attributes:
        ok: Does it hold?
        proved: Does it claim a proof, rather than an estimate?
        messages: One sentence if it does not hold, else what was checked, one sentence each.
        n_samples: Samples whose radii were checked.
        lipschitz_claimed: The certificate's constant of the whole network.
        lipschitz_proved: The checker's own.
        constant_tolerance: By what share the latter may exceed the former.
        least_slack: Smallest share by which a positive claimed radius is below the checker's own.
    """

    ok: bool
    proved: bool
    messages: tuple[str, ...]
    n_samples: int
    lipschitz_claimed: float
    lipschitz_proved: float
    constant_tolerance: float
    least_slack: float

    def __str__(self) -> str:
        return "; ".join(self.messages)


def verify(path: str | Path, progress: Progress | None = None) -> Verification:
    """Prove everything that a certificate claims again, with code of its own.

    Hashes are compared first. Then the constant of every operation is proved from the stored weights, the logits of
    every sample are computed in float64 with a bound of the rounding error, and every radius is derived again. None
    of this uses torch or any module of this library outside of the checker. It does not establish who wrote the
    certificate, nor that the weights are those of a network in use.

    Args:
        path: `certificate.json`, or the folder that holds it.
        progress: Called as `progress(done, total)` with numbers of samples.

    Returns:
        The outcome; a certificate that does not hold gives `ok=False` and one sentence, never an exception.
    """
    file = Path(path)
    file = file / "certificate.json" if file.is_dir() else file
    try:
        # What overflows is compared as infinite or as NaN, and so refused.
        with np.errstate(all="ignore"):
            return _verified(file, progress)
    except VerificationError as error:
        sentence = str(error)
    except RecursionError:
        sentence = f"{file} or {ARCHITECTURE} is nested too deeply"
    return Verification(False, False, (sentence,), 0, math.nan, math.nan, CONSTANT_TOLERANCE, math.nan)


def _verified(file: Path, progress: Progress | None) -> Verification:
    values = read_certificate(file)
    contents = read_files(file.parent, values["files"])
    graph = read_graph(
        parse_json(contents[ARCHITECTURE], ARCHITECTURE), unpack_arrays(contents[WEIGHTS], WEIGHTS), values["constants"]
    )
    images, labels = _samples(unpack_arrays(contents[SAMPLES], SAMPLES), values, graph.input_shape)
    claims = _Claims.read(values, labels)
    measured = measure(graph, 0.5 * CONSTANT_TOLERANCE / count_steps(graph) if graph.steps else 0.0)
    proved = measured.cumulative[graph.output]
    if not proved <= claims.constant * (1 + CONSTANT_TOLERANCE):
        raise VerificationError(
            f"the claimed Lipschitz constant {claims.constant!r} could not be proved; this checker proves {proved!r}"
        )
    slack = _check_radii(measured, images, claims, progress)
    status = "proved" if claims.proved else "claimed as an ESTIMATE, NOT PROVED by its author"
    messages = (
        f"the certificate holds: {len(labels)} radii and the Lipschitz constant {proved:.9g}, {status}, "
        f"were derived again from the stored weights",
        f"radii are at most this checker's own, the constant within a factor 1 + {CONSTANT_TOLERANCE:g}",
    )
    return Verification(True, claims.proved, messages, len(labels), claims.constant, proved, CONSTANT_TOLERANCE, slack)


@dataclass(frozen=True, eq=False)
class _Claims:
    """What the certificate says, read strictly."""

    constant: float
    proved: bool
    head: dict[str, Any]
    labels: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    radii: Array
    accuracy: float
    certified: dict[str, Any]

    @classmethod
    def read(cls, values: dict[str, Any], labels: npt.NDArray[np.int64]) -> _Claims:
        try:
            constant = hexadecimal(values["lipschitz"]["value"])
            proved, decimal = values["lipschitz"]["proved"], values["lipschitz"]["decimal"]
            _same(decimal if constant < math.inf else math.inf, constant, "the decimal form of the constant")
            radii = np.array([hexadecimal(r) for r in values["radii"]], dtype=np.float64)
            predictions = _integers(values["predictions"], "predictions")
            claimed_labels = _integers(values["labels"], "labels")
            head = {key: values["head"][key] for key in ("kind", "node", "constant")}
        except (KeyError, TypeError) as error:
            raise VerificationError(f"certificate.json is malformed: {type(error).__name__} {error}") from error
        if type(proved) is not bool:
            raise VerificationError("certificate.json does not say whether its constant is proved")
        if not len(radii) == len(predictions) == len(claimed_labels) == values["samples"] == len(labels):
            raise VerificationError("certificate.json and samples.safetensors differ in the number of samples")
        if not np.array_equal(claimed_labels, labels):
            raise VerificationError("the labels in certificate.json are not those in samples.safetensors")
        if not ((radii >= 0) & (radii <= LARGEST_RADIUS)).all():
            raise VerificationError(f"radii must be numbers from 0 to {LARGEST_RADIUS:g}")
        expected = claim(proved, constant, predictions == labels, radii)
        if values["claim"] != expected:
            raise VerificationError(f"the claim of certificate.json must read {expected!r}")
        numbers = values["accuracy"], values["certified_accuracy"]
        return cls(constant, proved, head, labels, predictions, radii, *numbers)


def claim(proved: bool, constant: float, right: npt.NDArray[np.bool_], radii: Array) -> str:
    """Say in one sentence what a certificate is about.

    Args:
        proved: Is the constant proved?
        constant: The Lipschitz constant.
        right: `(N,)` which samples are classified rightly.
        radii: `(N,)` certified radii.

    Returns:
        The sentence.
    """
    status = "PROVED" if proved else "ESTIMATE, NOT PROVED"
    return (
        f"{status}: l2 Lipschitz constant {constant:.9g}; {len(radii)} samples, accuracy {right.mean():.4f}, "
        f"certified {(radii > 36 / 255).mean():.4f} at l2 radius 36/255"
    )


def _integers(values: Any, name: str) -> npt.NDArray[np.int64]:
    if not isinstance(values, list) or not all(type(v) is int and abs(v) < 2**62 for v in values):
        raise VerificationError(f"{name} in certificate.json must be a list of integers")
    return np.array(values, dtype=np.int64)


def _same(given: Any, expected: float, what: str) -> None:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given != expected:
        raise VerificationError(f"{what} is {given!r} but follows as {expected!r}")


def _samples(arrays: Arrays, values: dict[str, Any], shape: tuple[int, ...]) -> tuple[Array, npt.NDArray[np.int64]]:
    if set(arrays) != {"images", "labels"}:
        raise VerificationError(f"samples.safetensors holds {sorted(arrays)} instead of images and labels")
    images, labels = arrays["images"], arrays["labels"]
    if images.dtype not in (np.uint8, np.float32) or images.shape[1:] != shape or len(images) == 0:
        raise VerificationError(f"images of {images.dtype} and shape {images.shape} do not fit the input {shape}")
    if labels.dtype != np.int64 or labels.shape != (len(images),):
        raise VerificationError(f"labels of {labels.dtype} and shape {labels.shape} do not fit {len(images)} images")
    described = values["input"]
    scale = np.float32(hexadecimal(described.get("scale")))
    if described.get("dtype") != str(images.dtype) or described.get("shape") != list(shape):
        raise VerificationError(f"input={described} in certificate.json does not fit the samples")
    if not (scale > 0 and np.isfinite(scale)):
        raise VerificationError(f"scale={scale} in certificate.json must be positive")
    pixels = (images.astype(np.float32) / scale).astype(np.float64)
    if not np.isfinite(pixels).all():
        raise VerificationError("a pixel of samples.safetensors is not finite")
    return pixels, labels


def _check_radii(measured: Measured, images: Array, claims: _Claims, progress: Progress | None) -> float:
    shape = measured.shapes[measured.graph.output]
    if len(shape) != 1 or shape[0] < 2:
        raise VerificationError(f"the network maps a sample to shape {shape}, not to at least two logits")
    if not ((claims.labels >= 0) & (claims.labels < shape[0])).all():
        raise VerificationError(f"labels must be classes from 0 to {shape[0] - 1}")
    head = find_head(measured, shape[0])
    _check_head(head, claims.head)
    least = math.inf
    for start in range(0, len(images), BATCH):
        part = slice(start, start + BATCH)
        logits, errors = evaluate(measured, images[part])
        _check_predictions(logits, errors, claims.predictions[part], start)
        radii = _radii(logits, errors, claims.labels[part], head)
        excess = claims.radii[part] > radii
        if excess.any():
            i = int(np.argmax(excess))
            claimed = float(claims.radii[start + i])
            raise VerificationError(
                f"the radius {claimed!r} of sample {start + i} could not be proved; this checker proves {radii[i]!r}"
            )
        positive = claims.radii[part] > 0
        if positive.any():
            least = min(least, float((1 - claims.radii[part] / np.maximum(radii, 1e-300))[positive].min()))
        if progress is not None:
            progress(min(start + BATCH, len(images)), len(images))
    _check_summary(claims)
    return least


def _check_head(head: Head, claimed: dict[str, Any]) -> None:
    if (head.kind, head.node) != (claimed["kind"], claimed["node"]):
        raise VerificationError(f"head={claimed['kind']!r} at {claimed['node']!r} is {head.kind!r} at {head.node!r}")
    if not head.constant <= hexadecimal(claimed["constant"]) * (1 + CONSTANT_TOLERANCE):
        raise VerificationError(f"the constant before the head could not be proved; it is at most {head.constant!r}")


def _check_predictions(logits: Array, errors: Array, claimed: npt.NDArray[np.int64], start: int) -> None:
    sound = np.isfinite(logits).all(1) & np.isfinite(errors)
    rows = np.arange(len(logits))
    for i in rows:
        if not sound[i]:
            if claimed[i] != -1:
                raise VerificationError(
                    f"the prediction of sample {start + i} must be -1, as its logits are not finite"
                )
            continue
        if not 0 <= claimed[i] < logits.shape[1] or logits[i].max() - logits[i, claimed[i]] > 4 * errors[i]:
            raise VerificationError(
                f"the prediction of sample {start + i} is {int(logits[i].argmax())}, not {int(claimed[i])}"
            )


def _radii(logits: Array, errors: Array, labels: npt.NDArray[np.int64], head: Head) -> Array:
    rows = np.arange(len(logits))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        margins = logits[rows, labels][:, None] - logits
        margins = margins - np.abs(margins) * gamma(4) - 2 * errors[:, None] * (1 + gamma(8))
        radii = np.where(margins > 0, margins / head.slopes[labels] * (1 - gamma(4)), 0.0)
    radii[rows, labels] = np.inf
    least = np.minimum(radii.min(1), LARGEST_RADIUS)
    sound = np.isfinite(logits).all(1) & np.isfinite(errors) & ~np.isnan(least)
    result: Array = np.where(sound, least, 0.0)
    return result


def _check_summary(claims: _Claims) -> None:
    _same(claims.accuracy, float((claims.predictions == claims.labels).mean()), "the accuracy")
    for key, value in claims.certified.items():
        try:
            radius = float(key)
        except ValueError as error:
            raise VerificationError(f"certified_accuracy has the key {key!r}, which is no radius") from error
        _same(value, float((claims.radii > radius).mean()), f"the certified accuracy at {key}")
