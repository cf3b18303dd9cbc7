"""Single steps of a training: how gradients are made, and what stops them."""

import math

import numpy as np
import pytest
import torch
from tests.tasks.toy import ToyBatches, linear_model, toy_trainer
from torch import nn
from torch.nn.functional import cross_entropy

from onelip.certify import certify
from onelip.layers import AOCConv2d, AOLConv2d, AOLLinear, BCOPConv2d, MaxMin
from onelip.tasks import Classification, NonFiniteError, Retract, WeightAverage, cosine, sgd

# Raised by Lightning 2.6 itself on torch 2.13.
pytestmark = pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")


class Listed:
    """Batches from a list."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


def images(n: int = 16, size: int = 4):
    """Random images of two classes."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, size, size, generator=generator), torch.arange(n) % 2


def conv_model(layer=AOLConv2d) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(layer(3, 8, 3, padding=1), MaxMin(), nn.Flatten(), AOLLinear(128, 2))


def fit(folder, model, batches, *, trainer=None, epochs=1, loss=cross_entropy, optimizer=None, ema=None, **options):
    task = Classification(model, loss, optimizer=optimizer or sgd(lr=0.5, momentum=0.0), **options)
    callbacks = [Retract()] if ema is None else [Retract(), WeightAverage(ema)]
    toy_trainer(folder, epochs, *callbacks, **(trainer or {})).fit(task, Listed(batches), Listed(batches))
    return task


@pytest.mark.parametrize("clip", [None, 0.01])
def test_accumulated_gradients_are_those_of_all_their_samples(clip, tmp_path):
    x, y = ToyBatches(56).x, ToyBatches(56).y
    batches = list(zip(x.split(16), y.split(16), strict=True))
    assert [len(labels) for _, labels in batches] == [16, 16, 16, 8]
    options = {"accumulate": 3, "gradient_clip_val": clip}
    task = fit(tmp_path, linear_model(), batches, trainer=options, schedule=cosine())
    expected = linear_model()
    # Two steps, of 48 and of 8 samples.
    for rows, rate in ((slice(0, 48), 0.5), (slice(48, 56), 0.25)):
        loss = cross_entropy(expected(x[rows]), y[rows])
        gradients = torch.autograd.grad(loss, list(expected.parameters()))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        assert norm > 0.01
        scale = 1.0 if clip is None else clip / norm
        with torch.no_grad():
            for parameter, gradient in zip(expected.parameters(), gradients, strict=True):
                parameter -= rate * scale * gradient
    for found, wanted in zip(task.model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)
    assert task.trainer.global_step == 2


class Diverging(nn.Module):
    """A finite loss with a gradient that is not."""

    def forward(self, logits, labels):
        return cross_entropy(logits, labels) + (0.0 * logits.sum()).sqrt()


def test_a_gradient_that_is_not_finite_stops_before_the_step(tmp_path):
    model = linear_model()
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(NonFiniteError, match=r"the gradient of 0\.weight is not finite in epoch 0, batch 0"):
        fit(tmp_path, model, [(ToyBatches().x, ToyBatches().y)], loss=Diverging())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_parameter_that_overflows_in_the_last_step_stops_before_the_validation(tmp_path):
    x, y = ToyBatches().x, ToyBatches().y
    with pytest.raises(NonFiniteError, match=r"the parameter 0\.weight is not finite in epoch 0, batch 1"):
        fit(
            tmp_path,
            linear_model(),
            [(x, y), (1e30 * x, y)],
            optimizer=sgd(lr=1e36, momentum=0.0),
            loss=lambda z, labels: cross_entropy(z * 1e-30, labels),
        )


class Recording(nn.Module):
    """Note what a loss is told."""

    uses_constants = True

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.progress, self.told, self.constants = [], [], []

    def set_progress(self, progress):
        self.progress.append(progress)

    def forward(self, logits, labels, constants=None):
        self.told.append((self.training, logits.dtype, self.progress[-1]))
        self.constants.append(constants)
        self.mean += 1.0
        return cross_entropy(logits, labels)


