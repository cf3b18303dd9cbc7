"""FastClip during training, for any loop: a method that lowers the norms every so many steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from torch import Tensor, nn

from onelip.spectral.affine_map import AffineMap
from onelip.spectral.clip_batch_norm import batch_norm_norm, clip_batch_norm_
from onelip.spectral.parts import NORMS, Part, affine_parts
from onelip.spectral.published_clip import published_clip_
from onelip.spectral.symbol_clip import SymbolClip, clip_together_, has_symbol
from onelip.spectral.top_value import searched_norm
from onelip.spectral.warm_clip import WarmClipped, warm_clip_
from onelip.spectral.weighted_map import clippable_weights
from onelip.spectral.weighted_parts import own_module

BatchNormMode = Literal["keep", "clip", "joint"]
EventKind = Literal["fastclip", "published"]

_MOST_PASSES = 20
"""Over parts that share weights: clipping one can raise another."""

_ESTIMATE = 1e-3


class SpectralClipper:
    """Keep the norm of each convolution and dense layer of a network at most `max_norm` while it is trained.

    Call `step()` after each step of the optimiser: every `period` steps, each affine part is measured from the singular
    vectors of the last time, and if it is above it is clipped until it measures at most max_norm (1 + tol). Between
    these events norms drift with the learning rate; call `clip()` before an evaluation or for the final weights.

        clipper = onelip.SpectralClipper(model, 1.0, (3, 32, 32))
        for x, y in batches:
            optimizer.zero_grad(); loss(model(x), y).backward(); optimizer.step()
            clipper.step()
        clipper.clip()

    Weights change in place, and nothing else does: gradients, the optimiser, batch statistics, modes, keys of the
    state dict and random generators stay as they are, so it works with accumulated gradients, autocast, gradient
    scalers and a compiled forward. It draws no random numbers but seeded ones: with equal weights all processes of a
    distributed training do the same. Norms are those at `input_shape`, whatever else the network is fed.

    Args:
        model: The network, also compiled or wrapped for parallel training.
        max_norm: Positive.
        input_shape: Shape of one input of the network, without the batch.
        period: Steps from one event to the next.
        delay: Steps without events at the beginning.
        batch_norm: "keep" leaves batch normalisations alone; "clip" clamps their scales, see `clip_batch_norm_`;
            "joint" bounds a layer and the batch normalisation that follows it as one map, by the layer's weights.
        batch_norm_period: With "clip", the scales are also clamped every so many steps between events.
        event: "fastclip" clips until it holds; "published" does one step as published, see `published_clip_`.
        rank: How many singular vectors of a part that has no symbol are followed by "fastclip".
        tol: Relative excess over `max_norm` that "fastclip" lets be.

    Attributes:
        skipped: Names of the parts that are not clipped, as their weights are frozen or fixed by a constraint.

    Raises:
        ValueError: If an argument is out of its range, or the network does not accept the shape.

    Paper:
        Boroojeny, Telgarsky and Sundaram 2024, arXiv:2402.16017.
    """

    def __init__(
        self,
        model: nn.Module,
        max_norm: float = 1.0,
        input_shape: tuple[int, ...] = (3, 32, 32),
        *,
        period: int = 100,
        delay: int = 0,
        batch_norm: BatchNormMode = "keep",
        batch_norm_period: int | None = None,
        event: EventKind = "fastclip",
        rank: int = 4,
        tol: float = 1e-2,
    ) -> None:
        _check_choices(batch_norm, event)
        for name, value, right in (
            ("max_norm", max_norm, max_norm > 0),
            ("period", period, period >= 1),
            ("delay", delay, delay >= 0),
            ("batch_norm_period", batch_norm_period, batch_norm_period is None or batch_norm_period >= 1),
            ("rank", rank, rank >= 1),
            ("tol", tol, 0 < tol < 1),
        ):
            if not right:
                raise ValueError(f"{name}={value} in SpectralClipper is out of range")
        if batch_norm_period is not None and batch_norm != "clip":
            raise ValueError(f"batch_norm_period={batch_norm_period} goes with batch_norm='clip', not {batch_norm!r}")
        self.event = event
        self._model = _unwrapped(model)
        self._max_norm = max_norm
        self._input_shape = tuple(input_shape)
        self._period = period
        self._delay = delay
        self._batch_norm = batch_norm
        self._batch_norm_period = batch_norm_period
        self._rank = rank
        self._tol = tol
        self._count = 0
        self._clipped_at: int | None = None
        self._vectors: dict[str, Tensor] = {}
        self._ratios: dict[str, float] = {}
        self._norms: dict[str, float] = {}
        self._record()

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are clipped."""
        return self._parts

    @property
    def holds(self) -> bool:
        """Is the bound to hold from now on: is the delay over, and does the method clip until it holds?"""
        return self._count > self._delay and self.event == "fastclip"

    @property
    def settled(self) -> bool:
        """Were the norms clipped since the last step?"""
        return self._clipped_at == self._count

    def penalty(self) -> None:
        """Give no penalty: the loss stays as it is."""

    def step(self) -> dict[str, float] | None:
        """Count a step of the optimiser; clip if it is time.

        Returns:
            The norm of each part after clipping, by name, if it was time.

        Raises:
            ValueError: If it was time and a weight is NaN or infinite.
        """
        self._count += 1
        if self._count > self._delay and self._count % self._period == 0:
            return self.clip()
        if self._batch_norm_period is not None and self._count % self._batch_norm_period == 0:
            for part in self._parts:
                if isinstance(part.module, NORMS):
                    clip_batch_norm_(part.module, self._max_norm)
        return None

    def clip(self) -> dict[str, float]:
        """Clip now. A second call without a step between does nothing.

        Returns:
            The norm of each part, by name, as measured: from below.

        Raises:
            ValueError: If a weight is NaN or infinite; then none is changed.
        """
        if not self.settled:
            if self._structure != _structure(self._model):
                self._record()
            self._clip_all()
            self._clipped_at = self._count
        return {name: self._norms[name] for name in self._named_parts()}

    def norms(self) -> dict[str, float]:
        """Measure the norm of each part now, from the vectors of the last event, and leave everything as it is.

        Returns:
            By name: an estimate from below, to a thousandth unless the search missed something; exact for batch
            normalisations.
        """
        return {name: self._norm(name, part) for name, part in self._named_parts().items()}

    def state_dict(self) -> dict[str, Any]:
        """Give what a resumed training needs to go on to the same numbers.

        Returns:
            Plain values and tensors.
        """
        return {
            "count": self._count,
            "clipped_at": self._clipped_at,
            "vectors": {name: vectors.clone() for name, vectors in self._vectors.items()},
            "ratios": dict(self._ratios),
            "norms": dict(self._norms),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a saved state.

        Args:
            state: What `state_dict` gave.

        Raises:
            ValueError: If it is of a network with other parts.
        """
        unknown = sorted(set(state["vectors"]) - set(self._named_parts()))
        if unknown:
            raise ValueError(
                f"the state has vectors of {unknown[0]!r}, which is no part of the network that is clipped"
            )
        self._count = state["count"]
        self._clipped_at = state["clipped_at"]
        self._vectors = {name: vectors.clone() for name, vectors in state["vectors"].items()}
        self._norms = dict(state["norms"])
        self._ratios = dict(state["ratios"])
        self._record()

    def _record(self) -> None:
        self._structure = _structure(self._model)
        found = affine_parts(self._model, self._input_shape, joint=self._batch_norm == "joint")
        wanted = [part for part in found if self._batch_norm != "keep" or not isinstance(part.module, NORMS)]
        self._parts = tuple(part for part in wanted if _can_be_clipped(part))
        self.skipped = tuple(part.name for part in wanted if not _can_be_clipped(part))
        shapes = {name: (*part.input_shape,) for name, part in self._named_parts().items()}
        self._vectors = {n: v for n, v in self._vectors.items() if shapes.get(n) == tuple(v.shape[1:])}
        self._norms = {name: norm for name, norm in self._norms.items() if name in shapes}
        self._symbols = {
            name: SymbolClip(own_module(part), part.input_shape, self._ratios.get(name), self._vectors.get(name))
            for name, part in self._named_parts().items()
            if self.event == "fastclip" and has_symbol(own_module(part), part.input_shape)
        }

    def _named_parts(self) -> dict[str, Part]:
        # Parts by name; of those of one name all but the first with their input shape.
        named: dict[str, Part] = {}
        for part in self._parts:
            shape = "x".join(map(str, part.input_shape))
            named[part.name if part.name not in named else f"{part.name} at {shape}"] = part
        return named

    def _clip_all(self) -> None:
        waiting = self._named_parts()
        _check_finite(waiting)
        for _ in range(_MOST_PASSES):
            moved = {id(weight) for name in self._clip_parts(waiting) for weight in _weights(waiting[name])}
            # A part of its own is done; where weights are shared, clipping one part may have raised another.
            waiting = {name: part for name, part in waiting.items() if self._shares(part) and moved & _ids(part)}
            if not waiting or self.event == "published":
                break

    def _clip_parts(self, parts: Mapping[str, Part]) -> list[str]:
        # Clip parts, those that share no weight together; which were above?
        together = [name for name, part in parts.items() if name in self._symbols and not self._shares(part)]
        moved = self._clip_symbols(together)
        for name, part in parts.items():
            if name not in together and self._clip(name, part):
                moved.append(name)
        return moved

    def _shares(self, part: Part) -> bool:
        return sum(bool(_ids(part) & _ids(other)) for other in self._parts) > 1

    def _clip(self, name: str, part: Part) -> bool:
        # Clip a part; was it above?
        if isinstance(part.module, NORMS):
            before = batch_norm_norm(part.module)
            clip_batch_norm_(part.module, self._max_norm)
            self._norms[name] = batch_norm_norm(part.module)
            return before > self._max_norm
        if name in self._symbols:
            return bool(self._clip_symbols([name]))
        done = self._clipped(part, self._vectors.get(name))
        self._vectors[name] = done.right
        self._norms[name] = done.after
        return done.n_rounds > 0

    def _clip_symbols(self, names: Sequence[str]) -> list[str]:
        clips = [self._symbols[name] for name in names]
        moved = []
        for name, clip, done in zip(names, clips, clip_together_(clips, self._max_norm, self._tol), strict=True):
            if clip.vectors is not None and clip.ratio is not None:
                self._vectors[name], self._ratios[name] = clip.vectors, clip.ratio
            self._norms[name] = done.norm
            if done.moved:
                moved.append(name)
        return moved

    def _clipped(self, part: Part, start: Tensor | None) -> WarmClipped:
        if self.event == "published":
            return published_clip_(part.module, part.input_shape, self._max_norm, start)
        return warm_clip_(part.module, part.input_shape, self._max_norm, start, rank=self._rank, tol=self._tol)

    def _norm(self, name: str, part: Part) -> float:
        if isinstance(part.module, NORMS):
            return batch_norm_norm(part.module)
        operator = AffineMap(part.module, part.input_shape)
        return float(searched_norm(operator, self._vectors.get(name), _ESTIMATE).values[0])


def _check_choices(batch_norm: str, event: str) -> None:
    for name, value, allowed in (
        ("batch_norm", batch_norm, get_args(BatchNormMode)),
        ("event", event, get_args(EventKind)),
    ):
        if value not in allowed:
            raise ValueError(f"{name}={value!r} in SpectralClipper must be one of {', '.join(map(repr, allowed))}")


def _check_finite(parts: Mapping[str, Part]) -> None:
    for name, part in parts.items():
        if not all(bool(weight.isfinite().all()) for weight in _weights(part)):
            raise ValueError(f"{name!r} has NaN or infinite weights, so it cannot be clipped; the training diverged")


def _unwrapped(model: nn.Module) -> nn.Module:
    if isinstance(model, nn.parallel.DistributedDataParallel | nn.DataParallel):
        return _unwrapped(model.module)
    compiled = getattr(model, "_orig_mod", None)
    return _unwrapped(compiled) if isinstance(compiled, nn.Module) else model


def _structure(model: nn.Module) -> tuple[Any, ...]:
    frozen = tuple(parameter.requires_grad for parameter in model.parameters())
    return tuple((name, id(module)) for name, module in model.named_modules()), frozen


def _weights(part: Part) -> list[nn.Parameter]:
    if isinstance(part.module, NORMS):
        return [part.module.weight] if part.module.weight is not None else []
    return list(clippable_weights(part.module).values())


def _ids(part: Part) -> set[int]:
    return {id(weight) for weight in _weights(part)}


def _can_be_clipped(part: Part) -> bool:
    weights = _weights(part)
    return bool(weights) and all(weight.requires_grad for weight in weights)
