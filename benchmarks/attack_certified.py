"""Attack certified test images within their own certified radii: PGD, APGD on cross-entropy, targeted APGD.

Takes the first images of each run's certificate until N of them have a positive radius. Each of those is attacked in
its own ball, without a box of pixels; a point that float32 inference misclassifies is judged by its exact distance and
its float64 margin with the bound of its error. At the radii of the run's configuration, the images that are not
certified there are attacked inside of [0, 1] as well, by PGD from two starts and APGD-CE, which gives accuracy under
attack between certified and clean; there the first N images of the certificate count, certified or not.
Results are appended to RUN/attack_certified.jsonl chunk by chunk; started again with the same options, it goes on after
the last chunk. Prints Markdown; exit code 1 if a certificate is contradicted. Run from the repository:

    python -m benchmarks.attack_certified RUN... --images 1000 --restarts 20 --steps 20 --apgd-steps 50
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onelip.attacks import apgd, l2_pgd
from onelip.attacks.ball import WHOLE_SPACE
from onelip.attacks.judge import Judge
from onelip.attacks.objectives import Loss
from onelip.attacks.pgd import evaluating, margins
from onelip.experiments import evaluation
from onelip.experiments.preparation import prepare
from onelip.experiments.run_folder import open_run_folder
from onelip.layers import MaxMin

INSIDE = 1 - 1e-6
"""Share of the radius that is searched: float32 points round outward by parts in ten million."""

ATTACKS = ("pgd", "apgd-ce", "apgd-t")

Attack = Callable[[Tensor, Tensor, Tensor | float, tuple[float, float]], Tensor]


def attacks(model: nn.Module, options: argparse.Namespace, generator: torch.Generator) -> dict[str, Attack]:
    """Make the three attacks of one model.

    Args:
        model: The classifier.
        options: Steps, restarts and targets.
        generator: Of the random starts.

    Returns:
        Functions of samples, labels, radii and box, by name.
    """

    def pgd(x: Tensor, y: Tensor, r: Tensor | float, box: tuple[float, float]) -> Tensor:
        return l2_pgd(
            model, x, y, r, steps=options.steps, restarts=options.restarts, box=box, generator=generator
        )  # fmt: skip

    def auto(loss: Loss) -> Attack:
        return lambda x, y, r, box: apgd(
            model, x, y, r, loss=loss, steps=options.apgd_steps, n_targets=options.targets, box=box, generator=generator
        )

    return {"pgd": pgd, "apgd-ce": auto("ce"), "apgd-t": auto("targeted-dlr")}


def own_balls(judge: Judge, index: Tensor, x: Tensor, tried: dict[str, Attack], model: nn.Module) -> dict[str, Any]:
    """Attack images within their certified radii.

    Args:
        judge: Of the certificate.
        index: Numbers of the images in the certificate.
        x: The images.
        tried: The attacks.
        model: The classifier.

    Returns:
        Flips of each attack, what they turned out to be, and the share of the margin that the attacks took.
    """
    y, radii = judge.labels[index], judge.radii[index]
    found: dict[str, Any] = {"flips": dict.fromkeys(ATTACKS, 0), "violations": [], "verdicts": {}}
    before = margins(model, x, y)
    least = before.clone()
    for name, attack in tried.items():
        points = attack(x, y, (radii * INSIDE).float(), WHOLE_SPACE)
        lead = margins(model, points, y)
        least = torch.minimum(least, lead)
        for i in torch.nonzero(~(lead > 0)).flatten().tolist():
            found["flips"][name] += 1
            verdict, violation = judge.verdict(int(index[i]), points[i].double(), name)
            found["verdicts"][verdict] = found["verdicts"].get(verdict, 0) + 1
            found["violations"] += [str(violation)] if violation else []
    taken = 1 - least / before
    return found | {"taken_sum": float(taken.sum()), "taken_max": float(taken.max())}


def chain(
    judge: Judge, index: Tensor, x: Tensor, tried: dict[str, Attack], model: nn.Module, radii: list[float]
) -> dict[str, int]:
    """Count the images that stand attacks at fixed radii; what falls at one has fallen at all larger ones.

    Images certified at a radius are not attacked again, as their larger balls have been searched.

    Args:
        judge: Of the certificate.
        index: Numbers of the images in the certificate.
        x: The images, in [0, 1].
        tried: The attacks.
        model: The classifier.
        radii: l2 radii.

    Returns:
        Counts by radius, and of images classified rightly as "clean".
    """
    y, certified = judge.labels[index], judge.radii[index]
    standing = ~(margins(model, x, y) < 0)
    counts = {"clean": int(standing.sum())}
    for radius in sorted(radii):
        for attack in tried.values():
            open_ = torch.nonzero(standing & ~(certified > radius)).flatten()
            if len(open_):
                points = attack(x[open_], y[open_], radius, (0.0, 1.0))
                standing[open_] &= ~(margins(model, points, y[open_]) < 0)
        counts[f"{radius:g}"] = int(standing.sum())
    return counts


class Pad(torch.autograd.Function):
    """Circular padding whose gradient is summed in place, without a zero-filled copy for every side."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, pads: list[int]) -> Tensor:
        """Pad by (left, right, top, bottom)."""
        ctx.pads = pads
        return F.pad(x, pads, mode="circular")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Add what wrapped around to where it came from."""
        for dim, before, after in ((-1, *ctx.pads[:2]), (-2, *ctx.pads[2:])):
            size = gradient.shape[dim] - before - after
            kept = gradient.narrow(dim, before, size).clone()
            kept.narrow(dim, size - before, before).add_(gradient.narrow(dim, 0, before))
            kept.narrow(dim, 0, after).add_(gradient.narrow(dim, before + size, after))
            gradient = kept
        return gradient, None


class PairSort(torch.autograd.Function):
    """MaxMin on axis 1, which only remembers which of each pair was larger."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Take maxima, then minima."""
        first, second = x.chunk(2, 1)
        ctx.save_for_backward(first >= second)
        return torch.cat([torch.maximum(first, second), torch.minimum(first, second)], 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Send each gradient to where its value came from."""
        (kept,) = ctx.saved_tensors
        high, low = gradient.chunk(2, 1)
        return torch.cat([torch.where(kept, high, low), torch.where(kept, low, high)], 1)


def quicken(model: nn.Module) -> nn.Module:
    """Give circular convolutions and MaxMin of even channels faster gradients; the function stays the same.

    Args:
        model: A model of plain modules; changed in place.

    Returns:
        The model.
    """
    for module in model.modules():
        if type(module) is nn.Conv2d and module.padding_mode == "circular":
            module.forward = functools.partial(_convolve, module)
        elif type(module) is MaxMin and module.dim == 1:
            module.forward = functools.partial(_sort, module.forward)
    return model


def _convolve(m: nn.Conv2d, x: Tensor) -> Tensor:
    padded = Pad.apply(x, m._reversed_padding_repeated_twice)
    return F.conv2d(padded, m.weight, m.bias, m.stride, 0, m.dilation, m.groups)


def _sort(otherwise: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return otherwise(x) if x.shape[1] % 2 else PairSort.apply(x)


def fastest_format(model: nn.Module, x: Tensor) -> torch.memory_format:
    """Time a gradient step in both layouts of images.

    Args:
        model: The classifier; left in the faster one.
        x: A batch.

    Returns:
        The layout.
    """
    times = {}
    for layout in (torch.channels_last, torch.contiguous_format) * 2:
        model.to(memory_format=layout)
        p = x.contiguous(memory_format=layout).requires_grad_()
        start = time.perf_counter()
        with evaluating(model):
            torch.autograd.grad(model(p).sum(), p)
        times[layout] = time.perf_counter() - start
    best = min(times, key=lambda layout: times[layout])
    model.to(memory_format=best)
    return best


def attack_run(path: str, options: argparse.Namespace) -> dict[str, Any]:
    """Attack one run, or go on where an earlier call ended.

    Args:
        path: Its folder.
        options: The command line.

    Returns:
        Sums over all chunks.
    """
    folder = open_run_folder(path)
    config = folder.config()
    certified = evaluation.load_certified(prepare(config), folder)
    judge, pixels = Judge(certified.certificate), certified.samples.pixels()
    model = quicken(certified.network)
    positive = torch.nonzero(judge.radii > 0).flatten()[: options.images]
    chunks = torch.arange(int(positive[-1]) + 1).split(options.chunk)
    settings = {key: value for key, value in vars(options).items() if key != "runs"}
    log = Path(folder.path) / "attack_certified.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    rows = [row for row in rows if row["settings"] == settings and row["created"] == certified.certificate.created]
    done = {row["chunk"] for row in rows}
    layout = fastest_format(model, pixels[: options.chunk]) if pixels.dim() == 4 else torch.contiguous_format
    for k, index in enumerate(chunks):
        if k in done:
            continue
        start = time.perf_counter()
        tried = attacks(model, options, torch.Generator().manual_seed(options.seed + k))
        few = argparse.Namespace(**{**vars(options), "restarts": min(options.restarts, 2)})
        quick = attacks(model, few, torch.Generator().manual_seed(options.seed + k))
        held = index[judge.radii[index] > 0]
        x = pixels.contiguous(memory_format=layout)
        row = own_balls(judge, held, x[held], tried, model) if len(held) else {}
        first = index[index < options.images]
        light = {name: attack for name, attack in quick.items() if name != "apgd-t"}
        counts = chain(judge, first, x[first], light, model, list(config.certify.radii)) if len(first) else {}
        row |= {"chunk": k, "images": len(first), "certified": len(held), "standing": counts, "settings": settings}
        row |= {"created": certified.certificate.created, "seconds": round(time.perf_counter() - start, 1)}
        rows.append(row)
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        flips, seconds = row.get("flips"), row["seconds"]
        print(f"{folder.path}: chunk {k + 1}/{len(chunks)}, flips {flips}, {seconds} s", file=sys.stderr, flush=True)
    n = min(options.images, len(judge.radii))
    return summary(config.name, certified.certificate, rows, list(config.certify.radii), n)


def summary(name: str, certificate: Any, rows: list[dict[str, Any]], radii: list[float], n: int) -> dict[str, Any]:
    """Add up chunks.

    Args:
        name: Of the run.
        certificate: Its certificate.
        rows: The chunks.
        radii: Fixed radii.
        n: Images looked at for the chain.

    Returns:
        The sums.
    """
    attacked = [row for row in rows if "flips" in row]
    held = sum(row["certified"] for row in rows)
    keys = ["clean", *(f"{r:g}" for r in sorted(radii))]
    standing = {key: sum(row["standing"].get(key, 0) for row in rows) for key in keys}
    certified = {f"{r:g}": int((certificate.radii[:n] > r).sum()) for r in sorted(radii)}
    return {
        "name": name,
        "constant": certificate.bound.value,
        "images": n,
        "held": held,
        "flips": {a: sum(row["flips"][a] for row in attacked) for a in ATTACKS},
        "violations": [v for row in attacked for v in row["violations"]],
        "taken_mean": sum(row["taken_sum"] for row in attacked) / max(held, 1),
        "taken_max": max((row["taken_max"] for row in attacked), default=0.0),
        "standing": standing,
        "certified": certified,
        "ordered": all(certified[k] <= standing[k] <= standing["clean"] for k in certified),
        "seconds": sum(row["seconds"] for row in rows),
    }


def show(results: list[dict[str, Any]]) -> None:
    """Print both tables.

    Args:
        results: Of all runs.
    """
    print("| network | constant | certified images | flipped by PGD / APGD-CE / APGD-T | of them violations "
          "| margin taken, mean / most | seconds |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for r in results:
        flips = " / ".join(str(r["flips"][a]) for a in ATTACKS)
        taken = f"{r['taken_mean']:.0%} / {r['taken_max']:.0%}"
        print(f"| {r['name']} | {r['constant']:.6f} | {r['held']} | {flips} | {len(r['violations'])} | {taken} "
              f"| {r['seconds']:.0f} |")  # fmt: skip
    print(
        "\n| network | images | l2 radius | certified | under attack | clean | ordered |\n|---|---|---|---|---|---|---|"
    )
    for r in results:
        for key, n in r["certified"].items():
            shares = " | ".join(f"{m / r['images']:.2%}" for m in (n, r["standing"][key], r["standing"]["clean"]))
            print(f"| {r['name']} | {r['images']} | {key} | {shares} | {'yes' if r['ordered'] else 'NO'} |")


def main() -> int:
    """Attack the runs on the command line.

    Returns:
        Exit code: 1 if a certificate is contradicted or the accuracies are out of order.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    for name, default in (("images", 1000), ("restarts", 20), ("steps", 20), ("apgd-steps", 50), ("targets", 9),
                          ("chunk", 128), ("seed", 0)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default {default}")
    options = parser.parse_args()
    results = [attack_run(run, options) for run in options.runs]
    show(results)
    for violation in (v for r in results for v in r["violations"]):
        print(f"\nVIOLATION: {violation}")
    return int(any(r["violations"] or not r["ordered"] for r in results))


if __name__ == "__main__":
    sys.exit(main())
