"""Accuracy, margins and certified radii against hand-computed values and brute force."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onelip import metrics
from onelip.metrics import certified_radius, correct, signed_margin

LOGITS = torch.tensor([[3.0, 1.0, 0.0], [1.0, 3.0, 0.0], [2.0, 2.0, 0.0]])
LABELS = torch.tensor([0, 0, 1])
# Radii are float64: a few operations on numbers of size 10.
TOLERANCE = 1e-12


def test_margins_and_predictions_by_hand():
    assert signed_margin(LOGITS, LABELS).tolist() == [2.0, -2.0, 0.0]
    assert correct(LOGITS, LABELS).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("last_layer", "lipschitz", "first"),
    [
        ("global", 1.0, math.sqrt(2)),
        ("classwise", 1.0, 1.0),
        ("global", 4.0, math.sqrt(2) / 4),
        ("classwise", 0.5, 2.0),
    ],
)
def test_radii_by_hand(last_layer, lipschitz, first):
    radii = certified_radius(LOGITS, LABELS, last_layer=last_layer, lipschitz=lipschitz)
    assert radii.dtype == torch.float64
    assert radii.tolist() == pytest.approx([first, 0.0, 0.0], abs=TOLERANCE)


def test_pairwise_radius_by_hand():
    # Rows (1, 0), (0, 1), (0.6, 0.8): distances from row 0 are sqrt 2 and sqrt 0.8.
    head = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)
    logits = torch.tensor([[3.0, 1.0, 1.5]])
    radii = certified_radius(logits, torch.tensor([0]), last_layer="pairwise", head=head, lipschitz=2.0)
    assert radii.item() == pytest.approx(min(2 / (2 * math.sqrt(2)), 1.5 / (2 * math.sqrt(0.8))), abs=TOLERANCE)


def test_equal_head_rows_hold_everywhere_or_nowhere():
    head = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    radii = certified_radius(
        torch.tensor([[2.0, 1.0, 0.0], [2.0, 2.0, 0.0], [2.0, 3.0, 0.0]]),
        torch.zeros(3, dtype=torch.int64),
        last_layer="pairwise",
        head=head,
    )
    assert radii.tolist() == pytest.approx([math.sqrt(2), 0.0, 0.0], abs=1e-7)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 10.0))
def test_orthonormal_head_makes_the_pairwise_radius_the_global_one(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (6,), generator=generator)
    head = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))[0][:4]
    one = certified_radius(logits, labels, lipschitz=scale)
    two = certified_radius(logits, labels, lipschitz=scale, last_layer="pairwise", head=head)
    assert torch.allclose(one, two, atol=TOLERANCE / 0.1, rtol=1e-12)


@given(seed=st.integers(0, 1000))
def test_a_linear_classifier_reaches_its_pairwise_radius_exactly(seed):
    """For z = W x + b the nearest decision boundary is at the radius; brute force over all classes."""
    generator = torch.Generator().manual_seed(seed)
    head = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    bias = torch.randn(4, generator=generator, dtype=torch.float64)
    x = torch.randn(1, 3, generator=generator, dtype=torch.float64)
    logits = x @ head.T + bias
    label = logits.argmax(1)
    radius = certified_radius(logits, label, last_layer="pairwise", head=head).item()
    nearest = math.inf
    for j in set(range(4)) - {label.item()}:
        normal = head[label] - head[j]
        step = (logits[0, label] - logits[0, j]) / normal.norm() ** 2
        boundary = (x - step * normal) @ head.T + bias
        assert boundary[0, label].item() == pytest.approx(boundary[0, j].item(), abs=1e-9)
        nearest = min(nearest, (step * normal).norm().item())
    assert radius == pytest.approx(nearest, rel=1e-9)


@given(seed=st.integers(0, 1000))
def test_a_rotation_of_inputs_never_changes_a_prediction_within_the_global_radius(seed):
    """The identity map is 1-Lipschitz, so logits moved by less than the radius keep the largest entry."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    labels = logits.argmax(1)
    radii = certified_radius(logits, labels)
    steps = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    moved = logits + 0.999 * radii[:, None] * steps / steps.norm(dim=1, keepdim=True)
    assert torch.equal(moved.argmax(1), labels)
    # Tight: towards the runner-up the prediction changes just beyond the radius.
    runner_up = logits.topk(2).indices[:, 1]
    rows = torch.arange(20)
    towards = torch.zeros_like(logits)
    towards[rows, labels], towards[rows, runner_up] = -(0.5**0.5), 0.5**0.5
    assert bool(((logits + 1.001 * radii[:, None] * towards).argmax(1) == runner_up).all())


