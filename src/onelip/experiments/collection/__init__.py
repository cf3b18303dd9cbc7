"""Many runs at once: what was varied, what came of it, and why one has no result."""

from onelip.experiments.collection.rows import RunRow, collect, curve

__all__ = ["RunRow", "collect", "curve"]
