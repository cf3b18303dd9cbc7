"""Making the folder and the study of a sweep, or going on with those that are there."""

from __future__ import annotations

import json
import statistics
import uuid
from collections.abc import Sequence
from typing import Any

from onelip.experiments.config_sweep import DEFAULT_TRIALS
from onelip.experiments.errors import UserError, as_user_errors
from onelip.experiments.evaluation import read_json
from onelip.experiments.file_lock import lock_of, locked
from onelip.experiments.files import write_json_atomically, write_text_atomically
from onelip.experiments.sweep.files import Stage, SweepFolder, base_anywhere, dump_sweep
from onelip.experiments.sweep.plan import Planned, plan_search
from onelip.experiments.sweep.spec import SEED, Cell, SweepSpec, read_sweep
from onelip.experiments.sweep.storages import absolute_storage, default_storage, describe_storage
from onelip.experiments.sweep.study import Goal, StoredTrial, Study, create_study, has_study
from onelip.experiments.sweep.trial_run import metric_of


def make_sweep(
    spec: SweepSpec, folder: SweepFolder, storage: str | None, stage: Stage, *, several_machines: bool = False
) -> str:
    """Make a sweep's folder and the study of a stage, or go on with those that are there.

    Args:
        spec: The sweep.
        folder: Its files.
        storage: URL of the study; None for the one it has, or a file in the folder.
        stage: Which stage.
        several_machines: Will workers on several machines use it?

    Returns:
        URL of the study.

    Raises:
        UserError: The folder is of something else, or of a sweep with other settings; or there is nothing to go on
            with.
    """
    with as_user_errors():
        folder.path.mkdir(parents=True, exist_ok=True)
    with as_user_errors(), locked(folder.spec_file):
        url = storage_of(folder, storage, several_machines=several_machines)
        _check_metric(spec)
        _agree(spec, folder, url)
        planned = plan_final(spec, _searched(spec, folder, url)) if stage == "final" else plan_search(spec)
        create_study(
            url,
            folder.study_name(stage),
            planned,
            spec.distributions,
            goal=goal_of(spec),
            token=_token(folder, stage, url),
        )
    return url


# Written before the study is made, so that what is found in a storage is known to be of this folder or not.
def _token(folder: SweepFolder, stage: Stage, url: str) -> str:
    state = read_json(folder.state_file) if folder.state_file.exists() else {}
    tokens = {**state.get("tokens", {})}
    if stage not in tokens:
        tokens[stage] = uuid.uuid4().hex
        # The usual one goes where the folder goes.
        kept = None if url == default_storage(folder.path) else url
        write_json_atomically(folder.state_file, {"storage": kept, "tokens": tokens})
    return str(tokens[stage])


def goal_of(spec: SweepSpec) -> Goal:
    """Say what is good of a sweep's metric.

    Args:
        spec: The sweep.

    Returns:
        The goal.
    """
    place = "runs", spec.name
    return metric_of(spec.section, spec.config(spec.cells()[0], spec.typical, (), place))[1]


# Trials of cells with and without certificates are not compared, but their metrics are read alike.
def _check_metric(spec: SweepSpec) -> None:
    place = "runs", spec.name
    metrics = {metric_of(spec.section, spec.config(c, spec.typical, (), place))[0]: str(c) for c in spec.cells()}
    if len(metrics) > 1:
        each = ", ".join(f"{metric} ({cell})" for metric, cell in metrics.items())
        raise UserError(f"cells have different metrics, {each}; choose one for all by sweep.metric and sweep.goal")


def plan_final(spec: SweepSpec, trials: Sequence[StoredTrial]) -> list[Planned]:
    """Plan the final trainings: the best draw of each cell, once for each seed.

    Where the seed is a factor, the mean over its levels says what is best; of draws that are equal the first is taken.

    Args:
        spec: The sweep.
        trials: Those of the search.

    Returns:
        The trainings.

    Raises:
        UserError: A cell has no finished trial.
    """
    cells = {cell.key: cell for cell in spec.cells()}
    planned: list[Planned] = []
    for key, cell in cells.items():
        params = best_params(spec, key, trials)
        if params is None:
            raise UserError(
                f"no trial of {cell} has ended well, so there is nothing to train finally; see onelip report"
            )
        for seed in spec.section.final.seeds:
            changes = (*spec.section.final.set.items(), (SEED, seed))
            planned.append(Planned(len(planned), cell.without_seed, seed, params, changes))
    return planned


