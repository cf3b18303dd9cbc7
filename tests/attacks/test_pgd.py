import pytest
import torch
from tests.attacks import linear as exact
from tests.attacks.digits import accuracy, trained

from onelip.attacks import l2_pgd, linf_pgd
from onelip.attacks.ball import distances
from onelip.attacks.pgd import margins


@pytest.fixture
def linear():
    """A linear classifier and samples in the middle of the box, with their exact distances to the boundary."""
    model, x, y = exact.linear()
    return model, x, y, exact.distances(model, x, y)


def test_finds_what_exists_and_nothing_else(linear):
    model, x, y, distance = linear
    near = distance < 0.3
    found = l2_pgd(model, x[near], y[near], distance[near] * 1.05, steps=40, restarts=2)
    assert bool((margins(model, found, y[near]) < 0).all())
    found = l2_pgd(model, x, y, distance * 0.99, steps=20, restarts=2)
    assert bool((margins(model, found, y) > 0).all())


def test_stays_in_ball_and_box(linear):
    model, x, y, _ = linear
    found = l2_pgd(model, x, y, 0.9, steps=7, restarts=3)
    assert bool((found >= 0).all() & (found <= 1).all())
    assert float((found - x).norm(dim=1).max()) <= 0.9 * (1 + 1e-6)


def test_zero_steps_stay_in_the_ball(linear):
    model, x, y, _ = linear
    found = l2_pgd(model, x, y, 0.2, steps=0, restarts=3)
    assert float((found - x).norm(dim=1).max()) <= 0.2 * (1 + 1e-6)


def test_leaves_the_model_as_it_was(linear):
    model, x, y, _ = linear
    model.train()
    model.weight.requires_grad_(False)
    l2_pgd(model, x, y, 0.1, steps=2, restarts=1)
    assert model.training
    assert (model.weight.requires_grad, model.bias.requires_grad) == (False, True)
    assert model.bias.grad is None


def test_is_reproducible_with_a_generator(linear):
    model, x, y, _ = linear
    first, second = (
        l2_pgd(model, x, y, 0.1, steps=3, restarts=3, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": -1}, "steps=-1"),
        ({"restarts": 0}, "restarts=0"),
        ({"radius": -0.1}, "radius=-0.1"),
        ({"step_size": -0.1}, "step_size=-0.1"),
    ],
)
def test_bad_arguments(linear, options, words):
    model, x, y, _ = linear
    with pytest.raises(ValueError, match=words):
        l2_pgd(model, x, y, **{"radius": 0.1, **options})


def test_samples_outside_the_box_are_refused(linear):
    model, x, y, _ = linear
    with pytest.raises(ValueError, match="outside box"):
        l2_pgd(model, 255 * x, y, 0.1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved
@pytest.mark.parametrize(("norm", "radius"), [("l2", 0.3), ("l2", 0.7), ("linf", 0.04), ("linf", 0.1)])
def test_is_as_strong_as_the_oracles(norm, radius):
    import foolbox
    import torchattacks

    model, x, y = trained()
    if norm == "l2":
        oracle = torchattacks.PGDL2(model, eps=radius, alpha=radius / 8, steps=20, random_start=True)
        second = foolbox.attacks.L2ProjectedGradientDescentAttack(steps=20)
    else:
        oracle = torchattacks.PGD(model, eps=radius, alpha=radius / 8, steps=20, random_start=True)
        second = foolbox.attacks.LinfProjectedGradientDescentAttack(steps=20)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    theirs = min(
        robust(model, y, [oracle(x, y) for _ in range(3)]),
        robust(model, y, [second(wrapped, x, y, epsilons=radius)[1] for _ in range(3)]),
    )
    search = l2_pgd if norm == "l2" else linf_pgd
    ours = search(model, x, y, radius, steps=20, restarts=3)
    assert 0.02 < theirs < 0.98, "oracles that break all or nothing compare nothing"
    assert accuracy(model, ours, y) <= theirs + 0.02
    assert bool((ours >= 0).all() & (ours <= 1).all())
    assert bool((distances(ours, x, norm) <= radius * (1 + 1e-6)).all())


def robust(model, y, attempts):
    """Share of samples that stood every attempt."""
    with torch.no_grad():
        return float(torch.stack([model(x).argmax(1) == y for x in attempts]).all(0).float().mean())


def test_linf_balls_have_radii_of_their_own(linear):
    model, x, y, _ = linear
    radii = torch.linspace(0, 0.3, len(x))
    found = linf_pgd(model, x, y, radii, steps=5, restarts=2)
    assert bool((distances(found, x, "linf") <= radii.double() * (1 + 1e-6)).all())
    assert torch.equal(found[0], x[0])
    with pytest.raises(ValueError, match="radius=-1"):
        linf_pgd(model, x, y, -1.0)


@pytest.mark.parametrize("search", [l2_pgd, linf_pgd])
def test_the_first_start_may_be_random_and_steps_have_their_size(linear, search):
    model, x, y, _ = linear
    norm = "l2" if search is l2_pgd else "linf"
    options = {"restarts": 1, "generator": torch.Generator().manual_seed(3)}
    assert torch.equal(search(model, x, y, 0.1, steps=0, **options), x)
    moved = distances(search(model, x, y, 1e-3, steps=0, random_start=True, **options), x, norm)
    assert bool((moved > 0).any() & (moved <= 1e-3 * (1 + 1e-6)).all())
    one = distances(search(model, x, y, 0.5, steps=1, step_size=0.01, **options), x, norm)
    assert float(one.max()) == pytest.approx(0.01, rel=1e-4)
