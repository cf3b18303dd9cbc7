"""Training against a relaxation by configuration."""

import pytest
import torch

from onelip.experiments import UserError, create_run_folder, load_config
from onelip.experiments.objectives import build_objective
from onelip.experiments.preparation import prepare
from onelip.experiments.recorder import read_metrics
from onelip.experiments.training import train
from onelip.tasks import JacobianPenalty, RelaxationObjective

PLAIN = ["layer=plain", "activation=relu", "loss=cross-entropy", "optimizer=adamw", "model.widths=[16]"]
SMALL = [*PLAIN, "trainer.threads=1", "trainer.max_epochs=1", "data.batch_size=512", "trainer.validate_every=1"]


def load(*changes):
    return load_config("digits", list(changes))


def test_every_option_reaches_the_objective():
    ramp = "{start: 0, end: 8/255, until: 0.5}"
    config = load(*PLAIN, f"relaxation={{radius: {ramp}, norm: l2, method: kw, weight: {{start: 0, end: 1/2}}}}")
    objective = build_objective(config)
    assert isinstance(objective, RelaxationObjective)
    assert (objective.norm, objective.method, objective.radius) == ("l2", "kw", 0.0)
    objective.set_progress(1.0)
    assert (objective.radius, objective.weight) == (pytest.approx(8 / 255), 0.5)
    assert config.resolved()["relaxation"]["radius"]["end"] == pytest.approx(8 / 255)
    both = build_objective(load(*PLAIN, "relaxation={radius: 0.1}", "jacobian={weight: 0.1}"))
    assert isinstance(both, JacobianPenalty)
    assert isinstance(both.base, RelaxationObjective)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["relaxation={radius: -1}"], "radius=-1"),
        (["relaxation={radius: 0.1, weight: 2}"], "weight=2"),
        (["relaxation={radius: 0.1, method: crow}"], r"relaxation\.method"),
        (["relaxation={radius: 0.1}", "adversarial={radius: 0.1}"], "adversarial and relaxation both say"),
        (["relaxation={radius: 0.1}", "trainer.compile=true"], "trainer.compile=true does not go with relaxation"),
    ],
)
def test_mistakes_are_one_sentence(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        load(*PLAIN, *changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["loss=emma", "layer=aol"], "loss=emma takes Lipschitz constants"),
        (["activation=maxmin"], "MaxMin"),
    ],
)
def test_what_has_no_relaxation_is_named_before_the_training(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        prepare(load(*PLAIN, "relaxation={radius: 0.1}", *changes))


def test_a_training_minimises_the_worst_case(tmp_path):
    losses, weights = [], []
    for changes in ([], ["relaxation={radius: 0.05}"]):
        config = load(*SMALL, f"runs_dir={tmp_path / str(len(changes))}", *changes)
        experiment, folder = prepare(config), create_run_folder(config)
        train(experiment, folder)
        losses.append(read_metrics(folder)[0]["train_loss"])
        weights.append(torch.cat([p.detach().flatten() for p in experiment.model.parameters()]))
    assert losses[1] > losses[0]
    assert not torch.equal(*weights)
