"""Everything we know how to do to contradict a certificate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from onelip.attacks.apgd import apgd
from onelip.attacks.ball import WHOLE_SPACE, distances
from onelip.attacks.frozen import FrozenModule, reordered
from onelip.attacks.judge import Judge, Violation
from onelip.attacks.nearest import pulled_closer
from onelip.attacks.neighbours import at_border, lattice
from onelip.attacks.objectives import Loss, margin
from onelip.attacks.pgd import check_counts, l2_pgd, linf_pgd, margins
from onelip.certify import Certificate
from onelip.certify.forward import evaluate
from onelip.certify.records import Network

Progress = Callable[[int, int], None]

INSIDE = 1 - 1e-9
"""Share of the certified radius within which gradients search."""

ABOVE = (1 + 1e-5, 1.01, 1.1, 1.5, 2.0, 4.0)
"""Multiples of the radius at which the nearest misclassified point is looked for."""

DIRECTIONS = 32

MOST_JUDGED = 4
"""Points of each sample and attack that are judged, those of the smallest margin."""

ORDERS = (2, 7)
"""In how many parts sums are taken, to round otherwise."""


@dataclass(frozen=True)
class BreakReport:
    """What was tried against a certificate, and what came of it.

    Attributes:
        attacks: Names of the searches.
        n_samples: Certified samples that were attacked.
        n_points: Points that were evaluated for their own sake, those of gradient steps not counted.
        violations: Points that contradict the certificate.
        undecided: Points inside of their ball whose margin is too small to tell its sign.
        float32_flips: Samples whose answer changes inside of the ball when the network is computed in float32, which
            is outside of what the certificate claims.
        least_gap: Smallest (distance - radius) / radius of a misclassified point beyond its radius; infinite if none
            was found. It says how tight the certificate is.
    """

    attacks: tuple[str, ...]
    n_samples: int
    n_points: int
    violations: tuple[Violation, ...]
    undecided: int
    float32_flips: int
    least_gap: float

    @property
    def ok(self) -> bool:
        """Did the certificate stand?"""
        return not self.violations

    def __str__(self) -> str:
        tried = f"{', '.join(self.attacks)} on {self.n_samples} certified samples"
        near = f"the nearest misclassified point is {self.least_gap:.3g} of a radius beyond it"
        float32 = f"float32 inference, which is not covered, changes {self.float32_flips} answers inside"
        if self.ok:
            return f"unbroken by {tried}; {near}; {float32}; {self.undecided} points undecided"
        return f"BROKEN by {tried}: {len(self.violations)} violations, such as: {self.violations[0]}"


def break_certificates(
    certificate: Certificate,
    *,
    samples: int | None = None,
    steps: int = 20,
    restarts: int = 20,
    neighbours: int = 60,
    batch_size: int = 128,
    seed: int = 0,
    progress: Progress | None = None,
) -> BreakReport:
    """Search every certified ball for a point whose class is not the label.

    What is attacked is the frozen network of the certificate, in float64 and without a box of pixels, as its claim is
    about every point of the ball. Inside of each sample's own radius: PGD, APGD on cross-entropy, and targeted APGD
    (the margin if there are fewer than four classes); random directions and signs, which need no gradient; and the
    floating-point numbers around the most promising point of the border, evaluated singly, in batches, in other orders
    of summation, and in float32. Whatever is found inside is judged by its exact distance and margin. Beyond the
    radius, the nearest misclassified point is looked for.

    Args:
        certificate: The certificate.
        samples: How many certified samples to attack, the first ones; None for all.
        steps: Gradient steps of each run.
        restarts: Starts of PGD; APGD starts once.
        neighbours: Floating-point neighbours of each border point, at least 3.
        batch_size: Samples attacked at a time.
        seed: Of the random starts.
        progress: Called as `progress(done, total)` with numbers of samples.

    Returns:
        The report.

    Raises:
        ValueError: If a count is out of range.

    Paper: Jin, Ohrimenko and Rubinstein 2022, arXiv:2205.10159 (neighbours at the border).
    """
    check_counts(steps, restarts)
    if neighbours < 3 or batch_size < 1:
        raise ValueError(f"neighbours={neighbours}, batch_size={batch_size} must be at least 3 and at least 1")
    search = _Search(Judge(certificate), steps, restarts, neighbours, torch.Generator().manual_seed(seed))
    index = torch.nonzero(search.judge.radii > 0).flatten()[:samples]
    for part in index.split(batch_size) if len(index) else ():
        search.batch(part)
        if progress is not None:
            progress(int((index <= part[-1]).sum()), len(index))
    return search.report(len(index))


@dataclass(eq=False)
class _Search:
    judge: Judge
    steps: int
    restarts: int
    neighbours: int
    generator: torch.Generator
    attacks: list[str] = field(default_factory=list)
    n_points: int = 0
    violations: list[Violation] = field(default_factory=list)
    undecided: int = 0
    flipped: set[int] = field(default_factory=set)
    least_gap: float = math.inf

    def __post_init__(self) -> None:
        network = self.judge.certificate.network
        self.model = FrozenModule(network)
        self.others: list[tuple[str, Network]] = [(f"sums in {k} parts", reordered(network, k)) for k in ORDERS]

    def report(self, n_samples: int) -> BreakReport:
        return BreakReport(
            tuple(dict.fromkeys(self.attacks)),
            n_samples,
            self.n_points,
            tuple(self.violations),
            self.undecided,
            len(self.flipped),
            self.least_gap,
        )

    def batch(self, index: Tensor) -> None:
        x, y, r = self.judge.pixels[index], self.judge.labels[index], self.judge.radii[index]
        if self.judge.small:
            for i in index.tolist():
                self.note("the sample itself", i, self.judge.pixels[i])
        best, least = x.clone(), margins(self.model, x, y)
        for name, points in self.inside(x, y, r):
            leads = self.examine(name, index, points[:, None])[:, 0]
            better = leads < least
            best[better], least[better] = points[better], leads[better]
        self.directions(index, x, r)
        self.border(index, best)
        self.above(index, x, y, r)

    def inside(self, x: Tensor, y: Tensor, r: Tensor) -> Iterator[tuple[str, Tensor]]:
        norm, radius = self.judge.norm, r * INSIDE
        yield "PGD", self.pgd(x, y, radius, self.restarts)
        few = evaluate(self.judge.certificate.network, x[:1])[0].shape[1] < 4
        losses: list[tuple[str, Loss]] = [("APGD-CE", "ce"), ("APGD-T", "margin" if few else "targeted-dlr")]
        for name, loss in losses:
            yield name, apgd(
                self.model, x, y, radius,
                norm=norm, loss=loss, steps=self.steps, box=WHOLE_SPACE, generator=self.generator,
            )  # fmt: skip

    def pgd(self, x: Tensor, y: Tensor, radius: Tensor, restarts: int) -> Tensor:
        search = l2_pgd if self.judge.norm == "l2" else linf_pgd
        return search(
            self.model, x, y, radius,
            steps=self.steps, restarts=restarts, box=WHOLE_SPACE, generator=self.generator,
        )  # fmt: skip

    def examine(self, name: str, index: Tensor, points: Tensor) -> Tensor:
        # Evaluate (N, K, ...) points in float64, judge the suspicious ones, and return their (N, K) margins.
        self.attacks.append(name)
        n, k = points.shape[:2]
        labels = self.judge.labels[index].repeat_interleave(k)
        leads, doubts = (t.reshape(n, k) for t in self.judge.margins(points.flatten(0, 1), labels))
        self.n_points += n * k
        suspicious = ~(leads > doubts)
        for i in torch.nonzero(suspicious.any(1)).flatten().tolist():
            order = torch.where(suspicious[i], leads[i].nan_to_num(nan=-math.inf), math.inf).argsort()
            for j in order[: min(MOST_JUDGED, int(suspicious[i].sum()))].tolist():
                self.note(name, int(index[i]), points[i, j])
        return leads

    def note(self, name: str, index: int, point: Tensor) -> None:
        verdict, violation = self.judge.verdict(index, point, name)
        self.undecided += verdict == "undecided"
        if violation is not None:
            self.violations.append(violation)

    def directions(self, index: Tensor, x: Tensor, r: Tensor) -> None:
        # Look at random points of the border, which takes no gradient.
        noise = torch.randn(len(x), DIRECTIONS, *x.shape[1:], generator=self.generator, dtype=torch.float64)
        noise[:, ::2] = noise[:, ::2].sign()
        origin = x[:, None].expand(noise.shape).flatten(0, 1)
        radius = (r * INSIDE).repeat_interleave(DIRECTIONS)
        points = at_border(
            origin + noise.flatten(0, 1) * radius.reshape(-1, *[1] * (x.dim() - 1)), origin, radius, self.judge.norm
        )
        self.examine("random directions", index, points.reshape(noise.shape))

    def border(self, index: Tensor, best: Tensor) -> None:
        # Search the floating-point numbers around the best point of every sample.
        x, y, r = self.judge.pixels[index], self.judge.labels[index], self.judge.radii[index]
        border = at_border(best, x, r, self.judge.norm)
        falls = -self.gradient(border, y)
        for precision in (torch.float64, torch.float32):
            points = torch.stack(
                [
                    lattice(p.to(precision), o, float(q), d, self.neighbours, self.generator)
                    for p, o, q, d in zip(border, x, r, falls, strict=True)
                ]
            )
            if precision == torch.float32:
                self.in_float32(index, points)
            points = points.double()
            leads = self.examine("floating-point neighbours", index, points)
            nearest = points[torch.arange(len(points)), leads.nan_to_num(nan=math.inf).argmin(1)]
            if self.judge.small:
                for i, point in zip(index.tolist(), nearest, strict=True):
                    self.note("floating-point neighbours", i, point)
            self.differently(index, nearest)

    def gradient(self, points: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            p = points.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(margin(self.model(p), y).sum(), p)
        return gradient.nan_to_num()

    def differently(self, index: Tensor, points: Tensor) -> None:
        # Round the same evaluation in other ways; what then seems misclassified is judged like anything else.
        y = self.judge.labels[index]
        single = torch.cat([margins(self.model, p[None], t[None]) for p, t in zip(points, y, strict=True)])
        ways = [("batches of one", single)]
        ways += [(name, margin(evaluate(network, points)[0], y)) for name, network in self.others]
        for name, leads in ways:
            self.attacks.append(name)
            for i in torch.nonzero(~(leads > 0)).flatten().tolist():
                self.note(name, int(index[i]), points[i])

    def in_float32(self, index: Tensor, points: Tensor) -> None:
        # Count the samples that float32 inference gets wrong inside of their balls.
        n, k = points.shape[:2]
        x, y, r = (t[index].repeat_interleave(k, 0) for t in (self.judge.pixels, self.judge.labels, self.judge.radii))
        flat = points.flatten(0, 1)
        with torch.no_grad():
            wrong = self.model(flat).argmax(1) != y
        wrong &= distances(flat, x, self.judge.norm) <= r * INSIDE
        self.flipped |= set(index[wrong.reshape(n, k).any(1)].tolist())

    def above(self, index: Tensor, x: Tensor, y: Tensor, r: Tensor) -> None:
        # Find how far beyond the radius the nearest misclassified point is that an attack finds.
        name, open_ = "PGD beyond the radius", torch.arange(len(x))
        self.attacks.append(name)
        for factor in ABOVE:
            if not len(open_):
                return
            found = self.pgd(x[open_], y[open_], r[open_] * factor, 1)
            wrong = margins(self.model, found, y[open_]) < 0
            hit = open_[wrong]
            if len(hit):
                border = at_border(found[wrong], x[hit], r[hit], self.judge.norm)
                near = pulled_closer(self.model, border, y[hit], found[wrong])
                gaps = distances(near, x[hit], self.judge.norm) / r[hit] - 1
                self.least_gap = min(self.least_gap, float(gaps.min()))
                for i in torch.nonzero(gaps < 1 - INSIDE).flatten().tolist():
                    self.note(name, int(index[hit[i]]), near[i])
            open_ = open_[~wrong]
