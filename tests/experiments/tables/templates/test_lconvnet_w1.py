"""Table 4 of LConvNet."""

from tests.experiments.collection.made_runs import make_row
from tests.experiments.tables.templates.shipped import check_runs_are_told_apart, shipped, slots_of

from onelip.experiments.tables.templates import TEMPLATES, Inputs


def test_two_tables():
    first, second = TEMPLATES["lconvnet-4"].build(Inputs([]))
    assert "4a" in first.title
    assert "4b" in second.title
    assert first.rows == [("MaxMin",), ("ReLU",)]
    assert first.columns == [("OSSN",), ("RKO",), ("BCOP",)]


def test_runs_are_told_apart():
    assert check_runs_are_told_apart("lconvnet-4", shipped(["wasserstein-*"])) == 12


def test_published_bounds():
    stated = [slot.published.text for _, _, slot in slots_of("lconvnet-4")]
    assert stated == ["7.39", "8.95", "9.91", "7.06", "7.82", "8.28", "3.29", "4.95", "5.34", "3.07", "4.20", "4.39"]


def test_a_classifier_of_the_same_data_is_no_critic():
    row = make_row("lconvnet-cifar10-small-bcop")
    assert not any(slot.matches(row) for _, _, slot in slots_of("lconvnet-4"))
