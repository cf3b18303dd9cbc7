"""Experiments of LConvNet: YAML with `<type>`, `<init>` and `[submodules]`."""

from __future__ import annotations

from typing import Any

from onelip.experiments.convert.conversion import Conversion, as_fraction, check_name, parts_of
from onelip.experiments.convert.lconvnet_network import convert_network
from onelip.experiments.convert.lconvnet_types import kind_of
from onelip.experiments.convert.lnets_wasserstein import GAN_DATA, steps_of
from onelip.experiments.convert.marked import Marked, Section

_KEYS = (
    "<type>", "<init>", "post_steps", "dataloaders", "trainer", "num_epochs", "seed", "train_batch_size",
    "test_batch_size", "exp_dir", "best_metrics_comparator",
)  # fmt: skip

_BATCHES = 100
"""Batches that their loader of two distributions calls an epoch."""

_PROJECTED_EVERY = 100
"""Steps between projections of our SVCM."""

_ATTACKERS = ("FGSMAttacker", "FoolBoxAttacker", "PGDAttacker")


def convert_lconvnet(marked: Marked) -> Conversion:
    """Convert one experiment, a cfg.yaml.

    Args:
        marked: What it holds.

    Returns:
        The configuration: of a classifier, or of the estimate of a distance.

    Raises:
        UserError: If a type, a key or a value is unknown.
    """
    top = Section(marked)
    kind_of(top, ("Experiment",))
    top.refuse_unread(_KEYS)
    out = Conversion()
    trainer = top.child("trainer")
    kind_of(trainer, ("Trainer",))
    epochs = int(top.need("num_epochs").number("num_epochs"))
    step = kind_of(trainer.child("main_step"), ("classification_step", "wasserstein_distance_estimation_step"))
    out.tree["seed"] = top.plain("seed", 0)
    out.differs("the seed is set before the network is made, there after it, so that its weights are unseeded")
    if step == "classification_step":
        _classification(top, trainer, epochs, out)
    else:
        _wasserstein(top, trainer, epochs, out)
    out.tree["optimizer"] = _optimizer(trainer, out)
    out.tree["schedule"] = _schedule(trainer, epochs, out)
    if out.tree["layer"] == "svcm" and trainer.plain("proj_every_n_its", 20) != _PROJECTED_EVERY:
        trainer.read.discard("proj_every_n_its")
    elif out.tree["layer"] != "svcm":
        trainer.get("proj_every_n_its")
    for key in ("regularizers", "input_hooks"):
        value = trainer.child("main_step").get(key)
        if value is not None and value.value:
            out.no_counterpart(f"trainer.main_step.{key}", value)
    for post_step in trainer.plain("post_steps", []):
        if post_step.get("<type>") != "l2_lipschitz_constant_checker":
            out.notes.append(f"no counterpart: trainer.post_steps of {post_step.get('<type>')}")
    out.leave_out(top)
    return out


