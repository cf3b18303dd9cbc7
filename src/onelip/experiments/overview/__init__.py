"""One page over many runs: a table that is sorted and filtered, and their curves on top of each other."""

from onelip.experiments.overview.page import write_overview

__all__ = ["write_overview"]
