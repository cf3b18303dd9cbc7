"""Torch's global generators, seeded some ten thousand times in a run of the tests."""

from __future__ import annotations

import functools

import torch


def seed(number: int) -> None:
    """Do what torch.manual_seed does, 0.7 ms sooner where there is no GPU.

    Without one, torch notes for three kinds of accelerator the stack of whoever called, in text.
    """
    if _has_accelerator():
        torch.manual_seed(number)
    else:
        torch.default_generator.manual_seed(number)


@functools.cache
def _has_accelerator() -> bool:
    return torch.accelerator.is_available()
