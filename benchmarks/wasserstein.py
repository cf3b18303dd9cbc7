"""Lower bounds of Wasserstein-1 distances that are known exactly, for the table in docs/transport.md.

    python -m benchmarks.wasserstein                  every problem, a few minutes
    python -m benchmarks.wasserstein "three cones"    some

Each row trains a critic and measures it on fresh samples. Fails if a bound is more than three standard errors above
the exact distance, below the share of it that is aimed at, or above the exact distance of the same samples.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from onelip.data import load
from onelip.models import build
from onelip.transport import (
    Gaussian,
    PointMasses,
    Sampler,
    Samples,
    SphericalShells,
    Translated,
    WassersteinEstimate,
    absolute_value,
    estimate_wasserstein1,
    exact_wasserstein1,
    high_dimensional_cone,
    sample_generator,
    three_cones,
    train_critic,
)


@dataclass(frozen=True)
class Case:
    """A row.

    Attributes:
        name: Of the problem.
        p: One distribution.
        q: The other.
        widths: Of the critic's hidden layers.
        activation: Of the critic.
        least: Share of the exact distance that is aimed at.
        most: Share that must not be exceeded by more than three standard errors.
        n_steps: Steps of training.
        lr: First learning rate.
        n_discrete: So many held-out samples are compared exactly.
        tighten: Divide by the constant of the network as a whole?
    """

    name: str
    p: Sampler
    q: Sampler
    widths: Sequence[int]
    activation: str = "maxmin"
    least: float = 0.98
    most: float = 1.0
    n_steps: int = 300
    lr: float = 0.01
    n_discrete: int = 500
    tighten: bool = False


def cases() -> list[Case]:
    """The problems."""
    line, plane, cone = absolute_value(), three_cones(), high_dimensional_cone()
    images = Samples(load("digits").train.pixels().flatten(1).double())
    sets = [Samples(g(500, sample_generator(7, k)), replacement=False) for k, g in enumerate(_clouds())]
    return [
        Case("absolute value", line.p, line.q, [128, 128], least=0.985),
        Case("absolute value", line.p, line.q, [128], "relu", 0.45, 0.5),
        Case("absolute value", line.p, line.q, [128, 128], "relu", 0.5, 0.58),
        Case("absolute value, tightened", line.p, line.q, [128, 128], "relu", 0.5, tighten=True),
        Case("three cones", plane.p, plane.q, [64] * 3, "fullsort", 0.93, n_steps=600, lr=0.02),
        Case("three cones", plane.p, plane.q, [64] * 3, least=0.93, n_steps=1000),
        Case("128-d cone", cone.p, cone.q, [256] * 3, "fullsort", 0.93),
        Case("Gaussian moved by (3, 4)", Gaussian([0.0, 0.0]), Translated(Gaussian([0.0, 0.0]), [3.0, 4.0]), [32]),
        Case("digits moved by 2", images, Translated(images, [0.25] * 64), [128], n_steps=500),
        Case("N(0, 3) and N(0.5, 1)", Gaussian(0.0, 3.0), Gaussian(0.5, 1.0), [128, 128], least=0.97),
        Case("N(-1, 0.5) and N(1, 2)", Gaussian(-1.0, 0.5), Gaussian(1.0, 2.0), [128, 128], least=0.97),
        Case("spheres of radius 1 and 3 in 3-D", *(_sphere(r) for r in (1.0, 3.0)), [128] * 2, "fullsort", 0.97),
        Case("masses on 2 and 3 points", *_masses(), [128, 128], n_steps=1000),
        Case("two sets of 500 samples in 2-D", *sets, [128] * 3, "fullsort", 0.95, n_steps=1000, lr=0.03),
    ]


def _clouds() -> tuple[Gaussian, Gaussian]:
    return Gaussian([0.0, 0.0], [1.0, 0.3]), Gaussian([0.0, 1.0], [0.3, 1.0])


def _sphere(radius: float) -> SphericalShells:
    return SphericalShells([[1.0, 2.0, 3.0]], radius)


def _masses() -> tuple[PointMasses, PointMasses]:
    return PointMasses([[0.0, 0.0], [2.0, 0.0]], [2, 1]), PointMasses([[0.0, 1.0], [2.0, 2.0], [4.0, 0.0]], [1, 1, 1])


def measured(case: Case, seed: int) -> tuple[WassersteinEstimate, float]:
    """Train and measure a critic; the seconds are those of the training and the bound, without the exact distances."""
    torch.manual_seed(seed)
    dim = math.prod(case.p(1, sample_generator(0, 0)).shape[1:])
    critic = build(
        "mlp",
        input_shape=(1, 1, dim),
        n_classes=1,
        layer="polar-express",
        activation=case.activation,
        widths=case.widths,
    )
    finite = isinstance(case.p, Samples) and not case.p.replacement
    n_samples = len(case.p.x) if finite else 10_000
    start = time.perf_counter()
    train_critic(critic, case.p, case.q, n_steps=case.n_steps, lr=case.lr, seed=seed)
    options = {"n_samples": n_samples, "seed": seed, "exact": exact_wasserstein1(case.p, case.q)}
    estimate_wasserstein1(critic, case.p, case.q, tighten=case.tighten, **options)
    seconds = time.perf_counter() - start
    found = estimate_wasserstein1(critic, case.p, case.q, n_discrete=case.n_discrete, tighten=case.tighten, **options)
    return found, seconds


def failures(case: Case, found: WassersteinEstimate) -> list[str]:
    """What a row claims and does not keep."""
    share, error = found.ratio / found.exact, found.standard_error / found.exact
    claims = {
        f"{share:.4f} is below {case.least}": share >= case.least,
        f"{share:.4f} is above {case.most} by more than three standard errors": share <= case.most + 3 * error,
        "it exceeds the exact distance of the same samples": found.discrete_bound <= found.discrete + 1e-12,
        "its constant is not proved": found.constant.proved,
    }
    return [f"{case.name}, {case.activation}: {text}" for text, kept in claims.items() if not kept]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of problems; all by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="more are slower for networks of this size")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    titles = ("problem", "critic", "steps", "bound", "standard error", "exact", "bound / exact", "constant",
              "same 500: bound", "exact", "seconds")  # fmt: skip
    print("| " + " | ".join(titles) + " |\n" + "| --- " * len(titles) + "|")
    failed = []
    for case in cases():
        if arguments.names and case.name not in arguments.names:
            continue
        found, seconds = measured(case, arguments.seed)
        critic = f"{case.activation} {'-'.join(map(str, case.widths))}"
        cells = (case.name, critic, f"{case.n_steps:,}", f"{found.ratio:.4f}", f"{found.standard_error:.4f}",
                 f"{found.exact:.4f}", f"{found.ratio / found.exact:.4f}", f"{found.constant.value:.7f}",
                 f"{found.discrete_bound:.4f}", f"{found.discrete:.4f}", f"{seconds:.1f}")  # fmt: skip
        print("| " + " | ".join(cells) + " |", flush=True)
        failed += failures(case, found)
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
