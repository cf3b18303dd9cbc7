"""What a sweep file says: the cells of its factors, its distributions, and the configuration of each trial."""

from __future__ import annotations

import itertools
import json
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from onelip.experiments.config_common import RunConfig
from onelip.experiments.config_distributions import Distribution, distributions_in
from onelip.experiments.config_file import check_any_config, check_tree, parse_override, set_key
from onelip.experiments.config_source import merge_trees, read_config_tree, read_sweep_tree
from onelip.experiments.config_sweep import Level, Levels, Sweep, SweepTree
from onelip.experiments.errors import UserError, as_user_errors

SEED = "seed"
"""The factor that tells repetitions of one setting apart."""

_EPOCHS = "trainer.max_epochs"


@dataclass(frozen=True)
class Cell:
    """One combination of the factors.

    Attributes:
        labels: Level by factor.
    """

    labels: Mapping[str, Level]

    @property
    def key(self) -> str:
        """The combination as text, which seeds its draws: without the seed, so that all seeds have the same."""
        return json.dumps({name: level for name, level in sorted(self.labels.items()) if name != SEED})

    @property
    def without_seed(self) -> Cell:
        """The same of all seeds."""
        return Cell({name: level for name, level in self.labels.items() if name != SEED})

    def __str__(self) -> str:
        return ", ".join(f"{name}={level}" for name, level in self.labels.items()) or "the one cell"


@dataclass(frozen=True, eq=False)
class SweepSpec:
    """A sweep, read and checked.

    Attributes:
        tree: The configuration that all trials begin with, distributions included.
        template: Base of each cell, with factors in braces, or None.
        section: How to search.
        source: What the file is called in messages.
    """

    tree: Mapping[str, Any]
    template: str | None
    section: Sweep
    source: str

    @property
    def name(self) -> str:
        """Name of the sweep, which its folder has, too."""
        return str(self.tree.get("name", "sweep"))

    @property
    def folder(self) -> Path:
        """Where everything of it is."""
        return Path(str(self.tree.get("runs_dir", "runs"))) / self.name

    @cached_property
    def distributions(self) -> dict[str, Distribution]:
        """What is searched, by path."""
        with as_user_errors():
            return dict(distributions_in(self.tree))

    @property
    def typical(self) -> dict[str, Any]:
        """A value of each distribution, by path."""
        return {path: (d.grid(2) or ())[0] for path, d in self.distributions.items()}

    @property
    def evaluated(self) -> bool:
        """Are the trials of the search certified and attacked on the test images?"""
        wanted = self.section.evaluate
        return not self.distributions if wanted is None else wanted

    def cells(self) -> list[Cell]:
        """Combine the factors.

        Returns:
            The cells, in the order of the file, the last factor varying fastest.
        """
        factors = self.section.factors
        products = itertools.product(*(list(levels) for levels in factors.values()))
        cells = [Cell(dict(zip(factors, levels, strict=True))) for levels in products]
        return [cell for cell in cells if not any(_matches(cell, rule) for rule in self.section.skip)]

    def idle_rules(self) -> list[dict[str, Level]]:
        """Find what `sweep.skip` has in vain, such as a level that is misspelt, or that a change has taken away.

        Returns:
            The rules that no combination matches.
        """
        factors = self.section.factors
        return [
            dict(rule)
            for rule in self.section.skip
            if any(level not in list(factors[name]) for name, level in rule.items())
        ]

    def config(
        self, cell: Cell, params: Mapping[str, Any], changes: Iterable[tuple[str, Any]], place: Sequence[str]
    ) -> RunConfig:
        """Make the configuration of a trial.

        Args:
            cell: Its cell.
            params: Value of each distribution, by path.
            changes: Further changes, such as a number of epochs.
            place: Runs directory and name of the run folders.

        Returns:
            The checked configuration.

        Raises:
            UserError: If something in it is wrong.
        """
        tree = dict(self.tree)
        if self.template is not None:
            base = self.template.format_map({name: str(level) for name, level in cell.labels.items()})
            tree = merge_trees(read_config_tree(base), tree)
        for path, value in (*self._of_cell(cell), *params.items(), *changes):
            set_key(tree, path, value)
        tree["runs_dir"], tree["name"] = place
        return check_any_config(tree, f"{self.source}, {cell}")

    def _of_cell(self, cell: Cell) -> Iterable[tuple[str, Any]]:
        in_base = _fields(self.template)
        for name, level in cell.labels.items():
            levels = self.section.factors[name]
            if isinstance(levels, Mapping):
                yield from levels[str(level)].items()
            elif name not in in_base:
                yield name, level


