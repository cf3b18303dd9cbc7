"""What a trained critic proves: the estimate on held-out samples, pictures, the page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from safetensors.torch import save_file

from onelip.experiments.checkpoints import load_last_weights
from onelip.experiments.console import say
from onelip.experiments.evaluation import plain_network
from onelip.experiments.files import atomic_path, write_json_atomically
from onelip.experiments.machine import machine_in_numbers
from onelip.experiments.recorder import read_metrics
from onelip.experiments.report.numbers import lower_text, upper_text
from onelip.experiments.report.pictured import Picture
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.wasserstein.curve import BoundCurve
from onelip.experiments.wasserstein.landscape import draw_landscape
from onelip.experiments.wasserstein.page import write_page
from onelip.experiments.wasserstein.preparation import Prepared
from onelip.transport import WassersteinEstimate, estimate_wasserstein1


def evaluate(prepared: Prepared, folder: RunFolder) -> None:
    """Measure the critic of the last checkpoint on held-out samples; write results, weights, pictures and the page.

    Args:
        prepared: Critic and distributions.
        folder: The run's folder.
    """
    load_last_weights(prepared.critic, folder, "critic")
    critic = plain_network(prepared.critic.cpu())
    with atomic_path(folder.weights_file) as temporary:
        save_file({name: value.contiguous() for name, value in critic.state_dict().items()}, temporary)
    options = prepared.config.evaluation
    estimate = estimate_wasserstein1(
        critic,
        prepared.p.held_out,
        prepared.q.held_out,
        n_samples=prepared.n_samples,
        batch_size=options.batch_size,
        seed=prepared.config.seed,
        n_discrete=min(options.n_discrete, prepared.n_samples),
        exact=prepared.exact,
    )
    pictures = [_curve(prepared, folder), *draw_landscape(prepared, critic, folder)]
    results = _results(prepared, estimate, folder) | {
        "pictures": [{"title": p.title, "file": p.path.name, "text": p.text} for p in pictures]
    }
    write_json_atomically(folder.results_file, results)
    _show(results)
    say(f"report: {write_page(folder)}")


def _results(prepared: Prepared, estimate: WassersteinEstimate, folder: RunFolder) -> dict[str, Any]:
    config, rows = prepared.config, read_metrics(folder)
    low, high = estimate.interval(config.evaluation.level)
    bound = estimate.constant
    return {
        "name": config.name,
        "task": config.task,
        "seed": config.seed,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine_in_numbers(),
        "p": prepared.p.about,
        "q": prepared.q.about,
        "unit": prepared.unit,
        "model": config.model.name,
        "layer": config.layer,
        "n_parameters": sum(p.numel() for p in prepared.critic.parameters()),
        "steps": config.trainer.max_steps,
        "train_seconds": round(60 * rows[-1]["minutes"], 3),
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "lower_bound": estimate.lower_bound,
        "standard_error": estimate.standard_error,
        "level": config.evaluation.level,
        "interval": [low, high],
        "n_samples": estimate.n_samples,
        "difference": estimate.difference,
        "lipschitz_bound": {"value": bound.value, "proved": bound.proved, "method": bound.method},
        "exact": prepared.exact,
        "exact_unknown": prepared.why_unknown,
        "discrete": _discrete(prepared, estimate),
    }


def _discrete(prepared: Prepared, estimate: WassersteinEstimate) -> dict[str, Any] | None:
    if estimate.discrete is None:
        return None
    n = min(prepared.config.evaluation.n_discrete, prepared.n_samples)
    return {"n_samples": n, "exact": estimate.discrete, "lower_bound": estimate.discrete_bound}


def _curve(prepared: Prepared, folder: RunFolder) -> Picture:
    rows = read_metrics(folder)
    steps = min(prepared.config.trainer.validate_every, prepared.config.trainer.max_steps)
    path = folder.path / "training.png"
    BoundCurve(
        [steps * (int(row["epoch"]) + 1) for row in rows],
        [row["lower_bound"] for row in rows],
        [row["standard_error"] for row in rows],
        prepared.exact,
        prepared.unit,
    ).plot(path)
    text = (
        f"After every {steps:,} steps the critic is measured on {prepared.config.evaluation.n_monitor:,} samples, "
        f"drawn as those that it learns from, and divided by the constant that is proved of it at that moment."
    )
    return Picture("The bound in the course of the training", path, text)


def _show(results: dict[str, Any]) -> None:
    constant = results["lipschitz_bound"]
    low, high = results["interval"]
    say(
        f"Wasserstein-1 distance ({results['unit']}) >= {lower_text(results['lower_bound'], 5)}, "
        f"standard error {results['standard_error']:.2g}, {results['level']:.0%} interval {low:.5f} to {high:.5f}",
        f"{results['n_samples']:,} held-out samples of each; Lipschitz constant <= {upper_text(constant['value'])} "
        f"({'proved' if constant['proved'] else 'estimated, NOT proved'})",
    )
    if results["exact"] is not None:
        say(f"exact distance: {results['exact']:.5f}")
    if results["discrete"] is not None:
        found = results["discrete"]
        say(
            f"exact distance of {found['n_samples']:,} samples of each: {found['exact']:.5f}; "
            f"the critic has {lower_text(found['lower_bound'], 5)} on the same ones"
        )
