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
    SAMPLES,
    WEIGHTS,
    parse_json,
    read_certificate,
    read_files,
    unpack_arrays,
)
from onelip.certify.checker.network import Array, Graph, hexadecimal, read_graph
from onelip.certify.paranoid.balls import PRECISION, Balls, exact
from onelip.certify.paranoid.composition import Composed, Shapes, compose, evaluate
from onelip.certify.paranoid.errors import NotCoveredError
from onelip.certify.paranoid.heads import Head, find_head

TOLERANCE = 1e-6
"""How far the constant of the whole network may exceed the claimed one. Radii have no tolerance."""

SECONDS = 60.0
"""Time after which no further samples are begun, unless their number was asked for."""

BATCH = 8

COVERED = {"semantics": "real", "norm": "l2"}

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

    The constants of all operations, their composition, the distances of the rows of the head, the logits, and the
    inequality radius x slope <= margin for every pair of classes. Of the samples whose claimed radius is 0, nothing is
    claimed that could be proved. It takes the form of the files from `verify`, which must be run as well: it checks the
    predictions, the accuracies and the sentence of the certificate.

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
    values: dict[str, Any]


def _read(file: Path) -> _Task:
    values = read_certificate(file)
    for key, known in COVERED.items():
        if values[key] != known:
            raise NotCoveredError(f"{key}={values[key]!r} is not covered in ball arithmetic; {known!r} is")
    contents = read_files(file.parent, values["files"])
    description, arrays = parse_json(contents[ARCHITECTURE], ARCHITECTURE), unpack_arrays(contents[WEIGHTS], WEIGHTS)
    graph = read_graph(description, arrays, values["constants"])
    stored = unpack_arrays(contents[SAMPLES], SAMPLES)
    # Pixels are float32 numbers by definition.
    scale = np.float32(hexadecimal(values["input"]["scale"]))
    pixels = (stored["images"].astype(np.float32) / scale).astype(np.float64)
    radii = [hexadecimal(radius) for radius in values["radii"]]
    if not len(radii) == len(pixels) == len(stored["labels"]) > 0:
        raise VerificationError("the numbers of images, labels and radii differ")
    if not np.isfinite(pixels).all():
        raise VerificationError(f"a pixel of {SAMPLES} is not finite")
    return _Task(graph, pixels, stored["labels"], radii, values)


def _confirm(file: Path, samples: int | None, progress: Progress | None) -> Confirmation:
    task, start = _read(file), time.monotonic()
    order = _order(len(task.radii), samples)
    shapes: Shapes = {}
    first = evaluate(task.graph, exact(task.pixels[order[:1]]), shapes)
    if first.ndim != 2 or first.shape[1] < 2:
        raise VerificationError(f"the network maps a sample to shape {first.shape[1:]}, not to at least two logits")
    slack = 0.5 * TOLERANCE / max(1, len(task.values["constants"]))
    composed = compose(task.graph, shapes, slack)
    head = find_head(task.graph, shapes, composed, first.shape[1])
    problems = composed.failures + _constants_not_proved(task, composed, head)
    constant = float(composed.cumulative[task.graph.output].upper())
    if problems:
        sentences = tuple(f"not confirmed: {problem}" for problem in problems)
        return Confirmation(False, sentences, 0, len(task.radii), constant)
    done = 0
    deadline = None if samples is not None else max(start + SECONDS, time.monotonic() + SECONDS / 4)
    while done < len(order) and (deadline is None or done == 0 or time.monotonic() < deadline):
        part = order[done : done + BATCH]
        problems += _radii_not_proved(task, head, part)
        done += len(part)
        if progress is not None:
            progress(done, len(order))
    return _outcome(task, composed, problems, done, constant)


def _outcome(task: _Task, composed: Composed, problems: list[str], done: int, constant: float) -> Confirmation:
    total = len(task.radii)
    if problems:
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        return Confirmation(False, (f"not confirmed: {problems[0]}{more}",), done - len(problems), total, constant)
    claimed = hexadecimal(task.values["lipschitz"]["value"])
    exactly = (
        "as claimed" if composed.cumulative[task.graph.output] <= claimed else f"within a factor 1 + {TOLERANCE:g}"
    )
    rest = "" if done == total else f"; of the other {total - done} samples nothing was proved in balls"
    messages = (
        f"confirmed in ball arithmetic at {PRECISION} bits: the constants of {len(composed.own)} operations and their "
        f"composition {constant:.9g}, {exactly}",
        f"confirmed in ball arithmetic: the radii of {done} of {total} samples{rest}",
    )
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


def _constants_not_proved(task: _Task, composed: Composed, head: Head) -> list[str]:
    claimed, values = hexadecimal(task.values["lipschitz"]["value"]), task.values["head"]
    problems = []
    if not composed.cumulative[task.graph.output] <= claimed * (1 + TOLERANCE):
        proved = float(composed.cumulative[task.graph.output].upper())
        problems.append(f"the claimed Lipschitz constant {claimed!r}; balls prove {proved!r}")
    if (head.kind, head.node) != (values["kind"], values["node"]):
        problems.append(f"head={values['kind']!r} at {values['node']!r}; it is {head.kind!r} at {head.node!r}")
    elif not head.constant <= hexadecimal(values["constant"]) * (1 + TOLERANCE):
        problems.append(f"the constant before the head; balls prove {float(head.constant.upper())!r}")
    return problems


def _radii_not_proved(task: _Task, head: Head, part: npt.NDArray[np.int64]) -> list[str]:
    logits = evaluate(task.graph, exact(task.pixels[part]))
    failed = [i for i, row in zip(part.tolist(), logits, strict=True) if not _holds(task, head, i, row)]
    return [f"the radius {task.radii[i]!r} of sample {i}" for i in failed]


def _holds(task: _Task, head: Head, i: int, logits: Balls) -> bool:
    label, radius = int(task.labels[i]), task.radii[i]
    if radius == 0:
        return True
    if not (0 < radius < float("inf") and 0 <= label < len(logits)):
        return False
    # Strict, so that within the radius, the margin stays positive wherever the slope is.
    return all(
        logits[label] - logits[j] > 0 and arb(radius) * head.slopes[label, j] <= logits[label] - logits[j]
        for j in range(len(logits))
        if j != label
    )
