"""Two classes in the plane, separated by a 1-Lipschitz network with the hinge-Kantorovich-Rubinstein loss.

Two moons, concentric circles and XOR. The network f is positive where it says class 1. Its Lipschitz constant L is
proved, so |f| / L is a distance within which no change of a point changes its class; the hinge asks for m/2 of it, the
Kantorovich-Rubinstein term for as much as there is. With `--penalty` (|gradient| - 1)^2 is trained as well, which needs
second derivatives. Run from the repository, about 25 seconds on one core:

    python -m examples.hinge_kr --out hinge-kr.png
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from examples.scalar_network import certified_radii, scalar_network, value_and_gradient
from torch import Tensor, nn

from onelip import losses, retract_
from onelip.losses.kantorovich_rubinstein import kantorovich_rubinstein
from onelip.pictures import DecisionMap, GradientNorms, decision_map, gradient_norms, side_by_side

CORNERS = (-2.0, -2.0), (2.0, 2.0)
Problem = Callable[[int, torch.Generator], tuple[Tensor, Tensor]]


def moons(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw points of two half circles, each of which begins inside the other.

    Args:
        n: How many.
        generator: Where the random numbers come from.

    Returns:
        (n, 2) points and (n,) bool, the class.
    """
    upper = torch.rand(n, generator=generator) < 0.5
    angle = math.pi * torch.rand(n, generator=generator)
    arc = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    points = torch.where(upper[:, None], arc, -arc)
    return 1.1 * (points + 0.08 * torch.randn(n, 2, generator=generator)), upper


def circles(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw points of two circles about the origin, of radius 0.6 and 1.5.

    Args:
        n: How many.
        generator: Where the random numbers come from.

    Returns:
        (n, 2) points and (n,) bool, the class.
    """
    outer = torch.rand(n, generator=generator) < 0.5
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    radius = torch.where(outer, 1.5, 0.6) + 0.08 * torch.randn(n, generator=generator)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1), outer


def xor(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw points of four squares, of which those across have one class.

    Args:
        n: How many.
        generator: Where the random numbers come from.

    Returns:
        (n, 2) points and (n,) bool, the class.
    """
    signs = torch.randint(2, (n, 2), generator=generator) * 2.0 - 1.0
    within = 1.2 * torch.rand(n, 2, generator=generator) - 0.6
    return signs + within, signs.prod(1) > 0


PROBLEMS: dict[str, Problem] = {"moons": moons, "circles": circles, "xor": xor}


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        layer: Method of the dense layers.
        steps: Steps of Adam, whose rate falls to 0.
        batch: Points of each step, drawn anew.
        rate: Learning rate at the start.
        alpha: Weight of the hinge, beside 1 - alpha of the Kantorovich-Rubinstein term.
        margin: m, between the classes.
        penalty: Weight of (|gradient| - 1)^2, at random points of the square.
        seed: Of weights and points.
    """

    layer: str = "bjorck"
    steps: int = 500
    batch: int = 256
    rate: float = 2e-2
    alpha: float = 0.95
    margin: float = 0.4
    penalty: float = 0.1
    seed: int = 0


def train(problem: Problem, settings: Settings) -> nn.Module:
    """Fit a network.

    Args:
        problem: Draws points.
        settings: How.

    Returns:
        The network.
    """
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    model = scalar_network(settings.layer)
    loss = losses.build("hkr", alpha=settings.alpha, margin=settings.margin)
    optimizer = torch.optim.Adam(model.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    for _ in range(settings.steps):
        points, inside = problem(settings.batch, generator)
        value = loss(model(points), inside.long())
        if settings.penalty > 0:
            anywhere = 4 * torch.rand(settings.batch, 2, generator=generator) - 2
            _, gradient = value_and_gradient(model, anywhere, again=True)
            value = value + settings.penalty * (gradient.norm(dim=1) - 1).square().mean()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
        retract_(model)
    return model.eval()


@dataclass(frozen=True)
class Result:
    """What is printed and drawn of one problem."""

    row: str
    picture: DecisionMap
    slopes: GradientNorms


HEADER = (
    f"{'problem':8} {'accuracy':>8} {'constant':>10} {'radius 10 %':>11} {'median':>7} {'certified at m/4':>16} "
    f"{'KR / L':>11}   {'gradient norm: least, 5 %, median, largest':}"
)


def measure(name: str, model: nn.Module, settings: Settings) -> Result:
    """Measure a network on 1,000 points that it was not trained on.

    Args:
        name: The problem.
        model: The network.
        settings: How it was trained.

    Returns:
        The numbers.
    """
    points, inside = PROBLEMS[name](1000, torch.Generator().manual_seed(settings.seed + 10_000))
    radii = certified_radii(model, points, inside)
    with torch.no_grad():
        values = model(points).double()
    right = (values[:, 0] > 0) == inside
    half = settings.margin / 2
    shown = slice(0, 150)
    picture = decision_map(model, *CORNERS, points=points[shown], inside=inside[shown], levels=(-half, half))
    constant = picture.bound.value
    distance = float(kantorovich_rubinstein(values, inside[:, None])) / constant
    slopes = gradient_norms(model, 4 * torch.rand(4000, 2, generator=torch.Generator().manual_seed(1)) - 2)
    row = (
        f"{name:8} {100 * float(right.double().mean()):7.1f}% {constant:10.7f} {np.quantile(radii, 0.1):11.3f} "
        f"{np.median(radii):7.3f} {100 * float((radii > half / 2).mean()):15.1f}% {distance:11.3f}   "
        + ", ".join(f"{q:.3f}" for q in slopes.quantiles(0, 0.05, 0.5, 1))
    )
    return Result(row, picture, slopes)


def main(arguments: list[str] | None = None) -> None:
    """Train, print the table and draw the picture.

    Args:
        arguments: In place of those of the command line.
    """
    defaults = Settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--out", default="hinge-kr.png")
    for name, default in vars(defaults).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = vars(parser.parse_args(arguments))
    problems, out = given.pop("problems"), given.pop("out")
    settings = Settings(**given)
    print(HEADER)
    results = {}
    for name in problems:
        results[name] = measure(name, train(PROBLEMS[name], settings), settings)
        print(results[name].row, flush=True)
    maps = [(f"{name}, constant {r.picture.bound.value:.6f}", r.picture) for name, r in results.items()]
    side_by_side([maps, [(name, r.slopes) for name, r in results.items()]], out, size=(3.8, 3.1))
    print(f"picture in {out}")


if __name__ == "__main__":
    main()
