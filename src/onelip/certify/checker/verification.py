"""Verify a certificate from its files alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from onelip.certify.checker.arithmetic import gamma
from onelip.certify.checker.claims import LARGEST_RADIUS, MEANINGS, Claims, Samples, same
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import Head, Measured, count_steps, evaluate, find_head, measure
from onelip.certify.checker.executed import LARGEST_INPUT, execute
from onelip.certify.checker.files import (
    ARCHITECTURE,
    EXECUTED,
    SAMPLES,
    WEIGHTS,
    parse_json,
    read_certificate,
    read_files,
    unpack_arrays,
)
from onelip.certify.checker.linf import linf_constants
from onelip.certify.checker.network import Array, hexadecimal, read_graph
from onelip.certify.checker.operations import SLACK, norms
from onelip.certify.checker.tightened import least_slopes, prove_segments, shortened

CONSTANT_TOLERANCE = 1e-6
"""How far the checker's own constant may exceed the claimed one, since the two are proved in different ways. Radii
have no tolerance: none may exceed the checker's own."""

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
        norm: Of the radii and the constant, "l2" or "linf"; empty if it does not hold.
        semantics: "real" or "executed-float64"; empty if it does not hold.
        tightened_proved: The checker's own constant with runs of dense steps as a whole, at most `lipschitz_proved`.
    """

    ok: bool
    proved: bool
    messages: tuple[str, ...]
    n_samples: int
    lipschitz_claimed: float
    lipschitz_proved: float
    constant_tolerance: float
    least_slack: float
    norm: str = ""
    semantics: str = ""
    tightened_proved: float = math.nan

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
    samples = Samples.read(unpack_arrays(contents[SAMPLES], SAMPLES), values, graph.input_shape)
    claims = Claims.read(values, samples)
    measured = measure(graph, 0.5 * CONSTANT_TOLERANCE / count_steps(graph) if graph.steps else 0.0)
    linf = linf_constants(measured) if claims.norm == "linf" else None
    proved = (measured.cumulative if linf is None else linf)[graph.output]
    if not proved <= claims.constant * (1 + CONSTANT_TOLERANCE):
        raise VerificationError(
            f"the claimed Lipschitz constant {claims.constant!r} could not be proved; this checker proves {proved!r}"
        )
    prover = _Prover.of(measured, linf, claims)
    slack = _check_radii(prover, samples.pixels, claims, progress)
    numbers = len(claims.labels), claims.constant, proved, CONSTANT_TOLERANCE, slack
    return Verification(
        True,
        claims.proved,
        _messages(claims, proved),
        *numbers,
        claims.norm,
        claims.semantics,
        min(proved, prover.tightened),
    )


def _messages(claims: Claims, proved: float) -> tuple[str, str, str]:
    status = "proved" if claims.proved else "claimed as an ESTIMATE, NOT PROVED by its author"
    return (
        f"the certificate holds: {len(claims.labels)} radii and the Lipschitz constant {proved:.9g} in {claims.norm}, "
        f"{status}, were derived again from the stored weights",
        f"semantics {claims.semantics}: {MEANINGS[claims.semantics]}",
        f"radii are at most this checker's own, the constant within a factor 1 + {CONSTANT_TOLERANCE:g}",
    )


@dataclass(frozen=True, eq=False)
class _Prover:
    """What the checker proved of the network, for radii to follow from."""

    measured: Measured
    slopes: Array
    tightened: float
    growth: float
    executed: bool

    @classmethod
    def of(cls, measured: Measured, linf: dict[str, float] | None, claims: Claims) -> _Prover:
        shape = measured.shapes[measured.graph.output]
        if len(shape) != 1 or shape[0] < 2:
            raise VerificationError(f"the network maps a sample to shape {shape}, not to at least two logits")
        head = find_head(measured, shape[0], linf)
        slopes, tightened = _shortened(measured, head, claims)
        _check_head(head, slopes, claims)
        if claims.semantics != EXECUTED:
            same(claims.growth, 0.0, "the growth of rounding errors in real arithmetic")
            return cls(measured, slopes, tightened, 0.0, False)
        executed = execute(measured)
        # A ball in l_inf is in the l2 ball whose radius is larger by the root of the number of pixels.
        stretch = 1.0 if linf is None else math.sqrt(math.prod(measured.graph.input_shape)) * SLACK
        growth = executed.value * stretch
        if not growth <= claims.growth:
            raise VerificationError(
                f"the growth {claims.growth!r} of rounding errors could not be proved; this checker proves {growth!r}"
            )
        return cls(executed.measured, slopes, tightened, growth, True)

    def radii(self, pixels: Array, labels: npt.NDArray[np.int64], logits: Array, errors: Array) -> Array:
        if not self.executed:
            return _radii(logits, errors, labels, self.slopes)
        # Twice the error here, for the stored logits and for those that are executed.
        errors = np.where(norms(pixels) <= LARGEST_INPUT, 2 * errors, np.inf)
        return _radii(logits, errors, labels, self.slopes + 2 * self.growth)


def _check_radii(prover: _Prover, pixels: Array, claims: Claims, progress: Progress | None) -> float:
    least = math.inf
    for start in range(0, len(pixels), BATCH):
        part = slice(start, start + BATCH)
        logits, errors = evaluate(prover.measured, pixels[part])
        _check_predictions(logits, errors, claims.predictions[part], start)
        radii = prover.radii(pixels[part], claims.labels[part], logits, errors)
        excess = claims.class_radii[part] > radii
        if excess.any():
            i, j = (int(n) for n in np.unravel_index(int(np.argmax(excess)), excess.shape))
            claimed, own = float(claims.class_radii[start + i, j]), float(radii[i, j])
            raise VerificationError(
                f"the radius {claimed!r} of sample {start + i} against class {j} could not be proved; "
                f"this checker proves {own!r}"
            )
        claimed_least, own_least = claims.radii[part], radii.min(1)
        positive = claimed_least > 0
        if positive.any():
            least = min(least, float((1 - claimed_least / np.maximum(own_least, 1e-300))[positive].min()))
        if progress is not None:
            progress(min(start + BATCH, len(pixels)), len(pixels))
    _check_summary(claims)
    return least


def _shortened(measured: Measured, head: Head, claims: Claims) -> tuple[Array, float]:
    if not claims.runs:
        return head.slopes, math.inf
    if claims.norm != "l2":
        raise VerificationError("runs of dense steps are bounded as a whole in l2 only")
    proofs = prove_segments(measured, claims.runs)
    constants = shortened(measured, proofs)
    proved = constants[measured.graph.output]
    if claims.tightened is not None and not proved <= claims.tightened * (1 + CONSTANT_TOLERANCE):
        raise VerificationError(
            f"the tightened constant {claims.tightened!r} could not be proved; this checker proves {proved!r}"
        )
    return least_slopes(measured, head, proofs, constants), proved


def _check_head(head: Head, slopes: Array, claims: Claims) -> None:
    claimed = claims.head
    if (head.kind, head.node) != (claimed["kind"], claimed["node"]):
        raise VerificationError(f"head={claimed['kind']!r} at {claimed['node']!r} is {head.kind!r} at {head.node!r}")
    if not head.constant <= hexadecimal(claimed["constant"]) * (1 + CONSTANT_TOLERANCE):
        raise VerificationError(f"the constant before the head could not be proved; it is at most {head.constant!r}")
    if claims.pair_constants.shape != slopes.shape:
        raise VerificationError(
            f"pair_constants of shape {claims.pair_constants.shape} do not fit {len(slopes)} logits"
        )
    # Below the normal numbers roundings are not relative; radii divide by this checker's own constants anyway.
    low = slopes > claims.pair_constants * (1 + CONSTANT_TOLERANCE) + 2.0**-1000
    if low.any():
        i, j = (int(n) for n in np.unravel_index(int(np.argmax(low)), low.shape))
        raise VerificationError(
            f"the pair constant {float(claims.pair_constants[i, j])!r} of classes {i} and {j} could not be proved; "
            f"this checker proves {float(slopes[i, j])!r}"
        )


def _check_predictions(logits: Array, errors: Array, claimed: npt.NDArray[np.int64], start: int) -> None:
    sound = np.isfinite(logits).all(1) & np.isfinite(errors)
    rows = np.arange(len(logits))
    for i in rows:
        # No answer is never too much to claim.
        if claimed[i] == -1:
            continue
        if not sound[i]:
            raise VerificationError(f"the prediction of sample {start + i} must be -1, as its logits are not finite")
        if not 0 <= claimed[i] < logits.shape[1] or logits[i].max() - logits[i, claimed[i]] > 4 * errors[i]:
            raise VerificationError(
                f"the prediction of sample {start + i} is {int(logits[i].argmax())}, not {int(claimed[i])}"
            )


def _radii(logits: Array, errors: Array, labels: npt.NDArray[np.int64], slopes: Array) -> Array:
    rows = np.arange(len(logits))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        margins = logits[rows, labels][:, None] - logits
        margins = margins - np.abs(margins) * gamma(4) - 2 * errors[:, None] * (1 + gamma(8))
        radii = np.where(margins > 0, margins / slopes[labels] * (1 - gamma(4)), 0.0)
    sound = np.isfinite(logits).all(1) & np.isfinite(errors)
    radii = np.where(sound[:, None] & ~np.isnan(radii), radii, 0.0)
    radii[rows, labels] = np.inf
    result: Array = np.minimum(radii, LARGEST_RADIUS)
    return result


def _check_summary(claims: Claims) -> None:
    same(claims.accuracy, float((claims.predictions == claims.labels).mean()), "the accuracy")
    for key, value in claims.certified.items():
        try:
            radius = float(key)
        except ValueError as error:
            raise VerificationError(f"certified_accuracy has the key {key!r}, which is no radius") from error
        same(value, float((claims.radii > radius).mean()), f"the certified accuracy at {key}")