@pytest.mark.parametrize("last_layer", ["global", "classwise", "pairwise"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [0, 1])
def test_logits_that_are_not_numbers_certify_nothing(last_layer, bad, at):
    logits = torch.tensor([[5.0, 1.0, 0.0]])
    logits[0, at] = bad
    head = torch.eye(3) if last_layer == "pairwise" else None
    radius = certified_radius(logits, torch.tensor([0]), last_layer=last_layer, head=head).item()
    if math.isnan(bad) or (bad > 0) == (at == 1):
        assert radius == 0.0
    assert not math.isnan(radius)


def test_a_nan_is_never_right():
    logits = torch.tensor([[math.nan, 0.0], [1.0, math.nan]])
    assert correct(logits, torch.tensor([0, 0])).tolist() == [False, False]
    assert metrics.build("accuracy")(logits, torch.tensor([0, 0])) == 0.0


def test_named_metrics_by_hand():
    assert metrics.build("accuracy")(LOGITS, LABELS).item() == pytest.approx(1 / 3)
    assert metrics.build("margin")(LOGITS, LABELS).item() == 0.0
    assert metrics.build("certified-accuracy", radius=1.0)(LOGITS, LABELS).item() == pytest.approx(1 / 3)
    assert metrics.build("certified-accuracy", radius=1.0, lipschitz=2.0)(LOGITS, LABELS).item() == 0.0


def test_the_radius_must_be_exceeded_strictly():
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    exact = {"last_layer": "classwise"}
    assert metrics.build("certified-accuracy", radius=1.0, **exact)(logits, labels) == 0.0
    assert metrics.build("certified-accuracy", radius=math.nextafter(1.0, 0.0), **exact)(logits, labels) == 1.0


def test_certified_accuracy_at_radius_zero_is_the_accuracy_without_ties():
    certified = metrics.build("certified-accuracy", radius=0.0)(LOGITS, LABELS)
    assert certified == metrics.build("accuracy")(LOGITS, LABELS)


def test_the_default_radius_is_36_over_255():
    assert metrics.build("certified-accuracy").radius == 36 / 255


@pytest.mark.parametrize("name", metrics.available())
def test_every_metric_is_a_mean_over_samples(name):
    metric = metrics.build(name)
    whole = metric(LOGITS, LABELS)
    assert whole.shape == ()
    assert whole.dtype == torch.float64
    parts = torch.stack([metric(LOGITS[i : i + 1], LABELS[i : i + 1]) for i in range(3)])
    assert whole.item() == pytest.approx(parts.mean().item())


def test_a_head_moves_with_the_metric_and_shows_nothing_else():
    metric = metrics.build("certified-accuracy", last_layer="pairwise", head=torch.eye(3), radius=0.1)
    assert metric.to(torch.float64).head.dtype == torch.float64
    assert repr(metric) == "CertifiedAccuracy(radius=0.1, lipschitz=1, last_layer='pairwise')"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lipschitz": 0.0}, "lipschitz=0.0"),
        ({"lipschitz": math.inf}, "lipschitz=inf"),
        ({"last_layer": "claswise"}, "did you mean 'classwise'"),
        ({"last_layer": "pairwise"}, "head is missing .* only 'pairwise' uses it"),
        ({"head": torch.eye(3)}, "head is given .* last_layer='global'"),
        ({"last_layer": "pairwise", "head": torch.eye(2)}, "head has 2 rows"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        certified_radius(LOGITS, LABELS, **options)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("acuracy", {}, "metric 'acuracy' is unknown; did you mean 'accuracy'"),
        ("certified-accuracy", {"eps": 1}, "eps=1 is not an option of metric 'certified-accuracy'"),
        ("certified-accuracy", {"radius": -1.0}, "radius=-1.0"),
        ("certified-accuracy", {"last_layer": "pairwise"}, "head is missing"),
    ],
)
def test_mistakes_when_building_are_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        metrics.build(name, **options)


@pytest.mark.parametrize("logits", [torch.zeros(3, 1), torch.zeros(3), torch.zeros(2, 4)])
def test_a_margin_needs_two_classes_and_one_label_each(logits):
    with pytest.raises(ValueError, match="a margin needs"):
        signed_margin(logits, torch.zeros(3, dtype=torch.int64))
