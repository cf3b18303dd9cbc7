"""What a Lightning trainer is told of the processes that train together, which are there already."""

from __future__ import annotations

import inspect
from typing import Any

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel
from typing_extensions import override

from onelip.experiments.config_trainer import Trainer
from onelip.experiments.process_plan import ProcessPlan

# Torch 2.13 has renamed it.
_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in inspect.signature(DistributedDataParallel).parameters
)


def trainer_options(section: Trainer, plan: ProcessPlan) -> dict[str, Any]:
    """Choose the devices and the strategy of a trainer.

    Args:
        section: The configuration's trainer.
        plan: The place of this process; if there are others, their process group exists.

    Returns:
        Arguments of `lightning.pytorch.Trainer`.
    """
    index = plan.device.partition(":")[2]
    named = plan.size > 1 or isinstance(section.devices, tuple)
    devices: Any = [int(index)] if named and index else 1
    if plan.size == 1:
        return {"accelerator": section.accelerator, "devices": devices}
    unused = section.strategy == "ddp_find_unused_parameters_true"
    options: dict[str, Any] = {
        "find_unused_parameters": unused or (section.strategy == "auto" and section.growth is not None),
        # All processes compute the same ones, and writing to them would make layers compute their weights anew.
        _BUFFERS: False,
    }
    # For Lightning each process is a machine with one device, however many a machine has and shows to each.
    return {
        "accelerator": "gpu" if index else "cpu",
        "devices": devices,
        "num_nodes": plan.size,
        "strategy": DDPStrategy(cluster_environment=_Joined(plan), **options),
        "use_distributed_sampler": False,
    }


class _Joined(ClusterEnvironment):
    """Processes that have been started and joined by others than Lightning."""

    def __init__(self, plan: ProcessPlan) -> None:
        self._plan = plan

    @property
    @override
    def creates_processes_externally(self) -> bool:
        return True

    @property
    @override
    def main_address(self) -> str:
        return self._plan.address

    @property
    @override
    def main_port(self) -> int:
        return self._plan.port

    @staticmethod
    @override
    def detect() -> bool:
        return False

    @override
    def world_size(self) -> int:
        return self._plan.size

    @override
    def set_world_size(self, size: int) -> None:
        del size

    @override
    def global_rank(self) -> int:
        return self._plan.rank

    @override
    def set_global_rank(self, rank: int) -> None:
        del rank

    @override
    def local_rank(self) -> int:
        return 0

    @override
    def node_rank(self) -> int:
        return self._plan.rank
