"""The table of promises: what every layer must do, each as a plain function that raises AssertionError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from tests.contract import cases
from tests.contract.cases import Case

from onelip.layers import LayerRecord

Kinds = tuple[str, ...]
WITH_WEIGHT: Kinds = ("conv1d", "conv2d", "conv_transpose2d", "linear")
EVERY: Kinds = (*WITH_WEIGHT, "activation", "pool", "normalization")
CONVS: Kinds = ("conv1d", "conv2d", "conv_transpose2d")
Scope = Literal["first", "core", "all", "small-images"]


@dataclass(frozen=True)
class Promise:
    """One sentence of the layer contract.

    Attributes:
        name: What a record's `exceptions` and `pytest -k` call it.
        check: Raises AssertionError, with a message, if the layer of a case breaks it.
        kinds: Kinds of layer that promise it.
        scopes: The cases it is checked on in each precision: the plainest one, a few, the whole grid, or images below
            the kernel.
        slow: Does one check take longer than about half a second?
    """

    name: str
    check: Callable[[Case], None]
    kinds: Kinds
    scopes: dict[torch.dtype, Scope]
    slow: bool

    def cases_of(self, record: LayerRecord) -> list[Case]:
        """The cases of one record that this promise is checked on; refused combinations are left out."""
        if record.kind not in self.kinds:
            return []
        found: list[Case] = []
        for dtype, scope in self.scopes.items():
            core = cases.buildable(cases.core_cases(record, dtype))
            if scope == "first":
                found += core[:1]
            elif scope == "core":
                found += core
            elif scope == "small-images":
                found += cases.small_image_cases(record, dtype)
            else:
                found += core + cases.buildable(cases.grid_cases(record, dtype))
        return found


PROMISES: dict[str, Promise] = {}


def promise(
    *,
    kinds: Kinds = EVERY,
    float32: Scope | None = "core",
    float64: Scope | None = None,
    slow: bool = False,
) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Enter a `check_...` function in the table, under its name without `check_`, with the scope of each precision."""
    scopes = {dtype: s for dtype, s in ((torch.float32, float32), (torch.float64, float64)) if s is not None}

    def enter(check: Callable[[Case], None]) -> Callable[[Case], None]:
        name = check.__name__.removeprefix("check_")
        assert name not in PROMISES, f"two promises are called {name}"
        PROMISES[name] = Promise(name, check, kinds, scopes, slow)
        return check

    return enter
