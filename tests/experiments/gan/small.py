"""A run of a GAN that takes a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onelip.experiments.config_file import load_any_config
from onelip.experiments.config_gan import GanConfig

SMALL = (
    "generator={name: infogan, dense: 8, width: 2}",
    "latent.size=3",
    "critic.model={name: mlp, widths: [8]}",
    "critic_steps=2",
    "trainer.max_steps=8",
    "trainer.validate_every=4",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "evaluate={n_images: 40, n_features: 4, n_shown: 6, n_statistics: 64}",
)


def small_config(folder: Path, *overrides: str, name: str = "gan-digits") -> GanConfig:
    """The configuration of the digits with small networks and few steps."""
    config: Any = load_any_config(name, [f"runs_dir={folder}", *overrides[:1], *SMALL, *overrides[1:]])
    assert isinstance(config, GanConfig)
    return config
