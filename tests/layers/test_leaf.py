"""The base of plain layers copies."""

from __future__ import annotations

import torch

from onelip.layers import HouseHolder, to_plain


def test_plain_form_is_an_independent_copy_in_eval_mode() -> None:
    layer = HouseHolder(4)
    plain = to_plain(layer)
    assert not plain.training
    assert layer.training
    with torch.no_grad():
        layer.angle.zero_()
    assert bool(plain.angle.all())  # type: ignore[union-attr,operator]
