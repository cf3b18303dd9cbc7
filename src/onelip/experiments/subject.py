"""The network that a command is about: that of a run, or one of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from onelip.data import Images
from onelip.experiments.checkpoints import load_best_weights, load_last_weights
from onelip.experiments.errors import UserError
from onelip.experiments.evaluation import plain_network
from onelip.experiments.own_network import build_own_network, load_own_weights, parse_shape
from onelip.experiments.preparation import prepare
from onelip.experiments.run_folder import RunFolder, open_run_folder

_RUN_WEIGHTS = {"best": load_best_weights, "last": load_last_weights}


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with what is known of its inputs.

    Attributes:
        network: In eval mode, on the CPU; that of a run is made of plain modules.
        input_shape: Shape of one input.
        folder: The run's folder; None for a network of the user's own.
        validation: The run's validation images; None likewise.
        batch_size: How many images to evaluate at a time.
    """

    network: nn.Module
    input_shape: tuple[int, ...]
    folder: RunFolder | None = None
    validation: Images | None = None
    batch_size: int = 256


def load_subject(place: str, *, input_shape: str | None, weights: str | None) -> Subject:
    """Load the network that a command names.

    Args:
        place: The folder of a run, or "package.module:factory".
        input_shape: Of a network of the user's own, such as "3,32,32"; None for a run.
        weights: For a run "best", which None means, or "last"; for others a file, or None for the weights that the
            factory gives.

    Returns:
        The network, with its weights.

    Raises:
        UserError: If something does not exist or does not fit together.
    """
    if ":" in place and not Path(place).exists():
        return _own(place, input_shape, weights)
    if input_shape is not None:
        raise UserError(f"--input-shape={input_shape} is for package.module:factory; a run has that of its data")
    if weights not in (None, *_RUN_WEIGHTS):
        raise UserError(f"--weights={weights} of a run must be best or last")
    folder = open_run_folder(place)
    experiment = prepare(folder.config())
    _RUN_WEIGHTS[weights or "best"](experiment.model, folder)
    network = plain_network(experiment.model.cpu())
    batch_size = experiment.config.data.eval_batch_size
    return Subject(network, experiment.data.input_shape, folder, experiment.validation, batch_size)


def _own(place: str, input_shape: str | None, weights: str | None) -> Subject:
    if input_shape is None:
        raise UserError(f"{place} needs --input-shape, the shape of one input, such as 3,32,32")
    shape = parse_shape(input_shape)
    network = build_own_network(place).cpu()
    if weights is not None:
        load_own_weights(network, Path(weights))
    return Subject(network.eval(), shape)
