"""The files of a sweep's folder."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from onelip.experiments.config_distributions import Choice, Distribution, LogUniform, RandInt, Uniform
from onelip.experiments.errors import UserError
from onelip.experiments.sweep.spec import SweepSpec
from onelip.linalg import unknown_name

Stage = Literal["search", "final"]

STAGES: tuple[Stage, ...] = ("search", "final")


def stage_named(name: str) -> Stage:
    """Check the name of a stage.

    Args:
        name: The name.

    Returns:
        It.

    Raises:
        UserError: There is no such stage.
    """
    for stage in STAGES:
        if stage == name:
            return stage
    raise UserError(unknown_name("stage", name, STAGES))


@dataclass(frozen=True)
class SweepFolder:
    """The files of one sweep.

    Attributes:
        path: The folder, `RUNS_DIR/NAME`.
    """

    path: Path

    @property
    def spec_file(self) -> Path:
        """The sweep as its workers read it."""
        return self.path / "sweep.yaml"

    @property
    def state_file(self) -> Path:
        """Where the study is kept, and which folder it was made with."""
        return self.path / "sweep.json"

    @property
    def logs(self) -> Path:
        """What the workers on this machine print."""
        return self.path / "logs"

    @property
    def budgets(self) -> Path:
        """How long an epoch takes, by cell."""
        return self.path / "budgets"

    def leases(self, stage: Stage) -> Path:
        """Find the lease files of a stage.

        Args:
            stage: Which.

        Returns:
            Their folder.
        """
        return self.path / "leases" / stage

    def trial(self, stage: Stage, number: int) -> Path:
        """Find the run folder of a trial.

        Args:
            stage: Of which stage.
            number: Its number in the study.

        Returns:
            The folder.
        """
        return self.path / stage / f"{number:04d}"

    def study_name(self, stage: Stage) -> str:
        """Name the study of a stage.

        Args:
            stage: Which.

        Returns:
            The sweep's name, for the search; with "-final" for the other.
        """
        return self.path.name if stage == "search" else f"{self.path.name}-{stage}"


def dump_sweep(spec: SweepSpec) -> str:
    """Write a sweep such that it can be read from any folder.

    Args:
        spec: The sweep.

    Returns:
        YAML text that `read_sweep` reads back.
    """
    base = base_anywhere(spec)
    tree: dict[str, Any] = {} if base is None else {"base": base}
    section = spec.section.model_dump(mode="python", exclude_defaults=True)
    tree |= {**spec.tree, "sweep": _plain(section)}
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


class _Representer(SafeRepresenter):
    def distribution(self, value: Distribution) -> Any:
        """Write a distribution as a tagged list.

        Args:
            value: The distribution.

        Returns:
            The node.
        """
        return self.represent_sequence(value.tag, value.items, flow_style=True)


for _kind in (Choice, RandInt, Uniform, LogUniform):
    _Representer.add_representer(_kind, _Representer.distribution)


def base_anywhere(spec: SweepSpec) -> str | None:
    """Name the base of a sweep's cells such that it is found from any folder.

    Args:
        spec: The sweep.

    Returns:
        The base, absolute if it is a path; None if there is none left to merge.
    """
    template = spec.template
    is_path = template is not None and (Path(template).suffix in (".yaml", ".yml") or len(Path(template).parts) > 1)
    return str(Path(str(template)).absolute()) if is_path else template


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
