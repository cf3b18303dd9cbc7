"""Critics measured on held-out samples."""

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from onelip import UnknownLipschitzConstant, layers, lipschitz_bound, register_bound
from onelip.linalg import Bound
from onelip.models import build
from onelip.transport import (
    HELD_OUT,
    Gaussian,
    Samples,
    Translated,
    absolute_value,
    estimate_wasserstein1,
    sample_generator,
)
from onelip.transport.evaluation import critic_constant, critic_values


def _linear(*weights, dtype=torch.float32):
    layer = nn.Linear(len(weights), 1, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        layer.bias.fill_(7.0)
    return layer


P, Q = Gaussian([1.0, 0.0], 0.5), Gaussian([0.0, 0.0], 2.0)


def test_the_numbers_are_those_of_the_same_samples_by_hand():
    found = estimate_wasserstein1(_linear(3.0, 0.0), P, Q, n_samples=5000, batch_size=5000, seed=4, exact=9.0)
    generator = sample_generator(4, HELD_OUT)
    x, y = P(5000, generator)[:, 0], Q(5000, generator)[:, 0]
    assert found.difference == pytest.approx(3 * float(x.mean() - y.mean()), rel=1e-12)
    assert found.lower_bound == pytest.approx(float(x.mean() - y.mean()), rel=1e-6)
    assert found.standard_error == pytest.approx(float((x.var() / 5000 + y.var() / 5000).sqrt()), rel=1e-6)
    assert found.constant.proved
    assert 3.0 <= found.constant.value < 3.0 + 1e-6
    assert (found.exact, found.n_samples, found.discrete, found.discrete_bound) == (9.0, 5000, None, None)


def test_the_mean_is_within_five_standard_errors_of_the_truth():
    found = estimate_wasserstein1(_linear(1.0, 0.0), P, Q, n_samples=20_000, batch_size=700)
    assert abs(found.ratio - 1.0) < 5 * found.standard_error


def test_a_scaled_critic_says_the_same_and_a_flipped_one_says_nothing():
    one, two = (estimate_wasserstein1(_linear(k, 0.0), P, Q, n_samples=500) for k in (0.5, 8.0))
    assert one.ratio == pytest.approx(two.ratio, rel=1e-9)
    flipped = estimate_wasserstein1(_linear(-0.5, 0.0), P, Q, n_samples=500)
    assert flipped.ratio == pytest.approx(-one.ratio, rel=1e-6)
    assert flipped.lower_bound == 0


def test_the_critic_is_measured_as_in_deployment_and_left_alone():
    critic = nn.Sequential(layers.BjorckLinear(2, 8), nn.Dropout(0.5), layers.MaxMin(), layers.BjorckLinear(8, 1))
    critic.train()
    before = {k: v.clone() for k, v in critic.state_dict().items()}
    one, two = (estimate_wasserstein1(critic, P, Q, n_samples=300) for _ in range(2))
    assert one == two
    assert all(module.training for module in critic.modules())
    assert all(torch.equal(v, before[k]) for k, v in critic.state_dict().items())
    assert next(critic.parameters()).dtype == torch.float32
    assert all(p.grad is None for p in critic.parameters())


def test_what_is_proved_is_the_constant_of_what_is_evaluated():
    critic = build("mlp", input_shape=(1, 1, 2), n_classes=1, layer="bjorck", widths=[8, 8])
    found = estimate_wasserstein1(critic, P, Q, n_samples=100)
    plain = layers.to_plain(critic).double()
    assert found.constant == lipschitz_bound(plain, (2,)).bound
    generator = sample_generator(0, HELD_OUT)
    with torch.no_grad():
        values = [plain(d(100, generator)).mean() for d in (P, Q)]
    assert found.difference == pytest.approx(float(values[0] - values[1]), rel=1e-12)


def test_a_tighter_constant_gives_a_larger_bound_for_relu():
    critic = build("mlp", input_shape=(1, 1, 1), n_classes=1, layer="bjorck", activation="relu", widths=[16])
    problem = absolute_value()
    plain, tight = (estimate_wasserstein1(critic, problem.p, problem.q, n_samples=50, tighten=t) for t in (False, True))
    assert tight.difference == plain.difference
    assert tight.constant.value < 0.95 * plain.constant.value
    assert abs(tight.ratio) > abs(plain.ratio)


@settings(max_examples=25)
@given(
    st.sampled_from(["maxmin", "relu", "fullsort", "abs"]),
    st.sampled_from(["bjorck", "sandwich", "aol"]),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(0, 10**6),
)
def test_on_the_same_samples_no_critic_exceeds_the_exact_distance(activation, layer, d, n, seed):
    torch.manual_seed(seed)
    critic = build("mlp", input_shape=(1, 1, d), n_classes=1, layer=layer, activation=activation, widths=[4, 4])
    with torch.no_grad():
        for p in critic.parameters():
            p.mul_(2 * torch.rand(()) + 0.5)
    x = torch.randn(n, d, dtype=torch.float64)
    p, q = Samples(x, replacement=False), Samples(x.flip(0) * torch.randn(d) + torch.randn(d), replacement=False)
    # Without replacement the measured samples are the two sets.
    found = estimate_wasserstein1(critic, p, q, n_samples=max(2, n), n_discrete=n) if n > 1 else None
    if found is not None:
        cost = ot.dist(p.x.numpy(), q.x.numpy(), "euclidean")
        assert found.discrete == pytest.approx(ot.emd2([], [], cost), abs=1e-12)
        assert abs(found.discrete_bound) <= found.discrete + 1e-12
        assert found.discrete_bound == pytest.approx(found.ratio, abs=1e-12)


def test_the_best_critic_attains_the_exact_distance_of_samples():
    x = Samples(torch.rand(40, 2, dtype=torch.float64), replacement=False)
    found = estimate_wasserstein1(
        _linear(-1.0, 0.0), x, Translated(x, [0.5, 0.0]), n_samples=40, batch_size=16, n_discrete=40
    )
    assert found.discrete == pytest.approx(0.5, abs=1e-12)
    assert found.discrete_bound == pytest.approx(0.5, rel=1e-6)
    assert found.discrete_bound <= found.discrete


def test_the_discrete_part_is_about_the_first_samples():
    found = estimate_wasserstein1(_linear(1.0, 0.0), P, Q, n_samples=50, batch_size=20, n_discrete=30)
    generator = sample_generator(0, HELD_OUT)
    x, y = (torch.cat([d(k, generator) for k in (20, 20, 10)])[:30] for d in (P, Q))
    assert found.n_discrete == 30
    assert found.discrete == pytest.approx(ot.emd2([], [], ot.dist(x.numpy(), y.numpy(), "euclidean")), abs=1e-12)
    assert found.discrete_bound == pytest.approx(float(x[:, 0].mean() - y[:, 0].mean()), rel=1e-6)


class _Guessed(nn.Module):
    def forward(self, x):
        return x[:, :1]


register_bound(_Guessed, lambda module, input_shape: Bound(1.0, False, "a guess"))


def test_an_estimated_constant_is_refused_unless_it_is_asked_for():
    critic = _Guessed()
    with pytest.raises(UnknownLipschitzConstant, match=r"its constant is not proved .*require_proof=False"):
        estimate_wasserstein1(critic, P, Q, n_samples=10)
    assert not estimate_wasserstein1(critic, P, Q, n_samples=10, require_proof=False).constant.proved
    with pytest.raises(UnknownLipschitzConstant, match="GRU"):
        critic_constant(nn.GRU(2, 1), (2,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 1}, "n_samples=1 in estimate_wasserstein1 must be an integer >= 2"),
        ({"batch_size": 0}, "batch_size=0 in estimate_wasserstein1 must be an integer >= 1"),
        ({"n_discrete": -1}, "n_discrete=-1 in estimate_wasserstein1"),
        ({"n_samples": 5, "n_discrete": 6}, "n_discrete=6 in estimate_wasserstein1 is more than n_samples=5"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        estimate_wasserstein1(_linear(1.0, 0.0), P, Q, **options)


def test_critics_and_samplers_that_do_not_fit():
    with pytest.raises(ValueError, match=r"the critic returned shape \(10, 3\) for 10 samples; it must be \(n,\)"):
        estimate_wasserstein1(nn.Linear(2, 3), P, Q, n_samples=10)
    with pytest.raises(ValueError, match="the critic returned infinity or NaN for a held-out sample"):
        estimate_wasserstein1(_linear(1e300, 1e300, dtype=torch.float64), P, lambda n, g: 1e300 * Q(n, g), n_samples=10)
    with pytest.raises(ValueError, match=r"have samples of shapes \(2,\) and \(2, 1\)"):
        estimate_wasserstein1(
            nn.Sequential(nn.Flatten(), _linear(1.0, 0.0)), P, lambda n, g: Q(n, g)[..., None], n_samples=3
        )


def test_values_are_one_number_for_each_sample():
    x = torch.rand(3, 2)
    assert critic_values(nn.Linear(2, 1), x).shape == (3,)
    assert critic_values(nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), x).shape == (3,)
