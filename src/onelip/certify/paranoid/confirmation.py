"""Confirm a certificate in ball arithmetic, from its files alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from flint import arb, ctx

from onelip.certify.checker.errors import VerificationError
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
from onelip.certify.checker.network import Array, Graph, hexadecimal, read_graph
from onelip.certify.paranoid.balls import PRECISION, Balls, exact, full
from onelip.certify.paranoid.composition import Composed, Shapes, compose, evaluate
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.heads import Head, find_head
from onelip.certify.paranoid.linf import linf_constants
from onelip.certify.paranoid.runs import least_slopes, prove_runs, shortened

TOLERANCE = 1e-6
"""How far the constant of the whole network may exceed the claimed one. Radii have no tolerance."""

SECONDS = 60.0
"""Time after which no further samples are begun, unless their number was asked for."""

BATCH = 8

NOT_EXECUTED = (
    "executed semantics: rounding growth not confirmed in ball arithmetic; what follows is about the function in real "
    "arithmetic"
)
"""What is said of certificates about executed networks."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Confirmation:
    """What came of the proof in balls.

    Attributes:
        ok: Is everything confirmed that was asked for?
        messages: What was confirmed, or what was not, one sentence each.
        n_samples: Samples whose radii are confirmed.
        n_total: Samples of the certificate.
        lipschitz: Upper end of the ball of the constant of the whole network, rounded to float64; not rounded up.
    """

    ok: bool
    messages: tuple[str, ...]
    n_samples: int
    n_total: int
    lipschitz: float

    def __str__(self) -> str:
        return "; ".join(self.messages)


def confirm(path: str | Path, samples: int | None = None, progress: Progress | None = None) -> Confirmation:
    """Prove a certificate in ball arithmetic, at 128 bits with every rounding enclosed.

    The constants of all operations, their composition, runs of dense steps, the constants of differences of logits, the
    logits, and the inequality radius x slope <= margin for every class. Of certificates about executed networks, only
    what they say about real arithmetic is proved, which gives `ok=False`. Of the samples whose claimed radius is 0,
    nothing is claimed that could be proved. It takes the form of the files from `verify`, which must be run as well: it
    checks the predictions, the accuracies and the sentence of the certificate.

    Args:
        path: `certificate.json`, or the folder that holds it.
        samples: How many samples, spread evenly; None for as many as about a minute allows.
        progress: Called as `progress(done, total)` with numbers of samples.

    Returns:
        The outcome; what is not confirmed gives `ok=False` and a sentence each, never an exception.

    Raises:
        ValueError: If `samples` is less than 1.
    """
    if samples is not None and samples < 1:
        raise ValueError(f"samples={samples} must be at least 1")
    file = Path(path)
    file = file / "certificate.json" if file.is_dir() else file
    try:
        # What overflows in float64 is infinite or NaN, and no ball that is not finite confirms anything.
        with ctx.workprec(PRECISION), np.errstate(all="ignore"):
            return _confirm(file, samples, progress)
    except (VerificationError, NotCoveredError) as error:
        return Confirmation(False, (f"not confirmed: {error}",), 0, 0, float("nan"))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError, RecursionError) as error:
        sentence = f"not confirmed: {file.name} or its network is malformed: {type(error).__name__} {error}"
        return Confirmation(False, (sentence,), 0, 0, float("nan"))


@dataclass(frozen=True, eq=False)
class _Task:
    graph: Graph
    pixels: Array
    labels: npt.NDArray[np.int64]
    radii: list[float]
    class_radii: Array
    pair_constants: Array
    values: dict[str, Any]

    @property
    def executed(self) -> bool:
        return bool(self.values["semantics"] == EXECUTED)


@dataclass(frozen=True, eq=False)
class _Proved:
    # What radii follow from, and a sentence for all that was not proved.
    composed: Composed
    output: Any
    slopes: Balls
    problems: list[str]


