"""Networks that grow: what is left out, when it joins, and that the function stays the same."""

import copy

import lightning.pytorch as pl
import pytest
import torch
from tests.tasks.toy import ToyBatches, linear_model, toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip import models
from onelip.layers import Abs, AOCConv2d, BetaAbs, HouseHolder, MaxMin
from onelip.tasks import Classification, Growth, adam, manifold_adam
from onelip.tasks.growth import check_growth, identity_runs

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


class Pictures(ToyBatches):
    """The toy points as pictures of one channel, four batches an epoch."""

    def __iter__(self):
        for x, y in super().__iter__():
            yield x[:, :1, None, None].repeat(1, 1, 4, 4) + 0.1 * x[:, 1:, None, None], y


def pyramid(depths=(3, 2), **options):
    torch.manual_seed(0)
    return models.build(
        "pyramid", input_shape=(1, 4, 4), n_classes=2, layer="aoc", patch=1, widths=[8] * len(depths),
        depths=list(depths), dense=[4], **options,
    )  # fmt: skip


class Calls(pl.Callback):
    """The names of the convolutions that each training step evaluates."""

    def __init__(self, model: nn.Module):
        self.now: list[str] = []
        self.of_steps: list[set[str]] = []
        for name, module in model.named_modules():
            if isinstance(module, AOCConv2d):
                module.register_forward_hook(self._hook(name.rpartition(".")[2], module))

    def _hook(self, name, module):
        def note(*_):
            if "forward" not in vars(module):
                self.now.append(name)

        return note

    def on_train_batch_start(self, *_):
        self.now.clear()

    def on_train_batch_end(self, *_):
        self.of_steps.append({name for name in self.now if name.startswith("conv")})


def fit(folder, model, growth, *, epochs=2, optimizer=None, resume=None, **options):
    calls = Calls(model)
    task = Classification(model, cross_entropy, optimizer=optimizer or adam(lr=1e-2), radius=None)
    trainer = toy_trainer(folder, epochs, growth, calls, **options)
    trainer.fit(task, Pictures(), Pictures(), ckpt_path=resume)
    return trainer, calls


ALL = {"conv1_1", "conv1_2", "conv1_3", "conv2_1", "conv2_2"}


def test_layers_join_at_their_part_of_the_training(tmp_path):
    _, calls = fit(tmp_path, pyramid(), Growth([0.25, 0.5]))
    first = {"conv1_1", "conv2_1"}
    assert calls.of_steps == [first] * 2 + [first | {"conv1_2"}] * 2 + [ALL] * 4


@pytest.mark.parametrize(
    ("depth", "expected"), [(2, {2: 0.6}), (3, {2: 0.2, 3: 0.6}), (5, {2: 0.2, 3: 0.2, 4: 0.6, 5: 0.6})]
)
def test_layers_of_a_run_are_spread_over_the_parts(depth, expected, tmp_path):
    _, calls = fit(tmp_path, pyramid([depth]), Growth([0.2, 0.6]), epochs=5)
    first = {f"conv1_{j}": next(i for i, names in enumerate(calls.of_steps) if f"conv1_{j}" in names) for j in expected}
    assert first == {f"conv1_{j}": 20 * part for j, part in expected.items()}


@pytest.mark.parametrize("activation", ["beta-abs", "maxmin", "abs"])
@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_the_function_stays_the_same(activation, padding_mode, tmp_path):
    model = pyramid(activation=activation, padding_mode=padding_mode)
    x = torch.rand(16, 1, 4, 4)

    class Compare(Growth):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if self._waiting:
                before = model(x)
                whole = copy.copy(self._waiting)
                self._let_join(1.0)
                with torch.no_grad():
                    self.changes.append(float((model(x) - before).abs().max()))
                self._leave_out(whole)

        def _leave_out(self, layers):
            self._waiting = layers
            for _, layer in layers:
                for module in layer[1:]:
                    module.__dict__["forward"] = lambda images: images

    growth = Compare([0.25, 0.75])
    growth.changes = []
    fit(tmp_path, model, growth)
    assert len(growth.changes) == 6
    assert max(growth.changes) < 1e-5


