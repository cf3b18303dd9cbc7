"""Values with their lines: YAML and JSON, sections that remember, and changes from the command line."""

from __future__ import annotations

import pytest

from onelip.experiments.convert.marked import Section, override, read_marked
from onelip.experiments.errors import UserError

TEXT = """a: 1
b: !model
  name: x
  list: [1, 2.5, yes, 'no', null, true]
"""


def test_lines_and_tags_are_kept():
    marked = read_marked(TEXT, "f.yml")
    assert marked.plain() == {"a": 1, "b": {"name": "x", "list": [1, 2.5, "yes", "no", None, True]}}
    assert marked.value["b"].tag == "model"
    assert marked.value["b"].value["list"].where == "f.yml, line 4"
    assert marked.value["b"].shown() == "!model {name: x, list: [1, 2.5, yes, no, null, true]}"


def test_nothing_is_constructed():
    marked = read_marked("a: !!python/object/apply:os.system ['echo']", "f.yml")
    assert marked.value["a"].value[0].value == "echo"
    assert "python" in marked.value["a"].tag


def test_json_with_tabs_is_read():
    assert read_marked('{\n\t"a": {\n\t\t"b": [1e-07, false]\n\t}\n}', "f.json").plain() == {"a": {"b": [1e-7, False]}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1", "f.yml, line 1"),
        ("a: 1\na: 2", "f.yml, line 2: key 'a' is there twice"),
        ("", "f.yml is empty"),
        ("a: \x01", "f.yml"),
    ],
)
def test_what_is_no_yaml_is_refused(text, sentence):
    with pytest.raises(UserError) as caught:
        read_marked(text, "f.yml")
    assert str(caught.value).startswith(sentence)


def test_a_section_remembers_what_was_read():
    section = Section(read_marked("a: 1\nb: {c: 2, d: 3}\ne: null\nf: 4", "f.yml"))
    assert (section.need("a").value, section.child("b").plain("c", 0), section.plain("z", 9)) == (1, 2, 9)
    assert section.child("b") is section.section("b")
    assert [(path, value.value) for path, value in section.unread()] == [("b.d", 3), ("f", 4)]


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (lambda s: s.need("x"), "f.yml, line 1: x is missing"),
        (lambda s: s.child("x"), "f.yml, line 1: x is missing"),
        (lambda s: s.child("a"), "f.yml, line 1: a must be a mapping of keys to values"),
        (lambda s: s.need("a").one_of("kind", ("one",)), "f.yml, line 1: kind '1' is unknown; it must be one of 'one'"),
        (lambda s: s.need("b").number("b"), "f.yml, line 2: b=x must be a number"),
        (lambda s: s.refuse_unread(("a", "bb")), "f.yml, line 2: key of the file 'b' is unknown; did you mean 'bb'?"),
    ],
)
def test_sections_refuse_with_their_line(use, sentence):
    with pytest.raises(UserError) as caught:
        use(Section(read_marked("a: 1\nb: x", "f.yml")))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("a.b=2", {"a": {"b": 2, "c": [1, 2], "d": "x", "e": False, "f": 0.5}}),
        ("a.c=[3,4] a.d=7", {"a": {"b": 1, "c": [3, 4], "d": "7", "e": False, "f": 0.5}}),
        ("a.c=64+32", {"a": {"b": 1, "c": [64, 32], "d": "x", "e": False, "f": 0.5}}),
        ("a.e=true a.f=1", {"a": {"b": 1, "c": [1, 2], "d": "x", "e": True, "f": 1}}),
        ("a.e=1", {"a": {"b": 1, "c": [1, 2], "d": "x", "e": True, "f": 0.5}}),
        ("a.e=false", {"a": {"b": 1, "c": [1, 2], "d": "x", "e": False, "f": 0.5}}),
        ("g.h=1", {"a": {"b": 1, "c": [1, 2], "d": "x", "e": False, "f": 0.5}, "g": {"h": 1}}),
        ("a.d='two words'", {"a": {"b": 1, "c": [1, 2], "d": "two words", "e": False, "f": 0.5}}),
    ],
)
def test_changes(change, expected):
    marked = read_marked("a: {b: 1, c: [1, 2], d: x, e: false, f: 0.5}", "f.json")
    assert override(marked, [change]).plain() == expected


def test_a_changed_value_is_named_by_its_change():
    assert override(read_marked("a: 1", "f.json"), ["a=2"]).value["a"].where == "-o a=2"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("a", "-o 'a' is not a change; write it as key.subkey=value"),
        ("a.b.c=1", "-o a.b.c=1: there are no keys below 1"),
        ("a.b=x", "-o a.b=x is no int, as 1 is"),
        ("a.b=true", "-o a.b=true is no int, as 1 is"),
        ("a.e=2", "-o a.e=2 is no bool, as False is"),
    ],
)
def test_changes_that_do_not_fit(change, sentence):
    with pytest.raises(UserError) as caught:
        override(read_marked("a: {b: 1, e: false}", "f.json"), [change])
    assert str(caught.value) == sentence
