"""PGD and APGD beside those of foolbox and torchattacks: what they leave, what they cost, and how curves are ordered.

An ordinary and a 1-Lipschitz network are trained here, and attacked on the same test images, in batches of the same
size, with the same numbers of steps and the same starts: the image itself for PGD, for APGD the point at the border
that torchattacks draws. Ours and the reference take turns in one process; times are the median CPU seconds of it, so
that other processes matter little, and the ratio is the median over the turns. The first table is about images that are
read rightly. Ours leave them out once they have fallen, which the references do not: the first radius of each norm is
so small that nothing falls, and there the ratio compares equal work. In such balls a linear model is attacked, too: it
takes hardly any time itself, and shows what the attacks alone cost.

The second table has the curves of `onelip attack`: certified, and what PGD, APGD on cross-entropy and targeted APGD
leave alone and one after the other (apgd). Run from the repository:

    python -m benchmarks.attacks
    python -m benchmarks.attacks --data cifar10 --dir PATH --model convnet-xs --layer aol --images 64 --untargeted
"""

from __future__ import annotations

import argparse
import importlib
import math
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.attacks import apgd, attack_curve, attack_curves, l2_pgd, linf_pgd
from onelip.attacks.ball import Norm, checked_balls, row_max, row_norm
from onelip.attacks.pgd import margins
from onelip.certify import certify
from onelip.data import DataSet, load
from onelip.experiments.machine import processor
from onelip.layers import to_plain
from onelip.models import build

Attack = Callable[[], Tensor]

REFERENCE_NORMS = {"l2": "L2", "linf": "Linf"}

ORDINARY = ("linear", "plain")
"""Networks without a constraint."""

TINY: dict[Norm, float] = {"l2": 1e-3, "linf": 1e-4}
"""Radii at which hardly an image falls."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network and the images to attack.

    Attributes:
        name: What it is called in the tables.
        network: The classifier.
        x: Images in [0, 1].
        y: Labels.
    """

    name: str
    network: nn.Module
    x: Tensor
    y: Tensor

    def right(self) -> Subject:
        """Leave out the images that are misclassified as they are.

        Returns:
            The same network, and the other images.
        """
        index = margins(self.network, self.x, self.y) >= 0
        return Subject(self.name, self.network, self.x[index], self.y[index])

    def accuracy(self, points: Tensor) -> float:
        """Share of right answers.

        Args:
            points: Images to classify.

        Returns:
            The share.
        """
        return float((margins(self.network, points, self.y) >= 0).float().mean())


def trained(options: argparse.Namespace, layer: str) -> Subject:
    """Train a network.

    Args:
        options: Data, model and length of the training.
        layer: Method of its layers.

    Returns:
        The network and its test images.
    """
    data = load(options.data, dir=options.dir)
    torch.manual_seed(0)
    activation = "relu" if layer == "plain" else "maxmin"
    model = build(
        options.model, input_shape=data.input_shape, n_classes=data.n_classes, layer=layer, activation=activation
    )
    return _fitted(layer, model, data, options, scale=1.0 if layer == "plain" else 8.0)


def linear(options: argparse.Namespace) -> Subject:
    """Train a linear model.

    Args:
        options: Data and batches.

    Returns:
        The model and its test images.
    """
    data = load(options.data, dir=options.dir)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(data.input_shape), data.n_classes))
    return _fitted("linear", model, data, options, scale=1.0)


