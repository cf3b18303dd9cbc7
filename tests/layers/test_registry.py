from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from onelip import layers
from onelip.layers import registry


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_RECORDS", {})


def _enter(**changes: Any) -> type[nn.Module]:
    options: dict[str, Any] = {"kind": "linear", "name": "toy", "paper": "none"}
    return registry.register(**{**options, **changes})(nn.Linear)


@pytest.mark.usefixtures("empty")
def test_a_registered_layer_is_listed_and_built_by_name() -> None:
    assert _enter() is nn.Linear
    assert layers.available("linear") == ("toy",)
    built = layers.linear("toy", 3, 4, bias=False)
    assert (built.in_features, built.out_features, built.bias) == (3, 4, None)
    assert layers.record("linear", "toy").paper == "none"
    assert layers.records("conv2d") == ()


@pytest.mark.usefixtures("empty")
def test_records_are_sorted_by_kind_and_name() -> None:
    for kind, name in (("pool", "a"), ("linear", "b"), ("linear", "a")):
        _enter(kind=kind, name=name)
    assert [(r.kind, r.name) for r in layers.records()] == [("linear", "a"), ("linear", "b"), ("pool", "a")]


@pytest.mark.usefixtures("empty")
def test_a_name_can_be_taken_once_for_each_kind() -> None:
    _enter()
    _enter(kind="pool")
    with pytest.raises(ValueError, match="name='toy' is already registered as a linear"):
        _enter()


@pytest.mark.usefixtures("empty")
def test_a_convolution_names_its_paddings() -> None:
    with pytest.raises(ValueError, match=r"paddings=\(\) in the record of conv2d 'toy'"):
        _enter(kind="conv2d")


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="layer kind 'linaer' is unknown; did you mean 'linear'"):
        layers.available("linaer")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="conv2d layer 'aocc' is unknown; did you mean 'aoc'"):
        layers.conv2d("aocc", 1, 1, 1)
    with pytest.raises(ValueError, match="layer kind 'conv' is unknown"):
        _enter(kind="conv")


def test_each_kind_has_its_builder() -> None:
    assert isinstance(layers.conv2d("aoc", 2, 3, 3), layers.record("conv2d", "aoc").factory)
    assert isinstance(layers.conv_transpose2d("aoc", 2, 3, 3), layers.record("conv_transpose2d", "aoc").factory)
    assert isinstance(layers.activation("maxmin", 4), layers.record("activation", "maxmin").factory)
    assert isinstance(layers.pool("scaled-avg", 2), layers.record("pool", "scaled-avg").factory)


def test_every_record_says_where_it_is_from_and_what_it_costs() -> None:
    silent = [(r.kind, r.name) for r in layers.records() if len(r.paper) < 4 or not r.cost]
    assert not silent
