from __future__ import annotations

import pytest
import torch

from onelip.experiments.determinism import determinism_kept


def change_and_fail():
    with determinism_kept():
        torch.use_deterministic_algorithms(not torch.are_deterministic_algorithms_enabled())
        torch.backends.cudnn.benchmark = True
        raise ValueError("in the block")


@pytest.mark.parametrize(("before", "warn_only"), [(False, False), (True, False), (True, True)])
def test_what_was_set_is_set_again(before, warn_only):
    with determinism_kept():
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        with pytest.raises(ValueError, match="in the block"):
            change_and_fail()
        assert torch.are_deterministic_algorithms_enabled() == before
        assert torch.is_deterministic_algorithms_warn_only_enabled() == warn_only
        assert not torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()
