"""Tables over many runs: of any factors, and those of the papers."""

from onelip.experiments.tables.command import list_templates, make_tables

__all__ = ["list_templates", "make_tables"]
