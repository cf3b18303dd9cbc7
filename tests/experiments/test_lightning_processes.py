"""What a Lightning trainer is told of processes."""

import lightning.pytorch as pl

from onelip.experiments.config_trainer import Trainer
from onelip.experiments.lightning_processes import trainer_options
from onelip.experiments.process_plan import ProcessPlan


def test_one_process_is_lightnings_usual_case():
    assert trainer_options(Trainer(), ProcessPlan(device="cuda:0")) == {"accelerator": "auto", "devices": 1}
    assert trainer_options(Trainer(devices=(2,)), ProcessPlan(device="cuda:2"))["devices"] == [2]


def test_each_of_several_processes_is_a_machine_of_its_own():
    plan = ProcessPlan(rank=2, size=3, local_rank=2, local_size=3, device="cuda:2")
    options = trainer_options(Trainer(devices=3), plan)
    assert (options["accelerator"], options["devices"], options["num_nodes"]) == ("gpu", [2], 3)
    on_cpu = trainer_options(Trainer(devices=3), ProcessPlan(rank=2, size=3, local_rank=2, local_size=3))
    trainer = pl.Trainer(**on_cpu, logger=False, enable_checkpointing=False)
    trainer.strategy.set_world_ranks()
    assert (trainer.world_size, trainer.global_rank, trainer.local_rank, trainer.num_devices) == (3, 2, 0, 1)
    assert trainer.strategy.root_device.type == "cpu"
    assert not trainer.is_global_zero
    trainer.strategy.cluster_environment._plan = ProcessPlan(size=3)
    trainer.strategy.set_world_ranks()


def test_unused_parameters_are_looked_for_where_there_are_some():
    plan = ProcessPlan(size=2, local_size=2)

    def looks(**options):
        return trainer_options(Trainer(devices=2, **options), plan)["strategy"]._ddp_kwargs["find_unused_parameters"]

    assert not looks()
    assert looks(growth=(0.5,))
    assert not looks(growth=(0.5,), strategy="ddp")
    assert looks(strategy="ddp_find_unused_parameters_true")
