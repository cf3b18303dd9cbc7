"""Single values of a configuration are those that all of it is read to."""

import pytest
from tests.experiments.collection.made_runs import resolved

from onelip.experiments import UserError
from onelip.experiments.collection import config_text
from onelip.experiments.collection.config_text import ConfigText
from onelip.experiments.config_source import parse_yaml


def _leaves(tree, path=()):
    for key, value in tree.items():
        yield (*path, key), value
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))


@pytest.mark.parametrize("name", ["digits", "wasserstein-points", "gan-digits", "layers-compared-xs-aoc"])
def test_values_are_those_of_the_whole_file(name, monkeypatch):
    text = resolved(name)
    expected = list(_leaves(parse_yaml(text, "it")))
    # Without the way out.
    monkeypatch.setattr(ConfigText, "_from_whole", None)
    assert [(path, ConfigText(text, "it").get(*path)) for path, _ in expected] == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a:\n  b: 1e-3", 0.001),
        ("a:\n  b: -2", -2),
        ("a:\n  b: on", "on"),
        ("a:\n  b: '1'", "1"),
        ("a:\n  b: 017", 17),
        ("a:\n    c: 1\n    b: 12:30", "12:30"),
        ("a:\n  b: >\n    two\n    words", "two words\n"),
        ("a:\n  b: null", None),
        ("a: null", None),
        ("a: {c: 1, b: 2}", 2),
        ("a: b", None),
        ("c: 1", None),
        ("{a: {b: 3}}", 3),
        ("# a comment\n\na:\n\n  # another one\n  b: 4 # here\nc: 5", 4),
        ("c: &x [1, 2]\na:\n  b: *x", [1, 2]),
        ("a:\n- b", None),
        ('"a":\n  b: 6', 6),
    ],
)
def test_yaml_of_any_style(text, value):
    found = ConfigText(text + "\n", "it").get("a", "b")
    assert found == value
    assert type(found) is type(value)


def test_what_is_no_mapping_is_refused():
    with pytest.raises(UserError, match="it is not a mapping"):
        ConfigText("- 1", "it").get("a")
    with pytest.raises(UserError, match="it, line 2"):
        ConfigText("a: [\nb", "it").get("a")


def test_a_value_is_read_once(monkeypatch):
    config_text._read.cache_clear()
    read = []
    monkeypatch.setattr(config_text, "parse_yaml", lambda text, source: read.append(text) or {"name": "it"})
    for _ in range(3):
        assert ConfigText("model:\n  name: it\n  b: 1", "it").get("model", "name") == "it"
    assert read == ["name: it\n"]
