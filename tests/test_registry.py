"""The registry shared by losses, metrics and models."""

import pytest

from onelip.registry import Registry


def make_thing(*, size, colour="red", shape=(), **more):
    """A thing.

    More about it.
    """


@pytest.fixture
def things():
    registry = Registry("thing", supplied=("shape",))
    registry.register("zebra")(make_thing)
    registry.register("apple", summary="An apple.")(make_thing)
    return registry


def test_parts_are_listed_by_name_with_options_and_summary(things):
    parts = things.available()
    assert list(parts) == ["apple", "zebra"]
    assert parts["zebra"].options == ("size", "colour")
    assert [part.summary for part in parts.values()] == ["An apple.", "A thing."]


def test_the_decorator_leaves_the_factory(things):
    assert things.part("zebra", {"size": 1}).factory is make_thing
    assert things.register("third")(make_thing) is make_thing


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("zebr", {}, "thing 'zebr' is unknown; did you mean 'zebra'?"),
        ("zebra", {"sise": 3}, "sise=3 is not an option of thing 'zebra'; its options: size, colour"),
        ("zebra", {"shape": ()}, r"shape=\(\) is not an option"),
        ("zebra", {"more": 1}, "more=1 is not an option"),
    ],
)
def test_unknown_names_and_options_are_refused(things, name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        things.part(name, options)


def test_a_name_is_taken_once_and_needs_a_summary(things):
    with pytest.raises(ValueError, match="thing 'apple' is registered already"):
        things.register("apple")
    with pytest.raises(ValueError, match="thing 'mute' has no docstring"):
        things.register("mute")(lambda: None)
    assert "mute" not in things.available()
