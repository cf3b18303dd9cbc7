"""From a configuration to a run folder: training, certificate, attack, report."""

from onelip.experiments.config import ExperimentConfig
from onelip.experiments.config_file import check_config, dump_config, load_config
from onelip.experiments.config_source import available_configs
from onelip.experiments.errors import UserError
from onelip.experiments.run_folder import RunFolder, create_run_folder, latest_run, open_run_folder

__all__ = [
    "ExperimentConfig",
    "RunFolder",
    "UserError",
    "available_configs",
    "check_config",
    "create_run_folder",
    "dump_config",
    "latest_run",
    "load_config",
    "open_run_folder",
]
