"""Which configuration each task has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_common import RunConfig
from onelip.experiments.config_gan import GanConfig
from onelip.experiments.config_wasserstein import WassersteinConfig
from onelip.experiments.errors import UserError
from onelip.linalg import unknown_name

CLASSIFICATION = "classification"

CONFIGS: dict[str, type[RunConfig]] = {
    CLASSIFICATION: ExperimentConfig,
    "wasserstein": WassersteinConfig,
    "gan": GanConfig,
}
"""By the name that stands under the key `task`."""


def config_class(tree: Mapping[str, Any]) -> type[RunConfig]:
    """Find out what a configuration is of.

    Args:
        tree: The configuration as plain dicts, lists and scalars.

    Returns:
        The class that checks it; that of classification where nothing is said.

    Raises:
        UserError: If there is no such task.
    """
    task = tree.get("task", CLASSIFICATION)
    if task not in CONFIGS:
        raise UserError(unknown_name("task", str(task), CONFIGS))
    return CONFIGS[task]
