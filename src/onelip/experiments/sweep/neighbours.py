"""What other trials of the same cell say: Optuna's samplers and pruners, which see that cell alone."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from typing import Any

from onelip.experiments.config_distributions import Distribution
from onelip.experiments.config_sweep import Pruning
from onelip.experiments.sweep.optuna_library import optuna
from onelip.experiments.sweep.study import Goal, StoredTrial, Study, as_optuna


def propose(
    study: Study, trial: StoredTrial, distributions: Mapping[str, Distribution], goal: Goal, seed: int
) -> dict[str, Any]:
    """Propose parameters by the tree-structured Parzen estimator (Bergstra et al. 2011, as in Optuna).

    Args:
        study: The study.
        trial: The trial that needs them.
        distributions: What is searched, by path.
        goal: What is good of the metric.
        seed: The sweep's.

    Returns:
        Value by path.
    """
    text = f"{seed}/{sorted(trial.labels.items())}/{trial.draw}"
    own = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    # Trials that still run count as bad, so that two workers are not sent to the same place.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna().exceptions.ExperimentalWarning)
        sampler = optuna().samplers.TPESampler(seed=own, constant_liar=True)
    view = _cell(study, trial, goal, sampler=sampler)
    asked = view.ask({path: as_optuna(d) for path, d in distributions.items()})
    return {path: distributions[path].value(label) for path, label in asked.params.items()}


def falls_behind(study: Study, trial_id: int, pruning: Pruning, goal: Goal) -> bool:
    """Decide whether a trial is to end after its latest report.

    Args:
        study: The study, which has that report.
        trial_id: The trial's identifier.
        pruning: By which rule.
        goal: What is good of the metric.

    Returns:
        Is it behind the other trials of its cell?
    """
    trial, pruner = study.trial(trial_id), _pruner(pruning)
    view = _cell(study, trial, goal, pruner=pruner)
    own = next(t for t in view.get_trials(deepcopy=False) if t.user_attrs["number"] == trial.number)
    behind = bool(pruner.prune(view, own))
    # Successive halving remembers there which rungs a trial has reached.
    after = view._storage.get_trial_system_attrs(own._trial_id)
    for name, value in after.items():
        if own.system_attrs.get(name) != value:
            study.keep(trial_id, name, value)
    return behind


def _pruner(pruning: Pruning) -> Any:
    pruners = optuna().pruners
    if pruning.name == "median":
        return pruners.MedianPruner(n_startup_trials=pruning.startup, n_warmup_steps=pruning.first)
    return pruners.SuccessiveHalvingPruner(min_resource=pruning.first, reduction_factor=pruning.reduction)


# A study in memory: those of other cells are no neighbours, whose metrics may be of another size.
def _cell(study: Study, trial: StoredTrial, goal: Goal, **parts: Any) -> Any:
    library = optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", library.exceptions.ExperimentalWarning)
        view = library.create_study(direction=goal, **parts)
    state = library.trial.TrialState
    for other in study.frozen():
        same = other.user_attrs["labels"] == trial.labels
        proposing = "sampler" in parts and other.number == trial.number
        if same and not proposing and other.state in (state.COMPLETE, state.PRUNED, state.RUNNING):
            copy = library.trial.create_trial(
                state=other.state,
                value=other.value,
                params=other.params,
                distributions=other.distributions,
                user_attrs={"number": other.number},
                system_attrs=other.system_attrs,
                intermediate_values=other.intermediate_values,
            )
            view.add_trial(copy)
    return view
