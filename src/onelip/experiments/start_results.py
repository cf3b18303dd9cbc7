"""What a run that began with the weights of another one says about them."""

from __future__ import annotations

import copy
from typing import Any

from safetensors.torch import load_file, save_file

from onelip.bounds import lipschitz_bound
from onelip.data import Images
from onelip.experiments.console import say
from onelip.experiments.evaluation import plain_network, read_json
from onelip.experiments.files import atomic_path, write_json_atomically
from onelip.experiments.ordinary import accuracy
from onelip.experiments.preparation import Experiment
from onelip.experiments.report.numbers import upper_text
from onelip.experiments.run_folder import RunFolder, open_run_folder

_KEPT = ("accuracy", "certified", "lipschitz_bound")


def record_start(experiment: Experiment, folder: RunFolder) -> None:
    """Keep what a run begins with: `start.json`, and the weights in its own layers.

    Args:
        experiment: Before its training, prepared as a new one; nothing is written unless it begins with another run.
        folder: The run's folder.
    """
    began = experiment.began
    if began is None:
        return
    with atomic_path(folder.start_weights_file) as temporary:
        weights = experiment.model.state_dict()
        save_file({name: tensor.cpu().contiguous() for name, tensor in weights.items()}, temporary)
    results = open_run_folder(began.run).results_file
    before = read_json(results) if results.exists() else {}
    facts = {
        "run": began.run,
        "weights": {"rule": began.weights, "epoch": began.epoch + 1},
        "largest_change": began.largest_change,
        "before": {key: before.get(key) for key in _KEPT},
    }
    write_json_atomically(folder.start_file, facts)
    say(f"begins with {began.run}; taking its weights changed a layer's by at most {began.largest_change:.1%}")


def measure_start(experiment: Experiment, folder: RunFolder, samples: Images) -> None:
    """Measure what the first weights were worth in the layers of this run, after its training; complete `start.json`.

    Args:
        experiment: The run's experiment, after the training.
        folder: The run's folder; nothing is done unless it has a `start.json`.
        samples: The test images that the trained network is measured on.
    """
    if not folder.start_file.exists():
        return
    facts = read_json(folder.start_file)
    model = copy.deepcopy(experiment.model).cpu()
    model.load_state_dict(load_file(folder.start_weights_file))
    network, config = plain_network(model), experiment.config
    facts["begun"] = {"accuracy": accuracy(network, samples, config.data.eval_batch_size)}
    if config.certify is not None:
        bound = lipschitz_bound(network, experiment.data.input_shape, norm=config.certify.norm)
        facts["begun"]["lipschitz_bound"] = {"value": bound.value, "proved": bound.proved, "method": bound.bound.method}
    write_json_atomically(folder.start_file, facts)


def say_start(folder: RunFolder) -> None:
    """Print accuracy and constant before, at the begin of and after the training of a run that began with another one.

    Args:
        folder: The run's folder, with its results.
    """
    if not folder.start_file.exists():
        return
    facts = read_json(folder.start_file)
    rows = (
        ("the run it began with", facts["before"]),
        ("its weights in these layers", facts["begun"]),
        ("after this training", read_json(folder.results_file)),
    )
    say(*(f"{name}: {_numbers(row)}" for name, row in rows))


def _numbers(row: dict[str, Any]) -> str:
    share, bound = row.get("accuracy"), row.get("lipschitz_bound")
    accurate = "accuracy not measured" if share is None else f"test accuracy {share:.2%}"
    if bound is None:
        return accurate
    return f"{accurate}, constant <= {upper_text(bound['value'])} ({'proved' if bound['proved'] else 'not proved'})"