def _fitted(name: str, model: nn.Module, data: DataSet, options: argparse.Namespace, scale: float) -> Subject:
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(options.epochs):
        for index in torch.randperm(len(data.train))[: options.train].split(options.batch):
            optimizer.zero_grad()
            x, y = data.train.pixels(index), data.train.labels[index]
            F.cross_entropy(scale * model(x), y).backward()
            optimizer.step()
    network = to_plain(model.eval()) if name not in ORDINARY else model.eval()
    test = data.test.subset(torch.arange(options.images) * len(data.test) // options.images)
    return Subject(name, network.requires_grad_(False), test.pixels(), test.labels)


@dataclass(frozen=True, eq=False)
class Timed:
    """What two attacks found, and what they cost in turn.

    Attributes:
        points: What the reference found, and ours.
        seconds: Median CPU time of each.
        ratio: Median over the turns of ours / theirs.
    """

    points: tuple[Tensor, Tensor]
    seconds: tuple[float, float]
    ratio: float


def timed(theirs: Attack, ours: Attack, repeats: int, seconds: float) -> Timed:
    """Run two attacks in turn, each first in every other turn.

    The machine's pace drifts by more than the two differ, so that times are compared within turns.

    Args:
        theirs: The reference.
        ours: Ours.
        repeats: Least number of turns.
        seconds: Least CPU time of each attack over all turns.

    Returns:
        What they found, and times.
    """
    points = theirs(), ours()
    turns: list[tuple[float, float]] = []
    while len(turns) < repeats or min(map(sum, zip(*turns, strict=True))) < seconds:
        if len(turns) % 2 == 0:
            before, after = _cpu_seconds(theirs), _cpu_seconds(ours)
            turns.append((before, after))
        else:
            before, after = _cpu_seconds(ours), _cpu_seconds(theirs)
            turns.append((after, before))
    medians = statistics.median(a for a, _ in turns), statistics.median(b for _, b in turns)
    return Timed(points, medians, statistics.median(b / a for a, b in turns))


def _cpu_seconds(attack: Attack) -> float:
    start = time.process_time()
    attack()
    return time.process_time() - start


def pgd_pair(s: Subject, norm: Norm, radius: float, steps: int) -> tuple[Attack, Attack]:
    """Make foolbox's PGD and ours: cross-entropy, one start at the image.

    Args:
        s: What to attack.
        norm: Norm of the balls.
        radius: Their radius.
        steps: Gradient steps.

    Returns:
        The reference and ours.
    """
    foolbox = importlib.import_module("foolbox")
    kind = foolbox.attacks.L2PGD if norm == "l2" else foolbox.attacks.LinfPGD
    attack = kind(rel_stepsize=2.5 / steps, steps=steps, random_start=False)
    wrapped = foolbox.PyTorchModel(s.network, bounds=(0, 1), device="cpu")
    ours = l2_pgd if norm == "l2" else linf_pgd
    return (
        lambda: attack(wrapped, s.x, s.y, epsilons=radius)[1],
        lambda: ours(s.network, s.x, s.y, radius, steps=steps, restarts=1, loss="ce"),
    )


def apgd_pair(s: Subject, norm: Norm, radius: float, steps: int, *, targeted: bool) -> tuple[Attack, Attack]:
    """Make APGD of torchattacks and ours, from the same starts.

    Args:
        s: What to attack.
        norm: Norm of the balls.
        radius: Their radius.
        steps: Gradient steps.
        targeted: On the targeted DLR loss, for all other classes, rather than on cross-entropy.

    Returns:
        The reference and ours.
    """
    package = importlib.import_module("torchattacks")
    common = {"norm": REFERENCE_NORMS[norm], "eps": radius, "steps": steps}
    n_classes = s.network(s.x[:1]).shape[1]
    theirs = package.APGDT(s.network, n_classes=n_classes, **common) if targeted else package.APGD(s.network, **common)

    def ours() -> Tensor:
        start, right = s.x.clone(), margins(s.network, s.x, s.y) >= 0
        torch.manual_seed(0)
        x = s.x[right]
        offset = torch.randn(x.shape) if norm == "l2" else 2 * torch.rand(x.shape) - 1
        start[right] = x + radius * offset / (row_norm(offset) if norm == "l2" else row_max(offset))
        loss = "targeted-dlr" if targeted else "ce"
        return apgd(s.network, s.x, s.y, radius, norm=norm, loss=loss, steps=steps, start=start)

    return lambda: theirs(s.x, s.y), ours


def compare(s: Subject, norm: Norm, radius: float, options: argparse.Namespace) -> None:
    """Print a line for each attack.

    Args:
        s: What to attack.
        norm: Norm of the balls.
        radius: Their radius.
        options: Steps and repeats.
    """
    pairs = {
        "PGD, foolbox": pgd_pair(s, norm, radius, options.steps),
        "APGD-CE, torchattacks": apgd_pair(s, norm, radius, options.steps, targeted=False),
    }
    if not options.untargeted:
        pairs["APGD-T, torchattacks"] = apgd_pair(s, norm, radius, options.steps, targeted=True)
    for name, pair in pairs.items():
        result = timed(*pair, options.repeats, options.seconds)
        theirs, ours = result.points
        inside = checked_balls(s.x, radius, norm, (0.0, 1.0)).project(theirs)
        print(
            f"| {s.name} | {norm} {radius:g} | {name} | {s.accuracy(inside):.2%} | {s.accuracy(ours):.2%} | "
            f"{result.seconds[0]:.3f} | {result.seconds[1]:.3f} | {result.ratio:.2f} |",
            flush=True,
        )


def curves(s: Subject, norm: Norm, radii: Sequence[float], options: argparse.Namespace) -> None:
    """Print the accuracies at each radius: certified, under attacks alone, and under one after the other.

    Args:
        s: What to attack.
        norm: Norm of the balls.
        radii: Their radii.
        options: Steps and restarts of each attack.
    """

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(0)

    effort = {"norm": norm, "steps": options.steps, "restarts": options.restarts}
    stages = attack_curves(s.network, s.x, s.y, radii, ["apgd"], generator=generator(), **effort)
    alone = {
        name: attack_curve(s.network, s.x, s.y, radii, attack=name, generator=generator(), **effort)
        for name in ("pgd", "apgd-ce", "apgd-t")
    }
    certificate = None if s.name in ORDINARY or norm == "linf" else certify(s.network, s.x, s.y)
    for k, radius in enumerate(radii):
        proved = "" if certificate is None else f"{certificate.certified_accuracy(radius):.2%}"
        left = [f"{curve.accuracy[k]:.2%}" for curve in alone.values()]
        whole = stages["apgd-t"].accuracy[k]
        ordered = whole <= stages["pgd"].accuracy[k] == alone["pgd"].accuracy[k] <= alone["pgd"].clean_accuracy
        ordered = ordered and (certificate is None or certificate.certified_accuracy(radius) <= whole)
        weaker = int(((alone["apgd-ce"].distances > radius) & (alone["pgd"].distances <= radius)).sum())
        row = [s.name, f"{norm} {radius:g}", proved, f"{whole:.2%}", *left, str(weaker), "yes" if ordered else "NO"]
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Train, attack and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--dir", default=None, help="folder of the data set")
    parser.add_argument("--model", default="mlp")
    parser.add_argument("--layer", default="bjorck", help="of the 1-Lipschitz network")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--train", type=int, default=None, help="training images of an epoch; all by default")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=359)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--restarts", type=int, default=5, help="of the second table")
    parser.add_argument("--repeats", type=int, default=5, help="least turns of the first table")
    parser.add_argument("--seconds", type=float, default=3.0, help="least CPU time of each attack in it")
    parser.add_argument("--l2", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--linf", type=float, nargs="+", default=[0.03, 0.06, 0.1])
    parser.add_argument("--untargeted", action="store_true", help="leave targeted APGD out of the first table")
    parser.add_argument("--skip", choices=["times", "curves"], default=None)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    subjects = [trained(options, layer) for layer in ("plain", options.layer)]
    print(f"{processor()}, one thread, torch {torch.__version__}; {options}\n")
    radii: dict[Norm, list[float]] = {"l2": options.l2, "linf": options.linf}
    if options.skip != "times":
        models = [linear(options), *subjects]
        print("| network | ball | attack | theirs leave | ours leave | theirs s | ours s | ours / theirs |")
        print("|---|---|---|---|---|---|---|---|")
        for s in models:
            for norm, values in radii.items():
                for radius in (TINY[norm], *(() if s.name == "linear" else values)):
                    compare(s.right(), norm, radius, options)
    if options.skip != "curves":
        columns = "certified | apgd | pgd alone | apgd-ce alone | apgd-t alone | only pgd, not ce | ordered"
        print(f"\n| network | ball | {columns} |")
        print("|---|---|---|---|---|---|---|---|---|")
        for s in subjects:
            for norm, values in radii.items():
                curves(s, norm, sorted(values), options)


if __name__ == "__main__":
    main()
