"""The page of an estimate."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onelip.experiments.report.numbers import lower_text, upper_text
from onelip.experiments.report.pictured import Picture, PicturedPage, Tile
from onelip.experiments.run_folder import RunFolder

_ROWS = ("p", "q", "unit", "model", "layer", "n_parameters", "steps", "train_seconds", "difference", "seed")


def write_page(folder: RunFolder) -> Path:
    """Write `report.html` from what a finished run has recorded.

    Args:
        folder: The run's folder.

    Returns:
        Path of the page.
    """
    results = json.loads(folder.results_file.read_text("utf-8"))
    pictures = [Picture(p["title"], folder.path / p["file"], p["text"]) for p in results["pictures"]]
    path = folder.path / "report.html"
    results_page(results, pictures, folder.config_file.read_text("utf-8"), folder.path).write(path)
    return path


def results_page(results: Mapping[str, Any], pictures: Sequence[Picture], config: str, folder: Path) -> PicturedPage:
    """Say what came of an estimate.

    Args:
        results: What `results.json` holds.
        pictures: Of training and critic.
        config: The configuration as text.
        folder: The run's folder.

    Returns:
        The page.
    """
    rows = [(name.replace("_", " "), str(results[name])) for name in _ROWS]
    if results["exact_unknown"]:
        rows.append(("exact distance", f"not known: {results['exact_unknown']}"))
    rows.append(("machine", f"{results['machine']['cpu']}, {results['machine']['cores']} cores"))
    return PicturedPage(
        results["name"],
        f"Wasserstein-1 distance · {results['unit']} · {results['created'][:10]}",
        _lead(results),
        [*_bound_tiles(results), *_exact_tiles(results)],
        pictures,
        rows,
        [(f"onelip train --resume {shlex.quote(str(folder))}", "Measure once more, from the last checkpoint:")],
        config,
    )


def _lead(results: Mapping[str, Any]) -> str:
    return (
        f"The distance of p, {results['p']}, and q, {results['q']}, is at least "
        f"{lower_text(results['lower_bound'], 4)}, up to the error of sampling: the critic's mean over p exceeds that "
        f"over q by {results['difference']:.4f}, and no pair of points at distance 1 differs by more than "
        f"{upper_text(results['lipschitz_bound']['value'])} under it."
    )


def _bound_tiles(results: Mapping[str, Any]) -> list[Tile]:
    low, high = results["interval"]
    constant = results["lipschitz_bound"]
    return [
        Tile(
            "Wasserstein-1 distance, at least",
            lower_text(results["lower_bound"], 4),
            f"± {results['standard_error']:.2g}, one standard error",
        ),
        Tile(
            f"{results['level']:.0%} interval of this bound",
            f"{low:.4f} to {high:.4f}",
            f"{results['n_samples']:,} held-out samples of each",
        ),
        Tile(
            "Lipschitz constant of the critic",
            f"≤ {upper_text(constant['value'])}",
            "proved" if constant["proved"] else "NOT proved",
            constant["proved"],
        ),
    ]


def _exact_tiles(results: Mapping[str, Any]) -> list[Tile]:
    tiles = []
    if results["exact"] is not None:
        attained = f"{results['lower_bound'] / results['exact']:.1%} of it is attained" if results["exact"] else ""
        tiles.append(Tile("Exact distance", f"{results['exact']:.4f}", attained))
    if results["discrete"] is not None:
        found = results["discrete"]
        tiles.append(
            Tile(
                f"Exact between {found['n_samples']:,} samples of each",
                f"{found['exact']:.4f}",
                f"the critic has {lower_text(found['lower_bound'], 4)} on the same ones",
            )
        )
    return tiles
