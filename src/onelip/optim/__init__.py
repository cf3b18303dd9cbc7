"""Optimisers of certified training that torch lacks. They import torch alone and work without a trainer."""

from onelip.optim.aggmo import AggMo
from onelip.optim.lookahead import Lookahead
from onelip.optim.manifold_adam import ManifoldAdam
from onelip.optim.muon import Muon

__all__ = ["AggMo", "Lookahead", "ManifoldAdam", "Muon"]
