"""Measure the layers of a setup, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn

from onelip import lipschitz_bound
from onelip.experiments.bench.memory import peak_bytes
from onelip.experiments.bench.setup import Setup
from onelip.experiments.bench.singular_values import SingularValues, singular_values
from onelip.experiments.bench.steps import Times, evaluation, timed_in_turn, training_step
from onelip.experiments.errors import one_line
from onelip.layers import LayerRecord
from onelip.linalg import Bound


@dataclass(frozen=True)
class Measured:
    """What was measured of one layer.

    Attributes:
        parameters: Numbers in its raw tensors.
        train: Times of a training step.
        evaluate: Times of an evaluation.
        memory: Most bytes of tensors at once in a training step, parameters and input included.
        values: Extreme singular values of its plain form on a small image.
        bound: What `lipschitz_bound` says for that image.
    """

    parameters: int
    train: Times
    evaluate: Times
    memory: int
    values: SingularValues
    bound: Bound


@dataclass(frozen=True)
class Row:
    """One layer.

    Attributes:
        name: Its name in the registry, or "plain".
        measured: The numbers; None if there are none.
        note: Why there are none, or what to know about them, without a full stop.
    """

    name: str
    measured: Measured | None
    note: str


def measure(setup: Setup, progress: Callable[[int, int | None], None]) -> list[Row]:
    """Measure the plain layer and every method.

    Args:
        setup: What to measure.
        progress: Called as `progress(done, total)`.

    Returns:
        One row each, the plain layer first.
    """
    rows: list[Row] = []
    progress(0, 1 + len(setup.methods))
    for row in _rows(setup):
        rows.append(row)
        progress(len(rows), 1 + len(setup.methods))
    return rows


def _rows(setup: Setup) -> Iterator[Row]:
    plain = setup.plain()
    yield Row("plain", _measured(setup, plain, setup.plain()), "")
    for record in setup.records():
        yield _row(setup, record)


def _row(setup: Setup, record: LayerRecord) -> Row:
    try:
        layer = setup.layer(record)
    except ValueError as error:
        return Row(record.name, None, f"refused: {one_line(str(error))}")
    try:
        measured = _measured(setup, layer, setup.plain(record))
    # One broken method must not take the others' numbers along, so its row holds the error, whatever it is.
    except Exception as error:
        return Row(record.name, None, f"failed: {type(error).__name__}: {one_line(str(error))}")
    notes = [] if record.norm == "l2" else [f"made for the {record.norm} norm"]
    if not measured.values.linear:
        notes.append("not linear: singular values of the Jacobian at a random point")
    return Row(record.name, measured, "; ".join(notes))


def _measured(setup: Setup, layer: nn.Module, plain: nn.Module) -> Measured:
    values, bound = _norms(setup, layer)
    x = setup.inputs().requires_grad_()
    own, other = training_step(layer, x), training_step(plain, x)
    # The first step allocates what stays, and settles the raw tensors near their set.
    own()
    for tensor in (*layer.parameters(), x):
        tensor.grad = None
    memory = peak_bytes(own, (*layer.parameters(), x), setup.device)
    train = timed_in_turn(own, other, setup.repeats, setup.device)
    evaluate = timed_in_turn(evaluation(layer, x), evaluation(plain, x), setup.repeats, setup.device)
    return Measured(sum(p.numel() for p in layer.parameters()), train, evaluate, memory, values, bound)


def _norms(setup: Setup, layer: nn.Module) -> tuple[SingularValues, Bound]:
    shape = setup.small_shape
    layer.eval()
    bound = lipschitz_bound(layer, shape).bound
    return singular_values(layer, shape, setup.kernel), bound
