import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.digits import accuracy, trained
from torch import nn

from onelip.attacks import apgd
from onelip.attacks.apgd import checkpoints
from onelip.attacks.ball import distances
from onelip.attacks.pgd import margins

SLACK = 1e-6
RADII = {"l2": (0.3, 0.7), "linf": (0.04, 0.1)}
CASES = [(norm, radius) for norm, radii in RADII.items() for radius in radii]
LOSSES = ("ce", "dlr", "margin", "targeted-dlr")


def test_checkpoints_are_those_of_the_paper():
    # p = 0, 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, 0.93, 0.99.
    assert checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert checkpoints(10) == (3, 5, 6, 7, 8, 9, 10)
    assert checkpoints(0) == ()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_stays_in_ball_and_box(norm, loss):
    model, x, y = trained()
    radii = torch.linspace(0, RADII[norm][1], len(x))
    found = apgd(model, x, y, radii, norm=norm, loss=loss, steps=10, restarts=2, n_targets=2)
    assert bool((found >= 0).all() & (found <= 1).all())
    assert bool((distances(found, x, norm) <= radii.double() * (1 + SLACK)).all())
    assert torch.equal(found[0], x[0])


@pytest.mark.parametrize(("norm", "radius"), CASES)
def test_is_as_strong_as_the_oracle(norm, radius):
    import torchattacks

    model, x, y = trained()
    for loss in ("ce", "dlr"):
        oracle = torchattacks.APGD(model, norm={"l2": "L2", "linf": "Linf"}[norm], eps=radius, steps=20, loss=loss)
        theirs = accuracy(model, oracle(x, y), y)
        ours = accuracy(model, apgd(model, x, y, radius, norm=norm, loss=loss, steps=20), y)
        assert 0.02 < theirs < 0.98, "an oracle that breaks all or nothing compares nothing"
        assert ours <= theirs + 0.02


@pytest.mark.parametrize(("norm", "radius"), CASES)
def test_is_as_strong_as_the_targeted_oracle(norm, radius):
    import torchattacks

    model, x, y = trained()
    oracle = torchattacks.APGDT(model, norm={"l2": "L2", "linf": "Linf"}[norm], eps=radius, steps=10, n_classes=10)
    theirs = accuracy(model, oracle(x, y), y)
    ours = accuracy(model, apgd(model, x, y, radius, norm=norm, loss="targeted-dlr", steps=10), y)
    assert ours <= theirs + 0.02


# With more classes, the ascent of a maximum of linear functions may end at a class that is not the nearest.
@pytest.mark.parametrize(("loss", "n_classes"), [("ce", 2), ("margin", 2), ("targeted-dlr", 5)])
def test_a_linear_model_is_broken_just_outside_of_its_distance_and_not_inside(loss, n_classes):
    model = nn.Linear(8, n_classes).double().requires_grad_(False)
    model.weight.copy_(torch.randn(n_classes, 8, generator=torch.Generator().manual_seed(1)))
    x = torch.rand(40, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    model.bias.copy_(-model.weight @ x.mean(0))
    z, w = model(x), model.weight
    y = z.argmax(1)
    gaps = z.gather(1, y[:, None]) - z
    for norm, dual in (("l2", 2), ("linf", 1)):
        lengths = torch.linalg.vector_norm(w[y][:, None] - w, dual, dim=2)
        exact = (gaps / lengths).scatter(1, y[:, None], torch.inf).amin(1)
        box = (-torch.inf, torch.inf)
        outside = apgd(model, x, y, exact * 1.01, norm=norm, loss=loss, steps=100, box=box)
        assert bool((margins(model, outside, y) < 0).all())
        inside = apgd(model, x, y, exact * (1 - 1e-9), norm=norm, loss=loss, steps=30, restarts=2, box=box)
        assert bool((margins(model, inside, y) > 0).all())


# Cross-entropy of tiny logits is another function: it treats all other classes alike.
@pytest.mark.parametrize(
    ("loss", "scale"), [(loss, scale) for loss in LOSSES for scale in (1e-25, 1e4) if (loss, scale) != ("ce", 1e-25)]
)
def test_does_not_depend_on_the_scale_of_the_logits(loss, scale):
    model, x, y = trained()
    radius = RADII["l2"][1]
    reference = accuracy(model, apgd(model, x, y, radius, loss=loss, steps=20, n_targets=3), y)
    last = nn.Linear(10, 10, bias=False).requires_grad_(False)
    last.weight.copy_(scale * torch.eye(10))
    scaled = nn.Sequential(model, last)
    broken = accuracy(scaled, apgd(scaled, x, y, radius, loss=loss, steps=20, n_targets=3), y)
    # That of huge ones becomes the margin; were it to saturate, nothing would be broken.
    assert broken <= reference + (0.15 if loss == "ce" else 0.03)


def test_effort_makes_a_difference_and_targets_too():
    model, x, y = trained()
    radius = RADII["l2"][1]

    def robust(**options):
        return accuracy(model, apgd(model, x, y, radius, **options), y)

    assert robust(steps=0) == 1
    assert robust(steps=20) < robust(steps=1)
    assert robust(loss="targeted-dlr", steps=10, n_targets=9) < robust(loss="targeted-dlr", steps=10, n_targets=1)


def test_leaves_the_model_as_it_was_and_repeats_itself():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)).train()
    x, y = torch.rand(6, 4), torch.zeros(6, dtype=torch.int64)
    first, second = (
        apgd(model, x, y, 0.1, steps=3, restarts=3, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, second)
    assert model[1].training
    assert model[0].weight.requires_grad
    assert model[0].weight.grad is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": -1}, "steps=-1"),
        ({"restarts": 0}, "restarts=0"),
        ({"radius": -0.1}, "radius=-0.1"),
        ({"radius": float("nan")}, "radius=nan"),
        ({"n_targets": 0}, "n_targets=0"),
        ({"norm": "l1"}, "norm='l1'"),
        ({"loss": "cw"}, "loss='cw'"),
        ({"box": (0.5, 1.0)}, "outside box"),
    ],
)
def test_bad_arguments(options, words):
    model, x, y = trained()
    with pytest.raises(ValueError, match=words):
        apgd(model, x, y, **{"radius": 0.1, **options})


