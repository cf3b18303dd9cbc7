"""A pass is followed without a trace of it being left."""

import copy

import pytest
import torch
from tests.spectral.networks import Untraceable, randomise_
from torch import nn
from torch.nn import functional as F

from onelip.spectral.recording import record


def follow(model, shape):
    return record(model, shape, [m for m in model.modules() if not list(m.children())], lambda module: False)


class Noisy(nn.Module):
    """Draws random numbers in eval mode, too."""

    def __init__(self, fails=False):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(2, 2, 3), nn.BatchNorm2d(2))
        self.fails = fails

    def forward(self, x):
        y = self.inner(x + torch.randn_like(x))
        if self.fails:
            raise KeyError("a mistake of the network's own")
        return y


def snapshot(model):
    return {
        "state": copy.deepcopy(model.state_dict()),
        "modes": [m.training for m in model.modules()],
        "gradients": [p.grad.clone() for p in model.parameters()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
        "random": torch.get_rng_state(),
    }


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_behind_even_by_an_error(fails):
    model = randomise_(Noisy(fails))
    model.inner[1].eval()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    before = snapshot(model)
    if fails:
        with pytest.raises(KeyError, match="own"):
            follow(model, (2, 5, 5))
    else:
        assert len(follow(model, (2, 5, 5))) == 2
    after = snapshot(model)
    assert after["modes"] == before["modes"]
    assert after["hooks"] == before["hooks"] == [(0, 0)] * 4
    assert torch.equal(after["random"], before["random"])
    for kind in ("state", "gradients"):
        torch.testing.assert_close(after[kind], before[kind], rtol=0, atol=0)


def test_it_runs_inside_of_inference_mode_and_autocast_in_the_networks_precision():
    model = Untraceable()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        conv = follow(model, (2, 6, 6))[0]
    assert conv.output.dtype == torch.float32
    assert not conv.output.is_inference()
    assert follow(Untraceable().double(), (2, 6, 6))[0].output.dtype == torch.float64


class Flow(nn.Module):
    """A convolution whose output goes through `way` into a normalisation."""

    def __init__(self, way):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU(inplace=True)
        self.other = nn.Conv2d(2, 2, 1)
        self.way = way

    def forward(self, x):
        return self.way(self, self.conv(x))


def overwritten(m, y):
    y[:, 0] = 0
    return m.norm(y)


ALONE = {
    "alone": lambda m, y: m.norm(y),
    "asked for its shape": lambda m, y: m.norm(y).reshape(y.shape[0], y.size(1), -1) if y.dim() == 4 else y,
    "dropout and identity": lambda m, y: m.norm(nn.Identity()(F.dropout(y, training=m.training))),
}
SHARED = {
    "added": lambda m, y: m.norm(y) + y,
    "also another module": lambda m, y: m.other(y) + m.norm(y),
    "also a function": lambda m, y: m.norm(y) * y.mean(),
    "also an output": lambda m, y: {"all": [m.norm(y), y]},
    "in place": lambda m, y: m.norm(m.relu(y)),
    "in place by a function": lambda m, y: m.norm(F.relu_(y)),
    "overwritten": overwritten,
    "a view": lambda m, y: m.norm(y.flip(1)),
}


@pytest.mark.parametrize("way", ALONE.values(), ids=ALONE)
def test_an_output_with_one_taker_is_told(way):
    conv, norm = follow(Flow(way), (2, 3, 3))
    assert conv.takers == [norm]
    assert not conv.used


@pytest.mark.parametrize("way", SHARED.values(), ids=SHARED)
def test_an_output_with_another_use_is_told(way):
    model = Flow(way)
    conv = next(call for call in follow(model, (2, 3, 3)) if call.name == "conv")
    assert conv.used or [call.module for call in conv.takers] != [model.norm]


def test_calls_that_end_with_an_error_are_left_out():
    class Catching(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.good = nn.Linear(7, 7), nn.Linear(3, 3)

        def forward(self, x):
            try:
                return self.bad(x)
            except RuntimeError:
                return self.good(input=x)

    (call,) = follow(Catching(), (3,))
    assert call.name == "good"
    assert not call.extra
    assert call.source.shape == (1, 3)


def test_what_runs_inside_of_an_opaque_module_is_left_out():
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 3))
    calls = record(model, (3,), [model[0], model[0][0], model[1]], lambda module: module is model[0])
    assert [call.name for call in calls] == ["0", "1"]


def test_a_shape_that_does_not_fit_is_one_sentence():
    with pytest.raises(ValueError, match=r"^input_shape=\(5, 6, 6\) does not fit Untraceable: .*channels") as caught:
        follow(Untraceable(), (5, 6, 6))
    assert "\n" not in str(caught.value)


def test_parameters_without_a_shape_are_refused():
    model = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(ValueError, match=r"0\.weight of Sequential has no shape yet"):
        follow(model, (2,))
    assert isinstance(model[0], nn.LazyLinear)
