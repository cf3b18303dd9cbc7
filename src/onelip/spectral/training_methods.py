"""Methods that keep norms small during training, by their published names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from onelip.layers.conv_arguments import positive_int
from onelip.registry import Registry
from onelip.spectral.clip_batch_norm import clip_batch_norm_
from onelip.spectral.clipper import BatchNormMode, SpectralClipper
from onelip.spectral.delattre import Delattre
from onelip.spectral.gouk import Gouk
from onelip.spectral.miyato import Miyato
from onelip.spectral.parts import NORMS
from onelip.spectral.senderovich import Senderovich
from onelip.spectral.training_method import TrainingMethod
from onelip.spectral.weighted_parts import checked_norm

_JOINT = ("fastclip",)
"""Methods that bound a layer and the batch normalisation after it as one map."""

_PERIOD = 50

_REGISTRY: Registry[TrainingMethod] = Registry(
    "training method", supplied=("model", "input_shape", "max_norm", "batch_norm")
)
available = _REGISTRY.available


def training_method(
    name: str,
    model: nn.Module,
    input_shape: tuple[int, ...],
    max_norm: float = 1.0,
    *,
    batch_norm: BatchNormMode = "keep",
    batch_norm_period: int | None = None,
    **options: Any,
) -> TrainingMethod:
    """Make a method that keeps the norms of a network's convolutions and dense layers small, for any training loop.

    Args:
        name: A name from `available()`: "fastclip", "gouk", "miyato", "senderovich", "delattre" or "none".
        model: The network.
        input_shape: Shape of one input, without the batch.
        max_norm: Largest norm, > 0.
        batch_norm: "keep" leaves batch normalisations alone; "clip" clamps their gamma to max_norm
            sqrt(running_var + eps), entry by entry (`clip_batch_norm_`); "joint", for "fastclip" alone, bounds a layer
            and the batch normalisation after it as one map.
        batch_norm_period: Steps from one such clamp to the next, with "clip": 50 by default, and with "fastclip" at the
            steps at which it clips, then as well.
        **options: The method's own.

    Returns:
        The method: add its `penalty()`, if any, to the loss, and call its `step()` after each step of the optimiser.

    Raises:
        ValueError: If a name is unknown, an option is not one of the method, or a value is out of range.
    """
    part = _REGISTRY.part(name, options)
    modes = ("keep", "clip", "joint") if name in _JOINT else ("keep", "clip")
    if batch_norm not in modes:
        allowed = ", ".join(map(repr, modes))
        raise ValueError(f"batch_norm={batch_norm!r} for training method {name!r} must be one of {allowed}")
    if batch_norm_period is not None and batch_norm != "clip":
        raise ValueError(f"batch_norm_period={batch_norm_period} goes with batch_norm='clip', not {batch_norm!r}")
    clamped = batch_norm == "clip" and name not in _JOINT
    if name in _JOINT:
        options |= {"batch_norm": batch_norm, "batch_norm_period": batch_norm_period}
    method = part.factory(model=model, input_shape=input_shape, max_norm=max_norm, **options)
    if not clamped:
        return method
    return _WithBatchNorm(method, model, max_norm, _PERIOD if batch_norm_period is None else batch_norm_period)


class _WithBatchNorm:
    """A method beside which batch normalisations are clamped every so many steps."""

    def __init__(self, method: TrainingMethod, model: nn.Module, max_norm: float, period: int) -> None:
        self._method = method
        self._max_norm = max_norm
        self._period = positive_int("training_method", "batch_norm_period", period)
        self._norms = [module for module in model.modules() if isinstance(module, NORMS)]
        self._n_steps = 0

    def penalty(self) -> Tensor | None:
        return self._method.penalty()

    def step(self) -> Mapping[str, float] | None:
        measured = self._method.step()
        self._n_steps += 1
        if self._n_steps % self._period == 0:
            for norm in self._norms:
                clip_batch_norm_(norm, self._max_norm)
        return measured

    def state_dict(self) -> dict[str, Any]:
        return {"n_steps": self._n_steps, "method": self._method.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._n_steps = int(state["n_steps"])
        self._method.load_state_dict(state["method"])


class Unclipped:
    """Leaves a network as it is; what the other methods are compared with.

    Args:
        model: Any network.
        input_shape: Shape of one input, without the batch.
        max_norm: Checked, else without effect.

    Raises:
        ValueError: If `max_norm` is not positive.
    """

    def __init__(self, model: nn.Module, input_shape: tuple[int, ...], max_norm: float = 1.0) -> None:
        del model, input_shape
        checked_norm("none", max_norm)

    def penalty(self) -> None:
        """Add nothing to the loss."""

    def step(self) -> None:
        """Do nothing."""

    def state_dict(self) -> dict[str, Any]:
        """Give nothing.

        Returns:
            An empty dictionary.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave.

        Args:
            state: An empty dictionary.
        """


for _name, _factory in {
    "delattre": Delattre,
    "fastclip": SpectralClipper,
    "gouk": Gouk,
    "miyato": Miyato,
    "none": Unclipped,
    "senderovich": Senderovich,
}.items():
    _REGISTRY.register(_name)(_factory)
