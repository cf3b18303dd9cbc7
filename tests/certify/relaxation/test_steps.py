"""Lines enclose the functions that they stand for, in exact arithmetic."""

from fractions import Fraction

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onelip.certify.relaxation.affine import dense_map
from onelip.certify.relaxation.intervals import Interval
from onelip.certify.relaxation.steps import Affine, Maximum, Rectifier

ends = st.floats(-1e100, 1e100)
slopes = st.one_of(st.sampled_from([0.0, -1.0, 1.0, 0.01, 1.5]), st.floats(-3, 3))


def _box(low, high):
    return Interval(torch.tensor([[low]], dtype=torch.float64), torch.tensor([[high]], dtype=torch.float64))


def _exact(x, slope):
    return x if x >= 0 else Fraction(slope) * x


@pytest.mark.parametrize("kind", ["adaptive", "parallel"])
@given(pair=st.tuples(ends, ends), slope=slopes)
@example(pair=(-1.0, 3.0), slope=0.1)
@example(pair=(-1e-300, 1e100), slope=0.0)
@example(pair=(-5e-324, 5e-324), slope=0.3)
@settings(max_examples=150, deadline=None)
def test_lines_enclose_the_function_exactly(kind, pair, slope):
    # Both lines and the function are affine on both sides of 0: three points decide.
    low, high = sorted(pair)
    step = Rectifier("r", ("x",), (1,), torch.tensor([slope], dtype=torch.float64))
    lines = step.lines(_box(low, high), kind)
    below, below_at_0, above, above_at_0 = (Fraction(t.item()) for t in lines)
    points = [Fraction(low), Fraction(high)] + ([Fraction(0)] if low < 0 < high else [])
    for x in points:
        assert below * x + below_at_0 <= _exact(x, slope) <= above * x + above_at_0


@given(pair=st.tuples(ends, ends), slope=slopes)
def test_boxes_hold_the_image_exactly(pair, slope):
    low, high = sorted(pair)
    box = Rectifier("r", ("x",), (1,), torch.tensor([slope], dtype=torch.float64)).enclose([_box(low, high)])
    for x in (low, high, *([0.0] if low < 0 < high else [])):
        assert Fraction(box.lower.item()) <= _exact(Fraction(x), slope) <= Fraction(box.upper.item())


def test_relu_lines_are_those_of_the_papers():
    step = Rectifier("r", ("x",), (4,))
    x = Interval(torch.tensor([[-1.0, -3.0, 1.0, -2.0]]).double(), torch.tensor([[3.0, 1.0, 2.0, -1.0]]).double())
    below, _, above, above_at_0 = step.lines(x, "adaptive")
    assert below.tolist() == [[1.0, 0.0, 1.0, 0.0]]
    assert above.tolist() == [[0.75, 0.25, 1.0, 0.0]]
    assert above_at_0.tolist()[0] == pytest.approx([0.75, 0.75, 0.0, 0.0])
    assert step.lines(x, "parallel")[0].tolist() == above.tolist()


@pytest.mark.parametrize("kind", ["adaptive", "parallel"])
def test_functionals_are_bounded(kind):
    torch.manual_seed(0)
    windows = torch.tensor([[0, 1, 3], [2, 2, 2], [1, 4, 5]])
    steps = [
        Maximum("m", ("x",), (2, 1, 3), windows),
        Rectifier("r", ("x",), (2, 2, 3), torch.tensor([0.1, 1.4], dtype=torch.float64).reshape(2, 1, 1)),
    ]
    low = torch.randn(5, 2, 2, 3, dtype=torch.float64)
    x = Interval(low, low + torch.rand_like(low) ** 3)
    points = low[:, None] + torch.rand(5, 300, 2, 2, 3, dtype=torch.float64) * (x.upper - low)[:, None]
    for step in steps:
        linear = step.linearise([x], kind)
        a = torch.randn(5, 4, *step.shape, dtype=torch.float64)
        (image,), constant = linear.pull(a)
        values = _apply(step, points)
        assert bool((linear.size[:, None] >= values.abs() - 1e-12).all())
        box = step.enclose([x])
        assert bool(((values >= box.lower[:, None] - 1e-12) & (values <= box.upper[:, None] + 1e-12)).all())
        true = torch.einsum("nrk,npk->nrp", a.flatten(2), values.flatten(2))
        bound = torch.einsum("nrk,npk->nrp", image.flatten(2), points.flatten(2)) + constant[:, :, None]
        assert bool((bound <= true + 1e-12).all())
        # One functional for all samples is the same.
        (alike,), _ = linear.pull(a[:1])
        assert torch.equal(alike[0], image[0])
        assert alike.shape == image.shape


def _apply(step, points):
    if isinstance(step, Rectifier):
        return torch.where(points >= 0, points, step.slope * points)
    return points.flatten(-2)[..., step.windows].amax(-1).unsqueeze(-2)


def test_a_decided_maximum_is_its_entry():
    step = Maximum("m", ("x",), (1, 1, 1), torch.tensor([[0, 1]]))
    x = Interval(torch.tensor([[[[0.0, 2.0]]]]).double(), torch.tensor([[[[1.0, 3.0]]]]).double())
    (image,), constant = step.linearise([x], "adaptive").pull(-torch.ones(1, 1, 1, 1, 1).double())
    assert image.flatten().tolist() == [0.0, -1.0]
    assert constant.item() == 0.0


def test_affine_box_of_a_box_is_the_sum_of_sizes():
    weight = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    step = Affine("a", ("x",), (1,), (dense_map(weight).shifted(torch.tensor([5.0]).double()),))
    box = step.enclose([Interval(torch.tensor([[-1.0, 0.0]]).double(), torch.tensor([[1.0, 3.0]]).double())])
    assert box.lower.item() == pytest.approx(-2.0)
    assert box.upper.item() == pytest.approx(6.0)
    assert box.lower.item() < -2.0 < 6.0 < box.upper.item()
