"""The state of a sweep: an Optuna study that holds every trial, its parameters, values and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from onelip.experiments.config_distributions import Choice, Distribution, LogUniform, RandInt
from onelip.experiments.errors import UserError
from onelip.experiments.sweep.optuna_library import optuna
from onelip.experiments.sweep.patience import PatientStorage
from onelip.experiments.sweep.plan import Planned
from onelip.experiments.sweep.storages import describe_storage, open_storage

State = Literal["waiting", "running", "complete", "pruned", "failed"]

Goal = Literal["maximize", "minimize"]


@dataclass(frozen=True, eq=False)
class StoredTrial:
    """A trial as the study has it.

    Attributes:
        id: The storage's identifier.
        number: From 0 on, in the study; its folder has it, too.
        labels: Level of each factor.
        draw: Which draw of its cell.
        params: Value of each distribution; None if it is still to be proposed.
        changes: Further changes of the configuration.
        state: How far it is.
        value: Its metric, or None.
        error: Why it failed, or "".
        reports: Metric by epoch, for pruning.
    """

    id: int
    number: int
    labels: Mapping[str, Any]
    draw: int
    params: Mapping[str, Any] | None
    changes: Sequence[tuple[str, Any]]
    state: State
    value: float | None
    error: str
    reports: Mapping[int, float]


class Study:
    """One stage of a sweep in a storage.

    Args:
        url: The storage, see `onelip.experiments.sweep.storages`.
        name: The study's.
        distributions: What is searched, by path.
    """

    def __init__(self, url: str, name: str, distributions: Mapping[str, Distribution]) -> None:
        self._storage = PatientStorage(open_storage(url))
        self._distributions = {path: (d, as_optuna(d)) for path, d in distributions.items()}
        self._url = url
        self.name = name
        try:
            self._id = self._storage.get_study_id_from_name(name)
        except KeyError:
            raise UserError(f"{describe_storage(url)} has no study {name!r}; make it with: onelip sweep") from None

    @property
    def token(self) -> str:
        """Which folder the study was made with."""
        return str(self._storage.get_study_user_attrs(self._id)["token"])

    def trials(self) -> list[StoredTrial]:
        """Read all trials.

        Returns:
            The trials, by number.
        """
        return [self._read(trial) for trial in self._storage.get_all_trials(self._id, deepcopy=False)]

    def trial(self, trial_id: int) -> StoredTrial:
        """Read one trial as it is now.

        Args:
            trial_id: Its identifier.

        Returns:
            The trial.
        """
        return self._read(self._storage.get_trial(trial_id))

    def frozen(self) -> list[Any]:
        """Read all trials as Optuna has them.

        Returns:
            Its `FrozenTrial`s.
        """
        return list(self._storage.get_all_trials(self._id, deepcopy=False))

    def start(self, trial_id: int) -> bool:
        """Mark a waiting trial as running.

        Args:
            trial_id: Its identifier.

        Returns:
            Was it waiting?
        """
        try:
            return bool(self._storage.set_trial_state_values(trial_id, optuna().trial.TrialState.RUNNING))
        except optuna().exceptions.UpdateFinishedTrialError:
            return False

    def set_params(self, trial_id: int, params: Mapping[str, Any]) -> dict[str, Any]:
        """Store what was proposed for a trial.

        Args:
            trial_id: Its identifier.
            params: Value of each distribution.

        Returns:
            What is stored: values that a worker left which died in the midst of this are not replaced.
        """
        labels = dict(self._storage.get_trial(trial_id).params)
        for path, value in params.items():
            ours, theirs = self._distributions[path]
            if path not in labels:
                labels[path] = ours.label(value)
                self._storage.set_trial_param(trial_id, path, theirs.to_internal_repr(labels[path]), theirs)
        self._storage.set_trial_user_attr(trial_id, "proposed", True)
        return {path: self._distributions[path][0].value(labels[path]) for path in params}

    def report(self, trial_id: int, epoch: int, value: float) -> None:
        """Store the metric after an epoch.

        Args:
            trial_id: The trial's identifier.
            epoch: From 1 on.
            value: The metric.
        """
        self._storage.set_trial_intermediate_value(trial_id, epoch, value)

    def keep(self, trial_id: int, name: str, value: Any) -> None:
        """Store something about a trial.

        Args:
            trial_id: Its identifier.
            name: What.
            value: Anything that JSON has.
        """
        self._storage.set_trial_system_attr(trial_id, name, value)

    def finish(self, trial_id: int, state: State, value: float | None, error: str = "") -> bool:
        """Store how a trial ended.

        Args:
            trial_id: Its identifier.
            state: "complete", "pruned" or "failed".
            value: The metric; None for a trial that failed.
            error: Why it failed.

        Returns:
            Was it still open? If not, nothing is changed.
        """
        try:
            if error:
                self._storage.set_trial_user_attr(trial_id, "error", error)
            ended = {v: k for k, v in _states().items()}[state]
            values = None if value is None else [value]
            return bool(self._storage.set_trial_state_values(trial_id, ended, values))
        except optuna().exceptions.UpdateFinishedTrialError:
            return False

    def _read(self, trial: Any) -> StoredTrial:
        attributes = trial.user_attrs
        params = {path: self._distributions[path][0].value(label) for path, label in trial.params.items()}
        known = len(params) == len(self._distributions) and (attributes["planned"] or "proposed" in attributes)
        return StoredTrial(
            id=trial._trial_id,
            number=trial.number,
            labels=attributes["labels"],
            draw=attributes["draw"],
            params=params if known else None,
            changes=[(path, value) for path, value in attributes["changes"]],
            state=_states()[trial.state],
            value=trial.value,
            error=attributes.get("error", ""),
            reports=trial.intermediate_values,
        )


def create_study(
    url: str,
    name: str,
    planned: Sequence[Planned],
    distributions: Mapping[str, Distribution],
    *,
    goal: Goal,
    token: str,
) -> None:
    """Make a study with all trials that are planned, or add those that it has not yet.

    Nobody else may do so at the same time.

    Args:
        url: The storage.
        name: The study's.
        planned: The trials.
        distributions: What is searched, by path.
        goal: What is good of the metric.
        token: Which folder it is for.

    Raises:
        UserError: It is there, and for another folder.
    """
    library, storage = optuna(), open_storage(url)
    direction = library.study.StudyDirection[goal.upper()]
    try:
        study_id = storage.create_new_study([direction], name)
    except library.exceptions.DuplicatedStudyError:
        study_id = storage.get_study_id_from_name(name)
    # It has none if whoever made it died at once.
    if storage.get_study_user_attrs(study_id).get("token", token) != token:
        raise UserError(f"{describe_storage(url)} has a sweep {name!r} of another folder; take another name=...")
    storage.set_study_user_attr(study_id, "token", token)
    present = {
        (frozenset(t.user_attrs["labels"].items()), t.user_attrs["draw"])
        for t in storage.get_all_trials(study_id, deepcopy=False)
    }
    theirs = {path: (d, as_optuna(d)) for path, d in distributions.items()}
    for trial in planned:
        if (frozenset(trial.cell.labels.items()), trial.draw) not in present:
            storage.create_new_trial(study_id, template_trial=_waiting(trial, theirs))


def add_again(url: str, name: str, distributions: Mapping[str, Distribution]) -> int:
    """Plan the trials that have failed once more.

    Args:
        url: The storage.
        name: The study's.
        distributions: What is searched, by path.

    Returns:
        How many.
    """
    study, storage = Study(url, name, distributions), open_storage(url)
    trials, n_again = study.trials(), 0
    last = {(frozenset(t.labels.items()), t.draw): t for t in trials}
    for trial, frozen in zip(trials, study.frozen(), strict=True):
        if trial.state == "failed" and last[frozenset(trial.labels.items()), trial.draw] is trial:
            library = optuna()
            attributes = {k: v for k, v in frozen.user_attrs.items() if k not in ("error", "proposed")}
            parts = (
                {} if not attributes["planned"] else {"params": frozen.params, "distributions": frozen.distributions}
            )
            again = library.trial.create_trial(
                state=library.trial.TrialState.WAITING, user_attrs={**attributes, "again": trial.number}, **parts
            )
            storage.create_new_trial(storage.get_study_id_from_name(name), template_trial=again)
            n_again += 1
    return n_again


def has_study(url: str, name: str) -> bool:
    """Find out whether a storage has a study.

    Args:
        url: The storage.
        name: The study's name.

    Returns:
        Has it?
    """
    try:
        open_storage(url).get_study_id_from_name(name)
    except KeyError:
        return False
    return True


def as_optuna(distribution: Distribution) -> Any:
    """Write a distribution as Optuna does.

    Args:
        distribution: Ours.

    Returns:
        Optuna's.
    """
    theirs = optuna().distributions
    match distribution:
        case Choice(options):
            return theirs.CategoricalDistribution([distribution.label(option) for option in options])
        case RandInt(low, high):
            return theirs.IntDistribution(low, high)
        case _:
            return theirs.FloatDistribution(
                distribution.low, distribution.high, log=isinstance(distribution, LogUniform)
            )


def _waiting(trial: Planned, distributions: Mapping[str, tuple[Distribution, Any]]) -> Any:
    library, params = optuna(), trial.params
    attributes = {
        "labels": dict(trial.cell.labels),
        "draw": trial.draw,
        "changes": [list(change) for change in trial.changes],
        "planned": params is not None,
    }
    known = {} if params is None else params
    return library.trial.create_trial(
        state=library.trial.TrialState.WAITING,
        params={path: distributions[path][0].label(value) for path, value in known.items()},
        distributions={path: distributions[path][1] for path in known},
        user_attrs=attributes,
    )


def _states() -> dict[Any, State]:
    state = optuna().trial.TrialState
    return {
        state.WAITING: "waiting",
        state.RUNNING: "running",
        state.COMPLETE: "complete",
        state.PRUNED: "pruned",
        state.FAIL: "failed",
    }
