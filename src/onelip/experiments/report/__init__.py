"""What a run shows: a page that opens from disk, and a figure."""

from onelip.experiments.report.figure import write_figure
from onelip.experiments.report.page import write_report

__all__ = ["write_figure", "write_report"]
