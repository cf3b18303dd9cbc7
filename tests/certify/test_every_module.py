"""Every module and function of torch in the table: measured, frozen, evaluated, certified and verified; or refused."""

import pytest
import torch
from tools.module_table import BOUNDED_ONLY, CONTAINERS, GROUPS, REFUSED
from torch import nn

from onelip.bounds import UnknownLipschitzConstant, lipschitz_bound
from onelip.bounds.refusals import reason
from onelip.certify import UncertifiableOperation, certify, verify
from onelip.certify.checker import evaluation, network
from onelip.certify.checker.files import canonical, parse_json
from onelip.certify.checker.linf import linf_constants
from onelip.certify.export import freeze
from onelip.certify.forward import evaluate
from onelip.certify.records import named_tensors, to_json

CASES = [case for cases in GROUPS.values() for case in cases]

ROUNDING = 1e-9
"""Relative error of the largest singular value of a float64 Jacobian of a few hundred rows, times a thousand."""


def built(case):
    torch.manual_seed(0)
    model = case.build().double().eval()
    with torch.no_grad():
        for name, values in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith(("running_mean", "bias")):
                values.normal_()
            elif name.endswith("running_var"):
                values.uniform_(0.3, 2)
    return model


def steepest(model, points):
    """Largest singular value, and largest absolute row sum, of Jacobians at a few points: lower bounds of constants.

    As many copies of a point as there are outputs, and one gradient each, give the whole Jacobian in one pass.
    """
    with torch.no_grad():
        outputs = model(points[:1])[0].numel()
    copies = points.repeat_interleave(outputs, 0).requires_grad_()
    y = model(copies.clone()).reshape(len(points), outputs, outputs)
    (rows,) = torch.autograd.grad(y, copies, torch.eye(outputs, dtype=y.dtype).expand_as(y))
    jacobians = rows.reshape(len(points), outputs, -1)
    return float(torch.linalg.matrix_norm(jacobians, 2).max()), float(jacobians.abs().sum(2).max())


def sample_points(shape):
    """Two random points, one of whole numbers, where functions with pieces have their corners, and zero."""
    x = 2 * torch.randn(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x[2], x[3] = x[2].round(), 0
    return x


def checked(network_of_ours, x):
    """What the checker makes of a frozen network: its constants in l2 and l_inf, and the output with its error."""
    arrays = {name: tensor.numpy() for name, tensor in named_tensors(network_of_ours)}
    description = parse_json(canonical(to_json(network_of_ours)), "architecture")
    claims = {node.name: float(node.constant).hex() for node in network_of_ours.nodes}
    measured = evaluation.measure(network.read_graph(description, arrays, claims), 1e-8)
    y, error = evaluation.evaluate(measured, x.numpy())
    output = measured.graph.output
    constants = measured.cumulative[output], linf_constants(measured)[output]
    return constants, torch.from_numpy(y), torch.from_numpy(error)


def assert_close(y, error, expected):
    assert y.shape == expected.shape
    # Torch's own evaluation obeys the same bound of the error.
    off = (y - expected).flatten(1).norm(dim=1)
    assert bool((off <= 2 * error + 1e-15).all()), (off, error)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_module_is_bounded_and_certified(case):
    model, points = built(case), sample_points(case.shape)
    frozen = freeze(model, case.shape)
    bound = frozen.analysis.total
    assert bound.proved
    true, row_sum = steepest(model, points)
    assert true <= bound.value * (1 + ROUNDING)
    if case.slack is not None:
        assert bound.value <= true * case.slack
    with torch.no_grad():
        expected = model(points.clone())
    y, error = evaluate(frozen.network, points.clone())
    assert_close(y, error, expected)
    assert float(error.max()) < 1e-7
    (constant, in_linf), y, error = checked(frozen.network, points)
    assert constant <= bound.value * (1 + 1e-6)
    assert true <= constant * (1 + ROUNDING)
    assert_close(y, error, expected)
    linf = lipschitz_bound(model, case.shape, norm="linf")
    assert linf.proved
    assert row_sum <= min(in_linf, linf.value) * (1 + ROUNDING)
    assert in_linf <= linf.value * (1 + 1e-6)
    if case.slack is not None:
        assert linf.value <= row_sum * case.slack


@pytest.mark.parametrize("group", GROUPS)
def test_certificates_of_whole_networks_hold(group, tmp_path):
    # One network for each module of a group would take minutes; every tenth stands for them.
    for i, case in enumerate(GROUPS[group][::10]):
        model = built(case)
        x = torch.rand(2, *case.shape)
        with torch.no_grad():
            width = model(x.double())[0].numel()
        whole = nn.Sequential(model, nn.Flatten(), nn.Linear(width, 3).double()).eval()
        with torch.no_grad():
            labels = whole(x.double()).argmax(1)
        certificate = certify(whole, x, labels)
        outcome = verify(certificate.save(tmp_path / str(i)))
        assert outcome.ok, f"{case}: {outcome}"
        assert (certificate.radii > 0).all()


@pytest.mark.parametrize("case", BOUNDED_ONLY, ids=str)
def test_what_is_bounded_only(case):
    model = built(case)
    bound = lipschitz_bound(model, case.shape)
    true, row_sum = steepest(model, sample_points(case.shape)[:2])
    assert true <= bound.value * (1 + ROUNDING)
    assert row_sum <= lipschitz_bound(model, case.shape, norm="linf").value * (1 + ROUNDING)
    with pytest.raises(ValueError, match="cannot be"):
        freeze(model, case.shape)


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_is_refused_with_a_reason(case):
    for norm in ("l2", "linf"):
        with pytest.raises(UnknownLipschitzConstant, match=r"has no known Lipschitz constant: .{15,}; give it one"):
            lipschitz_bound(case.build(), case.shape, norm=norm)


def test_no_class_of_torch_is_passed_over():
    names = {
        name
        for name in dir(nn)
        if isinstance(getattr(nn, name), type) and issubclass(getattr(nn, name), nn.Module) and name not in CONTAINERS
    }
    tried = {case.name for case in (*CASES, *REFUSED)}
    left = {name for name in names - tried if reason(getattr(nn, name)) is None}
    assert not left, f"neither bounded nor refused: {sorted(left)}"


def test_a_part_that_has_no_operation_is_named():
    class Parts(nn.Module):
        def forward(self, x):
            return x.unflatten(1, (2, 2)).sort(1)[0] @ torch.eye(2).expand(1, 2, 2)

    with pytest.raises((UncertifiableOperation, UnknownLipschitzConstant), match="matmul"):
        freeze(Parts(), (4,))
