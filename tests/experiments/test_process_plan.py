"""How many processes train together, and which of them this one is."""

import pytest
import torch

from onelip.experiments import UserError
from onelip.experiments.config_trainer import Trainer
from onelip.experiments.process_plan import STARTED_BY_US, ProcessPlan, plan_processes

TORCHRUN = {
    "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "node7", "MASTER_PORT": "29500",
}  # fmt: skip
SLURM = {
    "SLURM_JOB_ID": "123456", "SLURM_JOB_NODELIST": "gpu[03-04,08]", "SLURM_STEP_NODELIST": "gpu[03-04]",
    "SLURM_STEP_NUM_TASKS": "8", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "6", "SLURM_LOCALID": "2",
}  # fmt: skip


@pytest.fixture
def gpus(monkeypatch):
    def see(n: int) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n)

    see(0)
    return see


def test_alone_there_is_one_process(gpus):
    assert plan_processes(Trainer(), {}) == ProcessPlan()
    assert plan_processes(Trainer(devices="auto"), {}).size == 1
    gpus(3)
    assert plan_processes(Trainer(), {}) == ProcessPlan(device="cuda:0")
    assert plan_processes(Trainer(devices=(2,)), {}) == ProcessPlan(device="cuda:2")
    assert plan_processes(Trainer(accelerator="cpu"), {}).device == "cpu"


def test_the_first_process_plans_those_that_it_starts(gpus):
    plan = plan_processes(Trainer(devices=2), {})
    assert (plan.launcher, plan.rank, plan.size, plan.local_size, plan.port) == ("ourselves", 0, 2, 2, 0)
    gpus(4)
    assert plan_processes(Trainer(devices="auto"), {}).size == 4
    assert plan_processes(Trainer(devices=(3, 1)), {}).device == "cuda:3"
    started = {**TORCHRUN, "RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", STARTED_BY_US: "17"}
    plan = plan_processes(Trainer(devices=(3, 1)), started)
    assert (plan.launcher, plan.first, plan.device, plan.port) == ("ourselves", False, "cuda:1", 29500)


def test_torchrun_says_which_process_this_is(gpus):
    expected = ProcessPlan("torchrun", 5, 8, 1, 4, "node7", 29500)
    assert plan_processes(Trainer(devices=4, num_nodes=2), TORCHRUN) == expected
    assert plan_processes(Trainer(devices="auto", num_nodes=2), TORCHRUN) == expected
    gpus(4)
    assert plan_processes(Trainer(devices="auto", num_nodes=2), TORCHRUN).device == "cuda:1"


def test_srun_says_which_process_this_is(gpus):
    expected = ProcessPlan("Slurm", 6, 8, 2, 4, "gpu03", 15000 + 3456)
    section = Trainer(devices=4, num_nodes=2)
    assert plan_processes(section, SLURM) == expected
    named = plan_processes(section, {**SLURM, "MASTER_ADDR": "here", "MASTER_PORT": "7"})
    assert (named.address, named.port) == ("here", 7)
    gpus(4)
    assert plan_processes(section, SLURM).device == "cuda:2"
    # Each task may be shown a GPU of its own only.
    gpus(1)
    assert plan_processes(section, SLURM).device == "cuda:0"
    # A batch script that starts one process by itself.
    alone = {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    assert plan_processes(Trainer(), alone).launcher == "ourselves"


@pytest.mark.parametrize(
    ("section", "environment", "sentence"),
    [
        (Trainer(num_nodes=2), {}, "trainer.num_nodes=2 needs torchrun or srun"),
        (Trainer(), TORCHRUN, "torchrun has started 8 processes, 4 of them on this machine, but trainer.devices=1 and"),
        (Trainer(devices=8), SLURM, "set trainer.devices=4 and trainer.num_nodes=2"),
        (Trainer(devices=(0, 1)), {}, r"trainer.devices=\[0, 1\]: torch sees no GPU on this machine"),
        (Trainer(accelerator="gpu"), {}, "trainer.devices=1: torch sees no GPU on this machine"),
        (Trainer(accelerator="mps", devices=2), {}, "trainer.devices=2: trainer.accelerator=mps has one device"),
    ],
)
def test_what_does_not_fit_is_one_sentence(section, environment, sentence, gpus):
    with pytest.raises(UserError, match=sentence):
        plan_processes(section, environment)


def test_a_gpu_that_is_missing_is_refused(gpus):
    gpus(2)
    for devices in (3, (0, 5)):
        with pytest.raises(UserError, match="torch sees 2 GPUs on this machine"):
            plan_processes(Trainer(devices=devices), {})
