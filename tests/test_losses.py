"""Losses against hand-computed values, torch's own, and their laws."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from onelip import losses

# A dozen float64 operations on numbers of size 10.
TOLERANCE = 1e-12


@pytest.fixture
def batch():
    return torch.randn(7, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1, 2])


def value(name, rows, labels, **options):
    return losses.build(name, **options)(torch.tensor(rows, dtype=torch.float64), torch.tensor(labels)).item()


def test_offset_cross_entropy_by_hand():
    # z - u e_y = (2, 0) at T = 1/2: softmax over (4, 0), times T.
    expected = 0.5 * math.log1p(math.exp(-4))
    assert value("offset-cross-entropy", [[3.0, 0.0]], [0], margin=1.0, temperature=0.5) == pytest.approx(expected)


def test_offset_cross_entropy_defaults_are_those_of_layers_compared():
    loss = losses.build("offset-cross-entropy")
    assert loss.margin == pytest.approx(0.3993, abs=5e-5)
    assert loss.temperature == 0.25


def test_without_margin_the_offset_loss_is_the_cross_entropy(batch):
    for temperature in (0.1, 1.0, 3.0):
        offset = losses.build("offset-cross-entropy", margin=0.0, temperature=temperature)(*batch)
        assert offset == losses.build("cross-entropy", temperature=temperature)(*batch)


def test_cross_entropy_at_temperature_one_is_torchs(batch):
    assert losses.build("cross-entropy")(*batch) == functional.cross_entropy(*batch)


@given(margin=st.floats(0, 5), lead=st.floats(-5, 5), temperature=st.floats(0.05, 4))
def test_the_offset_moves_the_lead_by_the_margin(margin, lead, temperature):
    loss = value("offset-cross-entropy", [[lead, 0.0]], [0], margin=margin, temperature=temperature)
    plain = value("cross-entropy", [[lead - margin, 0.0]], [0], temperature=temperature)
    assert loss == pytest.approx(plain, abs=TOLERANCE)


def test_cosine_by_hand():
    assert value("cosine", [[3.0, 4.0]], [1]) == pytest.approx(-0.8)
    assert value("cosine", [[3.0, 4.0], [-1.0, 0.0]], [1, 0]) == pytest.approx((-0.8 + 1.0) / 2)
    assert value("cosine", [[0.0, 0.0]], [1]) == 0.0


@given(st.floats(1e-3, 1e3))
def test_cosine_does_not_see_the_scale(scale):
    logits, labels = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64), torch.tensor([2])
    loss = losses.build("cosine")
    assert loss(scale * logits, labels).item() == pytest.approx(loss(logits, labels).item())


def test_multi_margin_by_hand():
    # Leads over the wrong classes: 0.5, -1, 4; hinges at margin 1: 0.5, 2, 0.
    rows, labels = [[1.0, 0.5, 2.0, -3.0]], [0]
    assert value("multi-margin", rows, labels) == pytest.approx(2.5 / 4)
    assert value("multi-margin", rows, labels, p=2) == pytest.approx(4.25 / 4)
    assert value("multi-margin", rows, labels, p=3, margin=2.0) == pytest.approx((1.5**3 + 3.0**3) / 4)


@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin_is_torchs_where_torch_has_it(batch, p):
    ours = losses.build("multi-margin", p=p, margin=0.7)(*batch)
    assert ours.item() == pytest.approx(functional.multi_margin_loss(*batch, p=p, margin=0.7).item())


@pytest.mark.parametrize("name", losses.available())
def test_every_loss_keeps_the_contract(name, batch):
    logits, labels = batch
    loss = losses.build(name)
    assert isinstance(loss, torch.nn.Module)
    whole = loss(logits, labels)
    assert whole.shape == ()
    # A mean over the batch, indifferent to its order and equivariant under relabelling.
    one_by_one = torch.stack([loss(logits[i : i + 1], labels[i : i + 1]) for i in range(7)]).mean()
    assert whole.item() == pytest.approx(one_by_one.item(), abs=TOLERANCE)
    classes = torch.tensor([2, 0, 3, 1])
    renamed = loss(logits[:, classes], torch.argsort(classes)[labels])
    assert renamed.item() == pytest.approx(whole.item(), abs=TOLERANCE)
    # Its gradient is right and raises the right logit.
    assert torch.autograd.gradcheck(lambda z: loss(z, labels), logits.clone().requires_grad_())
    z = logits.clone().requires_grad_()
    loss(z, labels).backward()
    assert bool((z.grad.gather(1, labels[:, None]) <= 0).all())
    assert float(z.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", losses.available())
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_widened(name, dtype, batch):
    logits = batch[0].to(dtype)
    loss = losses.build(name)
    assert loss(logits, batch[1]).dtype == torch.float32
    assert torch.equal(loss(logits, batch[1]), loss(logits.float(), batch[1]))


@pytest.mark.parametrize("name", losses.available())
@pytest.mark.parametrize("shape", [(4,), (7, 4, 1), (6, 4)])
def test_logits_of_another_shape_are_refused(name, shape, batch):
    with pytest.raises(ValueError, match=r"they must be \(N, K\) and \(N,\)"):
        losses.build(name)(torch.zeros(shape), batch[1])


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("cross-entropi", {}, "loss 'cross-entropi' is unknown; did you mean 'cross-entropy'"),
        ("cosine", {"margin": 1.0}, "margin=1.0 is not an option of loss 'cosine'; its options: none"),
        ("offset-cross-entropy", {"margn": 1}, "its options: margin, temperature"),
        ("offset-cross-entropy", {"margin": -0.1}, "margin=-0.1 in OffsetCrossEntropy must be >= 0"),
        ("offset-cross-entropy", {"temperature": 0.0}, "temperature=0.0 in OffsetCrossEntropy must be positive"),
        ("cross-entropy", {"temperature": math.nan}, "temperature=nan"),
        ("multi-margin", {"p": 0.5}, "p=0.5 in MultiMargin"),
        ("multi-margin", {"margin": math.inf}, "margin=inf"),
    ],
)
def test_mistakes_are_one_sentence(name, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        losses.build(name, **options)


def test_options_show_in_the_repr():
    assert repr(losses.build("multi-margin", p=2)) == "MultiMargin(margin=1, p=2)"
    assert "margin=0.5, temperature=0.1" in repr(losses.build("offset-cross-entropy", margin=0.5, temperature=0.1))
