"""What each constrained layer costs beside the plain layer of its shape, and what it does to norms."""

from onelip.experiments.bench.command import bench_layers

__all__ = ["bench_layers"]
