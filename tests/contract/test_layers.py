"""Every registered layer keeps every promise, in every state (design contract).

pytest tests/contract -k never_stale          one promise, all layers
pytest tests/contract -k conv2d-aoc           one layer, all promises
"""

from __future__ import annotations

import pytest
import tests.contract.promises  # noqa: F401  (fills the table)
from tests.contract.cases import Case, all_records, first_case, grid_cases, refusal
from tests.contract.promise import PROMISES, Promise
from tests.contract.promises.arguments import assert_sentence

# Torch warns once per process that it copies the input of a zero-padded even kernel.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def _pairs() -> list[pytest.ParameterSet]:
    found = []
    for record in all_records():
        for promise in PROMISES.values():
            if promise.name in record.exceptions:
                continue
            marks = [pytest.mark.slow] if promise.slow else []
            found += [
                pytest.param(promise, case, id=f"{promise.name}-{case.name}", marks=marks)
                for case in promise.cases_of(record)
            ]
    return found


@pytest.mark.parametrize(("promise", "case"), _pairs())
def test_promise(promise: Promise, case: Case) -> None:
    promise.check(case)


def _grid() -> list[Case]:
    return [case for record in all_records() for case in grid_cases(record)]


@pytest.mark.parametrize("case", _grid(), ids=lambda case: case.name)
def test_refusals_are_sentences(case: Case) -> None:
    """A combination of arguments either works (the promises above measure it) or is refused by name and value."""
    text = refusal(case)
    if text is not None:
        assert_sentence(case, text)


@pytest.mark.parametrize("record", all_records(), ids=lambda record: f"{record.kind}-{record.name}")
def test_plainest_case_is_not_refused(record) -> None:  # type: ignore[no-untyped-def]
    first_case(record).build()


def test_registry_is_not_empty() -> None:
    assert all_records(), "no layer is registered, so this suite checks nothing"