@pytest.mark.parametrize("optimizer", [adam(lr=1e-2), manifold_adam(lr=1e-2)])
def test_layers_learn_once_they_have_joined(optimizer, tmp_path):
    model = pyramid([3])
    before = copy.deepcopy(model)
    weights = {}

    class Look(pl.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            weights[trainer.current_epoch] = [getattr(model, f"conv1_{j}").weight.detach() for j in (1, 2, 3)]

    task = Classification(model, cross_entropy, optimizer=optimizer, radius=None)
    toy_trainer(tmp_path, 3, Growth([1 / 3, 2 / 3]), Look()).fit(task, Pictures(), Pictures())
    fresh = [getattr(before, f"conv1_{j}").weight.detach() for j in (1, 2, 3)]
    moved = [[not torch.allclose(a, b, atol=1e-5) for a, b in zip(weights[e], fresh, strict=True)] for e in range(3)]
    assert moved == [[True, False, False], [True, True, False], [True, True, True]]


def test_a_resumed_training_grows_on(tmp_path):
    model = pyramid()
    trainer, _ = fit(tmp_path, model, Growth([0.25, 0.7]), epochs=5, max_steps=8)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    _, calls = fit(tmp_path, pyramid(), Growth([0.25, 0.7]), epochs=5, resume=tmp_path / "half.ckpt")
    first = {"conv1_1", "conv2_1"}
    assert calls.of_steps == [first | {"conv1_2"}] * 6 + [ALL] * 6


def test_a_compiled_network_grows_too(tmp_path):
    model = pyramid([2])
    task = Classification(model, cross_entropy, optimizer=adam(lr=1e-2), radius=None)
    # As `compile=True` does, but without a compiler of C++.
    task.__dict__["_train_forward"] = torch.compile(model, backend="eager")
    before = model.conv1_2.weight.detach().clone()
    toy_trainer(tmp_path, 2, Growth([0.5])).fit(task, Pictures(), Pictures())
    assert not torch.allclose(model.conv1_2.weight, before, atol=1e-4)


def test_all_layers_take_part_after_a_training_and_after_an_error(tmp_path):
    class Stop(pl.Callback):
        def on_train_batch_end(self, *_):
            raise RuntimeError("enough")

    model = pyramid()
    task = Classification(model, cross_entropy, optimizer=adam(lr=1e-2), radius=None)
    trainer = toy_trainer(tmp_path, 2, Growth([0.5]), Stop())
    with pytest.raises(RuntimeError, match="enough"):
        trainer.fit(task, Pictures(), Pictures())
    assert not any("forward" in vars(module) for module in model.modules())
    fit(tmp_path, model := pyramid(), Growth([0.9]), epochs=1)
    assert not any("forward" in vars(module) for module in model.modules())


def test_runs_are_of_one_stage():
    runs = identity_runs(pyramid())
    assert [len(run) for run in runs] == [3, 2]
    assert all(isinstance(act, BetaAbs) for run in runs for act in (run[0][0], run[0][2]))


def conv(**options):
    return AOCConv2d(4, 4, 3, padding=1, start="identity", **options)


def grown(before, after):
    return nn.Sequential(before, conv(bias=False), before, conv(bias=False), after)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (linear_model(), "growth needs a network with convolutions that begin at the identity"),
        (nn.Sequential(Abs(), conv(), Abs()), "this one has none"),
        (nn.Sequential(MaxMin(), conv(), MaxMin(), AOCConv2d(4, 4, 3, padding=1), MaxMin()), "this one has none"),
        (nn.Sequential(Abs(), conv(), Abs(), conv(bias=True), Abs()), "AOCConv2d and Abs behind Abs change values"),
        (grown(BetaAbs.for_channels(4), Abs()), "AOCConv2d and Abs behind BetaAbs change values"),
        (grown(HouseHolder(4), HouseHolder(4)), "AOCConv2d and HouseHolder behind HouseHolder change values"),
    ],
)
def test_networks_that_cannot_grow_are_refused(model, sentence):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.fill_(0.3)
    with pytest.raises(ValueError, match=sentence):
        check_growth(model)


@pytest.mark.parametrize("joins", [[], [0.0], [0.5, 0.5], [0.6, 0.3], [1.0], [float("nan")]])
def test_the_parts_must_ascend(joins):
    with pytest.raises(ValueError, match="in Growth must be ascending parts of the training"):
        Growth(joins)
