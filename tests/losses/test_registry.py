"""Losses by name: mistakes, and the page that lists them."""

import math
import re
from pathlib import Path

import pytest

from onelip import losses


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("cross-entropi", {}, "loss 'cross-entropi' is unknown; did you mean 'cross-entropy'"),
        ("cosine", {"margin": 1.0}, "margin=1.0 is not an option of loss 'cosine'; its options: none"),
        ("offset-cross-entropy", {"margn": 1}, "its options: margin, temperature"),
        ("offset-cross-entropy", {"margin": -0.1}, "margin=-0.1 in OffsetCrossEntropy must be >= 0"),
        ("offset-cross-entropy", {"temperature": 0.0}, "temperature=0.0 in OffsetCrossEntropy must be positive"),
        ("cross-entropy", {"temperature": math.nan}, "temperature=nan"),
        ("multi-margin", {"p": 0.5}, "p=0.5 in MultiMargin"),
        ("multi-margin", {"margin": math.inf}, "margin=inf"),
        ("multi-margin", {"p": {"start": 1, "end": 2}}, "p={'start': 1, 'end': 2} in MultiMargin must be positive"),
        ("emma", {"radius": "wide"}, "radius='wide' in EMMA must be >= 0"),
        ("emma", {"radius": True}, "radius=True in EMMA"),
        ("cosine-vra", {"gamma": 1.5}, r"gamma=1.5 in CosineVRA must be in \[0, 1\]"),
        ("soft-hkr", {"margin": {"start": 1, "end": 2}}, "margin={'start': 1, 'end': 2} in SoftHKR must be positive"),
    ],
)
def test_mistakes_are_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        losses.build(name, **options)


def test_the_page_has_a_row_for_each_loss():
    page = (Path(__file__).parents[2] / "docs" / "losses.md").read_text("utf-8")
    assert re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE) == list(losses.available())


def test_registered_classes_are_public():
    classes = {part.factory.__name__ for part in losses.available().values()}
    assert classes <= set(losses.__all__)
