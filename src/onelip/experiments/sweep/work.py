"""What every worker of a sweep does, in whatever process and on whatever machine an executor starts it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onelip.experiments.sweep.storages import absolute_storage


@dataclass(frozen=True)
class Work:
    """Take trials of a sweep and run them until none is left.

    It is small, is pickled by name, and holds nothing that belongs to one process.

    Attributes:
        folder: The sweep's folder, which all workers see.
        storage: URL of its study.
        stage: "search" or "final".
    """

    folder: str
    storage: str
    stage: str = "search"

    def __call__(self) -> int:
        """Work.

        Returns:
            The number of trials that this worker has finished.
        """
        from onelip.experiments.sweep.worker import run_worker

        return run_worker(self.folder, self.storage, self.stage)

    def absolute(self) -> Work:
        """Name folder and storage so that they mean the same to a process that starts in another folder.

        Returns:
            The same work.
        """
        return replace(self, folder=str(Path(self.folder).absolute()), storage=absolute_storage(self.storage))

    def checkpoint(self) -> Any:
        """Tell submitit what to submit again when Slurm's time is over or the job is preempted: the same.

        A trial goes on from its own checkpoint, whoever takes it next.

        Returns:
            A submission that is not started yet.
        """
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
