"""What a run without a certificate is worth: test accuracy and singular values of the weights that it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from onelip.data import Images
from onelip.experiments.checkpoints import load_best_weights
from onelip.experiments.config import ExperimentConfig
from onelip.experiments.evaluation import plain_network, read_json, run_in_numbers
from onelip.experiments.files import atomic_path, write_json_atomically
from onelip.experiments.norm_checks import TOLERANCE, read_norms
from onelip.experiments.preparation import Experiment
from onelip.experiments.progress import work_bar
from onelip.experiments.recorder import read_metrics
from onelip.experiments.run_folder import RunFolder
from onelip.linalg import full_precision
from onelip.spectral import Spectrum, spectrum

MODES = {"keep": "wBN", "clip": "clipBN", "joint": "joint"}
"""Names of what becomes of batch normalisations; a network without any is "noBN"."""

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What was measured of the network that a run keeps; nothing of it is proved.

    Attributes:
        network: The network, made of plain modules.
        samples: The test images.
        accuracy: The share of them that it classifies correctly.
        spectrum: Singular values of its parts.
        epoch: The epoch whose weights they are, counted from 0.
    """

    network: nn.Module
    samples: Images
    accuracy: float
    spectrum: Spectrum
    epoch: int


def evaluate_ordinary(experiment: Experiment, folder: RunFolder) -> Evaluated:
    """Measure the network that a run keeps; write `weights.safetensors` and `spectrum.csv`.

    Args:
        experiment: The run's experiment; its model takes these weights.
        folder: The run's folder.

    Returns:
        What was measured.
    """
    epoch = load_best_weights(experiment.model, folder)
    network, samples = plain_network(experiment.model.cpu()), experiment.data.test
    share = accuracy(network, samples, experiment.config.data.eval_batch_size)
    with work_bar("measuring") as progress:
        values = spectrum(network, experiment.data.input_shape, tol=TOLERANCE, progress=progress)
    with atomic_path(folder.weights_file) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, temporary)
    values.to_csv(folder.spectrum_file)
    return Evaluated(network, samples, share, values, epoch)


def accuracy(network: nn.Module, samples: Images, batch_size: int) -> float:
    """Count right answers.

    Args:
        network: In eval mode, on the device of the images.
        samples: The images.
        batch_size: How many at a time.

    Returns:
        The share of the samples that are classified correctly.
    """
    correct = 0
    with torch.no_grad(), full_precision(), work_bar("evaluating") as progress:
        for part in torch.arange(len(samples)).split(batch_size):
            correct += int((network(samples.pixels(part)).argmax(1) == samples.labels[part]).sum())
            progress(int(part[-1]) + 1, len(samples))
    return correct / len(samples)


def write_ordinary_results(experiment: Experiment, folder: RunFolder, evaluated: Evaluated) -> None:
    """Write `results.json`, the run in numbers, with all that tables of methods, modes and seeds need.

    Args:
        experiment: The run's experiment.
        folder: The run's folder.
        evaluated: What was measured.
    """
    config = experiment.config
    results = {
        **run_in_numbers(experiment, folder, evaluated.epoch),
        "accuracy": evaluated.accuracy,
        **ordinary_numbers(config, folder, evaluated),
        "split": "test",
    }
    if folder.start_file.exists():
        results["start"] = read_json(folder.start_file)
    write_json_atomically(folder.results_file, results)


def ordinary_numbers(config: ExperimentConfig, folder: RunFolder, evaluated: Evaluated) -> dict[str, Any]:
    """Collect what only runs without a certificate record.

    Args:
        config: The run's configuration.
        folder: The run's folder.
        evaluated: What was measured.

    Returns:
        Accuracies of the kept weights, method, mode, and norms: those of the kept weights, part by part, and the
        largest of all checks.
    """
    epoch = next((row for row in read_metrics(folder) if row["epoch"] == evaluated.epoch), {})
    checks = read_norms(folder)
    return {
        "clean_accuracy": evaluated.accuracy,
        "samples": len(evaluated.samples),
        "validation_accuracy": epoch.get("val_accuracy"),
        "train_accuracy": epoch.get("train_accuracy"),
        "mode": mode_of(config, evaluated.network),
        "clipping": None if config.clipping is None else config.clipping.model_dump(),
        "checks": len({check["step"] for check in checks}),
        "largest_norm_at_checks": max((check["value"] for check in checks), default=None),
        "spectrum": [
            {"name": row.name, "kind": row.kind, "input_shape": list(row.input_shape), "values": list(row.values)}
            for row in evaluated.spectrum.rows
        ],
    }


def mode_of(config: ExperimentConfig, network: nn.Module) -> str:
    """Name what becomes of the batch normalisations of a network.

    Args:
        config: The run's configuration.
        network: Its network.

    Returns:
        "noBN" for a network without any; "wBN", "clipBN" or "joint".
    """
    if not any(isinstance(module, _NORMS) for module in network.modules()):
        return "noBN"
    return MODES["keep" if config.clipping is None else config.clipping.batch_norm]


def keep_ordinary_numbers(folder: RunFolder, before: dict[str, Any]) -> None:
    """Put back what was measured before a certificate was written by request.

    Args:
        folder: The run's folder, with the results of the certificate.
        before: The results before it.
    """
    results = read_json(folder.results_file)
    write_json_atomically(folder.results_file, {**before, **results})
