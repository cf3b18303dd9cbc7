"""What every loss keeps, by its default options, from the registry."""

import copy
import inspect
import math
import pickle

import pytest
import torch

from onelip import losses
from onelip.losses import Loss

NAMES = list(losses.available())
CONSTANT_NAMES = [name for name in NAMES if losses.available()[name].factory.uses_constants]

# A dozen float64 operations on numbers of size 10.
TOLERANCE = 1e-12

# Why a loss is left out of one of the laws below.
NOT_A_MEAN_OVER_SAMPLES = dict.fromkeys(("hkr", "hkr-multiclass"), "its KR term is made of means by class in the batch")
STRAIGHT_THROUGH = dict.fromkeys(("emma", "emma-logit-annealing"), "no gradient passes through its shares")

# Other values of the options that are not numbers, or for which half the default is out of range or needs another.
OTHERS = {
    ("certified-multi-margin", "norm"): {"norm": "linf"},
    ("certified-multi-margin", "p"): {"p": 2.0},
    ("gloro", "form"): {"form": "trades", "weight": 2.0},
    ("gloro", "weight"): {"form": "trades", "weight": 2.0},
    ("multi-margin", "p"): {"p": 2.0},
}


def batch(name, n=7, scale=1.0):
    n_classes = 2 if name == "hkr" else 4
    logits, labels = torch.randn(n, n_classes, dtype=torch.float64), torch.arange(n) % n_classes
    # Some are right, some wrong.
    logits[::2] += 2 * torch.nn.functional.one_hot(labels[::2], n_classes)
    return scale * logits, labels


