"""Every convolution, over sizes in which each pair of values of the required product occurs (`sizes.py`)."""

from __future__ import annotations

import itertools
from dataclasses import asdict

import numpy as np
import pytest
import torch
from tests.contract import broken_numbers, sizes, sound
from tests.contract.cases import all_records
from tests.contract.operators import extremes

from onelip.layers import LayerRecord

# Torch warns once per process that it copies the input of a zero-padded even kernel.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

_RECORDS = [r for r in all_records() if r.kind in sizes.KINDS]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=lambda d: str(d).removeprefix("torch."))
@pytest.mark.parametrize("record", _RECORDS, ids=lambda r: f"{r.kind}-{r.name}")
def test_sizes(record: LayerRecord, dtype: torch.dtype) -> None:
    outcomes = []
    for case in sizes.cases_of(record, dtype, whole=False, seed=int(dtype == torch.float64)):
        try:
            outcomes.append(sizes.check_sizes(case))
        except AssertionError as error:
            raise AssertionError(f"{case.name}: {error}") from error
    assert "measured" in outcomes


@pytest.mark.parametrize("seed", [0, 1])
def test_covering_has_every_pair(seed: int) -> None:
    whole = [s for s in sizes.product() if s.grouped]
    chosen = sizes.covering(seed)
    assert len(chosen) < 80
    assert _pairs(chosen) == _pairs(whole)


def _pairs(elements: list[sizes.Sizes]) -> set[tuple[tuple[str, object], ...]]:
    return {pair for s in elements for pair in itertools.combinations(asdict(s).items(), 2)}


@pytest.mark.parametrize("stride", [1, 2])
def test_frequencies_agree_with_dense_matrix(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    record = next(r for r in _RECORDS if (r.kind, r.name) == ("conv2d", "aol"))
    case = sizes.Sizes(3, 4, 8, stride, 1, 2, (8, 8)).case(record, "circular", torch.float64)
    layer = case.build().eval()
    dense = extremes(layer, case)
    monkeypatch.setattr("tests.contract.operators.DENSE", 0)
    fast = extremes(layer, case)
    np.testing.assert_allclose([fast.largest, fast.smallest], [dense.largest, dense.smallest], atol=1e-7)
    zeros = sizes.Sizes(3, 4, 8, stride, 1, 2, (8, 8)).case(record, "zeros", torch.float64)
    layer = zeros.build().eval()
    found = extremes(layer, zeros).largest
    monkeypatch.undo()
    true = extremes(layer, zeros).largest
    assert 0.8 * true <= found <= true * (1 + 1e-9)


def test_too_long_layer_is_caught() -> None:
    case = sound.case_of(broken_numbers.TooLong)
    large = sizes.Sizes(3, 4, 4, 1, 1, 1, (16, 16)).case(case.record, "circular", torch.float32)
    with pytest.raises(AssertionError, match="true norm"):
        sizes.check_sizes(large)
