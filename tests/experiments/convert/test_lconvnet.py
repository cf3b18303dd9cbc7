"""Experiments of LConvNet: data, losses, schedules, evaluations and estimates of distances."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import convolutional, experiment_yaml

from onelip.experiments.convert.settings import convert_settings
from onelip.experiments.convert.written import check_conversion
from onelip.experiments.errors import UserError


def converted(tmp_path, text):
    path = tmp_path / "cfg.yaml"
    path.write_text(text, "utf-8")
    conversion = convert_settings(path)
    check_conversion(conversion)
    return conversion


def test_a_classifier(tmp_path):
    conversion = converted(tmp_path, experiment_yaml())
    tree = conversion.tree
    assert tree["name"] == "lconvnet-small-bcop-cifar10"
    assert (tree["seed"], tree["trainer"]["max_epochs"]) == (2, 50)
    augment = {"crop": 4, "flip": True}
    assert tree["data"] == {
        "name": "cifar10",
        "batch_size": 128,
        "validation": 0.1,
        "normalize": "none",
        "augment": augment,
    }
    assert tree["loss"] == {"name": "certified-multi-margin", "radius": 0.5}
    assert tree["optimizer"] == {"name": "adam", "lr": 0.001, "weight_decay": 0.0, "betas": [0.9, 0.999]}
    assert tree["schedule"] == {"name": "exponential", "end": pytest.approx(0.9**50, rel=1e-5)}
    assert tree["certify"] == {"radii": [0.1, "36/255"], "selection_radius": "36/255"}
    attack = {"kind": "pgd", "steps": 200, "restarts": 1, "random_start": True, "step_size": 0.01}
    assert tree["attack"] == {**attack, "radii": [0.1, "36/255"]}
    for word in (
        "FGSMAttacker",
        "mini_test_size=100",
        "test_batch_size=100",
        "there the test images do",
        "bjorck_iters=20",
    ):
        assert any(word in note for note in conversion.notes)


@pytest.mark.parametrize(
    ("criterion", "ours"),
    [
        ("{<type>: cross_entropy, <init>: false}", {"name": "cross-entropy"}),
        ("{<type>: multi_margin_loss, margin: 0.5}", {"name": "multi-margin", "margin": 0.5, "p": 1.0}),
        (
            "{<type>: multi_margin_loss_eps, eps: 0.5, l_constant: 2, p: inf, order: 2}",
            {"name": "multi-margin", "margin": 2.0, "p": 2.0},
        ),
        (
            "{<type>: multi_margin_loss_eps, eps: 0.5, order: 2}",
            {"name": "certified-multi-margin", "radius": 0.5, "p": 2.0},
        ),
    ],
)
def test_losses(tmp_path, criterion, ours):
    assert converted(tmp_path, experiment_yaml(criterion=criterion)).tree["loss"] == ours


@pytest.mark.parametrize(
    ("changes", "key", "ours"),
    [
        (
            {"optimizer": "{<type>: SGD, lr: 0.1, momentum: 0.9}"},
            "optimizer",
            {"name": "sgd", "lr": 0.1, "weight_decay": 0.0, "momentum": 0.9, "nesterov": False},
        ),
        (
            {"lr_scheduler": "{<type>: MultiStepLR, milestones: [25], gamma: 0.5}"},
            "schedule",
            {"name": "step", "milestones": ["1/2"], "factor": 0.5},
        ),
        ({"lr_scheduler": "{<type>: MultiStepLR, milestones: [99]}"}, "schedule", {"name": "constant"}),
        ({"lr_scheduler": "null"}, "schedule", {"name": "constant"}),
    ],
)
def test_optimisers_and_schedules(tmp_path, changes, key, ours):
    assert converted(tmp_path, experiment_yaml(**changes)).tree[key] == ours


def test_hooks_are_listed(tmp_path):
    text = experiment_yaml().replace("    criterion:", "    regularizers: [{<type>: own}]\n    criterion:")
    assert any("trainer.main_step.regularizers" in note for note in converted(tmp_path, text).notes)


def wasserstein(data="CIFAR10"):
    text = experiment_yaml(
        convolutional("DCGANDiscriminator", "OSSN, <init>: false, n_iters: 10"), optimizer="{<type>: RMSprop, lr: 0.01}"
    )
    loaders = f"""dataloaders:
  <type>: repeated_loaders
  <init>: false
  loader_init:
    <type>: DistributionGANLoader
    <init>: false
    gan_sampler_module:
      <type>: GANSampler
      <init>: false
      config: {{<type>: Munch, <init>: true, gan_config_json_path: checkpoints/GAN_{data}/hparams.json, dim: None}}
best_metrics_comparator: {{<type>: default_loss_comparator, <init>: false}}
"""
    start, _, rest = text.partition("dataloaders:")
    rest = rest[rest.index("trainer:") :]
    rest = rest.replace("classification_step", "wasserstein_distance_estimation_step")
    rest = rest.replace(
        rest[rest.index("criterion:") : rest.index("\n  lr_scheduler")], "criterion: {<type>: diff_loss}"
    )
    return start[: start.index("post_steps")] + loaders + rest


def test_an_estimate(tmp_path):
    conversion = converted(tmp_path, wasserstein())
    tree = conversion.tree
    assert (tree["task"], tree["name"]) == ("wasserstein", "wasserstein-cifar10-ossn")
    assert (tree["p"], tree["q"]) == ({"name": "gan", "config": "gan-cifar10"}, {"name": "images", "set": "cifar10"})
    assert (tree["model"], tree["layer"], tree["linear"]) == ({"name": "dcgan-critic"}, "ossn", "bjorck")
    assert tree["trainer"] == {"max_steps": 5000, "validate_every": 200}
    assert any(note.startswith("no counterpart: trainer.optimizer=RMSprop") for note in conversion.notes)


def test_an_unknown_gan_is_refused(tmp_path):
    with pytest.raises(UserError, match="names no data set of"):
        converted(tmp_path, wasserstein("CELEBA"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("<type>: Trainer", "<type>: Trainr", "<type> of trainer 'Trainr' is unknown; did you mean 'Trainer'"),
        ("num_epochs", "n_epochs", "key of the file 'n_epochs' is unknown; did you mean 'num_epochs'"),
        (
            "<type>: cifar10",
            "<type>: cifar",
            "<type> of dataloaders.dataset 'cifar' is unknown; did you mean 'cifar10'",
        ),
        ("<type>: PGDAttacker", "<type>: PGD", "<type> of post_steps.1..attacker.0. 'PGD' is unknown"),
        ("<type>: Adam", "<type>: Adm", "<type> of trainer.optimizer 'Adm' is unknown; did you mean 'Adam'"),
    ],
)
def test_what_is_unknown_is_named_with_its_line(tmp_path, old, new, sentence):
    with pytest.raises(UserError, match=r"cfg\.yaml, line \d+: " + sentence):
        converted(tmp_path, experiment_yaml().replace(old, new, 1))
