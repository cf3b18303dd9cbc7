"""When weights are projected: after steps, before epochs, and always after the last step."""

import lightning.pytorch as pl
import pytest
import torch
from tests.tasks.toy import ToyBatches, toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.layers import ParsevalLinear, SVCMConv2d
from onelip.linalg import conv_singular_values
from onelip.tasks import (
    OPTIMIZERS,
    Classification,
    OwnProjections,
    Projection,
    WeightAverage,
    adam,
    schedule_free_adamw,
    sgd,
)

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 2))


class Norms(pl.Callback):
    """Note, after each batch and at each validation, how far the weights are from orthogonal ones."""

    def __init__(self):
        self.after_batch, self.starts, self.validated = [], [], []

    @staticmethod
    def far(model):
        layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
        return max(float((torch.linalg.svdvals(m.weight.detach()) - 1).abs().max()) for m in layers) > 1e-4

    def on_train_epoch_start(self, trainer, pl_module):
        self.starts.append(self.far(pl_module))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.after_batch.append(self.far(pl_module))

    def on_validation_start(self, trainer, pl_module):
        self.validated.append(self.far(pl_module))


def fit(folder, projection, *callbacks, epochs=2, optimizer=None, accumulate=1, model=None, **options):
    model = model or network()
    task = Classification(model, cross_entropy, optimizer=optimizer or sgd(lr=0.5), radius=None)
    norms = Norms()
    trainer = toy_trainer(folder, epochs, projection, norms, *callbacks, accumulate=accumulate, **options)
    trainer.fit(task, ToyBatches(), ToyBatches())
    return model, norms, trainer


FAR, NEAR = True, False


def test_after_each_step(tmp_path):
    model, norms, _ = fit(tmp_path, Projection("l2"))
    assert norms.starts == [FAR, NEAR]
    assert norms.after_batch == [NEAR] * 8
    assert not torch.equal(model[1].weight, torch.ones(4)) or not torch.equal(model[1].bias, torch.zeros(4))


def test_after_every_third_step_and_the_last_one(tmp_path):
    _, norms, _ = fit(tmp_path, Projection("l2", n=3))
    assert norms.after_batch == [FAR, FAR, NEAR, FAR, FAR, NEAR, FAR, NEAR]
    assert norms.validated == [FAR, NEAR]


def test_steps_are_counted_not_batches(tmp_path):
    _, norms, _ = fit(tmp_path, Projection("l2", n=2), epochs=3, accumulate=2)
    # Nothing changes in the first batch of a pair.
    assert norms.after_batch == [FAR, FAR, FAR, NEAR, NEAR, FAR, FAR, NEAR, NEAR, FAR, FAR, NEAR]


def test_at_the_begin_of_every_second_epoch_and_after_the_last_step(tmp_path):
    _, norms, _ = fit(tmp_path, Projection("l2", every="epoch", n=2), epochs=4)
    assert norms.starts == [FAR, FAR, NEAR, FAR]
    assert norms.validated == [FAR, FAR, FAR, NEAR]
    assert norms.after_batch == [FAR] * 15 + [NEAR]


