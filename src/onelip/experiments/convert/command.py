"""The command `onelip convert`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from onelip.experiments.console import say
from onelip.experiments.convert.conversion import Conversion
from onelip.experiments.convert.network_weights import ConvertedNetwork, convert_network
from onelip.experiments.convert.settings import convert_settings
from onelip.experiments.convert.written import header, write_conversion
from onelip.experiments.files import atomic_path, write_text_atomically
from onelip.experiments.own_network import read_weights
from onelip.experiments.run_folder import RunFolder, create_run_folder


def convert(
    file: str,
    changes: Sequence[str] = (),
    *,
    out: str | None = None,
    checkpoint: str | None = None,
    source: str | None = None,
    project: bool = False,
    runs_dir: str | None = None,
) -> None:
    """Convert a settings file, or with a checkpoint a trained network, and say what differs.

    Args:
        file: The settings file.
        changes: Changes of it.
        out: The file to write; by default NAME.yaml here, or with a checkpoint none.
        checkpoint: Weights of the network; it becomes a run.
        source: Whose format the file has; None to tell by its keys.
        project: May the nearest function stand in where a layer cannot be the same?
        runs_dir: Where the run goes; "runs" by default.
    """
    conversion = convert_settings(file, changes, source=source)
    if runs_dir is not None:
        conversion.tree["runs_dir"] = runs_dir
    network = None
    if checkpoint is not None:
        network = convert_network(conversion, read_weights(Path(checkpoint)), project=project)
        conversion.notes += network.notes
    # The file first: if it exists, nothing is written at all.
    if out is not None or network is None:
        path = Path(out or f"{conversion.tree['name']}.yaml")
        write_conversion(conversion, path, Path(file).name)
    folder = None if network is None else _write_run(network, conversion, file)
    say(*conversion.notes)
    if folder is not None:
        say(f"run folder: {folder.path}", f"certify it with: onelip certify {folder.path}")
    else:
        say(f"{'sweep' if 'sweep' in conversion.tree else 'configuration'}: {path}")
        say(f"start it with: onelip {'sweep' if 'sweep' in conversion.tree else 'train'} {path}")


def _write_run(network: ConvertedNetwork, conversion: Conversion, file: str) -> RunFolder:
    folder = create_run_folder(network.config)
    epoch = (network.config.trainer.max_epochs or 1) - 1
    with atomic_path(folder.best_checkpoint) as temporary:
        torch.save({"epoch": epoch, "state_dict": network.state_dict}, temporary)
    write_text_atomically(folder.path / "converted.txt", header(conversion, Path(file).name))
    return folder
