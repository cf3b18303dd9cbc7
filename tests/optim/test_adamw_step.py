"""The shared AdamW update against torch's optimiser."""

import torch
from tests.optim.problems import gradient_of, parameters

from onelip.optim.adamw_step import adamw_step_


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


def test_no_parameters_are_no_work():
    adamw_step_([], [], [], {})
