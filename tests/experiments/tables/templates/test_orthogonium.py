"""The table of Orthogonium."""

from tests.experiments.tables.templates.shipped import check_runs_are_told_apart, shipped, slots_of


def test_recipes_are_told_apart():
    among = [*shipped(["orthogonium-*"]), "layers-compared-xs-aoc", "cifar10"]
    assert check_runs_are_told_apart("orthogonium-cifar10", among) == 6


def test_published_numbers():
    found = [(slot.value, slot.published.text) for _, _, slot in slots_of("orthogonium-cifar10")]
    assert found == [
        ("accuracy", "88.5"), ("certified@0.141176", "0"), ("accuracy", "75"), ("certified@0.141176", "42"),
        ("accuracy", "71"), ("certified@0.141176", "47"),
    ]  # fmt: skip
