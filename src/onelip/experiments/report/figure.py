"""The figure of a run for documents: certified accuracy against the radius."""

from __future__ import annotations

from pathlib import Path

from onelip.experiments.errors import UserError
from onelip.experiments.files import atomic_path
from onelip.experiments.report.curves import certified_curve, radius_limit
from onelip.experiments.report.record import RunRecord, read_run

PROVED, ATTACK, CLEAN = "#1c5fb8", "#b3500c", "#57606b"


def write_figure(run_folder: str | Path) -> Path:
    """Draw certified accuracy and accuracy under attack against the radius, for a README or a paper.

    Args:
        run_folder: A run with a certificate.

    Returns:
        Path of `certified_accuracy.png` in the folder.

    Raises:
        UserError: If there is no certificate.
    """
    record = read_run(Path(run_folder))
    if record.certificate is None:
        raise UserError(f"{run_folder} has no certificate yet; write one with: onelip certify {run_folder}")
    path = record.folder.path / "certified_accuracy.png"
    with atomic_path(path) as temporary:
        _draw(record, temporary)
    return path


def _draw(record: RunRecord, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    certificate, attack = record.certificate, record.attack
    if certificate is None:
        raise ValueError("record.certificate=None cannot be drawn; read a run with a certificate")
    attacked = [] if attack is None else list(attack["radii"])
    limit = radius_limit(certificate.radii, attacked)
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    radii, shares = zip(*certified_curve(certificate.radii, limit), strict=True)
    axes.axhline(100 * certificate.accuracy, color=CLEAN, linestyle=(0, (5, 4)), linewidth=1.2, label="clean")
    if attack is not None:
        shown = [0.0, *attacked], [100 * share for share in (attack["clean_on_same"], *attack["accuracy"])]
        axes.step(*shown, where="post", color=ATTACK, marker="o", markersize=4.5, linewidth=1.6, label="under attack")
    word = "certified, proved" if certificate.bound.proved else "ESTIMATE, not proved"
    percent = [100 * share for share in shares]
    axes.step(radii, percent, where="post", color=PROVED, linewidth=2, label=word)
    axes.fill_between(radii, percent, step="post", color=PROVED, alpha=0.12, linewidth=0)
    axes.set(xlim=(0, limit), ylim=(0, 102), xlabel=f"{certificate.norm} radius", ylabel="accuracy (%)")
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, format="png", dpi=200)
