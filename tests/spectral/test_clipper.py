"""FastClip during training: the bound holds, nothing else is touched, a resumed training is the same."""

import copy
import io

import pytest
import torch
from tests.spectral.dense_values import dense_values
from torch import nn
from torch.nn.functional import cross_entropy

import onelip
from onelip.spectral import SpectralClipper, training_method

SHAPE = (2, 6, 6)


class Net(nn.Module):
    """Two convolutions, one with a batch normalisation, a residual branch, and a head."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4 * 9, 3)

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        x = x + self.second(x)
        return self.head(nn.functional.max_pool2d(x, 2).flatten(1))


PARTS = {"first": SHAPE, "second": (4, 6, 6), "head": (36,)}


def made(seed=0):
    torch.manual_seed(seed)
    model = Net()
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def batch(step):
    generator = torch.Generator().manual_seed(step)
    return torch.randn(8, *SHAPE, generator=generator), torch.randint(0, 3, (8,), generator=generator)


def train(model, optimizer, clipper, steps, scaler=None, autocast=False):
    for step in steps:
        x, y = batch(step)
        optimizer.zero_grad()
        with torch.autocast("cpu", enabled=autocast):
            loss = cross_entropy(model(x), y)
        if scaler is None:
            loss.backward()
            optimizer.step()
        else:
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        clipper.step()


def norms(model):
    return {name: float(dense_values(getattr(model, name), shape)[0]) for name, shape in PARTS.items()}


@pytest.mark.parametrize("autocast", [False, True])
def test_every_event_leaves_every_part_at_the_bound(autocast):
    model, optimizer = made()
    clipper = SpectralClipper(model, 1.0, SHAPE, period=2)
    assert [part.name for part in clipper.parts] == list(PARTS)
    scaler = torch.amp.GradScaler("cpu") if autocast else None
    exceeded = 0
    for event in range(3):
        train(model, optimizer, clipper, [2 * event], scaler, autocast)
        exceeded += max(norms(model).values()) > 1.02
        train(model, optimizer, clipper, [2 * event + 1], scaler, autocast)
        assert max(norms(model).values()) <= 1.02
        assert clipper.norms() == pytest.approx(norms(model), rel=5e-3)
    assert exceeded, "training never left the bound, so the test shows nothing"


def test_period_and_delay_say_when():
    model, _ = made()
    clipper = SpectralClipper(model, 1.0, SHAPE, period=2, delay=4)
    assert [clipper.step() is not None for _ in range(8)] == [False] * 5 + [True, False, True]


def test_a_step_touches_the_weights_alone():
    model, optimizer = made()
    clipper = SpectralClipper(model, 0.3, SHAPE, period=1)
    clipper.step()
    train(model, optimizer, SpectralClipper(model, 1.0, SHAPE, period=10**6), range(2))
    model.norm.eval()
    kept = copy.deepcopy(model.state_dict())
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    momenta = copy.deepcopy(optimizer.state_dict())
    identities = {name: (id(p), p.data_ptr(), p.requires_grad) for name, p in model.named_parameters()}
    state, modes = torch.get_rng_state(), [m.training for m in model.modules()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]

    assert clipper.step() is not None
    clipper.norms()

    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in model.modules()] == modes
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()] == hooks
    assert {n: (id(p), p.data_ptr(), p.requires_grad) for n, p in model.named_parameters()} == identities
    assert all(torch.equal(p.grad, gradients[name]) for name, p in model.named_parameters())
    assert list(kept) == list(model.state_dict())
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, kept[name])]
    assert changed == ["first.weight", "second.weight", "head.weight"]
    for old, new in zip(momenta["state"].values(), optimizer.state_dict()["state"].values(), strict=True):
        assert torch.equal(old["momentum_buffer"], new["momentum_buffer"])


@pytest.mark.parametrize("event", ["fastclip", "published"])
def test_an_interrupted_training_goes_on_to_the_same_bits(event):
    options = {"period": 2, "batch_norm": "clip", "event": event}
    model, optimizer = made()
    train(model, optimizer, SpectralClipper(model, 1.0, SHAPE, **options), range(6))

    half, half_optimizer = made()
    clipper = SpectralClipper(half, 1.0, SHAPE, **options)
    train(half, half_optimizer, clipper, range(3))
    file = io.BytesIO()
    torch.save([half.state_dict(), half_optimizer.state_dict(), clipper.state_dict()], file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)

    resumed, resumed_optimizer = made(seed=1)
    clipper = SpectralClipper(resumed, 1.0, SHAPE, **options)
    for target, state in zip((resumed, resumed_optimizer, clipper), saved, strict=True):
        target.load_state_dict(state)
    train(resumed, resumed_optimizer, clipper, range(3, 6))
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_batch_normalisations_are_kept_clamped_or_bounded_with_their_layer():
    for mode, names in (
        ("keep", ["first", "second", "head"]),
        ("clip", ["first", "norm", "second", "head"]),
        ("joint", ["first + norm", "second", "head"]),
    ):
        model, _ = made()
        with torch.no_grad():
            model.norm.weight.copy_(torch.tensor([4.0, 3.0, 0.5, 0.1]))
        clipper = SpectralClipper(model, 1.0, SHAPE, period=1, batch_norm=mode)
        assert list(clipper.step()) == names
        alone = dense_values(model.norm, (4, 6, 6))[0]
        both = dense_values(nn.Sequential(model.first, model.norm), SHAPE)[0]
        assert (alone <= 1.001) == (mode == "clip")
        assert (both <= 1.02) == (mode != "keep")


def test_batch_normalisations_can_be_clamped_between_events():
    model, _ = made()
    clipper = SpectralClipper(model, 1.0, SHAPE, period=4, batch_norm="clip", batch_norm_period=3)
    norms = []
    for _ in range(4):
        with torch.no_grad():
            model.norm.weight.fill_(2.0)
        clipper.step()
        norms.append(float(dense_values(model.norm, (4, 6, 6))[0]))
    assert norms == pytest.approx([2.0, 2.0, 1.0, 1.0], rel=1e-4)


def test_frozen_parts_are_named_and_left_alone():
    model, _ = made()
    model.second.weight.requires_grad_(False)
    kept = model.second.weight.clone()
    clipper = SpectralClipper(model, 0.1, SHAPE, period=1)
    assert clipper.skipped == ("second",)
    assert list(clipper.step()) == ["first", "head"]
    assert torch.equal(model.second.weight, kept)
    model.second.weight.requires_grad_(True)
    assert list(clipper.step()) == ["first", "second", "head"], "a part that can be clipped now was overlooked"


def test_a_replaced_module_is_found():
    model, _ = made()
    clipper = SpectralClipper(model, 0.5, SHAPE, period=1)
    clipper.step()
    model.second = nn.Conv2d(4, 4, 5, padding=2)
    clipper.step()
    assert dense_values(model.second, (4, 6, 6))[0] <= 0.51


def test_a_layer_used_at_two_sizes_obeys_at_both():
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 2, 3, padding=1)
    with torch.no_grad():
        conv.weight.mul_(4)
    model = nn.Sequential(conv, nn.MaxPool2d(2), conv)
    found = SpectralClipper(model, 1.0, (2, 8, 8), period=1).step()
    assert list(found) == ["0", "0 at 2x4x4"]
    assert dense_values(conv, (2, 8, 8))[0] <= 1.02
    assert dense_values(conv, (2, 4, 4))[0] <= 1.02


def test_wrapped_models_and_other_image_sizes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    compiled = torch.compile(model, backend="eager")
    clipper = SpectralClipper(compiled, 0.2, SHAPE, period=1)
    for size in (6, 9):
        compiled(torch.randn(2, 2, size, size)).sum().backward()
        assert list(clipper.step()) == ["0", "3"]
    assert dense_values(model[0], SHAPE)[0] <= 0.204


def test_a_second_clip_without_a_step_does_nothing():
    model, _ = made()
    clipper = SpectralClipper(model, 0.5, SHAPE)
    assert clipper.step() is None
    first = clipper.clip()
    kept = copy.deepcopy(model.state_dict())
    assert clipper.clip() == first
    assert all(torch.equal(kept[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"max_norm": 0.0}, r"max_norm=0\.0 in SpectralClipper"),
        ({"period": 0}, "period=0 in SpectralClipper"),
        ({"delay": -1}, "delay=-1 in SpectralClipper"),
        ({"batch_norm_period": 0}, "batch_norm_period=0 in SpectralClipper"),
        ({"batch_norm_period": 2}, "batch_norm_period=2 goes with batch_norm='clip', not 'keep'"),
        ({"rank": 0}, "rank=0 in SpectralClipper"),
        ({"tol": 1.0}, r"tol=1\.0 in SpectralClipper"),
        ({"batch_norm": "wBN"}, "batch_norm='wBN' in SpectralClipper must be one of 'keep', 'clip', 'joint'"),
        ({"event": "gouk"}, "event='gouk' in SpectralClipper must be one of 'fastclip', 'published'"),
        ({"input_shape": (3, 6, 6)}, "does not fit Net"),
    ],
)
def test_wrong_arguments_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        SpectralClipper(Net(), **{"input_shape": SHAPE, **options})


def test_the_state_of_another_network_is_refused():
    clipper = SpectralClipper(made()[0], 1.0, SHAPE)
    clipper.clip()
    other = SpectralClipper(nn.Sequential(nn.Linear(3, 3)), 1.0, (3,))
    with pytest.raises(ValueError, match="the state has vectors of 'first'"):
        other.load_state_dict(clipper.state_dict())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_training_that_diverged_is_told_and_nothing_is_changed(bad):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    with torch.no_grad():
        model[0].weight.mul_(10)
        model[1].weight[0, 0, 0, 0] = bad
    kept = model[0].weight.detach().clone()
    with pytest.raises(ValueError, match="'1' has NaN or infinite weights"):
        SpectralClipper(model, 1.0, (3, 9, 9), period=1).step()
    assert torch.equal(model[0].weight, kept)


def test_it_is_a_training_method_by_name():
    model, _ = made()
    method = training_method("fastclip", model, SHAPE, 0.5, batch_norm="joint", period=2)
    assert isinstance(method, SpectralClipper)
    assert method.penalty() is None
    assert [method.step() is None for _ in range(2)] == [True, False]
    assert dense_values(nn.Sequential(model.first, model.norm), SHAPE)[0] <= 0.51


def test_it_is_public():
    assert onelip.SpectralClipper is SpectralClipper
