"""What comes out of a conversion: examples of what is drawn, YAML, fractions and names."""

from __future__ import annotations

import pytest

from onelip.experiments.convert.conversion import Conversion, Drawn, as_fraction, check_name, parts_of, to_yaml
from onelip.experiments.convert.marked import Section, read_marked
from onelip.experiments.errors import UserError


def test_examples_meet_both_ends_and_every_choice():
    out = Conversion({"lr": Drawn("loguniform", (0.1, 1.0)), "layer": Drawn("choice", ("a", "b", "c")), "n": [1]})
    assert out.drawn
    assert [(tree["lr"], tree["layer"]) for tree in out.examples()] == [(0.1, "a"), (1.0, "c"), (0.1, "b")]


def test_without_draws_there_is_one_example():
    assert list(Conversion({"a": {"b": 1}}).examples()) == [{"a": {"b": 1}}]


def test_what_is_left_out_is_noted_once():
    section, out = Section(read_marked("a: 1\nb: {c: false, d: 2}", "f.yml")), Conversion()
    section.child("b").get("d")
    out.leave_out(section, "why")
    out.leave_out(section)
    out.differs("this")
    assert out.notes == ["no counterpart: a=1 (why)", "no counterpart: b.c=false (why)", "differs: this"]


def test_yaml():
    tree = {
        "lr": Drawn("uniform", (0.5, 1.0)),
        "radii": [1.0, "1/2"],
        "name": "x",
        "model": {"name": "y", "widths": [1, 2]},
    }
    tree["again"] = tree["radii"]
    assert to_yaml(tree) == (
        "name: x\nmodel: {name: y, widths: [1, 2]}\nlr: !uniform [0.5, 1.0]\nradii: [1.0, 1/2]\nagain: [1.0, 1/2]\n"
    )


@pytest.mark.parametrize(
    ("radius", "written"),
    [(0.1411, "36/255"), (0.4235, "108/255"), (1.0, 1.0), (0.1, 0.1), (0.1411764706, "36/255"), (1e-5, 1e-5)],
)
def test_radii_are_fractions_where_they_were_rounded(radius, written):
    assert as_fraction(radius) == written


def test_parts_of_a_training():
    assert parts_of([0, 60, 100, 150, 200, 300], 200) == ["3/10", "1/2", "3/4"]


def test_names():
    assert check_name("ConvNet_XS  (2)") == "convnet-xs-2"
    with pytest.raises(UserError, match="has no letters to make a name of"):
        check_name("--")