def best_params(spec: SweepSpec, key: str, trials: Sequence[StoredTrial]) -> dict[str, Any] | None:
    """Choose the best draw of a cell.

    Args:
        spec: The sweep.
        key: The cell's.
        trials: Those of the search.

    Returns:
        Its parameters; None if no trial of the cell has ended well.
    """
    of_cell = [t for t in trials if Cell(t.labels).key == key and t.state == "complete" and t.value is not None]
    # Proposals of one number differ from seed to seed.
    values: dict[str, list[float]] = {}
    params: dict[str, dict[str, Any]] = {}
    for trial in sorted(of_cell, key=lambda t: t.draw):
        same = json.dumps(trial.params, sort_keys=True)
        values.setdefault(same, []).append(trial.value or 0.0)
        params[same] = dict(trial.params or {})
    if not values:
        return None
    sign = 1.0 if goal_of(spec) == "maximize" else -1.0
    # A draw that failed with some seeds is no better for it.
    most = max(map(len, values.values()))
    whole = {same: sign * statistics.fmean(v) for same, v in values.items() if len(v) == most}
    return params[max(whole, key=lambda same: whole[same])]


def _searched(spec: SweepSpec, folder: SweepFolder, url: str) -> list[StoredTrial]:
    name = folder.study_name("search")
    if not has_study(url, name):
        raise UserError(f"{folder.path} has no search yet; do that first, without --stage final")
    trials = Study(url, name, spec.distributions).trials()
    n_open = sum(trial.state in ("waiting", "running") for trial in trials)
    if n_open:
        raise UserError(
            f"{n_open} of {len(trials)} trials of the search have not ended; finish it first, without --stage"
        )
    return trials


def storage_of(folder: SweepFolder, storage: str | None, *, several_machines: bool = False) -> str:
    """Say where the study of a sweep is.

    Args:
        folder: The sweep's files.
        storage: URL that the user gives; None for the one it has, or a file in the folder.
        several_machines: Will workers on several machines use it?

    Returns:
        The URL.

    Raises:
        UserError: It has another one already.
    """
    usual = default_storage(folder.path, several_machines=several_machines)
    given = None if storage is None else absolute_storage(storage)
    if not folder.state_file.exists():
        return given or usual
    # Whoever goes on with it.
    before = str(read_json(folder.state_file)["storage"] or default_storage(folder.path))
    if given not in (None, before):
        raise UserError(f"{folder.path} has its study in {describe_storage(before)}; leave --storage out")
    return before


# More draws may be added; anything else would mix two sweeps.
def _agree(spec: SweepSpec, folder: SweepFolder, url: str) -> None:
    if folder.spec_file.exists():
        old = read_sweep(str(folder.spec_file))
        grown = old.section.model_copy(update={"trials": spec.section.trials, "final": spec.section.final})
        same = old.tree == spec.tree and grown == spec.section and base_anywhere(old) == base_anywhere(spec)
        fewer = (spec.section.trials or DEFAULT_TRIALS) < (old.section.trials or DEFAULT_TRIALS)
        late = old.section.final != spec.section.final and has_study(url, folder.study_name("final"))
        if not same or fewer or late:
            raise UserError(
                f"{folder.path} holds a sweep with other settings; go on with: onelip sweep {folder.path}, or give "
                f"this one another name=..."
            )
    elif any(entry != lock_of(folder.spec_file) for entry in folder.path.iterdir()):
        raise UserError(f"{folder.path} holds something else than a sweep; give the sweep another name=...")
    write_text_atomically(folder.spec_file, dump_sweep(spec))
