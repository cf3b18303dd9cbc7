"""The tables of what can be named come from the registries."""

import pytest

from onelip import layers, models
from onelip.experiments import UserError
from onelip.experiments.listing import KINDS_OF_PARTS, show
from onelip.tasks import OPTIMIZERS, SCHEDULES


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("layers", {*layers.available("conv2d"), *layers.available("linear")}),
        ("activations", set(layers.available("activation"))),
        ("normalizations", set(layers.available("normalization"))),
        ("models", set(models.available())),
        ("optimizers", set(OPTIMIZERS)),
        ("schedules", set(SCHEDULES)),
    ],
)
def test_every_registered_name_is_listed(kind, names, capsys):
    show(kind)
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()[1:] if line.strip()}
    assert names <= listed


@pytest.mark.parametrize("kind", KINDS_OF_PARTS)
def test_every_entry_says_what_it_is(kind):
    assert all(name and len(text) > 10 for name, text in KINDS_OF_PARTS[kind]())


def test_all_kinds_are_shown_without_an_argument(capsys):
    show(None)
    output = capsys.readouterr().out
    assert all(kind in output for kind in KINDS_OF_PARTS)


def test_an_unknown_kind_gives_the_nearest():
    with pytest.raises(UserError, match="did you mean 'layers'"):
        show("layer")
