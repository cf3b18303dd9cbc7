"""The true norm, that of the record: at most 1, and exactly 1 in every direction where orthogonality is claimed."""

from __future__ import annotations

import re

from tests.contract.cases import Case, buildable, core_cases, grid_cases
from tests.contract.measure import ISOMETRY_SLACK, NORM_SLACK, gains
from tests.contract.promise import CONVS, WITH_WEIGHT, promise
from tests.contract.states import STATES, Subject, train
from torch import nn


def _claims(layer: nn.Module) -> bool:
    return bool(getattr(layer, "orthogonal", False))


def _check_subject(case: Case, subject: Subject, state: str) -> None:
    for training in subject.modes:
        layer = subject.layer.train(training)
        what = f"in {'train' if training else 'eval'} mode, {state}"
        found = gains(layer, subject.shape, subject.dtype, case.record.norm)
        assert found.largest <= 1 + NORM_SLACK[subject.dtype], f"the true norm is {found.largest:.12f} {what}"
        if _claims(layer) and case.full_circle and subject.conditioned:
            smallest = f"the smallest singular value is {found.smallest:.6f} {what}, not 1"
            assert found.smallest >= 1 - ISOMETRY_SLACK, smallest


@promise(float32="all", float64="all")
def check_norm_over_shapes(case: Case) -> None:
    """Every shape: in eval before any training, then in train mode after some."""
    layer = case.build().eval()
    _check_subject(case, Subject(layer, case.shape, case.dtype, modes=(False,)), "fresh")
    layer = train(layer, case.input(), steps=1)
    _check_subject(case, Subject(layer, case.shape, case.dtype, modes=(True,)), "trained")


@promise(float64="first")
def check_norm_over_states(case: Case) -> None:
    """Every state that a layer can be in."""
    for name, make in STATES.items():
        _check_subject(case, make(case), name)


@promise(kinds=("conv1d", "conv2d"), float32="small-images", float64="small-images")
def check_norm_on_small_images(case: Case) -> None:
    """Images below the kernel, or that the stride does not divide: right, or refused in one sentence."""
    layer = case.build().eval()
    try:
        layer(case.input())
    except ValueError as error:
        text = str(error)
        assert type(layer).__name__ in text, f"the refusal does not name the class: {text}"
        assert re.search(r"image|height|width", text), f"the refusal does not name the image: {text}"
        assert any(str(size) in text for size in case.shape[1:]), f"the refusal does not give the size: {text}"
        return
    _check_subject(case, Subject(layer, case.shape, case.dtype, modes=(False, True)), "on a small image")


@promise(kinds=WITH_WEIGHT, float32="first")
def check_orthogonality_is_declared(case: Case) -> None:
    """The record says orthogonal=True if and only if the layer claims it for some shape of the grid."""
    shapes = buildable(core_cases(case.record) + grid_cases(case.record))
    claimed = any(_claims(shape.build()) for shape in [case, *shapes])
    assert claimed == case.record.orthogonal, (
        f"the record says orthogonal={case.record.orthogonal}, the layers orthogonal={claimed}"
    )


@promise(float32="all")
def check_orthogonality_is_not_overclaimed(case: Case) -> None:
    """No layer claims orthogonality where its record does not."""
    assert case.record.orthogonal or not _claims(case.build()), "the layer claims orthogonality, its record does not"


@promise(kinds=CONVS, float32="first")
def check_norm_with_every_declared_padding(case: Case) -> None:
    """The bound holds under each padding mode that the record declares."""
    for mode in case.record.paddings:
        layer = case.build(padding_mode=mode)
        subject = Subject(layer, case.shape, case.dtype, conditioned=False)
        _check_subject(case, subject, f"with padding_mode={mode!r}")
