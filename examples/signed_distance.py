"""Signed distance functions of shapes of the plane, fitted by 1-Lipschitz networks, and what is then proved.

The function is fitted in two ways: by regression on exact distances, and by an eikonal loss that knows points of the
boundary and which side is inside, no distances: f = 0 on the boundary, its sign elsewhere, |f| as large as it can be,
and (|gradient| - 1)^2, which needs second derivatives with respect to points and weights.

The Lipschitz constant L is proved, so with `e` no less than |f| on the boundary S,

    (|f(x)| - e) / L <= distance of x from S        everywhere: a ball of this radius is free of the boundary.

If f were 0 on S, that were |f| / L. As f is not, e is proved: it is the largest |f| at points of S that are a spacing h
apart, plus L h / 2 for those between. |f| / L without e bounds the distance from the zero set of f itself. From above
nothing is proved: |f| may be smaller. So steps of that length along a ray never pass through the boundary (sphere
tracing), and what is declared free of collisions is free. About 27 seconds on one core:

    python -m examples.signed_distance --shape star --out signed-distance.png
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import torch
from examples.scalar_network import scalar_network, value_and_gradient
from examples.shapes import SHAPES, Shape
from torch import Tensor, nn

from onelip import lipschitz_bound, retract_, to_plain
from onelip.pictures import (
    DecisionMap,
    DifferenceMap,
    Drawable,
    GradientNorms,
    decision_map,
    gradient_norms,
    grid_points,
    side_by_side,
)

SIDE = 2.0
CORNERS = (-SIDE, -SIDE), (SIDE, SIDE)
RESOLUTION = 201
PIECES = 8
"""Of each step of a ray, at whose ends it is asked whether the boundary was crossed."""

LEVELS = tuple(k / 4 for k in range(-6, 8))
SPACING = 1e-3
"""Of points of the boundary; adds half of it to e."""

Loss = Callable[[nn.Module, Shape, int, torch.Generator], Tensor]


def anywhere(n: int, generator: torch.Generator) -> Tensor:
    """Draw points of the square.

    Args:
        n: How many.
        generator: Where the random numbers come from.

    Returns:
        (n, 2).
    """
    return SIDE * (2 * torch.rand(n, 2, generator=generator) - 1)


def regression(model: nn.Module, shape: Shape, batch: int, generator: torch.Generator) -> Tensor:
    """Compare with exact distances, half of the points being near the boundary.

    Args:
        model: f.
        shape: The shape.
        batch: How many points.
        generator: Where the random numbers come from.

    Returns:
        The mean squared difference.
    """
    surface = _some_of_the_boundary(shape, batch // 2, generator)
    near = surface + 0.1 * torch.randn(surface.shape, generator=generator)
    points = torch.cat([anywhere(batch - len(near), generator), near])
    return (model(points)[:, 0] - shape.distance(points)).square().mean()


def eikonal(model: nn.Module, shape: Shape, batch: int, generator: torch.Generator) -> Tensor:
    """Ask for zeros on the boundary, the right sign, gradients of norm 1 and values as large as they can be.

    Args:
        model: f.
        shape: Of which the boundary and the inside are known here, the distance is not.
        batch: How many points.
        generator: Where the random numbers come from.

    Returns:
        The loss.
    """
    points = anywhere(batch, generator)
    side = shape.distance(points).sign()
    values, gradient = value_and_gradient(model, points, again=True)
    steep = (gradient.norm(dim=1) - 1).square().mean()
    on_boundary = model(_some_of_the_boundary(shape, batch, generator))[:, 0].abs().mean()
    signed = side * values
    return 5 * on_boundary + 5 * torch.relu(-signed).mean() + steep - signed.mean()


def _some_of_the_boundary(shape: Shape, n: int, generator: torch.Generator) -> Tensor:
    boundary = shape.boundary(0.01).float()
    return boundary[torch.randint(len(boundary), (n,), generator=generator)]


LOSSES: dict[str, Loss] = {"regression": regression, "eikonal": eikonal}


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        layer: Method of the dense layers.
        steps: Steps of Adam, whose rate falls to 0.
        batch: Points of each step, drawn anew.
        rate: Learning rate at the start.
        seed: Of weights and points.
    """

    layer: str = "bjorck"
    steps: int = 1000
    batch: int = 256
    rate: float = 2e-2
    seed: int = 0


