"""One class in the plane: a 1-Lipschitz network learns where data is from data alone.

The hinge-Kantorovich-Rubinstein loss separates data from points that are not data. Those may be uniform in a box.
Better ones are adversarial (Bethune et al. 2023, arXiv:2303.01978, section 4): uniform points are moved by steps of
Newton's method along the gradient towards the level set f = -m/2, each by a random share of the step, so that they fill
what lies outside and gather where data might end:

    z <- z - t (f(z) + m/2) gradient / |gradient|^2,   t uniform in [0, 1],   z kept in the box.

The network is then near the signed distance to the boundary of the data's support, here a known shape, positive inside.
Whatever was learned, |f| / L is proved to be a distance within which no change of a point changes the answer. With
`--penalty` (|gradient| - 1)^2 is trained at the adversarial points, which needs second derivatives. About 28 seconds on
one core:

    python -m examples.one_class --out one-class.png
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from examples.scalar_network import certified_radii, scalar_network, value_and_gradient
from examples.shapes import Shape, box
from torch import Tensor, nn

from onelip import losses, retract_
from onelip.pictures import (
    DecisionMap,
    Drawable,
    GradientNorms,
    decision_map,
    gradient_norms,
    grid_points,
    side_by_side,
)

SIDE = 2.0
CORNERS = (-SIDE, -SIDE), (SIDE, SIDE)
RESOLUTION = 161
L_SHAPE = ((-0.2, -1.3), (1.4, -1.3), (1.4, 0.9), (0.6, 0.9), (0.6, -0.5), (-0.2, -0.5))
SUPPORTS = {
    "disc-and-l": Shape(discs=((-0.8, 0.6, 0.7),), polygons=(L_SHAPE,)),
    "boxes": Shape(polygons=(box(-1.4, -1.0, -0.4, 1.0), box(0.4, -1.0, 1.4, 1.0))),
}


def background(n: int, generator: torch.Generator) -> Tensor:
    """Draw points of the box.

    Args:
        n: How many.
        generator: Where the random numbers come from.

    Returns:
        (n, 2).
    """
    return SIDE * (2 * torch.rand(n, 2, generator=generator) - 1)


def data(support: Shape, n: int, generator: torch.Generator) -> Tensor:
    """Draw points of a shape.

    Args:
        support: The shape.
        n: How many.
        generator: Where the random numbers come from.

    Returns:
        (n, 2).
    """
    found = torch.zeros(0, 2)
    while len(found) < n:
        points = background(4 * n, generator)
        found = torch.cat([found, points[support.distance(points) < 0]])
    return found[:n]


def adversarial(model: nn.Module, n: int, target: float, steps: int, generator: torch.Generator) -> Tensor:
    """Move points of the box towards a level set.

    Args:
        model: f.
        n: How many points.
        target: Value of f to go to.
        steps: Of Newton's method.
        generator: Where the random numbers come from.

    Returns:
        (n, 2).
    """
    points = background(n, generator)
    for _ in range(steps):
        values, gradient = value_and_gradient(model, points)
        # Where f is all but flat the step is kept short.
        squares = gradient.square().sum(1).clamp_min(1e-2)
        share = torch.rand(n, generator=generator)
        move = (share * (values.detach() - target) / squares)[:, None] * gradient
        points = (points - move).clamp(-SIDE, SIDE)
    return points


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        layer: Method of the dense layers.
        steps: Steps of Adam, whose rate falls to 0.
        batch: Points of data, and of what is not data, in each step.
        rate: Learning rate at the start.
        alpha: Weight of the hinge, beside 1 - alpha of the Kantorovich-Rubinstein term.
        margin: m.
        newton: Steps of Newton's method for each batch; more of them leave too few points far from the data.
        penalty: Weight of (|gradient| - 1)^2.
        samples: Points of data there are.
        seed: Of weights and points.
    """

    layer: str = "bjorck"
    steps: int = 1000
    batch: int = 192
    rate: float = 4e-2
    alpha: float = 0.98
    margin: float = 0.3
    newton: int = 1
    penalty: float = 0.1
    samples: int = 2000
    seed: int = 0


