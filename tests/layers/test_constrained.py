from __future__ import annotations

import pytest
from torch import nn
from typing_extensions import override

from onelip.layers.constrained import ConstrainedModule
from onelip.linalg import EXACT_ONE, Bound


class Complete(ConstrainedModule):
    @override
    def lipschitz_bound(self, input_shape: tuple[int, ...] | None = None) -> Bound:
        return EXACT_ONE

    @override
    def to_plain(self) -> nn.Module:
        return nn.Identity()


@pytest.mark.parametrize("missing", ["lipschitz_bound", "to_plain"])
def test_a_layer_without_a_bound_or_a_plain_form_cannot_be_built(missing: str) -> None:
    incomplete = type("Incomplete", (Complete,), {missing: getattr(ConstrainedModule, missing)})
    with pytest.raises(TypeError, match=missing):
        incomplete()


def test_nothing_is_claimed_or_retracted_by_default() -> None:
    layer = Complete()
    layer.retract_()
    assert layer.orthogonal is False