def test_too_few_classes_are_named():
    x, y = torch.rand(2, 4), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ValueError, match="at least 4 classes, not 3"):
        apgd(nn.Linear(4, 3), x, y, 0.1, loss="targeted-dlr")


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_zero_steps_from_random_starts_stay_in_balls_of_their_own(norm):
    model, x, y = trained()
    radii = torch.linspace(0, 0.3, len(x))
    found = apgd(model, x, y, radii, norm=norm, steps=0, restarts=4)
    lengths = distances(found, x, norm)
    assert bool((lengths <= radii.double() * (1 + SLACK)).all())
    assert bool((lengths > 0).any())


def test_restarts_and_starts_make_a_difference():
    model, x, y = trained()
    options = {"steps": 2, "generator": torch.Generator().manual_seed(0)}
    one, many = (accuracy(model, apgd(model, x, y, 0.7, restarts=n, **options), y) for n in (1, 12))
    assert many < one
    elsewhere = apgd(model, x, y, 0.5, steps=0, start=x + 1)
    assert bool((distances(elsewhere, x, "l2") <= 0.5 * (1 + SLACK)).all())
    # Points that another attack has found are kept.
    found = apgd(model, x, y, 0.7, steps=30)
    again = apgd(model, x, y, 0.7, steps=0, start=found)
    assert accuracy(model, again, y) == accuracy(model, found, y)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_function_is_what_is_climbed(norm):
    model, x, y = trained()
    options = {"norm": norm, "steps": 5}

    def negative_margin(logits, labels):
        best = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
        return best - logits.gather(1, labels[:, None])[:, 0]

    named = apgd(model, x, y, 0.05, loss="margin", **options)
    assert torch.allclose(apgd(model, x, y, 0.05, loss=negative_margin, **options), named)
    # A search for the worst point of another function finds less of this one.
    away = apgd(model, x, y, 0.05, loss=lambda logits, labels: -negative_margin(logits, labels), **options)
    assert float(margins(model, away, y).mean()) > float(margins(model, named, y).mean())
    with pytest.raises(ValueError, match="one value for each sample"):
        apgd(model, x, y, 0.05, loss=lambda logits, labels: logits, **options)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_images_with_gradients_are_attacked_like_others(norm):
    model, x, y = exact.linear()
    found = apgd(model, x.clone().requires_grad_(), y, 0.3, norm=norm, steps=5)
    assert not found.requires_grad
    assert torch.equal(found, apgd(model, x, y, 0.3, norm=norm, steps=5))
