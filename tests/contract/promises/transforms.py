"""torch.func, torch.compile and autocast."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from tests.contract.cases import Case
from tests.contract.measure import jacobians, operations, outputs
from tests.contract.promise import WITH_WEIGHT, promise
from tests.contract.states import perturb_, trained
from torch import Tensor, nn

FIXED_STEPS = 1e-4
"""Under a transform the iterations take a fixed number of steps instead of stopping at a tolerance, so numbers differ
by the residuals of the two, and gradients by a few times that."""

BFLOAT16 = 2.0**-8
"""Relative rounding of one number to bfloat16."""


def _state(layer: nn.Module) -> dict[str, Tensor]:
    return {**dict(layer.named_parameters()), **dict(layer.named_buffers())}


def _close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return float((a - b).detach().abs().max()) <= tolerance * max(1.0, float(b.detach().abs().max()))


@promise()
def check_functional_call(case: Case) -> None:
    """With another layer's state the output is that layer's, and this layer is left as it was."""
    layer, other = case.build(), perturb_(case.build(seed=31))
    x = case.input()
    for training in (True, False):
        mode = "train" if training else "eval"
        layer.train(training), other.train(training)
        before, expected = outputs(layer, x), outputs(other, x)
        with torch.no_grad():
            found = torch.func.functional_call(layer, _state(other), (x,))
            assert torch.equal(found, expected), f"functional_call ignores the state given in {mode} mode"
        assert torch.equal(before, outputs(layer, x)), f"functional_call leaves a trace in {mode} mode"


@promise(float32="first")
def check_jacrev(case: Case) -> None:
    """The Jacobian by torch.func is that of backward, with respect to input and to parameters."""
    layer = trained(case)
    x = case.input(batch=1)[0]
    for training in case.modes_for_one:
        layer.train(training)
        found = torch.func.jacrev(lambda v: layer(v[None])[0])(x)
        found = found.reshape(-1, x.numel()).double()
        assert _close(found, jacobians(layer, x[None])[0], FIXED_STEPS), "jacrev differs from backward"

    def loss(parameters: Mapping[str, Tensor]) -> Tensor:
        return (torch.func.functional_call(layer, parameters, (x[None],)) ** 2).sum()

    parameters = {n: p for n, p in layer.named_parameters() if p.requires_grad}
    for name, gradient in torch.func.grad(loss)({n: p.detach() for n, p in parameters.items()}).items():
        assert torch.isfinite(gradient).all(), f"torch.func.grad gives NaN or inf for {name}"


@promise(float32="first")
def check_vmap(case: Case) -> None:
    """Over inputs, and over the parameters of an ensemble, in both modes."""
    ensemble = [perturb_(case.build(seed=seed), seed) for seed in (1, 2)]
    layer, x = ensemble[0], case.input()
    for training in case.modes_for_one:
        for member in ensemble:
            member.train(training)
        mode = "train" if training else "eval"
        with torch.no_grad():
            one_by_one = torch.func.vmap(lambda v: layer(v[None])[0])(x)
        assert _close(one_by_one, outputs(layer, x), FIXED_STEPS), f"vmap over inputs differs in {mode} mode"
        parameters, buffers = torch.func.stack_module_state(ensemble)
        if not parameters:
            continue
        with torch.no_grad():
            stacked = torch.func.vmap(lambda p, b: torch.func.functional_call(layer, (p, b), (x,)))(parameters, buffers)
        for member, y in zip(ensemble, stacked, strict=True):
            assert _close(y, outputs(member, x), FIXED_STEPS), f"vmap over parameters differs in {mode} mode"


def _step(run: object, layer: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    layer.zero_grad()
    x = x.clone().requires_grad_()
    loss = (run(x) ** 2).sum()  # type: ignore[operator]
    loss.backward()
    assert x.grad is not None
    return loss.detach(), [x.grad] + [p.grad.clone() for p in layer.parameters() if p.grad is not None]


def _check_compiled(case: Case, backend: str) -> None:
    torch._dynamo.reset()
    layer = trained(case)
    x = case.input()
    expected, gradients = _step(layer, layer, x)
    compiled = torch.compile(layer, fullgraph=True, backend=backend, dynamic=False)
    for _ in range(2):
        loss, found = _step(compiled, layer, x)
        assert _close(loss, expected, FIXED_STEPS), f"the compiled loss is {loss}, not {expected}"
        assert len(found) == len(gradients), "the compiled step misses gradients"
        for a, b in zip(found, gradients, strict=True):
            assert _close(a, b, 10 * FIXED_STEPS), f"a compiled gradient differs by {float((a - b).abs().max()):.2e}"


@promise(slow=True, float32="first")
def check_compiled_training_step(case: Case) -> None:
    """`torch.compile(fullgraph=True)`: same loss, same gradients."""
    # Both graphs are traced; how the backward one is parted from the forward one is torch's affair.
    _check_compiled(case, "aot_eager_default_partitioner")


@promise(kinds=WITH_WEIGHT)
def check_autocast_leaves_the_constraint_alone(case: Case) -> None:
    """Under bfloat16 autocast the weight is built in full precision; only the plain layer's own products are not."""
    layer, x = perturb_(case.build()), case.input()
    # A layer that needs to know an image size for its plain form has seen one.
    outputs(layer, x)
    plain = layer.to_plain()
    expected = operations(lambda: _autocast(plain, x)).in_bfloat16
    for training in (True, False):
        layer.train(training)
        found = operations(lambda: _autocast(layer, x)).in_bfloat16
        extra = {n: c for n, c in found.items() if c > expected[n] and _computes(n)}
        assert not extra, f"autocast runs {extra} in bfloat16, the plain layer {dict(expected)}"
        if hasattr(layer, "eval_weight"):
            with torch.no_grad():
                weight = layer.weight
                with torch.autocast("cpu", torch.bfloat16):
                    inside = layer.weight
            assert inside.dtype == case.dtype, f"autocast makes the weight {inside.dtype}"
            assert torch.equal(inside, weight), "autocast changes the weight"


@promise(kinds=WITH_WEIGHT, float32="first")
def check_autocast_leaves_the_cache_alone(case: Case) -> None:
    """An eval pass under autocast does not leave a rounded weight for the next pass without it."""
    layer = trained(case).eval()
    with torch.no_grad():
        _autocast(layer, case.input())
    fresh = case.build(seed=13).eval()
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(outputs(layer, case.input()), outputs(fresh, case.input())), "autocast leaves a rounded weight"


@promise(kinds=WITH_WEIGHT, float32="first")
def check_autocast_gradients(case: Case) -> None:
    """Mixed-precision training: finite float32 gradients for every parameter."""
    layer = perturb_(case.build())
    _autocast(layer, case.input()).float().pow(2).sum().backward()
    for name, parameter in layer.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name} gets no gradient under autocast"
            assert parameter.grad.dtype == case.dtype, f"{name} gets a {parameter.grad.dtype} gradient"
            assert torch.isfinite(parameter.grad).all(), f"{name} gets a gradient with NaN or inf"


def _autocast(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        y: Tensor = layer(x)
    return y


def _computes(operation: str) -> bool:
    return any(word in operation for word in ("mm", "conv", "bmm", "dot", "linalg", "mul", "add", "div"))
