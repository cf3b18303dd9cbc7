"""Settings files in the formats of other code bases, written by the tests themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

METHODS = ("AOLConv2d", "BCOP", "CPLConv2d", "CayleyConv", "LOT", "SLLConv2d", "SOC")
"""The seven methods of the comparison."""

SIZES = ("ConvNetXS", "ConvNetS", "ConvNetM")
"""The sizes whose settings are published."""

_HEADS = {"BCOP": "BjorckLinear", "CayleyConv": "CayleyLinear"}


def search_settings(method: str, size: str = "ConvNetXS", **changes: str) -> str:
    """Write the settings of a random search, as Layers Compared makes them: offset loss, SGD, one cycle.

    Args:
        method: A name of `METHODS`.
        size: A name of `SIZES`.
        **changes: Other text of a key at the top level.

    Returns:
        The text of a settings.yml.
    """
    model = [
        "!model",
        "name: conv_net",
        f"model_id: {size}",
        "get_activation: !layer MaxMin",
        "seed: !randint [0, 999]",
    ]
    if method == "AOLConv2d":
        model += [f"get_conv: !layer {method}Dirac"]
        model += [f"get_conv_{part}: !layer {method}Orth" for part in ("first", "head")]
    else:
        model += [f"get_conv: !layer {method}"]
    if method in _HEADS:
        model += [f"get_linear: !layer {_HEADS[method]}"]
    radii = {"36": 0.1411, "72": 0.2824, "108": 0.4235, "255": 1.0}
    metrics = [f"certified_{name}: !metric {{name: RobustAccuracy, eps: {eps}}}" for name, eps in radii.items()]
    sections = {
        "model": "\n  ".join(["", *model]),
        "epochs": "100",
        "optimizer": (
            "!optimizer {name: SGD, lr: !randlog10 [-4, -1], weight_decay: !randlog10 [-5.5, -3.5], momentum: 0.9}"
        ),
        "lr_scheduler": "!scheduler {name: OneCycleLR, epochs: 100}",
        "loss": "!metric {name: LipCrossEntropyLoss, margin: 0.3993, temperature: 0.25}",
        "trainset": "!dataset {name: CIFAR10, train: true, center: true}",
        "batch_size": "256",
        "num_workers": "4",
        "eval_metrics": "\n  ".join(["", *metrics, "speed: !metric {name: Throughput}"]),
    }
    return "".join(f"{key}: {text}\n" for key, text in (sections | changes).items())


def classifier_json(**changes: Any) -> dict[str, Any]:
    """Write the settings of a classifier of LNets.

    Args:
        **changes: Other values, by path with two underscores for a dot.

    Returns:
        What the JSON file holds.
    """
    off = {"turned_on": False, "type": "l_2", "bjorck_iter": 1}
    tree: dict[str, Any] = {
        "seed": 3,
        "exp_name": "small",
        "cuda": False,
        "model": {
            "name": "classify_fc",
            "activation": "maxmin",
            "linear": {"type": "bjorck", "bjorck_iter": 20, "bias": True},
            "layers": [64, 32, 10],
            "groupings": [2, 2, 1],
            "l_constant": 1.0,
            "per_epoch_proj": dict(off),
            "per_update_proj": dict(off),
        },
        "optim": {
            "optimizer": "adam",
            "lr_schedule": {"name": "step", "lr_init": 0.001, "lr_decay": 0.1, "milestones": [5, 8]},
            "epochs": 10,
            "batch_size": 64,
            "momentum": 0.9,
            "betas": [0.0, 0.9],
            "wdecay": 0.0,
            "max_grad_norm": 1e8,
        },
        "data": {"name": "mnist", "transform": {"type": "mnist"}, "train_size": 0.9, "num_workers": 2},
    }
    return _changed(tree, changes)


def critic_json(**changes: Any) -> dict[str, Any]:
    """Write the settings of an estimate of LNets.

    Args:
        **changes: As for `classifier_json`.

    Returns:
        What the JSON file holds.
    """
    tree = classifier_json()
    del tree["data"]
    tree["model"] |= {"name": "dual_fc", "layers": [32, 32, 1]}
    tree["optim"] |= {"optimizer": "aggmo", "epoch_len": 16, "epochs": 40}
    shell = {"name": "MultiSphericalShell", "filepath": "shell.py", "dim": 2, "empty_dim": 0, "center_x": [-2.0, 2.0]}
    sizes = {"sample_size": 32, "test_sample_size": 512}
    tree |= {"distrib1": {**shell, "radius": 1e-7, **sizes}, "distrib2": {**shell, "radius": 1.0, **sizes}}
    return _changed(tree, changes)


def gan_json(**changes: Any) -> dict[str, Any]:
    """Write the settings of a GAN of LNets.

    Args:
        **changes: As for `classifier_json`.

    Returns:
        What the JSON file holds.
    """
    tree = {"seed": 0, "task": "GAN_training", "exp_name": "one", "gan_type": "LWGAN", "dataset": "mnist", "epoch": 20}
    tree |= {
        "batch_size": 60,
        "input_size": 28,
        "lrG": 1e-4,
        "lrD": 2e-3,
        "beta1": 0.5,
        "beta2": 0.99,
        "gpu_mode": True,
    }
    return _changed(tree, changes)


def write_json(folder: Path, tree: dict[str, Any]) -> Path:
    """Write a JSON file.

    Args:
        folder: Where.
        tree: What.

    Returns:
        The file, whose lines are those of `json.dumps(indent="\t")`.
    """
    path = folder / "config.json"
    path.write_text(json.dumps(tree, indent="\t"), "utf-8")
    return path


def experiment_yaml(net: str = "", *, dataset: str = "cifar10", **changes: str) -> str:
    """Write an experiment of LConvNet.

    Args:
        net: Lines of trainer.net, without indentation; a small network of BCOP by default.
        dataset: "cifar10" or "mnist".
        **changes: Other text of `criterion`, `optimizer`, `lr_scheduler` or `rest`.

    Returns:
        The text of a cfg.yaml.
    """
    net = net or convolutional("SmallConvNet", "BCOP, <init>: false, bjorck_iters: 20")
    text = {
        "criterion": "{<type>: multi_margin_loss_eps, <init>: false, l_constant: 1.0, order: 1.0, eps: 0.5, p: 2}",
        "optimizer": "{<type>: Adam, <init>: false, lr: 0.001}",
        "lr_scheduler": "{<type>: ExponentialLR, <init>: false, gamma: 0.9}",
        "rest": "seed: 2",
    } | changes
    return f"""<type>: Experiment