def read_sweep(name_or_path: str, overrides: Sequence[str] = ()) -> SweepSpec:
    """Read a sweep file and change some of its keys.

    Args:
        name_or_path: A name from `available_sweeps()`, or the path of a YAML file.
        overrides: Changes such as "sweep.trials=3"; values are YAML, and may be distributions.

    Returns:
        The sweep; the configuration of every cell is checked.

    Raises:
        UserError: If there is no such file, or something in it is wrong.
    """
    tree, template = read_sweep_tree(name_or_path)
    for override in overrides:
        set_key(tree, *parse_override(override))
    if "sweep" not in tree:
        raise UserError(
            f"{name_or_path} has no section sweep; train it with: onelip train {name_or_path}, or give it one"
        )
    section = check_tree(SweepTree, {"sweep": tree.pop("sweep")}).sweep
    spec = SweepSpec(tree, template, section, name_or_path)
    _check(spec)
    return spec


def _check(spec: SweepSpec) -> None:
    unknown = _fields(spec.template) - set(spec.section.factors)
    if unknown:
        raise UserError(f"base={spec.template} of {spec.source} names {sorted(unknown)}, which sweep.factors has not")
    _check_drawn(spec)
    if spec.section.search == "grid" and spec.section.points is None:
        for path, distribution in spec.distributions.items():
            if distribution.grid(None) is None:
                raise UserError(
                    f"{path} has infinitely many values, by {distribution.tag}; for sweep.search=grid give !choice, or "
                    f"sweep.points"
                )
    cells = spec.cells()
    if not cells:
        raise UserError(f"sweep.skip of {spec.source} leaves no cell")
    for cell in cells:
        spec.config(cell, spec.typical, spec.section.final.set.items(), ("runs", spec.name))


# Each of these would be told in vain: one of the two wins.
def _check_drawn(spec: SweepSpec) -> None:
    by_factor = {path: name for name, levels in spec.section.factors.items() for path in _paths(spec, name, levels)}
    for path, distribution in spec.distributions.items():
        if path in by_factor:
            raise UserError(
                f"{path} is drawn, by {distribution.tag}, and set by sweep.factors.{by_factor[path]}; take one out"
            )
    for path in ("name", "runs_dir"):
        if path in by_factor or path in spec.distributions:
            raise UserError(f"{path} is that of the sweep, and cannot differ from trial to trial")
    if spec.section.budget is not None and _EPOCHS in {*by_factor, *spec.distributions}:
        raise UserError(f"sweep.budget={spec.section.budget:g} says how many epochs there are; leave {_EPOCHS} alone")


def _paths(spec: SweepSpec, name: str, levels: Levels) -> Iterable[str]:
    if isinstance(levels, Mapping):
        return {path for changes in levels.values() for path in changes}
    return () if name in _fields(spec.template) else (name,)


def _fields(template: str | None) -> set[str]:
    try:
        return {name for _, name, _, _ in string.Formatter().parse(template or "") if name is not None}
    except ValueError as error:
        raise UserError(f"base={template}: {error}") from None


def _matches(cell: Cell, rule: Mapping[str, Level]) -> bool:
    return bool(rule) and all(cell.labels[name] == level for name, level in rule.items())
