"""Tables of FastClip."""

import pytest
from tests.experiments.collection.made_runs import make_row
from tests.experiments.tables.templates.shipped import check_runs_are_told_apart, shipped, slots_of

from onelip.experiments.tables.templates import TEMPLATES, Inputs


@pytest.mark.parametrize("name", ["fastclip-accuracy", "fastclip-attack", "fastclip-norms"])
def test_networks_methods_and_modes(name):
    spec = TEMPLATES[name].build(Inputs([]))[0]
    assert len(spec.rows) == 24
    # The small network on digits has rows where there are runs of it.
    small = TEMPLATES[name].build(Inputs([make_row("clipping-digits-gouk-wbn")]))[0]
    assert len(small.rows) == 30


def test_runs_are_told_apart():
    among = shipped(["clipping-cifar10-dla-*", "clipping-mnist-resnet18-gouk*"])
    assert check_runs_are_told_apart("fastclip-accuracy", among) == len(among)


@pytest.mark.parametrize("mode", ["nobn", "wbn", "clipbn", "joint"])
def test_modes_on_digits(mode):
    row = make_row(f"clipping-digits-fastclip-{mode}")
    taken = [column for _, column, slot in slots_of("fastclip-accuracy", Inputs([row])) if slot.matches(row)]
    assert [mode] == [column[-1].lower() for column in taken]


def test_numbers():
    values = {slot.value for name in ("fastclip-attack", "fastclip-norms") for _, _, slot in slots_of(name)}
    assert values == {
        "attacked-pgd-linf@0.02", "never_changed-cw-l2", "largest_singular_value", "largest_norm_at_checks",
    }  # fmt: skip
    assert {slot.goal for _, _, slot in slots_of("fastclip-norms")} == {"near-1"}