def train(shape: Shape, loss: Loss, settings: Settings) -> nn.Module:
    """Fit a network.

    Args:
        shape: To what.
        loss: By which loss.
        settings: How.

    Returns:
        The network.
    """
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    model = scalar_network(settings.layer)
    optimizer = torch.optim.Adam(model.parameters(), settings.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    for _ in range(settings.steps):
        optimizer.zero_grad()
        loss(model, shape, settings.batch, generator).backward()
        optimizer.step()
        schedule.step()
        retract_(model)
    return model.eval()


@dataclass(frozen=True)
class Guarantee:
    """A proved lower bound of the distance from a shape's boundary.

    Attributes:
        function: f in float64, of plain modules.
        constant: L, proved.
        excess: e, no less than |f| on the boundary.
    """

    function: nn.Module
    constant: float
    excess: float

    def free(self, points: Tensor) -> Tensor:
        """Bound the distance of points from the boundary from below.

        Args:
            points: (N, 2) float64.

        Returns:
            (N,), 0 where nothing is known.
        """
        with torch.no_grad():
            return ((self.function(points)[:, 0].abs() - self.excess) / self.constant).clamp_min(0)


def guarantee(model: nn.Module, shape: Shape) -> Guarantee:
    """Prove how far f is from 0 on the boundary.

    Args:
        model: f.
        shape: The shape.

    Returns:
        What follows for distances.
    """
    plain = to_plain(model).double()
    constant = lipschitz_bound(plain, (2,)).best.value
    with torch.no_grad():
        largest = float(plain(shape.boundary(SPACING)).abs().max())
    # The last term is far more than float64 can be off here.
    return Guarantee(plain, constant, largest + constant * SPACING / 2 + 1e-9)


def trace(bound: Guarantee, shape: Shape, n: int, seed: int) -> tuple[int, float]:
    """March rays from the corner of the square by steps of the guaranteed length.

    Args:
        bound: The guarantee.
        shape: The shape.
        n: How many rays.
        seed: Of their directions.

    Returns:
        How many went through the boundary, and the mean number of steps that are longer than 0.001.
    """
    generator = torch.Generator().manual_seed(seed)
    angle = torch.pi / 2 * torch.rand(n, generator=generator).double()
    direction = torch.stack([angle.cos(), angle.sin()], 1)
    at = torch.full((n, 2), -SIDE, dtype=torch.float64)
    crossed, steps = torch.zeros(n, dtype=torch.bool), torch.zeros(n)
    for _ in range(100):
        step = bound.free(at)
        for _ in range(PIECES):
            at = at + step[:, None] / PIECES * direction
            crossed |= shape.distance(at) < 0
        steps += (step > 1e-3) & (at.abs().amax(1) < SIDE)
    return int(crossed.sum()), float(steps.mean())


@dataclass(frozen=True)
class Result:
    """What is printed and drawn of one loss.

    Attributes:
        numbers: By name, as text.
        picture: f.
        error: f minus the exact distance.
        slopes: Norms of its gradient.
    """

    numbers: dict[str, str]
    picture: DecisionMap
    error: DifferenceMap
    slopes: GradientNorms


def measure(model: nn.Module, shape: Shape, seed: int) -> Result:
    """Compare with the exact distance on a grid.

    Args:
        model: f.
        shape: The shape.
        seed: Of points and rays.

    Returns:
        The numbers.

    Raises:
        AssertionError: If a point is nearer to the boundary than what was proved.
    """
    grid = grid_points(*CORNERS, RESOLUTION)
    exact = shape.distance(grid)
    picture = decision_map(model, *CORNERS, levels=LEVELS, outline=exact, resolution=RESOLUTION)
    values = torch.from_numpy(picture.values).reshape(-1)
    bound = guarantee(model, shape)
    free = bound.free(grid)
    if bool((free > exact.abs()).any()):
        raise AssertionError("a point is nearer to the boundary than what was proved")
    over = values.abs() / bound.constant - exact.abs()
    slopes = gradient_norms(model, anywhere(4000, torch.Generator().manual_seed(seed + 1)))
    crossed, steps = trace(bound, shape, 500, seed)
    known = (free > 0.1)[exact.abs() > 0.1].double().mean()
    numbers = {
        "proved constant L": f"{bound.constant:.7f}",
        "mean |f - distance|": f"{float((values - exact).abs().mean()):.4f}",
        "|f| / L above the distance, at most": f"{float(over.max()):.4f}",
        "|f| / L below the distance, at most": f"{float(-over.min()):.4f}",
        "e, proved: |f| on the boundary is at most": f"{bound.excess:.4f}",
        "(|f| - e) / L above the distance, at most": f"{float(over.max()) - bound.excess / bound.constant:.4f}",
        "known to be 0.1 away, of points that are": f"{100 * float(known):.1f} %",
        "rays of 500 that went through the boundary": str(crossed),
        "steps of a ray, mean": f"{steps:.1f}",
        "gradient norm: 5 %, median, largest": ", ".join(f"{q:.3f}" for q in slopes.quantiles(0.05, 0.5, 1)),
    }
    return Result(numbers, picture, picture.difference(exact), slopes)


def main(arguments: list[str] | None = None) -> None:
    """Train, print the table and draw the picture.

    Args:
        arguments: In place of those of the command line.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="star")
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--out", default="signed-distance.png")
    for name, default in vars(Settings()).items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    given = vars(parser.parse_args(arguments))
    shape, names, out = SHAPES[given.pop("shape")], given.pop("losses"), given.pop("out")
    settings = Settings(**given)
    results = {name: measure(train(shape, LOSSES[name], settings), shape, settings.seed) for name in names}
    print(f"{'':44}" + "".join(f"{name:>24}" for name in results))
    for number in next(iter(results.values())).numbers:
        print(f"{number:44}" + "".join(f"{result.numbers[number]:>24}" for result in results.values()))
    rows: list[list[tuple[str, Drawable]]] = [
        [(f"{name}: f", r.picture), ("f - exact distance", r.error), ("at random points", r.slopes)]
        for name, r in results.items()
    ]
    side_by_side(rows, out)
    print(f"picture in {out}")


if __name__ == "__main__":
    main()
