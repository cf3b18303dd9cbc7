"""The shared AdamW update against torch's optimiser."""

import torch
from tests.optim.problems import gradient_of, parameters

from onelip.optim.adamw_step import AdamUpdates, adamw_step_


def test_is_torchs_adamw():
    ours, theirs = parameters((3, 2), (4,)), parameters((3, 2), (4,))
    group = {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.2}
    states = [{} for _ in ours]
    reference = torch.optim.AdamW(theirs, foreach=False, fused=False, **group)
    for i in range(5):
        for p in theirs:
            p.grad = gradient_of(p, i)
        with torch.no_grad():
            adamw_step_(ours, [gradient_of(p, i) for p in ours], states, group)
        reference.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q, atol=1e-12, rtol=1e-12)


def test_a_step_counts_as_a_change():
    ours = parameters((3, 2), (4,))
    before = [p._version for p in ours]
    with torch.no_grad():
        adamw_step_(
            ours, [gradient_of(p, 0) for p in ours], [{} for _ in ours], {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-6}
        )
    assert all(p._version > version for p, version in zip(ours, before, strict=True))


def test_no_parameters_are_no_work():
    adamw_step_([], [], [], {})


def test_updates_of_several_groups_are_those_of_each():
    groups = [{"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-6}, {"lr": 0.2, "betas": (0.8, 0.95), "eps": 1e-6}]
    ours, theirs = parameters((3,), (3,), (2,)), parameters((3,), (3,), (2,))
    chosen = [(groups[0], 0.0), (groups[1], 0.3), (groups[0], 0.0)]
    states = [{} for _ in ours]
    with torch.no_grad():
        for i in range(3):
            updates = AdamUpdates()
            for p, (group, decay), state in zip(ours, chosen, states, strict=True):
                updates.add(group, decay, [p], [gradient_of(p, i)], [state])
            updates.apply_()
    for p, q, (group, decay) in zip(ours, theirs, chosen, strict=True):
        reference = torch.optim.AdamW([q], weight_decay=decay, **group)
        for i in range(3):
            q.grad = gradient_of(q, i)
            reference.step()
        torch.testing.assert_close(p, q)
