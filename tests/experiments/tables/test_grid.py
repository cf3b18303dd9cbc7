"""Conditions on the configurations of runs."""

import pytest
from tests.experiments.collection.made_runs import make_row

from onelip.experiments.tables.grid import having


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({"layer": "bcop"}, True),
        ({"layer": "rko"}, False),
        ({"layer": ("rko", "bcop")}, True),
        ({"clipping": None}, True),
        ({"layer": None}, False),
        ({"frozen": (None, 0)}, True),
        ({"lr": 0.001}, True),
        ({"lr": 0.0010000000001}, True),
        ({"lr": 0.00101}, False),
        ({"layer": "bcop", "data": "mnist"}, False),
    ],
)
def test_having(wanted, matches):
    assert having(**wanted)(make_row("lconvnet-cifar10-small-bcop")) is matches


def test_the_task_counts():
    row = make_row("wasserstein-gan-stl10")
    assert having("wasserstein", data="stl10")(row)
    assert not having(data="stl10")(row)
