"""Where the workers of a sweep run: on this machine, on a Slurm cluster, or on a Ray cluster; all do the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from onelip.experiments.console import say
from onelip.experiments.errors import UserError
from onelip.experiments.sweep.local import start_local
from onelip.experiments.sweep.work import Work
from onelip.linalg import unknown_name


@dataclass(frozen=True)
class Options:
    """How a sweep is run.

    Attributes:
        stage: "search" or "final".
        executor: A key of `EXECUTORS`.
        workers: How many; None for the executor's usual number.
        storage: URL of the study; None for a file in the sweep's folder.
        address: Of a Ray cluster.
        resources: What a job of Slurm or a task of Ray needs, by name.
        wait: Wait until jobs of Slurm have ended?
        dry_run: Say what would be done, and do nothing.
        status: Say how the sweep stands, and do nothing.
        retry_failed: Try trials that failed once more.
    """

    stage: str = "search"
    executor: str = "local"
    workers: int | None = None
    storage: str | None = None
    address: str | None = None
    resources: Mapping[str, str] = field(default_factory=dict)
    wait: bool = False
    dry_run: bool = False
    status: bool = False
    retry_failed: bool = False

    @property
    def several_machines(self) -> bool:
        """May workers run on more machines than this one?"""
        return self.executor != "local" and self.resources.get("cluster") != "local"


def _local(work: Work, options: Options, watch: Callable[[], None]) -> bool:
    start_local(work, options.workers or default_workers(), watch)
    return True


def _say_if_unfit(work: Work, options: Options) -> None:
    if options.several_machines and work.storage.startswith("sqlite:"):
        say(
            "the study is in SQLite, which may lose what several machines write at once; sweeps begun with "
            "--executor slurm or ray, or with --storage, have another one"
        )


def _slurm(work: Work, options: Options, watch: Callable[[], None]) -> bool:
    from onelip.experiments.sweep.slurm import start_slurm

    _say_if_unfit(work, options)
    jobs = start_slurm(work, options.workers or 1, options.resources, wait=options.wait, watch=watch)
    if not options.wait:
        say(f"submitted: {', '.join(jobs)}")
    watch()
    return options.wait


def _ray(work: Work, options: Options, watch: Callable[[], None]) -> bool:
    from onelip.experiments.sweep.ray_cluster import start_ray

    _say_if_unfit(work, options)
    start_ray(work, options.workers, str(options.address), options.resources, watch)
    return True


EXECUTORS: dict[str, Callable[[Work, Options, Callable[[], None]], bool]] = {
    "local": _local,
    "slurm": _slurm,
    "ray": _ray,
}
"""By name; each says whether the work has ended."""


def check_options(options: Options) -> None:
    """Refuse what is not there, and what would have no effect, before anything is done.

    Args:
        options: The options.

    Raises:
        UserError: One of them is wrong.
    """
    executor = options.executor
    if executor not in EXECUTORS:
        raise UserError(unknown_name("executor", executor, EXECUTORS))
    if options.resources and executor == "local":
        raise UserError(f"--resource {next(iter(options.resources))} is for --executor slurm or ray")
    if options.address is not None and executor != "ray":
        raise UserError(f"--ray-address is for --executor ray, and this is {executor}")
    if options.address is None and executor == "ray":
        raise UserError("--executor ray needs --ray-address, such as HOST:6379, or auto on a machine of the cluster")
    if options.wait and executor != "slurm":
        raise UserError(f"--wait is for --executor slurm, and this is {executor}, which waits")
    chosen = [name for name in ("dry_run", "status", "retry_failed") if getattr(options, name)]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join('--' + name.replace('_', '-') for name in chosen)} do not go together")


def default_workers() -> int:
    """Say how many workers this machine has room for.

    Returns:
        One for each GPU, or one for every two cores.
    """
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else max(1, (os.cpu_count() or 1) // 2)
