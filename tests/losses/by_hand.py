"""Losses of numbers written out in a test."""

from __future__ import annotations

import torch

from onelip import losses


def value(name, rows, labels, *, constants=None, **options):
    """The loss in float64; with `constants` given as rows, of a network with these."""
    logits, right = torch.tensor(rows, dtype=torch.float64), torch.tensor(labels)
    given = () if constants is None else (torch.tensor(constants, dtype=torch.float64),)
    return losses.build(name, **options)(logits, right, *given).item()
