"""Tasks beside classification."""

from onelip.experiments.config_kinds import CLASSIFICATION, CONFIGS
from onelip.experiments.sampled_tasks import SAMPLED_TASKS, sampled_task


def test_every_other_task_is_run():
    assert set(SAMPLED_TASKS) == set(CONFIGS) - {CLASSIFICATION}
    assert all(sampled_task(name) is task for name, task in SAMPLED_TASKS.items())
