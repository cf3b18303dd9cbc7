"""Networks whose numbers were tampered with, in the ways that broke the certifiers of others.

Every case is a name and a function that builds a model, images and the scale of their stored values. Ideas are from
Jin et al. 2022 (arXiv:2205.10159: rounding), Tobler et al. 2025 (arXiv:2505.06958: underflow, infinite logits, equal
rows), Murray 2026 (arXiv:2603.13334: huge biases).
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from onelip import layers as L
from onelip.attacks import break_certificates
from onelip.certify import certify, verify

Case = tuple[nn.Module, Tensor, float]
Build = Callable[[], nn.Module]
Tamper = Callable[[nn.Module], object]

IMAGES = (2, 4, 4)


def mlp(activation: Callable[[], nn.Module], *, head: bool = True) -> nn.Module:
    """A small dense network; without a head it ends in an activation."""
    parts = [nn.Flatten(), nn.Linear(32, 10), activation(), nn.Linear(10, 8), activation()]
    return nn.Sequential(*parts, *([nn.Linear(8, 4)] if head else []))


def conv(normalization: Callable[[], nn.Module] = nn.Identity, *, head: bool = True) -> nn.Module:
    """A small convolutional network."""
    parts = [normalization(), nn.Conv2d(2, 4, 3, padding=1), L.MaxMin(), nn.Conv2d(4, 2, 3, stride=2, padding=1)]
    return nn.Sequential(*parts, nn.ReLU(), nn.Flatten(), *([nn.Linear(8, 4)] if head else []))


def residual(kind: str, *, head: bool = True) -> nn.Module:
    """Residual layers of the library, made plain."""
    block = {"cpl": L.CPLConv2d, "sll": L.SLLConv2d}[kind]
    dense = {"cpl": L.CPLLinear, "sll": L.SLLLinear}[kind]
    parts = [block(2, 2, 3, padding=1), block(2, 2, 3, padding=1), nn.Flatten(), dense(32, 32)]
    return L.to_plain(nn.Sequential(*parts, *([nn.Linear(32, 4)] if head else [])))


NETWORKS: dict[str, Build] = {
    "maxmin": functools.partial(mlp, L.MaxMin),
    "relu": functools.partial(mlp, nn.ReLU),
    "relu-headless": functools.partial(mlp, nn.ReLU, head=False),
    "conv": conv,
    "conv-headless": functools.partial(conv, head=False),
    "cpl": functools.partial(residual, "cpl"),
    "sll": functools.partial(residual, "sll"),
    "sll-headless": functools.partial(residual, "sll", head=False),
}


def weights(model: nn.Module) -> list[nn.Parameter]:
    """The weights of all layers that have one, in order."""
    return [m.weight for m in model.modules() if isinstance(getattr(m, "weight", None), nn.Parameter)]


def biases(model: nn.Module) -> list[nn.Parameter]:
    """The biases of all layers that have one, in order."""
    return [m.bias for m in model.modules() if isinstance(getattr(m, "bias", None), nn.Parameter)]


def scaled(first: float, last: float, model: nn.Module) -> None:
    """Scale the first and the last weight; the function may stay the same while single layers over- or underflow."""
    weights(model)[0].mul_(first)
    weights(model)[-1].mul_(last)


def every(factor: float, model: nn.Module) -> None:
    """Scale all weights and biases."""
    for p in model.parameters():
        p.mul_(factor)


def subnormal(model: nn.Module) -> None:
    """Make one layer of subnormal numbers."""
    weights(model)[0].copy_(torch.randint(-40, 41, weights(model)[0].shape).double() * 5e-324)


def biased(size: float, model: nn.Module) -> None:
    """Shift the first layer far away."""
    biases(model)[0].add_(size)


def biased_and_back(size: float, model: nn.Module) -> None:
    """Shift the first layer far away and the second one back: what is left is what rounding leaves."""
    first, second = biases(model)[:2]
    first.add_(size)
    w = weights(model)[1]
    second.sub_(size * w.flatten(1).sum(1))


def equal_rows(shift: float, model: nn.Module) -> None:
    """Copy a row of the head over another one."""
    weights(model)[-1][1] = weights(model)[-1][0]
    biases(model)[-1][1] = biases(model)[-1][0] + shift


def nearly_equal_rows(model: nn.Module) -> None:
    """Copy a row of the head but for one unit in the last place."""
    equal_rows(0.0, model)
    row = weights(model)[-1][1]
    row[0] = torch.nextafter(row[0], torch.full_like(row[0], torch.inf))


def special(value: float, where: str, model: nn.Module) -> None:
    """Put NaN or an infinity into the head."""
    chosen = weights(model)[-1][0] if where == "row" else biases(model)[-1][:1]
    chosen.fill_(value)


def zero_head(model: nn.Module) -> None:
    """A head that looks at nothing."""
    weights(model)[-1].zero_()


def swapped(model: nn.Module) -> None:
    """Store weights with their axes in another order in memory, and one layer transposed."""
    for p in weights(model):
        p.data = p.data.transpose(0, 1).contiguous().transpose(0, 1)
    square = next((p for p in weights(model) if p.shape[0] == p.shape[1]), None)
    if square is not None:
        square.data = square.data.transpose(0, 1)


def dead(model: nn.Module) -> None:
    """A first layer after which nothing is positive."""
    biases(model)[0].fill_(-1e3)


def tied(model: nn.Module) -> None:
    """Integers, so that logits tie."""
    for p in model.parameters():
        p.copy_((4 * p).round())


def statistics(mean: float, variance: tuple[float, float], eps: float, model: nn.Module) -> None:
    """Change the statistics of a batch normalisation."""
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.running_mean.fill_(mean)
    norm.running_var.copy_(torch.tensor(variance))
    norm.eps = eps


TAMPERS: dict[str, Tamper] = {
    "untouched": lambda model: None,
    "tiny-huge": functools.partial(scaled, 1e-30, 1e30),
    "underflow-overflow": functools.partial(scaled, 1e-160, 1e160),
    "huge-tiny": functools.partial(scaled, 1e160, 1e-160),
    "subnormal-huge": functools.partial(scaled, 1e-320, 1e300),
    "overflow": functools.partial(scaled, 1e300, 1.0),
    "all-tiny": functools.partial(every, 1e-30),
    "all-tinier": functools.partial(every, 1e-160),
    "all-subnormal": functools.partial(every, 1e-320),
    "all-large": functools.partial(every, 1e30),
    "all-huge": functools.partial(every, 1e150),
    "subnormal-layer": subnormal,
    "bias-1e6": functools.partial(biased, 1e6),
    "bias-1e10": functools.partial(biased, 1e10),
    "bias-1e300": functools.partial(biased, 1e300),
    "bias-and-back-1e10": functools.partial(biased_and_back, 1e10),
    "bias-and-back-1e15": functools.partial(biased_and_back, 1e15),
    "equal-rows": functools.partial(equal_rows, 0.0),
    "equal-rows-biased": functools.partial(equal_rows, 1e-3),
    "nearly-equal-rows": nearly_equal_rows,
    "row-inf": functools.partial(special, torch.inf, "row"),
    "row-minus-inf": functools.partial(special, -torch.inf, "row"),
    "row-nan": functools.partial(special, torch.nan, "row"),
    "bias-minus-inf": functools.partial(special, -torch.inf, "bias"),
    "bias-nan": functools.partial(special, torch.nan, "bias"),
    "zero-head": zero_head,
    "swapped": swapped,
    "dead": dead,
    "tied": tied,
}

NORMALISED: dict[str, tuple[Build, Tamper]] = {
    f"conv-{name}": (functools.partial(conv, normalization), tamper)
    for name, normalization, tamper in [
        ("std-unequal", lambda: L.Normalize([0.5, 0.4], [1e3, 1e-3]), lambda m: None),
        ("std-tiny", lambda: L.Normalize([0.5, 0.4], [1e-30, 1e-30]), lambda m: None),
        ("std-huge", lambda: L.Normalize([0.5, 1e20], [1e30, 1.0]), lambda m: None),
        ("variance-0", lambda: nn.BatchNorm2d(2), functools.partial(statistics, 0.0, (0.0, 1.0), 1e-5)),
        ("variance-0-eps-0", lambda: nn.BatchNorm2d(2), functools.partial(statistics, 0.0, (0.0, 1.0), 0.0)),
        ("variance-subnormal", lambda: nn.BatchNorm2d(2), functools.partial(statistics, 0.0, (1e-310, 1.0), 0.0)),
        ("variance-huge", lambda: nn.BatchNorm2d(2), functools.partial(statistics, 1e10, (1e30, 1e-30), 1e-40)),
        ("variance-negative", lambda: nn.BatchNorm2d(2), functools.partial(statistics, 0.0, (-1.0, 1.0), 1e-5)),
    ]
}


def images(dtype: torch.dtype = torch.float64) -> Tensor:
    """Four images."""
    return torch.rand(4, *IMAGES, generator=torch.Generator().manual_seed(3)).to(dtype)


def tampered(build: Build, tamper: Tamper, dtype: torch.dtype = torch.float64) -> Case:
    """Build a model and tamper with it."""
    torch.manual_seed(0)
    model = build().eval().to(dtype)
    with torch.no_grad():
        tamper(model)
    return model.requires_grad_(False), images(), 1.0


def rescaled(scale: float) -> Case:
    """Images whose stored values are far from their pixels."""
    model, x, _ = tampered(NETWORKS["conv"], TAMPERS["untouched"], torch.float32)
    return model, (x * scale).float(), scale


def cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    """Go through all cases by name."""
    for name, build in NETWORKS.items():
        for kind, tamper in TAMPERS.items():
            yield f"{name}-{kind}", functools.partial(tampered, build, tamper)
    for name, (build, tamper) in NORMALISED.items():
        yield name, functools.partial(tampered, build, tamper)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        for name, build in NETWORKS.items():
            yield f"{name}-{dtype}", functools.partial(tampered, build, TAMPERS["untouched"], dtype)
            yield f"{name}-tiny-{dtype}", functools.partial(tampered, build, functools.partial(every, 1e-6), dtype)
    for scale in (1e-30, 1e30, 1e-45, 1e39):
        yield f"scale-{scale}", functools.partial(rescaled, scale)


def outcome(case: Case, folder: Path) -> str:
    """Certify, verify and attack a case; anything that should not be is an AssertionError."""
    model, x, scale = case
    with torch.no_grad():
        labels = model((x / scale).to(next(model.parameters()).dtype)).argmax(1)
    try:
        certificate = certify(model, x, labels, scale=scale)
    except ValueError as error:
        return "refused" if str(error) else "refused without a sentence"
    verification = verify(certificate.save(folder))
    assert verification.ok, str(verification)
    if not (certificate.radii > 0).any():
        return "nothing certified"
    report = break_certificates(certificate, samples=2, restarts=1, steps=4, neighbours=3)
    assert report.ok, str(report)
    return "certified"


if __name__ == "__main__":
    for name, make in cases():
        with tempfile.TemporaryDirectory() as path:
            print(name, outcome(make(), Path(path)))  # noqa: T201
