"""`lipschitz_bound` is proved, above the true norm, and close to it."""

from __future__ import annotations

import torch
from tests.contract.cases import Case
from tests.contract.measure import MEASUREMENT_ERROR, NORM_SLACK, gains, outputs
from tests.contract.promise import CONVS, EVERY, WITH_WEIGHT, promise
from tests.contract.states import perturb_, raw_parameters
from torch import nn

from onelip import layers
from onelip.linalg import Bound

LOOSENESS = 1.5
"""A bound this far above the norm of a generic layer is of no use (design section 5: a few percent for most)."""


def _bound(layer: nn.Module, case: Case) -> Bound:
    bound = layer.lipschitz_bound(case.shape)
    assert isinstance(bound, Bound), f"lipschitz_bound returns {type(bound).__name__}, not Bound"
    assert bound.proved, f"the bound is not proved ({bound.method})"
    return bound


def _exact(layer: nn.Module) -> nn.Module:
    # The stored numbers of eval in a form whose evaluation has no float32 rounding.
    return layer.to_plain().double()


@promise(float32="all", float64="core")
def check_bound_covers_norm(case: Case) -> None:
    """Measured norm <= bound, for the stored weights of generic raw ones; bound <= 1 + slack. So in l_inf, if named."""
    for layer in (perturb_(case.build()).eval(),):
        bound = _bound(layer, case)
        gain = gains(_exact(layer), case.shape, torch.float64).largest
        value, slack = bound.value, NORM_SLACK[case.dtype]
        assert gain <= value * (1 + MEASUREMENT_ERROR), f"the norm {gain:.14f} exceeds the proved bound {value:.14f}"
        assert value <= max(1 + slack, gain * LOOSENESS), f"the bound {value} is loose, the norm is {gain}"
        if getattr(layer, "orthogonal", False):
            assert value <= 1 + slack, f"the bound of an orthogonal layer is {value:.12f}"
        if case.record.norm == "linf":
            _check_linf_bound(layer, case)


def _check_linf_bound(layer: nn.Module, case: Case) -> None:
    bound = layer.linf_bound(case.shape)
    gain = gains(_exact(layer), case.shape, torch.float64, "linf").largest
    assert bound.proved, f"the bound in l_inf is not proved ({bound.method})"
    assert gain <= bound.value * (1 + MEASUREMENT_ERROR), f"the norm in l_inf {gain:.14f} exceeds {bound.value:.14f}"
    assert bound.value <= 1 + NORM_SLACK[case.dtype], f"the bound in l_inf is {bound.value:.12f}"


@promise()
def check_bound_is_of_eval(case: Case) -> None:
    """The bound belongs to the weights that eval would use, in train mode and without any forward too."""
    layer = case.build()
    first = _bound(layer, case)
    assert layer.training, "lipschitz_bound changed the mode"
    layer.eval()
    outputs(layer, case.input())
    assert _bound(layer, case).value == first.value, "train mode and eval mode give different bounds"
    shapeless = layer.lipschitz_bound()
    assert isinstance(shapeless, Bound), "lipschitz_bound() without a shape does not return a Bound"
    assert shapeless.value >= first.value, "the bound for every shape is below the bound for one shape"


@promise()
def check_bound_follows_weights(case: Case) -> None:
    """No stale bound: it is that of a fresh layer with the same state, to the bit."""
    layer = case.build().eval()
    _bound(layer, case)
    perturb_(layer)
    fresh = case.build(seed=42)
    fresh.load_state_dict(layer.state_dict())
    expected, found = _bound(fresh, case).value, _bound(layer, case).value
    assert found == expected, f"the bound is stale: {found}, but a fresh layer with this state has {expected}"


@promise(kinds=WITH_WEIGHT, float32="first", float64="first")
def check_bound_refuses_nan(case: Case) -> None:
    """NaN and infinite weights are never certified."""
    for bad in (float("nan"), float("inf")):
        layer = case.build().eval()
        raw = raw_parameters(layer) or dict(layer.named_buffers())
        with torch.no_grad():
            next(iter(raw.values())).view(-1)[0] = bad
        try:
            bound = layer.lipschitz_bound(case.shape)
        except ValueError:
            continue
        # A weight built of infinite raw numbers may still be finite and short; then a proof is legitimate.
        finite = torch.isfinite(outputs(layer, case.input())).all()
        assert finite or not bound.proved, f"a layer that returns NaN is certified with {bound}"


@promise(kinds=CONVS, float32="all")
def check_bound_is_maximum_over_groups(case: Case) -> None:
    """Groups act on disjoint channels, so the norm is the largest of theirs, not their product or the first one's."""
    groups = case.options.get("groups", 1)
    layer = case.build().eval()
    if groups == 1 or not isinstance(layer, (layers.ExplicitConv2d, layers.ExplicitConvTranspose2d)):
        return
    weight = layer.eval_weight()
    for factors in ((0.5, 0.25), (1.0, 3.0), (3.0, 1.0)):
        scale = torch.tensor([factors[0]] + [factors[1]] * (groups - 1), dtype=weight.dtype)
        scaled = weight * scale.repeat_interleave(weight.shape[0] // groups)[:, None, None, None]
        # The instance attribute stands before the method of the class.
        layer.__dict__["eval_weight"] = lambda scaled=scaled: scaled
        bound = layer.lipschitz_bound(case.shape).value
        norm = gains(_exact(layer), case.shape, torch.float64).largest
        what = f"groups times {factors} have norm {norm:.6f}, the bound is {bound:.6f}"
        assert norm <= bound * (1 + MEASUREMENT_ERROR), what
        assert bound <= LOOSENESS * max(factors), what


@promise(kinds=EVERY)
def check_bound_takes_no_side(case: Case) -> None:
    """Asking for the bound changes neither state nor output nor the generator."""
    layer = case.build().eval()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    y = outputs(layer, case.input())
    generator = torch.get_rng_state()
    _bound(layer, case)
    assert torch.equal(generator, torch.get_rng_state()), "lipschitz_bound consumes random numbers"
    after = layer.state_dict()
    assert before.keys() == after.keys(), "lipschitz_bound changes the keys of the state"
    assert all(torch.equal(before[k], after[k]) for k in before), "lipschitz_bound changes the state"
    assert torch.equal(y, outputs(layer, case.input())), "lipschitz_bound changes the output"