def _classification(top: Section, trainer: Section, epochs: int, out: Conversion) -> None:
    dataset = top.child("dataloaders").child("dataset")
    kind_of(top.child("dataloaders"), ("default_dataloader",))
    data = kind_of(dataset, ("cifar10", "mnist"))
    section: dict[str, Any] = {"name": data, "batch_size": int(top.need("train_batch_size").number("train_batch_size"))}
    section |= {"validation": 0.1, "normalize": "none"}
    if data == "cifar10":
        section["augment"] = {"crop": 4, "flip": True}
        dataset.get("no_scaling")
    out.differs("a tenth of the training images chooses the weights, there the test images do")
    if "best_metrics_comparator" in top:
        kind_of(top.child("best_metrics_comparator"), ("default_accuracy_comparator", "default_loss_comparator"))
    convert_network(trainer, out)
    out.tree |= {"name": check_name(f"{out.tree['model']['name']}-{out.tree['layer']}-{data}"), "data": section}
    out.tree["loss"] = _loss(trainer.child("main_step").child("criterion"), out)
    out.tree["trainer"] = {"max_epochs": epochs, "validate_every": max(1, epochs // 50)}
    _evaluation(top, data, out)


def _wasserstein(top: Section, trainer: Section, epochs: int, out: Conversion) -> None:
    loaders = top.child("dataloaders")
    kind_of(loaders, ("repeated_loaders",))
    kind_of(trainer.child("main_step").child("criterion"), ("diff_loss",))
    init = loaders.child("loader_init")
    kind_of(init, ("DistributionGANLoader",))
    sampler = init.child("gan_sampler_module")
    kind_of(sampler, ("GANSampler",))
    path = sampler.child("config").need("gan_config_json_path")
    kind_of(sampler.child("config"), ("Munch",))
    data = next((name for name in GAN_DATA if name in str(path.value).lower()), None)
    if data is None:
        raise path.refuse(f"{path.value} names no data set of {', '.join(GAN_DATA)}, by which the GAN would be found")
    convert_network(trainer, out)
    out.tree |= {"task": "wasserstein", "name": check_name(f"wasserstein-{data}-{out.tree['layer']}")}
    out.tree["p"], out.tree["q"] = {"name": "gan", "config": f"gan-{data}"}, {"name": "images", "set": data}
    out.tree["batch_size"] = int(top.need("train_batch_size").number("train_batch_size"))
    out.tree["trainer"] = steps_of(epochs, int(init.plain("n_examples_per_epoch", _BATCHES)))
    out.differs(f"samples are those of gan-{data}, trained first where there is no run of it, there of {path.value}")
    out.differs("images are pixels in [0, 1] at their own size, there in [-1, 1] and at 64x64, and distances follow")
    out.differs("the distance is measured on test images, and divided by the proved constant")
    if "best_metrics_comparator" in top:
        kind_of(top.child("best_metrics_comparator"), ("default_accuracy_comparator", "default_loss_comparator"))


def _loss(criterion: Section, out: Conversion) -> dict[str, Any]:
    known = ("CrossEntropyLoss", "cross_entropy", "multi_margin_loss", "multi_margin_loss_eps")
    kind = kind_of(criterion, known)
    if kind in ("CrossEntropyLoss", "cross_entropy"):
        return {"name": "cross-entropy"}
    if kind == "multi_margin_loss":
        return {
            "name": "multi-margin",
            "margin": float(criterion.plain("margin", 1.0)),
            "p": float(criterion.plain("p", 1.0)),
        }
    radius = float(criterion.need("eps").number("eps")) * float(criterion.plain("l_constant", 1.0))
    order, norm = float(criterion.plain("order", 1.0)), criterion.plain("p", 2)
    if norm == 2:
        return {"name": "certified-multi-margin", "radius": radius} | ({} if order == 1 else {"p": order})
    factor = 2.0 if norm == "inf" else 2.0 ** ((float(norm) - 1) / float(norm))
    out.differs(f"certified is in l2, and the loss has the margin of p={norm}")
    return {"name": "multi-margin", "margin": factor * radius, "p": order}


def _optimizer(trainer: Section, out: Conversion) -> dict[str, Any]:
    optimizer = trainer.child("optimizer")
    kind = kind_of(optimizer, ("Adam", "RMSprop", "SGD"))
    rate, decay = float(optimizer.need("lr").number("lr")), float(optimizer.plain("weight_decay", 0.0))
    if kind == "SGD":
        momentum = {"momentum": float(optimizer.plain("momentum", 0.0)), "nesterov": optimizer.plain("nesterov", False)}
        return {"name": "sgd", "lr": rate, "weight_decay": decay, **momentum}
    if kind == "RMSprop":
        out.notes.append("no counterpart: trainer.optimizer=RMSprop (adam with the same rate)")
    return {"name": "adam", "lr": rate, "weight_decay": decay, "betas": optimizer.plain("betas", [0.9, 0.999])}


def _schedule(trainer: Section, epochs: int, out: Conversion) -> dict[str, Any]:
    scheduler = trainer.section("lr_scheduler")
    if scheduler is None:
        return {"name": "constant"}
    if kind_of(scheduler, ("ExponentialLR", "MultiStepLR")) == "MultiStepLR":
        parts = parts_of(scheduler.need("milestones").plain(), epochs)
        factor = float(scheduler.plain("gamma", 0.1))
        return {"name": "step", "milestones": parts, "factor": factor} if parts else {"name": "constant"}
    out.differs("the rate falls with each step, there with each epoch")
    return {"name": "exponential", "end": float(f"{float(scheduler.need('gamma').number('gamma')) ** epochs:.6g}")}


def _evaluation(top: Section, data: str, out: Conversion) -> None:
    radii: set[float] = set()
    attack: dict[str, Any] = {"kind": "pgd", "steps": 100, "restarts": 1}
    post_steps = top.get("post_steps")
    for i, value in enumerate([] if post_steps is None else post_steps.value):
        step = Section(value, f"post_steps[{i}]")
        kind_of(step, ("eval_adv_robustness_batch",))
        radii |= {float(r) for r in step.need("eps_range").plain()}
        step.get("p")
        _attackers(step, attack, out)
        out.leave_out(step)
    default = [0.3, 1.58] if data == "mnist" else [0.1, 36 / 255]
    written = [as_fraction(radius) for radius in sorted(radii or default)]
    # The larger one is that of the tables.
    out.tree["certify"] = {"radii": written, "selection_radius": written[-1]}
    out.tree["attack"] = {**attack, "radii": written}


def _attackers(step: Section, attack: dict[str, Any], out: Conversion) -> None:
    given = step.get("attacker")
    values = [] if given is None else given.value if isinstance(given.value, list) else [given]
    for i, value in enumerate(values):
        attacker = Section(value, f"{step.path}.attacker[{i}]")
        if kind_of(attacker, _ATTACKERS) == "PGDAttacker":
            attack["steps"] = attacker.plain("iters", 40)
            attack["random_start"] = attacker.plain("rand_start", True)
            alpha = attacker.get("alpha")
            attack |= {} if alpha is None else {"step_size": float(alpha.number("alpha"))}
            attacker.get("support_projection")
            out.leave_out(attacker)
        else:
            out.no_counterpart(attacker.path, value, "run it with: onelip attack RUN --attack NAME")
