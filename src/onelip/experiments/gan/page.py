"""The page of a run of a GAN: one file that opens from disk without a network."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import onelip
from onelip.experiments.evaluation import read_json
from onelip.experiments.files import write_text_atomically
from onelip.experiments.report.numbers import MISSING, lower_text, upper_text
from onelip.experiments.run_folder import RunFolder

_CRITICS = {
    "lipschitz": "a critic of 1-Lipschitz layers",
    "wgan": "a critic with clipped weights (WGAN)",
    "wgan-gp": "a critic with a gradient penalty (WGAN-GP)",
}


def write_page(folder: RunFolder) -> Path:
    """Write `report.html` from what a finished run has recorded.

    Args:
        folder: The run's folder, with results and pictures.

    Returns:
        Path of the page.
    """
    results = read_json(folder.results_file)
    resolved = folder.path.resolve()
    context = {
        "title": f"{results['name']} · {resolved.name}",
        "subtitle": _subtitle(results),
        "tiles": _tiles(results),
        "rows": _rows(results),
        "samples": _picture(folder.path / "samples.png"),
        "real": _picture(folder.path / "real.png"),
        "losses": _picture(folder.path / "losses.png"),
        "evolution": _picture(folder.path / "evolution.gif"),
        "unit": results["wasserstein1"]["unit"],
        "commands": _commands(folder.path),
        "config": folder.config_file.read_text("utf-8"),
        "version": onelip.__version__,
        "css": _style(),
    }
    path = folder.path / "report.html"
    write_text_atomically(path, str(_template().render(context)))
    return path


@cache
def _template() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(lambda name: (files(__package__) / "templates" / name).read_text("utf-8"))
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("gan.html.j2")


# The style of all our pages goes in as it is; everything else is escaped.
def _style() -> Any:
    from markupsafe import Markup

    style = files("onelip.experiments.report") / "templates" / "report.css"
    return Markup(style.read_text("utf-8").strip())  # noqa: S704


def _picture(path: Path) -> str:
    kind = path.suffix.removeprefix(".")
    return f"data:image/{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _subtitle(results: Mapping[str, Any]) -> str:
    shape = "x".join(map(str, results["image_shape"]))
    return (
        f"A generator of {shape} images like {results['data']}, trained for {results['generator_steps']:,} steps "
        f"against {_CRITICS[results['critic']]}, which took {results['critic_steps']:,}."
    )


def _tiles(results: Mapping[str, Any]) -> list[dict[str, str]]:
    frechet, distance, constant = results["frechet"], results["wasserstein1"], results["critic_constant"]
    tiles = [
        {
            "name": "squared Frechet distance",
            "value": f"{frechet['squared_distance']:.4g}",
            "detail": f"{frechet['squared_distance_of_training_images']:.4g} for training images",
            "look": "",
        },
        {
            "name": "critic's gradient, measured",
            "value": upper_text(results["critic_gradients"]["largest"], 4),
            "detail": "the largest found: a lower estimate of its constant",
            "look": "",
        },
    ]
    if constant is not None:
        look = "proved" if constant["proved"] else ""
        tiles.append(
            {
                "name": "critic's Lipschitz constant",
                "value": "≤ " + upper_text(constant["value"], 4),
                "detail": constant["kind"],
                "look": look,
            }
        )
    if distance["lower_bound"] is not None:
        tiles.append(
            {
                "name": "Wasserstein-1 distance",
                "value": "≥ " + lower_text(distance["lower_bound"], 4),
                "detail": f"standard error {distance['standard_error']:.2g}; difference divided by the constant",
                "look": "proved",
            }
        )
    return tiles


def _rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    frechet, distance, gradients = results["frechet"], results["wasserstein1"], results["critic_gradients"]
    seconds = results["train_seconds"]
    return [
        ("critic's difference", f"{distance['difference']:.5g} ± {distance['difference_standard_error']:.2g}"),
        (
            f"exact distance of {distance['n_discrete']:,} images to as many of the test split",
            f"{distance['discrete']:.4f}; {distance['discrete_of_training_images']:.4f} for training images",
        ),
        ("gradient at test images", f"≤ {upper_text(gradients['real'], 4)} measured"),
        ("gradient at generated images", f"≤ {upper_text(gradients['generated'], 4)} measured"),
        ("gradient between them", f"≤ {upper_text(gradients['between'], 4)} measured"),
        ("mean gradient", f"{gradients['mean']:.4f}"),
        ("compared", f"{frechet['n_real']:,} test images, {frechet['n_generated']:,} generated"),
        ("features", f"{frechet['features']}, {frechet['explained_variance']:.1%} of the variance"),
        ("generator", f"{results['generator']}, {results['n_parameters']['generator']:,} parameters"),
        ("critic", f"{results['critic_model']}, {results['n_parameters']['critic']:,} parameters"),
        ("training", f"{seconds / 60:.1f} minutes" if seconds else MISSING),
        ("machine", f"{results['machine']['cpu']}, torch {results['machine']['torch']}"),
    ]


def _commands(path: Path) -> dict[str, str]:
    run = shlex.quote(str(path))
    return {
        "load": f'from onelip.experiments.gan import load_generator\nsampler = load_generator("{path}")',
        "resume": f"onelip train --resume {run}",
    }
