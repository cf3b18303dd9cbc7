"""Retraction after each step, unless the optimiser averages its iterates."""

import pytest
import torch
from tests.tasks.toy import ToyBatches, toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.layers import ConstrainedModule
from onelip.linalg import EXACT_ONE
from onelip.tasks import Classification, Retract, schedule_free_adamw, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


class Rotation(ConstrainedModule):
    """A rotation that counts how often it was retracted, and notes the weight it was retracted with."""

    def __init__(self):
        super().__init__()
        self.angle = nn.Parameter(torch.zeros(()))
        self.angles_seen = []

    def forward(self, x):
        c, s = self.angle.cos(), self.angle.sin()
        return x @ torch.stack([torch.stack([c, -s]), torch.stack([s, c])])

    def lipschitz_bound(self, input_shape=None):
        return EXACT_ONE

    def to_plain(self):
        return nn.Identity()

    def retract_(self):
        self.angles_seen.append(self.angle.item())


@pytest.mark.parametrize(("optimizer", "n_calls"), [(sgd(), 8), (schedule_free_adamw(), 0)])
def test_every_step_is_followed_by_a_retraction_unless_iterates_are_averaged(optimizer, n_calls, tmp_path):
    model = Rotation()
    task = Classification(model, cross_entropy, optimizer=optimizer)
    toy_trainer(tmp_path, 2, Retract()).fit(task, ToyBatches(), ToyBatches())
    assert len(model.angles_seen) == n_calls
    if n_calls:
        assert len(set(model.angles_seen)) == n_calls, "it came before the step"
        assert model.angles_seen[-1] == model.angle.item()