<init>: true
post_steps:
- {{<type>: eval_adv_robustness_batch, <init>: false, eps_range: [0.1], p: 2}}
- <type>: eval_adv_robustness_batch
  <init>: false
  attacker:
  - {{<type>: PGDAttacker, <init>: true, alpha: 0.01, iters: 200, rand_start: true}}
  - {{<type>: FGSMAttacker, <init>: true}}
  eps_range: [0.1411764706]
  p: 2
dataloaders:
  <type>: default_dataloader
  <init>: false
  dataset: {{<type>: {dataset}, <init>: true, mini_test_size: 100}}
trainer:
  <type>: Trainer
  <init>: true
  main_step:
    <type>: classification_step
    <init>: false
    criterion: {text["criterion"]}
  lr_scheduler: {text["lr_scheduler"]}
  optimizer: {text["optimizer"]}
  proj_every_n_its: 100
{_indented(net, 2)}
num_epochs: 50
train_batch_size: 128
test_batch_size: 100
{text["rest"]}
"""


def convolutional(kind: str, convolution: str, key: str = "net") -> str:
    """Write a convolutional network of LConvNet.

    Args:
        kind: Its type.
        convolution: What follows `<type>: ` of its convolutions.
        key: The key that it stands under.

    Returns:
        Lines.
    """
    return f"""{key}:
  <type>: {kind}
  <init>: true
  scaling: 1.0
  input_spatial_shape: [32, 32]
  '[submodules]':
    conv_module: {{<type>: LipschitzConv2d, <init>: false, conv_module: {{<type>: {convolution}}}}}
    linear_module: {{<type>: BjorckLinear, <init>: false}}
    activation: {{<type>: GroupSort, <init>: true, group_size: 2, axis: 1, new_impl: true}}"""


def dense(key: str = "net", units: str = "units: [784, 64, 64, 10]") -> str:
    """Write a dense network of LConvNet.

    Args:
        key: The key that it stands under.
        units: The line of its widths.

    Returns:
        Lines.
    """
    return f"""{key}:
  <type>: Sequential
  <init>: true
  <list>:
  - {{<type>: Rearrange, <init>: true, pattern: b c h w -> b (c h w)}}
  - <type>: MLP
    <init>: true
    {units}
    dist_scaling: 1.0
    linear_module: {{<type>: BjorckLinear, <init>: false}}
    activation: {{<type>: ReLU, <init>: true}}"""


def _indented(text: str, n: int) -> str:
    return "\n".join(" " * n + line for line in text.splitlines())


def _changed(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    for path, value in changes.items():
        *keys, last = path.split("__")
        node = tree
        for key in keys:
            node = node[key]
        node[last] = value
    return tree
