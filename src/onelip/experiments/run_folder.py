"""Run folders: one new folder for each run, never shared and never overwritten."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig
from onelip.experiments.config_data import Data
from onelip.experiments.config_file import dump_config, load_any_config
from onelip.experiments.config_subset import Subset
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.files import file_creation_mask, write_text_atomically


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: The folder, `RUNS_DIR/NAME/STAMP`.
    """

    path: Path

    @property
    def config_file(self) -> Path:
        """The configuration with every key spelled out."""
        return self.path / "config.yaml"

    @property
    def metrics_file(self) -> Path:
        """One row for each epoch."""
        return self.path / "metrics.csv"

    @property
    def train_indices_file(self) -> Path:
        """Indices of the images that are learned, one a line, if they are a subset."""
        return self.path / "train_indices.txt"

    @property
    def validation_indices_file(self) -> Path:
        """Indices of the validation images beside a subset, if there are any."""
        return self.path / "validation_indices.txt"

    @property
    def norms_file(self) -> Path:
        """Norms of the parts of the network, at each check of the training."""
        return self.path / "norms.csv"

    @property
    def spectrum_file(self) -> Path:
        """Singular values of every affine part of the network that the run keeps."""
        return self.path / "spectrum.csv"

    @property
    def weights_file(self) -> Path:
        """The weights of the network that the run keeps, made of plain modules."""
        return self.path / "weights.safetensors"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def last_checkpoint(self) -> Path:
        """Everything needed to continue after the last whole epoch."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        """The weights of the best epoch on the validation split."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def failure_file(self) -> Path:
        """Why the training stopped, if its numbers were no longer finite."""
        return self.path / "failure.json"

    @property
    def start_file(self) -> Path:
        """Which other run this one began with the weights of, and what they were worth."""
        return self.path / "start.json"

    @property
    def start_weights_file(self) -> Path:
        """Those weights, in the layers of this run."""
        return self.path / "start.safetensors"

    @property
    def certificate_file(self) -> Path:
        """The certificate, beside the weights and architecture that it is about."""
        return self.path / "certificate.json"

    @property
    def break_file(self) -> Path:
        """What came of trying to contradict the certificate."""
        return self.path / "break.json"

    @property
    def attack_file(self) -> Path:
        """Accuracy under attack."""
        return self.path / "attack.json"

    @property
    def relaxation_file(self) -> Path:
        """Accuracy certified by linear relaxation."""
        return self.path / "relaxation.json"

    @property
    def results_file(self) -> Path:
        """The run's results in numbers."""
        return self.path / "results.json"

    def check_writable(self) -> None:
        """Refuse a folder that results cannot be put into, before minutes of work and not after.

        Raises:
            UserError: If the folder cannot be written.
        """
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise UserError(f"{self.path} cannot be written, and the command puts its results there")

    def config(self, overrides: Sequence[str] = ()) -> ExperimentConfig:
        """Read the configuration of a classifier's run.

        Args:
            overrides: Changes of it, `key=value`.

        Returns:
            The checked configuration; a subset of the training images is that of the run's own files.

        Raises:
            UserError: If something in it is wrong, the run is of another task, or the files of a subset are gone.
        """
        config = self.any_config(overrides)
        if not isinstance(config, ExperimentConfig):
            raise UserError(f"{self.path} is a run of task={config.task}, and this is for classifiers only")
        if config.data.subset is None:
            return config
        if self.train_indices_file.exists():
            return config.model_copy(update={"data": self._with_kept_indices(config.data)})
        if self.last_checkpoint.exists():
            raise UserError(f"{self.train_indices_file} is missing; which images the run learns from is not known")
        return config

    def any_config(self, overrides: Sequence[str] = ()) -> RunConfig:
        """Read the run's configuration, whatever its task.

        Args:
            overrides: Changes of it, `key=value`.

        Returns:
            The checked configuration, as its file has it.

        Raises:
            UserError: If something in it is wrong.
        """
        return load_any_config(str(self.config_file), overrides)

    # The files that they were read from may be others today.
    def _with_kept_indices(self, section: Data) -> Data:
        held_out = self.validation_indices_file.exists()
        files = Subset(
            indices=str(self.train_indices_file),
            validation_indices=str(self.validation_indices_file) if held_out else None,
        )
        return section.model_copy(update={"subset": files, "validation": None if held_out else 0.0})


def create_run_folder(config: RunConfig, *, now: datetime | None = None) -> RunFolder:
    """Make the folder of a new run, with its configuration inside, in one step.

    Args:
        config: The run's configuration.
        now: The time that names the folder; by default the clock's.

    Returns:
        A folder that did not exist before.

    Raises:
        UserError: If the folder cannot be written.
    """
    parent = Path(config.runs_dir) / config.name
    stamp = (now or datetime.now().astimezone()).strftime("%Y%m%d-%H%M%S")
    with as_user_errors():
        parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    try:
        with as_user_errors():
            draft.chmod(0o777 & ~file_creation_mask())
            (draft / "checkpoints").mkdir()
            write_text_atomically(draft / "config.yaml", dump_config(config))
            return RunFolder(_claim(draft, parent, stamp))
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def run_folder_at(path: Path, config: RunConfig) -> RunFolder:
    """Find the folder of a run, or make it, with its configuration inside, in one step.

    Args:
        path: The folder.
        config: The configuration of a run that is not there yet.

    Returns:
        The run folder, whose configuration is that which it was made with.

    Raises:
        UserError: If the folder cannot be written.
    """
    folder = RunFolder(path)
    with as_user_errors():
        if not folder.config_file.exists():
            folder.last_checkpoint.parent.mkdir(parents=True, exist_ok=True)
            # It makes a folder that of a run, so it comes last.
            write_text_atomically(folder.config_file, dump_config(config))
    return folder


def open_run_folder(path: str | Path) -> RunFolder:
    """Find an existing run.

    Args:
        path: Its folder.

    Returns:
        The run folder.

    Raises:
        UserError: If there is no run.
    """
    folder = RunFolder(Path(path))
    if not folder.config_file.is_file():
        raise UserError(f"{path} is not the folder of a run; it has no config.yaml")
    return folder


def latest_run(name: str, runs_dir: str | Path = "runs") -> RunFolder:
    """Find the newest run of a name.

    Args:
        name: The name of the experiment.
        runs_dir: Where the runs are.

    Returns:
        The run folder.

    Raises:
        UserError: If there is no such run.
    """
    runs = runs_of(name, runs_dir)
    if not runs:
        raise UserError(f"there is no run of {name!r} in {runs_dir}; start one with: onelip train {name}")
    return runs[0]


def runs_of(name: str, runs_dir: str | Path = "runs") -> list[RunFolder]:
    """Find all runs of a name.

    Args:
        name: The name of the experiment.
        runs_dir: Where the runs are.

    Returns:
        The run folders, the newest first.
    """
    found = sorted((p.parent for p in (Path(runs_dir) / name).glob("[0-9]*/config.yaml")), reverse=True)
    return [RunFolder(path) for path in found]


# Renaming onto a folder that is not empty fails, so two processes never get the same one.
def _claim(draft: Path, parent: Path, stamp: str) -> Path:
    for attempt in range(1, 1000):
        target = parent / (stamp if attempt == 1 else f"{stamp}-{attempt:03d}")
        try:
            return draft.rename(target)
        except OSError:
            if not target.exists():
                raise
    raise UserError(f"{parent} holds 999 runs of {stamp}; wait a second")
