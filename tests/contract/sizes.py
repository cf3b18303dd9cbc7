"""The product of sizes that every convolution must serve or refuse, and a small part of it that covers all pairs.

The suite checks the covering part (`test_sizes.py`); `python -m tools.check_sizes` measures the whole product, which
takes minutes for each method and precision.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tests.contract.cases import Case
from tests.contract.measure import ISOMETRY_SLACK, NORM_SLACK
from tests.contract.operators import Undefined, extremes
from tests.contract.promises.arguments import assert_sentence
from tests.contract.states import perturb_

from onelip.layers import LayerRecord

KERNELS = (1, 2, 3, 4, 5)
CHANNELS = (1, 2, 3, 4, 8, 16)
STRIDES = (1, 2, 4)
DILATIONS = (1, 2)
GROUPS = (1, 2, 4)
IMAGES = ((5, 7), (8, 8), (16, 16))
AXES = (KERNELS, CHANNELS, CHANNELS, STRIDES, DILATIONS, GROUPS, IMAGES)
KINDS = ("conv2d", "conv_transpose2d")


@dataclass(frozen=True)
class Sizes:
    """One element of the product."""

    kernel: int
    in_channels: int
    out_channels: int
    stride: int
    dilation: int
    groups: int
    image: tuple[int, int]

    @property
    def grouped(self) -> bool:
        """Do the groups divide the channels?"""
        return self.in_channels % self.groups == self.out_channels % self.groups == 0

    def case(self, record: LayerRecord, mode: str, dtype: torch.dtype) -> Case:
        """How to build the layer so that the image keeps its size but for the stride."""
        reach = self.dilation * (self.kernel - 1)
        odd = reach % 2 and self.stride == 1 and record.kind == "conv2d"
        padding = "same" if odd else min(reach // 2, *self.image) if mode == "circular" else reach // 2
        options = {
            "stride": self.stride,
            "padding": padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "padding_mode": mode,
        }
        h, w = self.image
        label = (
            f"k{self.kernel}-{self.in_channels}to{self.out_channels}-s{self.stride}-d{self.dilation}-g{self.groups}"
            f"-{h}x{w}-{mode}"
        )
        arguments = (self.in_channels, self.out_channels, self.kernel)
        return Case(record, label, arguments, options, (self.in_channels, h, w), dtype)


def product() -> Iterator[Sizes]:
    """Every element."""
    return itertools.starmap(Sizes, itertools.product(*AXES))


@functools.cache
def covering(seed: int, *, square: bool = False, strides: bool = True) -> list[Sizes]:
    """A few elements in which every pair of values of two axes occurs that can, found greedily.

    Args:
        seed: For another choice.
        square: Only with as many channels out as in?
        strides: With strides too?
    """
    allowed = [
        s
        for s in product()
        if s.grouped and (s.in_channels == s.out_channels or not square) and (s.stride == 1 or strides)
    ]
    draw = random.Random(seed)
    pairs = {s: _pairs(s) for s in allowed}
    left, chosen = set().union(*pairs.values()), []
    while left:
        # The best of a sample is nearly the best of all.
        sample = draw.sample(allowed, min(400, len(allowed)))
        best = max(sample, key=lambda s: len(left & pairs[s]))
        if not left & pairs[best]:
            best = next(s for s in allowed if left & pairs[s])
        chosen.append(best)
        left -= pairs[best]
    return chosen


def _pairs(s: Sizes) -> set[tuple[int, object, int, object]]:
    values = (s.kernel, s.in_channels, s.out_channels, s.stride, s.dilation, s.groups, s.image)
    numbered = list(enumerate(values))
    return {(i, a, j, b) for (i, a), (j, b) in itertools.combinations(numbered, 2)}


def check_sizes(case: Case) -> str:
    """Build a layer of these sizes and measure it, fresh in eval and with noise on its parameters in train mode.

    Returns:
        "measured", "refused" by the constructor or "image refused" in forward, both in a sentence.
    """
    try:
        layer = case.build().eval()
    except ValueError as error:
        assert_sentence(case, str(error))
        return "refused"
    for training in (False, True):
        # A sixth of the noise that `perturb_` adds by default: the raw weights stay well conditioned.
        layer = (perturb_(layer, size=0.05) if training else layer).train(training)
        try:
            found = extremes(layer, case)
        except Undefined as error:
            text = str(error)
            assert type(layer).__name__ in text, f"the refusal does not name the class: {text}"
            assert any(word in text for word in ("image", "height", "width")), f"it does not name the image: {text}"
            return "image refused"
        mode = "train" if training else "eval"
        assert found.largest <= 1 + NORM_SLACK[case.dtype], f"the true norm is {found.largest:.12f} in {mode} mode"
        if getattr(layer, "orthogonal", False) and found.isometric:
            assert found.smallest >= 1 - ISOMETRY_SLACK, f"a singular value is {found.smallest:.6f} in {mode} mode"
    return "measured"


def _modes(record: LayerRecord) -> tuple[str, ...]:
    return tuple(mode for mode in ("circular", "zeros") if mode in record.paddings)


def cases_of(record: LayerRecord, dtype: torch.dtype, *, whole: bool, seed: int = 0) -> list[Case]:
    """The cases of one record: the whole product, or a covering part for each padding mode."""
    modes = _modes(record)
    if whole:
        return [s.case(record, mode, dtype) for s in product() if s.grouped for mode in modes]
    found = [s.case(record, mode, dtype) for i, mode in enumerate(modes) for s in covering(len(modes) * seed + i)]
    if record.square or not record.strides:
        # Most of these are refused; the rest is covered as well.
        for i, mode in enumerate(modes):
            part = covering(len(modes) * seed + i, square=record.square, strides=record.strides)
            found += [s.case(record, mode, dtype) for s in part]
    return found
