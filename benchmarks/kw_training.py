"""Training against a linear relaxation, beside ordinary training: what the relaxation then certifies.

The small network of Wong et al. is trained on the handwritten digits, ordinarily and against the worst case of each
relaxation in l-infinity and l2, in minutes. The test images are attacked and certified by relaxation. Run from the
repository:

    python -m benchmarks.kw_training --epochs 60 --samples 100
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from benchmarks.relaxation import L2, Loss, linf_pgd, ordinary_loss, share, train
from torch import Tensor, nn

import onelip
from onelip.attacks import l2_pgd
from onelip.certify import Relaxation, relaxed_margins
from onelip.data import load
from onelip.models import build
from onelip.tasks import RelaxationObjective

LINF = (8 / 255, 16 / 255, 0.1)
BY: tuple[Relaxation, ...] = ("ibp", "crown-ibp", "kw")


def against(norm: str, method: str, radius: float) -> Loss:
    """Make a loss of the worst case, with a radius that grows over the first half after a tenth without.

    Args:
        norm: Of the ball.
        method: Of the relaxation.
        radius: At last.

    Returns:
        A loss for `train`.
    """
    ramp = {"start": 0.0, "end": radius, "from": 0.1, "until": 0.6}
    objective = RelaxationObjective(radius=ramp, norm=norm, method=method)  # type: ignore[arg-type]

    def loss(model: nn.Module, x: Tensor, y: Tensor, progress: float) -> Tensor:
        objective.set_progress(progress)
        return objective(model, x, y, F.cross_entropy)[0]

    return loss


def rows(name: str, model: nn.Module, n_samples: int) -> None:
    """Print the table of one network.

    Args:
        name: Of the network.
        model: Made of plain modules.
        n_samples: How many test images, spread evenly.
    """
    data = load("digits").test
    data = data.subset(torch.arange(n_samples) * len(data) // n_samples)
    x, y = data.pixels(), data.labels
    certificate = onelip.certify(model, data.images, data.labels, scale=data.scale)
    constant = certificate.bound.value
    print(f"\n{name}: clean {share(model(x).argmax(1) == y)} %, constant {constant:.4g}")
    attacked = [share(model(l2_pgd(model, x, y, r)).argmax(1) == y) for r in L2]
    attacked += [share(linf_pgd(model, x, y, r)) for r in LINF]
    print(f"{'PGD':12}", *attacked)
    radii = torch.from_numpy(certificate.radii)
    # An l-infinity ball is in the l2 ball of 8 times the radius.
    print(f"{'constant':12}", *(share(radii > r) for r in L2), *(share(radii > 8 * r) for r in LINF))
    for method in BY:
        shares = []
        for norm, all_radii in (("l2", L2), ("linf", LINF)):
            for radius in all_radii:
                margins = relaxed_margins(
                    certificate.network,
                    x,
                    y,
                    radius,
                    norm=norm,
                    method=method,
                    constants=False,  # type: ignore[arg-type]
                )
                shares.append(share(margins.amin(1) > 0))
        print(f"{method:12}", *shares, flush=True)


def main() -> None:
    """Train the networks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--samples", type=int, default=359)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--linf", type=float, default=0.1, help="radius of the trainings in l-infinity")
    parser.add_argument("--l2", type=float, default=0.5, help="radius of the trainings in l2")
    parser.add_argument("--exact", action="store_true", help="train with kw, too, which takes ten minutes each")
    given = parser.parse_args()
    kinds: list[tuple[str, Loss]] = [("ordinary", ordinary_loss)]
    kinds += [(f"linf {given.linf:g}, {m}", against("linf", m, given.linf)) for m in ("ibp", "crown-ibp")]
    kinds.append((f"l2 {given.l2:g}, crown-ibp", against("l2", "crown-ibp", given.l2)))
    if given.exact:
        kinds.append((f"linf {given.linf:g}, kw", against("linf", "kw", given.linf)))
        kinds.append((f"l2 {given.l2:g}, kw", against("l2", "kw", given.l2)))
    torch.set_num_threads(1)
    print("accuracy in % at l2 radii", *L2, "and l-infinity radii", *(f"{r:.4f}" for r in LINF))
    for name, loss in kinds:
        torch.manual_seed(given.seed)
        mean = load("digits").train.channel_mean()
        model = build("kw-small", input_shape=(1, 8, 8), n_classes=10, mean=mean)
        began = time.process_time()
        trained = train(model, loss, epochs=given.epochs, rate=2e-3)
        print(f"\ntrained in {time.process_time() - began:.0f} s", flush=True)
        rows(name, trained, given.samples)


if __name__ == "__main__":
    main()
