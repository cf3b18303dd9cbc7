"""Training in several processes as if one had the whole batch: losses, batch statistics and dropout."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

import lightning.pytorch as pl
import torch
from torch import Tensor, distributed, nn
from typing_extensions import override

from onelip.data.share import Piece
from onelip.layers.batch_statistics import batch_mean, batch_variance, per_channel, several_processes

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
# What these drop takes another value than zero.
_REFUSED = (nn.AlphaDropout, nn.FeatureAlphaDropout)

_SAME = 1e-5
"""Relative difference of the sums of weights that rounding may cause, on processors of different kinds."""


def piece_of(loader: Any, batch_idx: int) -> Piece | None:
    """Ask which images of a batch this process has.

    Args:
        loader: What the batches come from; one with `piece`, such as `onelip.data.BatchSequence`, divides batches.
        batch_idx: Number of the batch.

    Returns:
        The piece; None if the process has the whole batch, or nothing is known of it.
    """
    ask = getattr(loader, "piece", None)
    piece = ask(batch_idx) if callable(ask) else None
    return None if piece is None or piece.last - piece.first == piece.n else piece


def whole(values: Tensor, piece: Piece | None) -> Tensor:
    """Collect what all processes have for their images, such that a loss of all can be computed in each.

    The gradient is that of the average over the processes, which is how distributed training joins gradients: a loss
    of the whole batch then has the gradient that it has in one process, whatever it does with the batch.

    Args:
        values: `(B, ...)`, for the images of this process.
        piece: Which images of the batch these are; None for all.

    Returns:
        `(N, ...)`, for all images of the batch.
    """
    return values if piece is None else _Whole.apply(values, piece)


class _Whole(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, values: Tensor, piece: Piece) -> Tensor:
        ctx.piece = piece
        # A sum with zeros works for pieces of all sizes and on all devices, and is exact.
        everything = values.new_zeros(piece.n, *values.shape[1:])
        everything[piece.places] = values.detach()
        distributed.all_reduce(everything)
        return everything

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0][ctx.piece.places] * distributed.get_world_size(), None


class ProcessesDifferError(RuntimeError):
    """The processes of a training no longer have the same weights."""


class WholeBatch(pl.Callback):
    """Let batch normalisations and dropout of several processes work as if one process had the whole batch.

    While a batch is trained on, batch normalisations use the mean and variance over the images of all processes, and
    dropout draws for all images and keeps what is for its own. Modules, their names and the random generators stay
    what they are in one process. At the end of each epoch the weights of all processes are compared.

    Put it before all other callbacks. In one process it does nothing.

    Raises:
        ValueError: At the begin of a training in several processes, if the network has alpha dropout.
        ProcessesDifferError: At the end of an epoch, if weights differ by more than rounding.
    """

    def __init__(self) -> None:
        self._place = _Place()
        self._replaced: list[nn.Module] = []

    @override
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not several_processes():
            return
        for name, module in pl_module.named_modules():
            if isinstance(module, _REFUSED):
                raise ValueError(
                    f"{name!r} is {type(module).__name__}, which is not divided among processes; use nn.Dropout, or one"
                    " process"
                )
            forward = _shared_forward(module)
            if forward is not None:
                # An attribute of the instance comes before the method; a copy of the module gets one of its own.
                module.__dict__["forward"] = partial(forward, module, self._place)
                self._replaced.append(module)

    @override
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._place.piece = piece_of(trainer.train_dataloader, batch_idx)

    @override
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._place.piece = None

    @override
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if several_processes():
            _check_same(list(pl_module.parameters()))

    @override
    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restore()

    @override
    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._restore()

    def _restore(self) -> None:
        self._place.piece = None
        for module in self._replaced:
            module.__dict__.pop("forward", None)
        self._replaced.clear()


class _Place:
    """Where in the batch that is trained on the images of this process are; one object, also in copies of modules."""

    def __init__(self) -> None:
        self.piece: Piece | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def _shared_forward(module: nn.Module) -> Any:
    if isinstance(module, _BATCH_NORMS):
        return _batch_norm
    return _dropout if isinstance(module, _DROPOUTS) else None


def _batch_norm(norm: nn.BatchNorm2d, place: _Place, x: Tensor) -> Tensor:
    if place.piece is None or not norm.training:
        return type(norm).forward(norm, x)
    norm._check_input_dim(x)
    wide = x if x.dtype == torch.float64 else x.float()
    mean, count = batch_mean(wide)
    variance = batch_variance(wide, mean, count)
    if norm.track_running_stats:
        _track(norm, mean, variance * (count / (count - 1)))
    y = (wide - per_channel(mean, wide)) * per_channel((variance + norm.eps).rsqrt(), wide)
    if norm.affine:
        y = y * per_channel(norm.weight, wide) + per_channel(norm.bias, wide)
    return y.to(x.dtype)


@torch.no_grad()
def _track(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
        return
    norm.num_batches_tracked.add_(1)
    factor = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), factor)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), factor)


def _dropout(dropout: nn.Dropout, place: _Place, x: Tensor) -> Tensor:
    piece = place.piece
    if piece is None or not dropout.training or dropout.p == 0.0:
        return type(dropout).forward(dropout, x)
    # An objective may send the images and something made of each through the network together.
    times, rest = divmod(len(x), piece.last - piece.first)
    if rest:
        raise ValueError(
            f"input of shape {tuple(x.shape)} of {type(dropout).__name__} does not begin with the images of the batch, "
            f"so that dropout cannot be divided among processes; use one process"
        )
    # As one process draws them; each factor is 0 or 1 / (1 - p).
    factors = type(dropout).forward(dropout, x.new_ones(times * piece.n, *x.shape[1:]))
    return x * factors.unflatten(0, (times, piece.n))[:, piece.places].flatten(0, 1)


def _check_same(parameters: list[nn.Parameter]) -> None:
    sums = torch.stack([p.detach().double().abs().sum() for p in parameters])
    low, high = sums.clone(), sums.clone()
    distributed.all_reduce(low, op=distributed.ReduceOp.MIN)
    distributed.all_reduce(high, op=distributed.ReduceOp.MAX)
    if bool((high - low > _SAME * high).any()):
        raise ProcessesDifferError(
            "the processes no longer have the same weights; a part of the network draws random numbers of its own, or "
            "differs from process to process in another way"
        )