def _read(file: Path) -> _Task:
    values = read_certificate(file)
    contents = read_files(file.parent, values["files"])
    description, arrays = parse_json(contents[ARCHITECTURE], ARCHITECTURE), unpack_arrays(contents[WEIGHTS], WEIGHTS)
    graph = read_graph(description, arrays, values["constants"])
    stored = unpack_arrays(contents[SAMPLES], SAMPLES)
    # Pixels are float32 numbers by definition.
    scale = np.float32(hexadecimal(values["input"]["scale"]))
    pixels = (stored["images"].astype(np.float32) / scale).astype(np.float64)
    radii = [hexadecimal(radius) for radius in values["radii"]]
    class_radii, pair_constants = (stored[key].astype(np.float64) for key in ("class_radii", "pair_constants"))
    if not len(radii) == len(pixels) == len(stored["labels"]) == len(class_radii) > 0:
        raise VerificationError("the numbers of images, labels and radii differ")
    if not np.isfinite(pixels).all():
        raise VerificationError(f"a pixel of {SAMPLES} is not finite")
    return _Task(graph, pixels, stored["labels"], radii, class_radii, pair_constants, values)


def _confirm(file: Path, samples: int | None, progress: Progress | None) -> Confirmation:
    task, start = _read(file), time.monotonic()
    order = _order(len(task.radii), samples)
    shapes: Shapes = {}
    first = evaluate(task.graph, exact(task.pixels[order[:1]]), shapes)
    if first.ndim != 2 or first.shape[1] < 2:
        raise VerificationError(f"the network maps a sample to shape {first.shape[1:]}, not to at least two logits")
    if (
        not task.class_radii.shape[1:]
        == task.pair_constants.shape[1:]
        == (len(task.pair_constants),)
        == first.shape[1:]
    ):
        raise VerificationError(f"class_radii and pair_constants do not fit {first.shape[1]} logits")
    proved = _prove(task, shapes, first.shape[1])
    constant = float(proved.output.upper())
    if proved.problems:
        sentences = tuple(f"not confirmed: {problem}" for problem in proved.problems)
        return Confirmation(False, sentences, 0, len(task.radii), constant)
    done, problems = 0, list[str]()
    deadline = None if samples is not None else max(start + SECONDS, time.monotonic() + SECONDS / 4)
    while done < len(order) and (deadline is None or done == 0 or time.monotonic() < deadline):
        part = order[done : done + BATCH]
        problems += _radii_not_proved(task, proved.slopes, part)
        done += len(part)
        if progress is not None:
            progress(done, len(order))
    return _outcome(task, proved, problems, done)


def _outcome(task: _Task, proved: _Proved, problems: list[str], done: int) -> Confirmation:
    total, constant = len(task.radii), float(proved.output.upper())
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        return Confirmation(False, (f"not confirmed: {problems[0]}{more}",), done - len(problems), total, constant)
    exactly = "as claimed" if proved.output <= _claimed(task) else f"within a factor 1 + {TOLERANCE:g}"
    rest = "" if done == total else f"; of the other {total - done} samples nothing was proved in balls"
    runs = len(task.values["tightened"]["runs"])
    whole = f", and {runs} runs of dense steps as a whole" if runs else ""
    messages = (
        f"confirmed in ball arithmetic at {PRECISION} bits: the constants of {len(proved.composed.own)} operations and "
        f"their composition {constant:.9g} in {task.values['norm']}, {exactly}{whole}",
        f"confirmed in ball arithmetic: against every class, the radii of {done} of {total} samples{rest}",
    )
    if task.executed:
        return Confirmation(False, (f"not confirmed: {NOT_EXECUTED}", *messages), done, total, constant)
    return Confirmation(True, messages, done, total, constant)