def test_a_loss_is_told_progress_and_constants_and_is_part_of_the_checkpoint(tmp_path, monkeypatch):
    made = []

    def constants(model, n_classes):
        assert n_classes == 2
        made.append(sum(p.sum() for p in model.parameters()) * torch.ones(2, 2))
        return made[-1]

    monkeypatch.setattr("onelip.tasks.classification.training_constants", constants)
    x, y = ToyBatches().x, ToyBatches().y
    loss = Recording()
    trainer = {"accumulate": 2, "precision": "bf16-mixed"}
    task = fit(tmp_path, linear_model(), list(zip(x.split(16), y.split(16), strict=True)), loss=loss, trainer=trainer)
    assert [(t, p) for t, _, p in loss.told] == [(True, 0), (True, 0), (True, 0.5), (True, 0.5), *[(False, 1.0)] * 4]
    assert {dtype for _, dtype, _ in loss.told} == {torch.float32}
    # In validation they are proved of the same weights, so once.
    assert len(made) == 5
    assert all(told is given for told, given in zip(loss.constants, made[:4] + made[4:] * 4, strict=True))
    assert task.state_dict()["loss.mean"] == 8.0


@pytest.mark.parametrize("layer", [AOLConv2d, BCOPConv2d, AOCConv2d])
def test_weights_are_built_alike_under_autocast(layer):
    torch.manual_seed(0)
    module = layer(8, 8, 3, padding=1)
    x = torch.randn(2, 8, 6, 6)
    expected = module.weight.detach().clone()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module.weight, expected)
        assert module.weight.dtype == torch.float32
        low = module(x)
    # The convolution itself is of lower precision.
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), module(x), atol=0.05, rtol=0.05)


def test_a_training_in_bfloat16_keeps_its_weights_in_float32(tmp_path):
    batches = [images(), images()]
    wide, low = conv_model(), conv_model()
    fit(tmp_path, wide, batches)
    seen = []
    low[0].register_forward_hook(lambda module, args, out: seen.append((module.training, out.dtype)))
    fit(tmp_path, low, batches, trainer={"precision": "bf16-mixed"}, radius=None)
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    for a, b in zip(wide.parameters(), low.parameters(), strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b, atol=0.02, rtol=0.02)
    assert any(not torch.equal(a, b) for a, b in zip(wide.parameters(), low.parameters(), strict=True))


def test_images_may_lie_with_their_channels_last(tmp_path):
    seen, models = [], [conv_model(), conv_model()]
    models[1][0].register_forward_pre_hook(lambda m, args: seen.append(args[0].is_contiguous() or not m.training))
    fit(tmp_path, models[0], [images()])
    fit(tmp_path, models[1], [images()], channels_last=True, radius=None)
    assert seen == [False, True]
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_the_average_over_mirror_images_is_validated_and_not_trained(tmp_path):
    x, y = images()
    plain, averaged = conv_model(), conv_model()
    fit(tmp_path, plain, [(x, y)])
    task = fit(tmp_path, averaged, [(x, y)], mirror_average=True, radius=0.01)
    for a, b in zip(plain.parameters(), averaged.parameters(), strict=True):
        assert torch.equal(a, b)
    with torch.no_grad():
        logits = (averaged.eval()(x) + averaged(x.flip(3))) / 2
        others = averaged(x)
    assert task.metrics["val_loss"] == pytest.approx(float(cross_entropy(logits, y)), rel=1e-5)
    assert task.metrics["val_loss"] != pytest.approx(float(cross_entropy(others, y)), rel=1e-5)
    assert 0 < task.metrics["val_certified_accuracy"] <= task.metrics["val_accuracy"]


@pytest.mark.slow
def test_a_compiled_training_takes_the_same_steps_and_its_average_is_certified(tmp_path):
    x, y = images()
    batches = [(x, y), (x.flip(0), y.flip(0))]
    tasks = [fit(tmp_path, conv_model(), batches, epochs=3, ema=0.5, radius=0.01, compile=c) for c in (False, True)]
    for a, b in zip(*(task.model.parameters() for task in tasks), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert tasks[0].metrics.keys() == tasks[1].metrics.keys()
    for name, value in tasks[0].metrics.items():
        assert tasks[1].metrics[name] == pytest.approx(value, abs=1e-5), name
    assert tasks[1].metrics["val_certified_accuracy"] > 0
    radii = [certify(task.model, x, y).radii for task in tasks]
    assert radii[0].max() > 0
    np.testing.assert_allclose(*radii, atol=1e-4)