def evaluated(name, **options):
    """In eval, so that it has no state that changes from call to call."""
    return losses.build(name, **options).eval()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_mean_over_samples_that_does_not_see_names_of_classes(name):
    logits, labels = batch(name)
    loss = evaluated(name)
    assert isinstance(loss, Loss)
    whole = loss(logits, labels)
    assert whole.shape == ()
    if name not in NOT_A_MEAN_OVER_SAMPLES:
        each = torch.stack([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(len(labels))])
        assert whole.item() == pytest.approx(each.mean().item(), abs=TOLERANCE)
    classes = torch.randperm(logits.shape[1])
    renamed = loss(logits[:, classes], torch.argsort(classes)[labels])
    assert renamed.item() == pytest.approx(whole.item(), abs=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_its_gradient_is_right_and_raises_the_right_logit(name):
    logits, labels = batch(name)
    loss = evaluated(name)
    z = logits.requires_grad_()
    if name not in STRAIGHT_THROUGH:
        assert torch.autograd.gradcheck(lambda x: loss(x, labels), z)
    loss(z, labels).backward()
    assert bool((z.grad.gather(1, labels[:, None]) <= 0).all())
    assert float(z.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_step_along_the_gradient_lowers_it(name):
    logits, labels = batch(name, n=12)
    loss = evaluated(name)
    z = logits.requires_grad_()
    before = loss(z, labels)
    before.backward()
    assert loss(z.detach() - 1e-3 * z.grad, labels) < before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_gradients_are_finite_at_ties_and_at_extreme_logits(name, scale):
    logits, labels = batch(name, scale=scale)
    z = logits.float().requires_grad_()
    value = losses.build(name)(z, labels)
    value.backward()
    assert bool(torch.isfinite(value))
    assert bool(torch.isfinite(z.grad).all())


@pytest.mark.parametrize("name", CONSTANT_NAMES)
def test_constants_are_used_have_finite_gradients_and_are_root_two_by_default(name):
    logits, labels = batch(name)
    loss = evaluated(name)
    default = torch.full((4, 4), math.sqrt(2), dtype=torch.float64).fill_diagonal_(0)
    torch.testing.assert_close(loss(logits, labels, default), loss(logits, labels))
    constants = (0.5 * default).requires_grad_()
    value = loss(logits, labels, constants)
    assert abs(value.item() - loss(logits, labels).item()) > 1e-6
    value.backward()
    assert float(constants.grad.abs().sum()) > 0
    equal_rows = torch.zeros(4, 4, requires_grad=True)
    loss(logits, labels, equal_rows).backward()
    assert bool(torch.isfinite(equal_rows.grad).all())
    with pytest.raises(ValueError, match="constants has shape"):
        loss(logits, labels, torch.zeros(3, 3))


def cases_of_options():
    for name, part in losses.available().items():
        for option, parameter in inspect.signature(part.factory).parameters.items():
            yield name, OTHERS.get((name, option)) or {option: parameter.default / 2}


@pytest.mark.parametrize(("name", "options"), list(cases_of_options()), ids=str)
def test_each_option_changes_something(name, options):
    logits, labels = batch(name)
    # The second batch tells losses that remember the first.
    changed, default = losses.build(name, **options), losses.build(name)
    assert [changed(s * logits, labels).item() for s in (9, 1)] != [default(s * logits, labels).item() for s in (9, 1)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_widened(name, dtype):
    logits, labels = batch(name)
    logits = logits.to(dtype)
    loss = evaluated(name)
    assert loss(logits, labels).dtype == torch.float32
    assert torch.equal(loss(logits, labels), loss(logits.float(), labels))


@pytest.mark.parametrize("name", NAMES)
def test_batches_that_do_not_fit_are_refused(name):
    logits, labels = batch(name)
    loss = losses.build(name)
    for shape in [(4,), (7, 4, 1), (6, 4)]:
        with pytest.raises(ValueError, match=r"they must be \(N, K\) and \(N,\)"):
            loss(torch.zeros(shape), labels)
    for z, y in ((logits, labels.double()), (logits.long(), labels), (logits, labels.int())):
        with pytest.raises(ValueError, match="they must be floating point and int64"):
            loss(z, y)
    n_classes = logits.shape[1]
    for wrong in (-1, n_classes):
        with pytest.raises(ValueError, match=f"labels hold {wrong}; with {n_classes} classes they must be 0 to"):
            loss(logits, labels.clone().fill_(wrong))


@pytest.mark.parametrize("name", ["certificate-regularisation", "cosine-vra", "gloro", "lse-hkr", "soft-hkr"])
def test_one_logit_is_refused_where_classes_are_compared(name):
    with pytest.raises(ValueError, match="this loss compares at least 2 classes"):
        losses.build(name)(torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64))


def cases_of_schedules():
    return [(name, option) for name, part in losses.available().items() for option in part.factory.scheduled]


@pytest.mark.parametrize(("name", "option"), cases_of_schedules())
def test_scheduled_options_follow_their_ramp(name, option):
    logits, labels = batch(name)
    loss = evaluated(name, **{option: {"start": 0.25, "end": 0.75, "until": 0.5}})
    for progress, number in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (1.0, 0.75)):
        if progress:
            loss.set_progress(progress)
        assert getattr(loss, option) == number
        assert loss(logits, labels) == evaluated(name, **{option: number})(logits, labels)
    assert f"{option}=Ramp(start=0.25, end=0.75, until=0.5" in repr(loss)
    # Resumption sets the progress anew, so it is no state.
    assert not any(option in key for key in loss.state_dict())
    assert getattr(pickle.loads(pickle.dumps(loss)), option) == 0.75


@pytest.mark.parametrize("name", NAMES)
def test_plain_numbers_stay_and_copies_agree(name):
    logits, labels = batch(name)
    loss = evaluated(name)
    before = loss(logits, labels)
    loss.set_progress(0.7)
    assert torch.equal(loss(logits, labels), before)
    assert torch.equal(copy.deepcopy(loss)(logits, labels), before)
    with pytest.raises(ValueError, match=r"progress=1.5 in \w+.set_progress must be in \[0, 1\]"):
        loss.set_progress(1.5)


def test_options_show_in_the_repr():
    assert repr(losses.build("multi-margin", p=2)) == "MultiMargin(margin=1, p=2)"
    assert "margin=0.5, temperature=0.1" in repr(losses.build("offset-cross-entropy", margin=0.5, temperature=0.1))
    assert repr(losses.build("gloro")) == "GloRo(radius=0.141176, form='cross-entropy', weight=None, temperature=1)"
    assert repr(losses.build("cosine")) == "CosineLoss()"
