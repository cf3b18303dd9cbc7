"""The variance of images through a network, against moments by hand."""

import pytest
import torch
from torch import nn

import onelip
from onelip.layers import BjorckLinear, MaxMin
from onelip.pictures import depth_profile
from onelip.pictures.depth import THRESHOLDS


@pytest.fixture
def images():
    return torch.rand(50, 1, 3, 4, generator=torch.Generator().manual_seed(0))


class Residual(nn.Module):
    """x + f(x), and the activation twice."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(12, 12), nn.Identity())
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(x + self.act(self.inner(x)))


@pytest.mark.parametrize("batch_size", [7, 50])
def test_moments_and_shares_are_those_of_the_whole_batch(images, batch_size):
    torch.manual_seed(1)
    images = images.double()
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    with torch.no_grad():
        model[1].bias.copy_(torch.tensor([-9.0, 9.0, 0.0, 0.0, 0.1, -0.1]))
    profile = depth_profile(model, images, batch_size=batch_size)
    assert [part.name for part in profile.parts] == ["0", "1", "2", "3"]
    assert [part.activation for part in profile.parts] == [False, False, True, False]
    total = images.double().var(0, correction=0).sum()
    assert profile.input_variance == pytest.approx(float(total) / 12)
    for k, part in enumerate(profile.parts):
        outputs = model[: k + 1](images).detach().double().flatten(1)
        variances = outputs.var(0, correction=0)
        assert part.variance == pytest.approx(float(variances.mean()), rel=1e-9)
        assert part.ratio == pytest.approx(float(variances.sum() / total), rel=1e-9)
        positive = (outputs > 0).double().mean(0)
        assert part.dead == pytest.approx(float((positive == 0).double().mean()))
        for t, share in zip(THRESHOLDS, part.active, strict=True):
            assert share == pytest.approx(float((positive >= t - 1e-12).double().mean()))
        assert part.constant == pytest.approx(float((outputs == outputs[0]).all(0).double().mean()))
        assert part.shape == tuple(model[: k + 1](images).shape[1:])
    assert profile.parts[2].dead >= 1 / 6
    assert profile.parts[2].constant >= 1 / 6


def test_variance_grows_at_most_by_the_square_of_the_constant(images):
    torch.manual_seed(2)
    model = nn.Sequential(
        nn.Flatten(), BjorckLinear(12, 32), MaxMin(), BjorckLinear(32, 32), MaxMin(), nn.Linear(32, 5)
    )
    bound = onelip.lipschitz_bound(model, (1, 3, 4))
    squares = {layer.name: layer.cumulative.value**2 for layer in bound.layers}
    parts = depth_profile(model, images).parts
    assert [part.name for part in parts] == list(squares)
    assert all(part.ratio <= squares[part.name] * (1 + 1e-5) for part in parts)
    # An orthogonal map that widens keeps it.
    assert parts[1].ratio == pytest.approx(1, rel=1e-5)


def test_blocks_second_calls_and_what_only_passes_on(images):
    parts = depth_profile(nn.Sequential(nn.Flatten(), Residual(), nn.Dropout()), images).parts
    assert [part.name for part in parts] == ["0", "1.inner.0", "1.act", "1.act (2)"]


def test_a_container_that_does_something_of_its_own_is_a_part(images):
    class Doubled(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    plain, doubled = depth_profile(Doubled(nn.Flatten()), images).parts
    assert (plain.name, doubled.name) == ("0", "Doubled")
    assert doubled.ratio == pytest.approx(4 * plain.ratio)


def test_a_signal_that_vanishes_is_flagged(images):
    model = nn.Sequential(nn.Flatten(), *(nn.Linear(12, 12) for _ in range(3)))
    with torch.no_grad():
        for layer in model[1:]:
            layer.weight.copy_(0.2 * torch.eye(12))
    profile = depth_profile(model, images)
    # 0.04, 0.0016, ... of the variance is left.
    assert [part.collapsed for part in profile.parts] == [False, False, True, True]
    assert profile.first_collapsed.name == "2"
    assert depth_profile(model, images, collapse_below=0.0).first_collapsed is None
    with torch.no_grad():
        model[1].weight[0, 0] = float("nan")
    assert depth_profile(model, images).first_collapsed.name == "1"


def test_the_model_is_left_as_it_was(images):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 2))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    depth_profile(model, images)
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_what_cannot_be_measured_is_refused(images):
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.calls = nn.ReLU(), nn.Tanh(), 0

        def forward(self, x):
            self.calls += 1
            return self.a(x) if self.calls == 1 else self.b(x)

    with pytest.raises(ValueError, match="other parts for some images than for others"):
        depth_profile(Fickle(), images, batch_size=25)
    with pytest.raises(ValueError, match="are all equal"):
        depth_profile(nn.ReLU(), torch.ones(3, 2))
    with pytest.raises(ValueError, match="images=1, batch_size=128"):
        depth_profile(nn.ReLU(), images[:1])


def test_activations_are_chosen_over_the_depth(images):
    model = nn.Sequential(nn.Flatten(), *(nn.ReLU() for _ in range(9)))
    profile = depth_profile(model, images)
    assert [part.name for part in profile.activations(3)] == ["1", "5", "9"]
    assert len(profile.activations()) == 9
    assert [part.name for part in depth_profile(nn.Flatten(), images).activations(3)] == ["Flatten"]
