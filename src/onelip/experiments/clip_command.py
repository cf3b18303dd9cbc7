"""The command `onelip clip`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from safetensors.torch import save_file
from torch import nn

from onelip.experiments.console import say
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.ordinary import accuracy
from onelip.experiments.progress import work_bar
from onelip.experiments.report.numbers import share_text
from onelip.experiments.spectrum_command import writable_file
from onelip.experiments.subject import Subject, load_subject
from onelip.files import new_path
from onelip.linalg import unknown_name
from onelip.spectral.clip import CLIP_METHODS, clip_
from onelip.spectral.parts import NORMS

BATCH_NORM = ("keep", "clip", "joint")


def clip_network(
    place: str,
    *,
    max_norm: float,
    method: str,
    batch_norm: str,
    input_shape: str | None,
    weights: str | None,
    out: str,
) -> None:
    """Clip a network's layers and write its weights into a new file; no file is changed.

    Args:
        place: The folder of a run, or "package.module:factory".
        max_norm: Bound of the norm of each layer.
        method: A key of `CLIP_METHODS`.
        batch_norm: An entry of `BATCH_NORM`: what becomes of batch normalisations.
        input_shape: As of `load_subject`.
        weights: As of `load_subject`.
        out: A new file, ending in .safetensors.

    Raises:
        UserError: If an option is wrong, the file exists, or the bound cannot be reached.
    """
    path = _new_file(out)
    if batch_norm not in BATCH_NORM:
        raise UserError(unknown_name("batch-norm", batch_norm, BATCH_NORM))
    if method not in CLIP_METHODS:
        raise UserError(unknown_name("method", method, CLIP_METHODS))
    subject = load_subject(place, input_shape=input_shape, weights=weights)
    before = _validation_accuracy(subject)
    with as_user_errors(), work_bar("clipping"):
        clipped = clip_(
            subject.network,
            max_norm,
            subject.input_shape,
            method=method,
            batch_norm=cast(Literal["keep", "clip", "joint"], batch_norm),
        )
    _save(subject.network, path)
    say(str(clipped))
    if before is not None:
        after = _validation_accuracy(subject)
        say(f"validation accuracy: {share_text(before)} before, {share_text(after)} after")
    if any(part.method != "-" for part in clipped.parts) and _has_batch_norm(subject.network):
        say("batch normalisations keep the statistics of before, which are not those of the clipped layers: train on")
    say(f"weights: {path}")


def _has_batch_norm(network: nn.Module) -> bool:
    return any(isinstance(module, NORMS) for module in network.modules())


def _new_file(out: str) -> Path:
    path = writable_file(out)
    if path.suffix != ".safetensors":
        raise UserError(f"--out={out} must end in .safetensors")
    if path.exists():
        raise UserError(f"{path} exists and is not overwritten; name a new file")
    return path


def _validation_accuracy(subject: Subject) -> float | None:
    if subject.validation is None or len(subject.validation) == 0:
        return None
    return accuracy(subject.network, subject.validation, subject.batch_size)


def _save(network: nn.Module, path: Path) -> None:
    # Tied weights are written under each of their names, since the format knows no sharing.
    state = {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}
    try:
        with new_path(path) as temporary:
            save_file(state, temporary)
    except FileExistsError as error:
        raise UserError(str(error)) from None
