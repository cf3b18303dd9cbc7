"""Types of LConvNet's files."""

from __future__ import annotations

import pytest

from onelip.experiments.convert.lconvnet_types import kind_of
from onelip.experiments.convert.marked import Section, read_marked
from onelip.experiments.errors import UserError


def test_a_type_is_read_and_counted_as_read():
    section = Section(read_marked("{<type>: Adam, <init>: false, lr: 1}", "cfg.yaml"), "optimizer")
    assert kind_of(section, ("Adam", "SGD")) == "Adam"
    assert [path for path, _ in section.unread()] == ["optimizer.lr"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{lr: 1}", "cfg.yaml, line 1: optimizer.<type> is missing"),
        ("<type>: Sgd", "cfg.yaml, line 1: <type> of optimizer 'Sgd' is unknown; it must be one of 'Adam', 'SGD'"),
    ],
)
def test_other_types_are_refused(text, sentence):
    with pytest.raises(UserError) as caught:
        kind_of(Section(read_marked(text, "cfg.yaml"), "optimizer"), ("Adam", "SGD"))
    assert str(caught.value) == sentence
