"""`to_plain`: the same function of plain modules, without constraint code; and `retract_`, which changes nothing."""

from __future__ import annotations

import torch
from tests.contract.cases import Case
from tests.contract.measure import SAME_FUNCTION, outputs
from tests.contract.promise import WITH_WEIGHT, promise
from tests.contract.states import STATES, perturb_, train, trained
from torch import nn

import onelip
from onelip import layers

RETRACTION = {torch.float32: 1e-5, torch.float64: 1e-10}


def _gap(a: nn.Module, b: nn.Module, case: Case) -> float:
    x = case.input()
    expected = outputs(a, x)
    return float((outputs(b, x) - expected).abs().max()) / max(1.0, float(expected.abs().max()))


@promise(float32="all", float64="core")
def check_plain_form_is_the_same_function(case: Case) -> None:
    """From train mode and from eval mode, after training."""
    layer = trained(case)
    assert layer.training
    from_train = layer.to_plain()
    assert layer.training or not list(layer.parameters()), "to_plain changes the mode of the layer"
    layer.eval()
    for plain, mode in ((from_train, "train"), (layer.to_plain(), "eval")):
        assert not plain.training, "the plain form is not in eval mode"
        gap = _gap(layer, plain, case)
        assert gap <= SAME_FUNCTION[case.dtype], f"the plain form made in {mode} mode differs by {gap:.2e}"


@promise(float32="first")
def check_plain_form_at_another_size(case: Case) -> None:
    """The plain form is not tied to an input size."""
    layer = trained(case).eval()
    x = torch.randn(2, *case.larger_shape(), dtype=case.dtype)
    gap = float((outputs(layer, x) - outputs(layer.to_plain(), x)).abs().max())
    assert gap <= 10 * SAME_FUNCTION[case.dtype], f"the plain form differs by {gap:.2e} at another size"


@promise(kinds=WITH_WEIGHT)
def check_plain_form_has_no_constraint_code(case: Case) -> None:
    """No parametrisation, no layer method's class, no raw parameter, no hook."""
    plain = trained(case).to_plain()
    methods = tuple(r.factory for kind in WITH_WEIGHT for r in layers.records(kind))  # type: ignore[arg-type]
    for module in plain.modules():
        assert not isinstance(module, (*methods, case.record.factory)), f"{type(module).__name__} is in the plain form"
        assert not hasattr(module, "constrain"), f"{type(module).__name__} in the plain form can constrain weights"
        assert not hasattr(module, "parametrizations"), f"{type(module).__name__} carries a parametrisation"
        hooks = [*module._forward_pre_hooks, *module._forward_hooks]
        assert not hooks, f"{type(module).__name__} carries hooks"
    raw = [name for name in plain.state_dict() if "raw" in name or "original" in name]
    assert not raw, f"the plain form keeps the raw parameters {raw}"


@promise()
def check_plain_form_is_independent(case: Case) -> None:
    """The plain form owns its numbers: edits of either side do not reach the other, gradients neither."""
    layer = trained(case).eval()
    plain = layer.to_plain()
    own = {t.data_ptr() for t in layer.state_dict().values()}
    shared = [n for n, t in plain.state_dict().items() if t.numel() and t.data_ptr() in own]
    assert not shared, f"the plain form shares {shared} with the layer"
    x = case.input()
    before = outputs(plain, x)
    perturb_(layer)
    assert torch.equal(before, outputs(plain, x)), "editing the layer changes its plain form"
    assert all(t.grad_fn is None for t in plain.state_dict(keep_vars=True).values()), "the plain form keeps a graph"


@promise(float32="first")
def check_plain_form_of_a_model(case: Case) -> None:
    """`onelip.layers.to_plain` converts a layer inside a model, and the verb agrees with the method."""
    layer = trained(case)
    model = nn.Sequential(nn.Identity(), nn.Sequential(layer))
    plain = layers.to_plain(model)
    assert _gap(model.eval(), plain, case) <= SAME_FUNCTION[case.dtype], "to_plain of a model is another function"
    assert repr(plain[1][0]) == repr(layer.to_plain()), "to_plain of a model and of the layer differ"


@promise(slow=True, float32="first")
def check_plain_form_exports(case: Case) -> None:
    """`torch.export` of the plain form gives the same numbers."""
    plain = trained(case).to_plain()
    x = case.input()
    with torch.no_grad():
        exported = torch.export.export(plain, (x,)).module()
        gap = float((exported(x) - plain(x)).abs().max())
    assert gap <= SAME_FUNCTION[case.dtype], f"the exported plain form differs by {gap:.2e}"


@promise(kinds=WITH_WEIGHT, float64="core")
def check_retraction_keeps_the_function(case: Case) -> None:
    """`retract_` moves raw parameters only: same function, same keys, same parameter objects, biases untouched."""
    for name in ("fresh", "trained", "perturbed", "raw weights x 1e3"):
        layer = STATES[name](case).layer.eval()
        before, x = outputs(layer, case.input()), case.input()
        biases = {n: p.clone() for n, p in layer.named_parameters() if n.endswith("bias")}
        kept = {n: (id(p), p.requires_grad) for n, p in layer.named_parameters()}
        onelip.layers.retract_(layer)
        gap = float((outputs(layer, x) - before).abs().max()) / max(1.0, float(before.abs().max()))
        assert gap <= RETRACTION[case.dtype], f"retract_ changes the function by {gap:.2e}, {name}"
        parameters = dict(layer.named_parameters())
        assert kept == {n: (id(p), p.requires_grad) for n, p in parameters.items()}, "retract_ replaces a parameter"
        assert all(torch.equal(b, parameters[n]) for n, b in biases.items()), "retract_ changes a bias"


@promise(kinds=WITH_WEIGHT, float32="first")
def check_retraction_of_degenerate_weights(case: Case) -> None:
    """From zero and rank-one raw weights the raw parameters stay finite, and the layer keeps training."""
    for name in ("raw weights zero", "raw weights of rank one"):
        layer = STATES[name](case).layer
        onelip.layers.retract_(layer)
        train(layer, case.input(), steps=1)
        for parameter_name, p in layer.named_parameters():
            assert torch.isfinite(p).all(), f"{parameter_name} is not finite after retract_ and a step, {name}"
