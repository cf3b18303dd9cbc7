import numpy as np
import pytest
import torch

from onelip.attacks.randomness import drawn_seed, seeded


def test_global_generators_begin_anew_and_leave_no_trace():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    draws = []
    for _ in range(2):
        with seeded(7, torch.device("cpu")):
            draws.append((float(torch.rand(())), float(np.random.rand())))  # noqa: NPY002
    assert draws[0] == draws[1]
    with pytest.raises(KeyError):
        _draw_and_fail()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def _draw_and_fail():
    with seeded(7, torch.device("cpu")):
        np.random.rand()  # noqa: NPY002
        raise KeyError


def test_seeds_come_from_the_generator():
    first, second, other = (torch.Generator().manual_seed(k) for k in (1, 1, 2))
    assert drawn_seed(first) == drawn_seed(second) != drawn_seed(other)
    torch.manual_seed(3)
    usual = drawn_seed(None)
    torch.manual_seed(3)
    assert drawn_seed(None) == usual
