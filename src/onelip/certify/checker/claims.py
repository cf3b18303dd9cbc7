"""What a certificate says, read strictly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.files import EXECUTED, Arrays
from onelip.certify.checker.network import Array, hexadecimal

LARGEST_RADIUS = 1e12
"""Infinite radii are written as this."""

CLAIMED_RADIUS = {"l2": ("36/255", 36 / 255), "linf": ("8/255", 8 / 255)}
"""The radius that a claim mentions, in each norm."""

MEANINGS = {
    "real": "the function of the stored numbers in real arithmetic",
    EXECUTED: "what any float64 evaluation of the frozen operations computes for any float64 input in the ball",
}
"""What the claim is about, for each semantics."""


@dataclass(frozen=True, eq=False)
class Samples:
    """What `samples.safetensors` holds.

    Attributes:
        pixels: `(N, ...)` float64.
        labels: `(N,)`.
        class_radii: `(N, n_classes)` claimed radii.
        pair_constants: `(n_classes, n_classes)` claimed constants of differences of logits.
    """

    pixels: Array
    labels: npt.NDArray[np.int64]
    class_radii: Array
    pair_constants: Array

    @classmethod
    def read(cls, arrays: Arrays, values: dict[str, Any], shape: tuple[int, ...]) -> Samples:
        """Check the arrays and turn stored values into pixels.

        Args:
            arrays: Of the file.
            values: Of `certificate.json`.
            shape: Of one input of the network.

        Returns:
            The samples.

        Raises:
            VerificationError: If anything does not fit.
        """
        names = {"images", "labels", "class_radii", "pair_constants"}
        if set(arrays) != names:
            raise VerificationError(f"samples.safetensors holds {sorted(arrays)} instead of {sorted(names)}")
        pixels, labels = _pixels_and_labels(arrays, values, shape)
        radii, constants = arrays["class_radii"], arrays["pair_constants"]
        n_classes = len(constants)
        if constants.dtype != np.float64 or constants.shape != (n_classes, n_classes) or constants.ndim != 2:
            raise VerificationError(f"pair_constants of shape {constants.shape} must be a square of float64")
        if radii.dtype != np.float64 or radii.shape != (len(labels), n_classes):
            raise VerificationError(
                f"class_radii of {radii.dtype} and shape {radii.shape} must be ({len(labels)}, {n_classes}) float64"
            )
        return cls(pixels, labels, radii, constants)


@dataclass(frozen=True, eq=False)
class Claims:
    """What `certificate.json` says.

    Attributes:
        constant: The Lipschitz constant of the network.
        proved: Is it said to be proved?
        tightened: The constant with runs of dense steps as a whole; None if the certificate names none.
        runs: Those runs, as they stand in the file.
        norm: Of the radii and the constant.
        semantics: What the claim is about.
        head: Its kind, node and constant.
        growth: Of the rounding error with the radius.
        labels: `(N,)`.
        predictions: `(N,)`.
        radii: `(N,)`, the least of each row of `class_radii`.
        class_radii: `(N, n_classes)`.
        pair_constants: `(n_classes, n_classes)`.
        accuracy: Share of right predictions.
        certified: Share of radii above the radius in each key.
    """

    constant: float
    proved: bool
    tightened: float | None
    runs: list[Any]
    norm: str
    semantics: str
    head: dict[str, Any]
    growth: float
    labels: npt.NDArray[np.int64]
    predictions: npt.NDArray[np.int64]
    radii: Array
    class_radii: Array
    pair_constants: Array
    accuracy: float
    certified: dict[str, Any]

    @classmethod
    def read(cls, values: dict[str, Any], samples: Samples) -> Claims:
        """Check that the values fit each other and the samples.

        Args:
            values: Of `certificate.json`.
            samples: The samples.

        Returns:
            The claims.

        Raises:
            VerificationError: If they contradict themselves.
        """
        labels = samples.labels
        try:
            constant = hexadecimal(values["lipschitz"]["value"])
            proved, decimal = values["lipschitz"]["proved"], values["lipschitz"]["decimal"]
            same(decimal if constant < math.inf else math.inf, constant, "the decimal form of the constant")
            radii = np.array([hexadecimal(r) for r in values["radii"]], dtype=np.float64)
            predictions = _integers(values["predictions"], "predictions")
            claimed_labels = _integers(values["labels"], "labels")
            head = {key: values["head"][key] for key in ("kind", "node", "constant")}
            growth = hexadecimal(values["growth"])
            tightened, runs = _tightened(values["tightened"], proved)
        except (KeyError, TypeError) as error:
            raise VerificationError(f"certificate.json is malformed: {type(error).__name__} {error}") from error
        if type(proved) is not bool:
            raise VerificationError("certificate.json does not say whether its constant is proved")
        if not len(radii) == len(predictions) == len(claimed_labels) == values["samples"] == len(labels):
            raise VerificationError("certificate.json and samples.safetensors differ in the number of samples")
        if not np.array_equal(claimed_labels, labels):
            raise VerificationError("the labels in certificate.json are not those in samples.safetensors")
        _check_class_radii(samples.class_radii, radii, labels)
        norm, semantics = values["norm"], values["semantics"]
        limits = float(samples.pixels.min()), float(samples.pixels.max())
        expected = claim(proved, constant, predictions == labels, radii, limits, norm=norm, semantics=semantics)
        if values["claim"] != expected:
            raise VerificationError(f"the claim of certificate.json must read {expected!r}")
        numbers = values["accuracy"], values["certified_accuracy"]
        about = constant, proved, tightened, runs, norm, semantics, head, growth, labels, predictions
        return cls(*about, radii, samples.class_radii, samples.pair_constants, *numbers)


def _tightened(values: dict[str, Any], proved: Any) -> tuple[float | None, list[Any]]:
    row, runs = values["constant"], values["runs"]
    if set(values) != {"constant", "runs"} or not isinstance(runs, list) or (row is not None and not runs):
        raise VerificationError("the tightened constant in certificate.json is malformed")
    if row is None:
        return None, runs
    constant = hexadecimal(row["value"])
    same(row["decimal"], constant, "the decimal form of the tightened constant")
    if row["proved"] is not proved:
        raise VerificationError("the tightened constant is not proved in the same way as the product")
    return constant, runs


def _check_class_radii(class_radii: Array, radii: Array, labels: npt.NDArray[np.int64]) -> None:
    for values in (radii, class_radii):
        if not ((values >= 0) & (values <= LARGEST_RADIUS)).all():
            raise VerificationError(f"radii must be numbers from 0 to {LARGEST_RADIUS:g}")
    n_classes = class_radii.shape[1]
    if not ((labels >= 0) & (labels < n_classes)).all():
        raise VerificationError(f"labels must be classes from 0 to {n_classes - 1}")
    if not (class_radii[np.arange(len(labels)), labels] == LARGEST_RADIUS).all():
        raise VerificationError(f"class_radii of the labels themselves must be {LARGEST_RADIUS:g}")
    wrong = class_radii.min(1) != radii
    if wrong.any():
        i = int(np.argmax(wrong))
        raise VerificationError(f"the radius {float(radii[i])!r} of sample {i} is not the least of its class_radii")


def claim(
    proved: bool,
    constant: float,
    right: npt.NDArray[np.bool_],
    radii: Array,
    pixels: tuple[float, float],
    *,
    norm: str,
    semantics: str,
) -> str:
    """Say in one sentence what a certificate is about.

    Args:
        proved: Is the constant proved?
        constant: The Lipschitz constant.
        right: `(N,)` which samples are classified rightly.
        radii: `(N,)` certified radii.
        pixels: The least and the largest pixel, which tell the units of the radii.
        norm: "l2" or "linf".
        semantics: "real" or "executed-float64".

    Returns:
        The sentence.
    """
    status = "PROVED" if proved else "ESTIMATE, NOT PROVED"
    text, radius = CLAIMED_RADIUS[norm]
    return (
        f"{status}: {norm} Lipschitz constant {constant:.9g}; {len(radii)} samples with pixels from {pixels[0]:.6g} to "
        f"{pixels[1]:.6g}, accuracy {right.mean():.4f}, certified {(radii > radius).mean():.4f} at {norm} radius "
        f"{text}, semantics {semantics}: {MEANINGS[semantics]}"
    )


def _integers(values: Any, name: str) -> npt.NDArray[np.int64]:
    if not isinstance(values, list) or not all(type(v) is int and abs(v) < 2**62 for v in values):
        raise VerificationError(f"{name} in certificate.json must be a list of integers")
    return np.array(values, dtype=np.int64)


def same(given: Any, expected: float, what: str) -> None:
    """Refuse a number that is not what follows from others.

    Args:
        given: What the certificate says.
        expected: What follows.
        what: Its name.

    Raises:
        VerificationError: If they differ.
    """
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given != expected:
        raise VerificationError(f"{what} is {given!r} but follows as {expected!r}")


def _pixels_and_labels(
    arrays: Arrays, values: dict[str, Any], shape: tuple[int, ...]
) -> tuple[Array, npt.NDArray[np.int64]]:
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
