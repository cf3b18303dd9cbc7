"""How many processes train together, and which of them this one is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from onelip.experiments.config_trainer import Trainer
from onelip.experiments.errors import UserError

Launcher = Literal["ourselves", "torchrun", "Slurm"]

STARTED_BY_US = "ONELIP_STARTED_BY"
"""Environment variable of the processes that a first one starts."""

_TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class ProcessPlan:
    """The place of this process among those that train together.

    Attributes:
        launcher: What starts the processes.
        rank: Number of this process, from 0.
        size: How many there are.
        local_rank: Its number on this machine, from 0.
        local_size: How many there are on this machine.
        address: Where the first process listens.
        port: Its port; 0 for any that is free.
        device: "cpu", "mps" or "cuda:N".
    """

    launcher: Launcher = "ourselves"
    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    address: str = "127.0.0.1"
    port: int = 0
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Is this the process that writes and prints?"""
        return self.rank == 0


def plan_processes(section: Trainer, environment: Mapping[str, str]) -> ProcessPlan:
    """Decide what a configuration asks for, where this process was started.

    Args:
        section: The configuration's trainer.
        environment: The environment variables.

    Returns:
        The plan.

    Raises:
        UserError: If both do not fit together, or a device is missing.
    """
    plan = _started(environment)
    n_gpus = _n_gpus(section.accelerator)
    wanted = _wanted(section, plan, n_gpus)
    size = wanted * section.num_nodes
    if plan is None and section.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes={section.num_nodes} needs torchrun or srun, which start processes on several machines; "
            "see docs/distributed.md"
        )
    plan = plan or ProcessPlan(size=size, local_size=wanted)
    if plan.size != size or plan.local_size != wanted:
        raise UserError(
            f"{plan.launcher} has started {plan.size} processes, {plan.local_size} of them on this machine, but "
            f"trainer.devices={_shown(section)} and trainer.num_nodes={section.num_nodes} ask for {size}, {wanted} on "
            f"each; set trainer.devices={plan.local_size} and trainer.num_nodes={plan.size // plan.local_size}"
        )
    return replace(plan, device=_device(section, plan, n_gpus))


def _wanted(section: Trainer, plan: ProcessPlan | None, n_gpus: int) -> int:
    if isinstance(section.devices, tuple):
        return len(section.devices)
    if section.devices != "auto":
        return section.devices
    return plan.local_size if plan is not None else max(1, n_gpus)


def _started(environment: Mapping[str, str]) -> ProcessPlan | None:
    if all(name in environment for name in _TORCHRUN):
        rank, size, local_rank, local_size = (int(environment[name]) for name in _TORCHRUN[:4])
        launcher: Launcher = "ourselves" if STARTED_BY_US in environment else "torchrun"
        address, port = environment["MASTER_ADDR"], int(environment["MASTER_PORT"])
        return ProcessPlan(launcher, rank, size, local_rank, local_size, address, port)
    # Only srun sets it; a batch script that starts one process has the other variables, too.
    size = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if size == 1:
        return None
    nodes = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_JOB_NODELIST", "127.0.0.1"))
    address = environment.get("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(nodes))
    # The same in all processes of a job, and another one in most other jobs on the machine.
    port = int(environment.get("MASTER_PORT", 15000 + int(environment.get("SLURM_JOB_ID", "0")) % 10000))
    n_nodes = int(environment.get("SLURM_STEP_NUM_NODES", "1"))
    rank, local_rank = int(environment["SLURM_PROCID"]), int(environment["SLURM_LOCALID"])
    return ProcessPlan("Slurm", rank, size, local_rank, size // n_nodes, address, port)


def _n_gpus(accelerator: str) -> int:
    return torch.cuda.device_count() if accelerator in ("auto", "gpu") else 0


def _device(section: Trainer, plan: ProcessPlan, n_gpus: int) -> str:
    if section.accelerator == "mps":
        if plan.size > 1:
            raise UserError(f"trainer.devices={_shown(section)}: trainer.accelerator=mps has one device")
        return "mps"
    if n_gpus == 0:
        if isinstance(section.devices, tuple) or section.accelerator == "gpu":
            raise UserError(f"trainer.devices={_shown(section)}: torch sees no GPU on this machine")
        return "cpu"
    if n_gpus == 1 and plan.launcher == "Slurm" and not isinstance(section.devices, tuple):
        # Slurm has given each process a GPU of its own, and hides the others.
        return "cuda:0"
    numbers = section.devices if isinstance(section.devices, tuple) else tuple(range(plan.local_size))
    if max(numbers) >= n_gpus:
        raise UserError(f"trainer.devices={_shown(section)}: torch sees {n_gpus} GPUs on this machine")
    return f"cuda:{numbers[plan.local_rank]}"


def _shown(section: Trainer) -> str:
    return str(list(section.devices) if isinstance(section.devices, tuple) else section.devices)
