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


@pytest.mark.parametrize("attack", [l2_pgd, linf_pgd])
def test_images_with_gradients_are_attacked_like_others(linear, attack):
    model, x, y, _ = linear
    found = attack(model, x.clone().requires_grad_(), y, 0.3, steps=5, restarts=1)
    assert not found.requires_grad
    assert torch.equal(found, attack(model, x, y, 0.3, steps=5, restarts=1))


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


@pytest.mark.parametrize("search", [l2_pgd, linf_pgd])
def test_what_is_climbed_can_be_chosen(linear, search):
    model, x, y, _ = linear
    options = {"steps": 4, "restarts": 1}
    usual = search(model, x, y, 0.1, **options)
    named = search(model, x, y, 0.1, loss="margin", **options)
    assert torch.equal(usual, named)
    own = search(model, x, y, 0.1, loss=lambda z, labels: z[:, 0] + 0 * labels, **options)
    assert not torch.equal(own, usual)
    with pytest.raises(ValueError, match="loss='targeted-dlr' needs target classes"):
        search(model, x, y, 0.1, loss="targeted-dlr")
    with pytest.raises(ValueError, match="loss='cw' of an attack must be one of"):
        search(model, x, y, 0.1, loss="cw", **options)
    with pytest.raises(ValueError, match=r"one value for each sample, \(40,\), not \(\)"):
        search(model, x, y, 0.1, loss=lambda z, labels: z.sum())


def test_a_function_is_what_is_climbed():
    # Both pixels change the margin, the function one of them: the other must stay.
    model = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 3.0], [0.0, 0.0]]))
    x, y = torch.full((1, 2), 0.5), torch.tensor([0])
    found = l2_pgd(model, x, y, 0.1, steps=3, restarts=1, loss=lambda z, labels: -z[:, 0])
    assert found[0].tolist() == pytest.approx([0.5 - 0.1 / 2**0.5] * 2, abs=1e-5)

    class Seen(torch.nn.Module):
        def forward(self, points):
            return torch.stack([points[:, 0] + points[:, 1] + 9, points[:, 1]], 1)

    found = l2_pgd(Seen(), x, y, 0.1, steps=3, restarts=1, loss=lambda z, labels: z[:, 1])
    assert float(found[0, 1]) >= 0.5
    down = l2_pgd(Seen(), x, y, 0.1, steps=3, restarts=1, loss=lambda z, labels: -(z[:, 0] - z[:, 1]))
    assert down[0].tolist() == pytest.approx([0.4, 0.5], abs=1e-5)


@pytest.mark.parametrize("search", [l2_pgd, linf_pgd])
def test_zero_steps_from_random_starts_stay_in_balls_of_their_own(linear, search):
    model, x, y, _ = linear
    radii = torch.linspace(0, 0.3, len(x))
    found = search(model, x, y, radii, steps=0, restarts=3, random_start=True)
    lengths = distances(found, x, "l2" if search is l2_pgd else "linf")
    assert bool((lengths <= radii.double() * (1 + 1e-6)).all())
    assert bool((lengths[1:] > 0).any())


@pytest.mark.parametrize("search", [l2_pgd, linf_pgd])
def test_more_restarts_find_more(search):
    model, x, y = trained()
    radius = 0.5 if search is l2_pgd else 0.08
    left = [
        accuracy(model, search(model, x, y, radius, steps=3, restarts=n, generator=torch.Generator().manual_seed(0)), y)
        for n in (1, 12)
    ]
    assert left[1] < left[0]


def test_samples_that_have_fallen_are_left_out():
    model, x, y = trained()
    sizes = []
    handle = model.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    found = l2_pgd(model, x, y, 0.7, steps=20, restarts=1)
    handle.remove()
    assert sizes[0] == len(x)
    # As many forward passes as foolbox: one for each step, and one for the last point.
    assert len(sizes) == 21
    assert sizes[-1] < len(x) / 2
    assert float((margins(model, found, y) < 0).float().mean()) > 0.5