def train(support: Shape, settings: Settings, *, newton: int) -> nn.Module:
    """Fit a network to points of a shape.

    Args:
        support: The shape, of which points are drawn.
        settings: How.
        newton: Steps of Newton's method; 0 for uniform points of the box in place of adversarial ones.

    Returns:
        The network.
    """
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    stored = data(support, settings.samples, generator)
    model = scalar_network(settings.layer)
    loss = losses.build("hkr", alpha=settings.alpha, margin=settings.margin)
    labels = torch.cat([torch.ones(settings.batch), torch.zeros(settings.batch)]).long()
    optimizer = torch.optim.Adam(model.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    for _ in range(settings.steps):
        real = stored[torch.randint(len(stored), (settings.batch,), generator=generator)]
        other = adversarial(model, settings.batch, -settings.margin / 2, newton, generator)
        values, gradient = value_and_gradient(model, torch.cat([real, other]), again=True)
        steep = (gradient.norm(dim=1) - 1).square().mean()
        optimizer.zero_grad()
        (loss(values[:, None], labels) + settings.penalty * steep).backward()
        optimizer.step()
        schedule.step()
        retract_(model)
    return model.eval()


@dataclass(frozen=True)
class Result:
    """What is printed and drawn of one network."""

    numbers: dict[str, str]
    picture: DecisionMap
    slopes: GradientNorms


def measure(model: nn.Module, support: Shape, settings: Settings) -> Result:
    """Measure a network on points that it was not trained on.

    Args:
        model: f.
        support: The shape that data is of.
        settings: How f was trained.

    Returns:
        The numbers.
    """
    generator = torch.Generator().manual_seed(settings.seed + 10_000)
    real, uniform = data(support, 1000, generator), background(2000, generator)
    other = uniform[support.distance(uniform) > 0]
    points = torch.cat([real, other])
    inside = torch.arange(len(points)) < len(real)
    radii = certified_radii(model, points, inside)
    grid = grid_points(*CORNERS, RESOLUTION)
    exact = -support.distance(grid)
    half = settings.margin / 2
    picture = decision_map(
        model, *CORNERS, points=real[:200], inside=inside[:200], levels=(-half, half), outline=exact,
        resolution=RESOLUTION,
    )  # fmt: skip
    error = picture.difference(exact).values
    with torch.no_grad():
        values = model(points)[:, 0]
    slopes = gradient_norms(model, uniform)
    right = radii > 0
    numbers = {
        "proved constant L": f"{picture.bound.value:.7f}",
        "data that is accepted": f"{100 * right[: len(real)].mean():.1f} %",
        "points outside that are rejected": f"{100 * right[len(real) :].mean():.1f} %",
        "area under the ROC curve": f"{area_under_curve(values[inside], values[~inside]):.4f}",
        "the same, each point moved by 0.1 at worst": f"{worst_area(values, inside, 0.1 * picture.bound.value):.4f}",
        "certified radius: 10 %, median": ", ".join(f"{q:.3f}" for q in np.quantile(radii, (0.1, 0.5))),
        "|f - exact signed distance|: mean, largest": f"{np.abs(error).mean():.3f}, {np.abs(error).max():.3f}",
        "gradient norm: 5 %, median, largest": ", ".join(f"{q:.3f}" for q in slopes.quantiles(0.05, 0.5, 1)),
    }
    return Result(numbers, picture, slopes)


def area_under_curve(positive: Tensor, negative: Tensor) -> float:
    """Compute the share of pairs that are in order.

    Args:
        positive: Scores of data.
        negative: Scores of other points.

    Returns:
        In [0, 1]; ties count half.
    """
    pairs = positive[:, None] - negative
    return float(((pairs.sign() + 1) / 2).double().mean())


def worst_area(values: Tensor, inside: Tensor, drop: float) -> float:
    """Bound the area under the curve when every score is moved against it.

    Args:
        values: Scores.
        inside: Which are of data.
        drop: By how much each can move at most: the constant times the length of a change.

    Returns:
        In [0, 1].
    """
    return area_under_curve(values[inside] - drop, values[~inside] + drop)


def main(arguments: list[str] | None = None) -> None:
    """Train, print the table and draw the picture.

    Args:
        arguments: In place of those of the command line.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--support", choices=SUPPORTS, default="disc-and-l")
    parser.add_argument("--out", default="one-class.png")
    for name, default in vars(Settings()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = vars(parser.parse_args(arguments))
    support, out = SUPPORTS[given.pop("support")], given.pop("out")
    settings = Settings(**given)
    results = {
        name: measure(train(support, settings, newton=newton), support, settings)
        for name, newton in (("uniform", 0), ("adversarial", settings.newton))
    }
    print(f"{'against points that are':46}" + "".join(f"{name:>22}" for name in results))
    for number in results["uniform"].numbers:
        print(f"{number:46}" + "".join(f"{result.numbers[number]:>22}" for result in results.values()))
    rows: list[list[tuple[str, Drawable]]] = [
        [(f"against {name} points", r.picture), ("at uniform points", r.slopes)] for name, r in results.items()
    ]
    side_by_side(rows, out)
    print(f"picture in {out}")


if __name__ == "__main__":
    main()