def _order(n: int, samples: int | None) -> npt.NDArray[np.int64]:
    # Any first part of the order is spread evenly over all samples.
    if samples is not None and samples < n:
        return np.unique(np.linspace(0, n - 1, samples).round().astype(np.int64))
    if samples is not None:
        return np.arange(n)
    bits = max(1, (n - 1).bit_length())
    reverse = [int(format(i, f"0{bits}b")[::-1], 2) for i in range(2**bits)]
    return np.array([i for i in reverse if i < n], dtype=np.int64)


def _claimed(task: _Task) -> float:
    return hexadecimal(task.values["lipschitz"]["value"])


def _prove(task: _Task, shapes: Shapes, n_classes: int) -> _Proved:
    graph, sums = task.graph, task.values["norm"] == "linf"
    slack = 0.5 * TOLERANCE / max(1, len(task.values["constants"]))
    composed = compose(graph, shapes, slack)
    constants = composed.cumulative
    if composed.failures:
        return _Proved(composed, constants[graph.output], full((0, 0)), composed.failures)
    if sums:
        constants = linf_constants(graph, shapes, composed)
    head = find_head(graph, shapes, constants, n_classes, sums)
    problems = _constants_not_proved(task, constants[graph.output], head)
    slopes = head.slopes
    if task.values["tightened"]["runs"]:
        if sums:
            raise NotCoveredError("runs of dense steps are bounded as a whole in l2 only")
        runs = prove_runs(graph, shapes, task.values["tightened"]["runs"])
        tightened = shortened(graph, composed, runs)
        slopes = least_slopes(graph, find_head(graph, shapes, tightened, n_classes).slopes, runs, tightened)
        problems += _not_at_most(tightened[graph.output], task.values["tightened"]["constant"], "tightened constant")
    for i, j in np.ndindex(slopes.shape):
        what = f"pair constant of classes {i} and {j}"
        problems += _above(slopes[i, j], float(task.pair_constants[i, j]), what)
    return _Proved(composed, constants[graph.output], slopes, problems)


def _above(proved: Any, claimed: float, what: str) -> list[str]:
    if proved <= claimed * (1 + TOLERANCE):
        return []
    return [f"the {what}, {claimed!r}; balls prove {float(proved.upper())!r}"]


def _not_at_most(proved: Any, row: dict[str, Any] | None, what: str) -> list[str]:
    return [] if row is None else _above(proved, hexadecimal(row["value"]), what)


def _constants_not_proved(task: _Task, output: Any, head: Head) -> list[str]:
    values = task.values["head"]
    problems = _above(output, _claimed(task), "claimed Lipschitz constant")
    if (head.kind, head.node) != (values["kind"], values["node"]):
        problems.append(f"head={values['kind']!r} at {values['node']!r}; it is {head.kind!r} at {head.node!r}")
    else:
        problems += _above(head.constant, hexadecimal(values["constant"]), "constant before the head")
    return problems


def _radii_not_proved(task: _Task, slopes: Balls, part: npt.NDArray[np.int64]) -> list[str]:
    logits = evaluate(task.graph, exact(task.pixels[part]))
    failed = [(i, _unproved_class(task, slopes, i, row)) for i, row in zip(part.tolist(), logits, strict=True)]
    return [f"a radius of sample {i}: {what}" for i, what in failed if what is not None]


def _unproved_class(task: _Task, slopes: Balls, i: int, logits: Balls) -> str | None:
    label, radii = int(task.labels[i]), task.class_radii[i]
    sound = (radii >= 0).all() and (radii < np.inf).all() and 0 <= task.radii[i] < np.inf
    if not (0 <= label < len(logits) and sound):
        return f"label {label} with {task.radii[i]!r} and {radii.tolist()}"
    for j in range(len(logits)):
        # The radius of the sample is against every class.
        radius = max(task.radii[i], float(radii[j]))
        if j == label or radius == 0:
            continue
        # Strict, so that within the radius, the margin stays positive wherever the slope is.
        margin = logits[label] - logits[j]
        if not (0 < radius < float("inf") and margin > 0 and arb(radius) * slopes[label, j] <= margin):
            return f"{radius!r} against class {j}"
    return None
