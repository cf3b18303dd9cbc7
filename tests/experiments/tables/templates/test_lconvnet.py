"""Tables of LConvNet."""

import pytest
from tests.experiments.collection.made_runs import make_row
from tests.experiments.tables.templates.shipped import check_runs_are_told_apart, shipped, slots_of

from onelip.experiments.tables.templates import TEMPLATES, Inputs
from onelip.experiments.tables.templates.lconvnet import FC_3, network


@pytest.mark.parametrize(
    ("name", "columns", "n_rows", "checked"),
    [
        ("lconvnet-1", ["OSSN", "RKO", "SVCM", "BCOP"], 8, 32),
        ("lconvnet-2", ["BCOP-Large", "FC-3", "KW-Large", "KW-Resnet"], 4, 12),
        ("lconvnet-3", ["KW", "BCOP"], 12, 24),
        ("lconvnet-7", ["BCOP-Fixed", "RK-L2NE", "BCOP"], 8, 24),
        ("lconvnet-8", ["BCOP-Large", "FC-3"], 2, 4),
        ("lconvnet-9", ["BCOP-Large", "FC-3", "QW-3", "QW-4"], 8, 24),
    ],
)
def test_columns_rows_and_runs(name, columns, n_rows, checked):
    spec = TEMPLATES[name].build(Inputs([]))[0]
    assert spec.columns == [(column,) for column in columns]
    assert len(spec.rows) == n_rows
    among = [*shipped(["lconvnet-*"]), "lnets-mnist-bjorck", "lnets-mnist-standard", "orthogonium-cifar10-mild"]
    assert check_runs_are_told_apart(name, among) == checked


def _slot(name, *labels):
    return next(slot for row, column, slot in slots_of(name) if (*row, *column) == labels)


@pytest.mark.parametrize(
    ("name", "labels", "value", "stated"),
    [
        ("lconvnet-1", ("MNIST at 1.58", "Large", "certified", "BCOP"), "certified@1.58", "56.66"),
        ("lconvnet-1", ("CIFAR-10 at 36/255", "Small", "certified", "SVCM"), "certified@0.141176", "47.59"),
        ("lconvnet-1", ("CIFAR-10 at 36/255", "Small", "clean", "OSSN"), "accuracy", "62.18"),
        ("lconvnet-2", ("CIFAR-10 at 36/255", "certified", "KW-Large"), "relaxed@0.141176", "50.60"),
        ("lconvnet-2", ("CIFAR-10 at 36/255", "certified", "KW-Resnet"), "", "51.96"),
        ("lconvnet-3", ("CIFAR-10 at 36/255", "Small", "PGD", "BCOP"), "attacked-pgd-l2@0.141176", "51.26"),
        (
            "lconvnet-3",
            ("CIFAR-10 at 36/255", "Large", "boundary attack", "BCOP"),
            "attacked-boundary-l2@0.141176",
            "71.2",
        ),
        ("lconvnet-8", ("MNIST at 0.3", "certified", "FC-3"), "certified@0.3", "97.06"),
        ("lconvnet-8", ("CIFAR-10 at 0.1", "certified", "BCOP-Large"), "certified@0.1", "62.97"),
        ("lconvnet-9", ("MNIST at 1.58", "FGSM", "QW-4"), "", "84.17"),
    ],
)
def test_the_right_number_beside_the_published_one(name, labels, value, stated):
    slot = _slot(name, *labels)
    assert (slot.value, slot.published.text) == (value, stated)


def test_methods_of_other_papers_are_not_taken():
    assert network("small", "bcop").where != network("small", "bcop-fixed").where
    slot = _slot("lconvnet-9", "MNIST at 1.58", "clean", FC_3.title)
    # The same layers with another activation and loss.
    assert not slot.matches(make_row("lnets-mnist-bjorck"))
