"""Orders are pure functions of seed, purpose and pass."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip.data.shuffles import Shuffles


def test_an_order_has_everything_once_and_does_not_depend_on_what_was_asked_before():
    shuffles = Shuffles(50, seed=3, purpose=1)
    first = shuffles.order(2)
    assert sorted(first.tolist()) == list(range(50))
    assert not torch.equal(shuffles.order(0), first)
    assert torch.equal(shuffles.order(2), first)
    assert torch.equal(first, torch.from_numpy(np.random.default_rng([3, 2, 1]).permutation(50)))


def test_seeds_and_purposes_give_other_orders():
    orders = [Shuffles(50, seed, purpose).order(1) for seed, purpose in ((0, 1), (0, 2), (1, 1))]
    assert all(not torch.equal(a, b) for a, b in zip(orders, orders[1:] + orders[:1], strict=True))


@given(n=st.integers(1, 12), start=st.integers(0, 40), count=st.integers(0, 40))
def test_a_run_goes_on_from_pass_to_pass(n, start, count):
    shuffles = Shuffles(n, seed=0, purpose=5)
    endless = torch.cat([shuffles.order(k) for k in range(80 // n + 1)])
    assert torch.equal(shuffles.run(start, count), endless[start : start + count])
