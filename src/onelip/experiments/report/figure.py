"""The pictures of a run for documents, as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onelip.experiments.errors import UserError
from onelip.experiments.report.evidence import Evidence
from onelip.experiments.report.record import RunRecord, read_run
from onelip.experiments.report.robust import robust_accuracies
from onelip.experiments.report.robustness import radii_of

FOLDER = "pictures"
FORMATS = ("png", "svg")


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
    robust_accuracies(record)[0].plot(path)
    return path


def write_pictures(record: RunRecord, evidence: Evidence | None) -> Path:
    """Draw everything that the page of a run shows of its robustness, as PNG and SVG.

    Args:
        record: What the run has recorded.
        evidence: What was measured of its network, or None.

    Returns:
        The folder `pictures` of the run. Files there of the same names are replaced.
    """
    folder = record.folder.path / FOLDER
    folder.mkdir(exist_ok=True)
    plots: dict[str, Callable[[Path], None]] = {
        f"accuracy-{known.norm}": known.plot for known in robust_accuracies(record)
    }
    if evidence is not None:
        plots |= _of_network(record, evidence)
    for name, plot in plots.items():
        for ending in FORMATS:
            plot(folder / f"{name}.{ending}")
    return folder


def _of_network(record: RunRecord, evidence: Evidence) -> dict[str, Callable[[Path], None]]:
    radii = radii_of(record)
    plots: dict[str, Callable[[Path], None]] = {
        "margins": lambda path: evidence.margins.plot(path, radii=radii, certified=evidence.radii),
        "gradients": lambda path: evidence.gradients.plot(path, classes=evidence.classes),
    }
    if evidence.depth is not None:
        plots |= {"depth": evidence.depth.plot, "activity": evidence.depth.plot_activity}
    pixels = evidence.gallery.pixels
    if pixels is not None:
        plots["adversarial"] = pixels.plot
    return plots
