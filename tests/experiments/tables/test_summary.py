"""Mean and deviation against the standard library and numpy."""

import statistics

import numpy as np
import pytest

from onelip.experiments.tables.summary import summarise


@pytest.mark.parametrize("values", [[0.5, 0.7], [71.3, 71.9, 70.2, 72.0, 71.1], [1e8, 1e8 + 1, 1e8 + 2]])
def test_mean_and_deviation_of_the_sample(values):
    found = summarise(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(statistics.mean(values), rel=1e-15)
    assert found.deviation == pytest.approx(statistics.stdev(values), rel=1e-12)
    assert found.deviation == pytest.approx(np.std(values, ddof=1), rel=1e-9)


def test_one_run_has_no_deviation():
    assert summarise([0.25]).deviation is None


def test_no_run_has_no_mean():
    with pytest.raises(ValueError, match="values in summarise is empty"):
        summarise([])