class Stop(pl.Callback):
    """Ends a training after its fifth batch, listed behind what projects."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 5:
            trainer.should_stop = True


def test_a_training_that_is_stopped_ends_projected(tmp_path):
    _, norms, trainer = fit(tmp_path, Projection("l2", every="epoch"), Stop(), epochs=9)
    assert trainer.global_step == 5
    assert norms.validated[-1] is NEAR


def test_a_training_of_so_many_steps_ends_projected(tmp_path):
    model, _, trainer = fit(tmp_path, Projection("l2", every="epoch"), epochs=9, max_steps=6)
    assert trainer.global_step == 6
    assert not Norms.far(model)


def test_an_average_of_weights_in_the_ball_is_in_the_ball(tmp_path):
    model, _, _ = fit(tmp_path, Projection("l-infinity"), WeightAverage(0.5))
    for layer in (model[0], model[3]):
        assert float(layer.weight.detach().abs().sum(1).max()) <= 1 + 1e-6


@pytest.mark.parametrize("reset", [True, False])
def test_the_optimizer_may_forget_what_was_projected(reset, tmp_path):
    projection = Projection("l2", every="epoch", reset_optimizer=reset)
    model, _, trainer = fit(tmp_path, projection, optimizer=adam(lr=0.1), epochs=2)
    state = trainer.optimizers[0].state
    assert (model[0].weight in state) is not reset
    assert model[1].weight in state


@pytest.mark.parametrize("name", sorted(set(OPTIMIZERS) - {"schedule-free-adamw"}))
def test_every_optimizer_can_begin_anew(name, tmp_path):
    projection = Projection("l2-ball", n=3, reset_optimizer=True)
    model, _, _ = fit(tmp_path, projection, optimizer=OPTIMIZERS[name](lr=0.01))
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def test_a_network_without_such_layers_is_refused(tmp_path):
    bare = nn.Sequential(ParsevalLinear(2, 2))
    with pytest.raises(ValueError, match=r"projection\.kind=l2 projects ordinary layers"):
        fit(tmp_path, Projection("l2"), model=bare)
    with pytest.raises(ValueError, match=r"projection\.kind=svcm projects layers of layer='svcm'"):
        fit(tmp_path, Projection("svcm"))


def test_a_schedule_free_optimizer_is_refused(tmp_path):
    with pytest.raises(ValueError, match="do not reach the averages"):
        fit(tmp_path, Projection("l2"), optimizer=schedule_free_adamw())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "l2", "every": "batch"}, "every='batch'"),
        ({"kind": "l2", "n": 0}, "n=0 in Projection"),
        ({"kind": "l-infinity", "beta": 0.1}, r"beta=0\.1 in Projection has no effect"),
        ({"kind": "svcm", "beta": 0.1}, r"beta=0\.1 in Projection has no effect"),
        ({"kind": "svcm", "max_norm": 2.0}, r"max_norm=2\.0 in Projection must be 1"),
        ({"kind": "svcm", "iterations": 0}, "iterations=0 in Projection"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Projection(**arguments)


class Images:
    """Four batches of images of two classes."""

    def __len__(self):
        return 4

    def __iter__(self):
        x = torch.rand(16, 2, 4, 4, generator=torch.Generator().manual_seed(0))
        return iter((part, torch.arange(4) % 2) for part in x.split(4))


def svcm_network():
    torch.manual_seed(0)
    return nn.Sequential(SVCMConv2d(2, 3, 3, padding=1), nn.Flatten(), ParsevalLinear(48, 2))


def steps_with_calls(folder, monkeypatch, callback, optimizer=None, epochs=2):
    """At which steps the layers project themselves."""
    model, calls = svcm_network(), {"svcm": [], "parseval": []}
    trainer = toy_trainer(folder, epochs, callback)
    for name, layer in (("svcm", model[0]), ("parseval", model[2])):

        def noted(name=name, original=layer.project_, **options):
            calls[name].append((trainer.global_step, *options.values()))
            return original(**options)

        layer.__dict__["project_"] = noted
    task = Classification(model, cross_entropy, optimizer=optimizer or sgd(lr=0.5), radius=None)
    trainer.fit(task, Images(), Images())
    return calls, model


def test_layers_project_themselves_as_often_as_they_say_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(SVCMConv2d, "projection_period", 3)
    calls, model = steps_with_calls(tmp_path, monkeypatch, OwnProjections())
    assert calls["svcm"] == [(3,), (6,), (8,)]
    assert calls["parseval"] == [(step,) for step in range(1, 9)]
    assert float(conv_singular_values(model[0].raw_weight.detach().double(), (16, 16)).max()) <= 1.02


def test_their_periods_are_those_published():
    assert SVCMConv2d.projection_period == 100
    assert ParsevalLinear.projection_period == 1


def test_averaged_iterates_are_left_alone(tmp_path, monkeypatch):
    calls, _ = steps_with_calls(tmp_path, monkeypatch, OwnProjections(), schedule_free_adamw())
    assert calls == {"svcm": [], "parseval": []}


def test_a_projection_of_svcm_has_its_own_times_and_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(SVCMConv2d, "projection_period", 1)
    calls, _ = steps_with_calls(tmp_path, monkeypatch, Projection("svcm", n=5, iterations=7))
    assert calls == {"svcm": [(5, 7), (8, 7)], "parseval": []}
    calls, _ = steps_with_calls(tmp_path, monkeypatch, OwnProjections(except_svcm=True))
    assert calls["svcm"] == []
    assert len(calls["parseval"]) == 8
