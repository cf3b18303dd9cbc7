"""A run without training: what `onelip train` leaves of a small network on the digits."""

from datetime import datetime

import torch

from onelip.experiments import create_run_folder, load_config
from onelip.experiments.preparation import prepare


def small_run(runs_dir, *changes):
    """Make the folder of a run with checkpoints of random weights; return it with the kept network."""
    config = load_config("digits", ["model=mlp", "layer=plain", "activation=relu", f"runs_dir={runs_dir}", *changes])
    folder = create_run_folder(config, now=datetime(2026, 1, 2))
    model = prepare(config).model
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, folder.best_checkpoint)
    # The checkpoint of the whole task, whose largest weights are ten times those of the best.
    last = {f"model.{name}": 10 * value for name, value in model.state_dict().items()}
    torch.save({"epoch": 5, "state_dict": {**last, "loss.scale": torch.ones(())}}, folder.last_checkpoint)
    return folder, model
