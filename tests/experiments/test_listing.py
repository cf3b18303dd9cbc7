"""The tables of what can be named come from the registries."""

import pytest

from onelip import layers, models
from onelip.experiments import UserError, available_configs
from onelip.experiments.listing import KINDS_OF_PARTS, LAYER_KINDS, show
from onelip.layers.registry import KINDS
from onelip.tasks import OPTIMIZERS, SCHEDULES


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("layers", {name for kind in LAYER_KINDS for name in layers.available(kind)}),
        ("activations", set(layers.available("activation"))),
        ("pools", set(layers.available("pool"))),
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
    assert all(name and len("".join(text)) > 10 for name, *text in KINDS_OF_PARTS[kind].rows())


def test_every_kind_of_layer_is_in_a_list():
    assert set(KINDS) == {*LAYER_KINDS, "activation", "pool", "normalization"}


def test_a_method_is_one_row_with_what_is_special_to_each_kind(capsys, monkeypatch):
    def made(kind, **changes):
        facts = {"cost": "nothing", "paper": "a paper", "orthogonal": True, "norm": "l2"} | changes
        return layers.LayerRecord(kind, "new", object, paddings=(), square=False, strides=True, **facts)

    known = [made("conv2d"), made("linear", cost="one product", orthogonal=False, norm="linf")]
    monkeypatch.setattr(layers, "records", lambda kind: [r for r in known if r.kind == kind])
    assert list(KINDS_OF_PARTS["layers"].rows()) == [
        (
            "new",
            "conv2d, linear\nconv2d: orthogonal\nlinear: not orthogonal, linf norm",
            "a paper\ncost conv2d: nothing\ncost linear: one product",
        )
    ]


def test_the_table_of_layers_fits_the_page(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show("layers")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].split() == ["method", "kinds,", "Jacobian", "source,", "cost", "of", "the", "constraint"]


def test_all_kinds_are_shown_without_an_argument(capsys):
    show(None)
    output = capsys.readouterr().out
    assert all(kind in output for kind in KINDS_OF_PARTS)


def test_an_unknown_kind_gives_the_nearest():
    with pytest.raises(UserError, match="did you mean 'layers'"):
        show("layer")


def test_the_cells_of_grids_share_a_row():
    rows = dict(KINDS_OF_PARTS["configs"].rows())
    assert {"digits", "clipping-digits", "clipping-cifar10-resnet18"} <= set(rows)
    cells = next(name for name in rows if "clipping-digits-..." in name.split("\n"))
    assert "fastclip-joint" in rows[cells].split(", ")
    sizes = next(name for name in rows if "layers-compared-xs-..." in name.split("\n"))
    assert "layers-compared-tiny-imagenet-m-..." in sizes.split("\n")
    assert rows[sizes] == "aoc, aol, bcop, cayley, cpl, lot, sll, soc"


def test_other_configurations_have_a_line_each():
    rows = dict(KINDS_OF_PARTS["configs"].rows())
    assert {"cifar10-record", "cifar10-record-edm", "orthogonium-cifar10-mild", "layers-compared-xs"} <= set(rows)
    assert len(rows) < len(available_configs()) / 2
