"""Draw the pictures of docs/transport.md: a critic on the line and one in the plane, beside the best potentials.

    python -m benchmarks.critic_pictures

Trains for half a minute.
"""

from __future__ import annotations

from pathlib import Path

import torch

from onelip.models import build
from onelip.pictures import critic_curve, critic_surface
from onelip.transport import Gaussian, Mixture, three_cones, wasserstein1

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Train, and draw."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    p = Mixture([Gaussian(-2.0, 0.3), Gaussian(2.0, 0.3)])
    q = Mixture([Gaussian(0.0, 0.3), Gaussian(4.0, 0.3)], [2, 1])
    critic = build("mlp", input_shape=(1, 1, 1), n_classes=1, layer="polar-express", widths=[64, 64])
    print(wasserstein1(p, q, critic, n_steps=600, n_discrete=1000))
    critic_curve(critic, p, q, n_samples=300).plot(DOCS / "wasserstein-1d.png")
    torch.manual_seed(0)
    cones = three_cones()
    critic = build(
        "mlp", input_shape=(1, 1, 2), n_classes=1, layer="polar-express", activation="fullsort", widths=[64] * 3
    )
    print(wasserstein1(cones.p, cones.q, critic, n_steps=600, lr=0.02))
    critic_surface(critic, cones.p, cones.q).plot(DOCS / "wasserstein-2d.png")


if __name__ == "__main__":
    main()
