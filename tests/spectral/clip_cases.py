"""The whole product of convolutions that clipping is promised for, and a few of them in which every pair occurs."""

import functools
import itertools
import random

import torch
from tests.spectral.clipping import enlarged, values
from torch import nn

import onelip

AXES = {
    "kernel": (1, 2, 3, 5),
    "padding": (0, 1, 2, "same"),
    "stride": (1, 2, 3),
    "dilation": (1, 2),
    "groups": (1, 2),
    "mode": ("zeros", "circular", "reflect", "replicate"),
    "size": (5, 6),
}
BOUNDS = (0.5, 1.0, 2.0)


def exists(kernel, padding, stride, dilation, groups, mode, size):
    """Does torch accept the layer at the size?"""
    span = dilation * (kernel - 1)
    pads = span // 2 + span % 2 if padding == "same" else padding
    return (
        not (padding == "same" and stride > 1)
        and (padding == "same" or size + 2 * padding > span)
        and (mode != "reflect" or pads < size)
    )


def product():
    return [case for case in itertools.product(*AXES.values()) if exists(*case)]


def pairs(case):
    return set(itertools.combinations(enumerate(case), 2))


@functools.cache
def covering():
    """A few cases in which every pair of values occurs that can, found greedily."""
    draw, cases = random.Random(0), product()
    left, chosen = set().union(*map(pairs, cases)), []
    while left:
        best = max(draw.sample(cases, 200), key=lambda case: len(left & pairs(case)))
        if not left & pairs(best):
            best = next(case for case in cases if left & pairs(case))
        chosen.append(best)
        left -= pairs(best)
    return tuple(chosen)


def build(case):
    kernel, padding, stride, dilation, groups, mode, size = case
    torch.manual_seed(hash(case[2:5]) % 1000)
    module = nn.Conv2d(2, 2, kernel, stride, padding, dilation, groups, padding_mode=mode)
    return enlarged(module, 4), (2, size, size)


def check_clipping(module, shape, max_norm, **options):
    """Clip; the dense reference obeys; what was below is as it was; a second call changes nothing.

    Returns:
        "clipped" or "left alone".
    """
    before, first = values(module, shape)[0], [p.detach().clone() for p in module.parameters()]
    onelip.clip_(module, max_norm, shape, **options)
    after, second = values(module, shape)[0], [p.detach().clone() for p in module.parameters()]
    assert after <= max_norm * (1 + 1e-3), f"the norm is {after:.6f} after clipping {before:.6f} at {max_norm}"
    same = all(map(torch.equal, first, second))
    assert same or before > max_norm * (1 + 4e-4), f"{before:.6f} is below {max_norm}, and weights changed"
    onelip.clip_(module, max_norm, shape, **options)
    assert all(map(torch.equal, second, module.parameters())), "a second call changed weights"
    return "left alone" if same else "clipped"
