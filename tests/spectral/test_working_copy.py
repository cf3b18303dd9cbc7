import pytest
import torch
from tests.spectral.clipping import Sum, enlarged, values
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from onelip.spectral.working_copy import WorkingCopy


def test_it_works_apart_and_stores_what_it_changed():
    layer = nn.Linear(3, 2)
    kernel = layer.weight.detach().clone()
    work = WorkingCopy(layer, (3,))
    assert work.can_change
    assert work.module.weight.dtype == torch.float64
    assert work.scale_(0.5)
    assert torch.equal(layer.weight, kernel)
    assert not work.store()
    assert torch.equal(layer.weight, kernel / 2)
    assert work.change() == pytest.approx(0.5)
    assert work.norm() == pytest.approx(float(torch.linalg.matrix_norm(kernel, 2)) / 2, rel=1e-6)


def test_parametrised_weights_are_plain_in_the_copy():
    layer = weight_norm(nn.Linear(3, 2))
    work = WorkingCopy(layer, (3,))
    work.scale_(0.5)
    kernel = layer.weight.detach() / 2
    work.store()
    torch.testing.assert_close(layer.weight.detach(), kernel)


def test_a_branch_is_shrunk_as_far_as_needed():
    torch.manual_seed(0)
    module = Sum(enlarged(nn.Linear(4, 4), 3))
    work = WorkingCopy(module, (4,))
    assert not work.scale_(0.5)
    bound = 1 + 0.5 * (work.norm() - 1)
    assert work.shrink_(bound)
    work.store()
    assert 0.97 * bound <= values(module, (4,))[0] <= bound
    assert not work.shrink_(0.5)
