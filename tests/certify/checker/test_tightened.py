from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from onelip import layers as L
from onelip.certify.certificate import Certificate, load_certificate
from onelip.certify.certification import certify
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.evaluation import Measured, measure
from onelip.certify.checker.network import Graph, Step
from onelip.certify.checker.tightened import prove_segments, shortened
from onelip.certify.checker.verification import verify


def step(name: str, before: str, op: str, arrays: dict[str, Any] | None = None, **attributes: Any) -> Step:
    return Step(name, op, (before,), attributes, arrays or {}, 1e9, None)


def network(*middle: Step, n: int = 8) -> Measured:
    g = np.random.default_rng(0)
    first = step("first", "input", "linear", {"weight": g.standard_normal((n, 4))})
    last = step("last", middle[-1].name, "linear", {"weight": g.standard_normal((3, n))})
    return measure(Graph((4,), (first, *middle, last), "last"), 1e-6)


def runs(names: list[str], radii: list[float], mixed: bool = False, n: int = 8) -> list[Any]:
    return [{"nodes": names, "mixed": mixed, "radii": [[h.hex()] * n for h in radii]}]


def test_proof_of_relu_is_between_a_jacobian_and_the_product() -> None:
    measured = network(step("relu", "first", "relu"))
    w, v = (measured.graph.step(name).arrays["weight"] for name in ("first", "last"))
    sigma = float(np.linalg.norm(w, 2))
    (proof,) = prove_segments(measured, runs(["first", "relu", "last"], [sigma / 2**0.5]))
    masks = (np.random.default_rng(1).random((500, 8)) > 0.5).astype(float)
    jacobians = np.einsum("ij,bj,jk->bik", v, masks, w)
    assert np.linalg.norm(jacobians, 2, (1, 2)).max() <= proof.value < measured.cumulative["last"]
    differences = np.linalg.norm(jacobians[:, :, None] - jacobians[:, None], axis=-1).max(0)
    assert (differences <= proof.gaps).all()
    constants = shortened(measured, [proof])
    assert constants["last"] == proof.value
    assert constants["relu"] == measured.cumulative["relu"]


def test_closed_form_of_a_reference() -> None:
    # ECLipsE-Fast: h^2 = sigma^2 / 2 corresponds to its multiplier.
    measured = network(step("relu", "first", "relu"))
    w, v = (measured.graph.step(name).arrays["weight"] for name in ("first", "last"))
    gram = w @ w.T
    factor = 2 / np.linalg.eigvalsh(gram)[-1]
    metric = factor * np.eye(8) - factor**2 / 4 * gram
    expected = np.sqrt(np.linalg.eigvalsh(v @ np.linalg.inv(metric) @ v.T)[-1])
    (proof,) = prove_segments(measured, runs(["first", "relu", "last"], [(1 / factor) ** 0.5]))
    assert proof.value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("claimed", "message"),
    [
        (runs(["first", "relu", "last"], [1e-3]), "prove nothing"),
        (runs(["first", "relu", "last"], [5.0, 5.0]), "do not fit"),
        (runs(["first", "relu", "last"], []), "malformed"),
        (runs(["first", "relu", "last"], [5.0], n=7), "does not fit"),
        (runs(["first", "last"], []), "does not follow"),
        (runs(["relu", "last"], [5.0]), "does not fit"),
        (runs(["first", "other"], []), "malformed"),
        (runs([], []), "must name its nodes"),
        ([{"nodes": ["first"], "mixed": 1, "radii": []}], "must name its nodes"),
        ([{"nodes": ["first"]}], "malformed"),
        (7, "malformed"),
        ([{"nodes": ["first", "relu", "last"], "mixed": False, "radii": [["nan"] * 8]}], "not a number"),
    ],
)
def test_malformed_or_useless_runs_are_refused(claimed: Any, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        prove_segments(network(step("relu", "first", "relu")), claimed)


def test_steps_that_runs_do_not_know_are_refused() -> None:
    measured = network(step("center", "first", "center", axes=[0]))
    with pytest.raises(VerificationError, match="does not fit into a run"):
        prove_segments(measured, runs(["first", "center", "last"], [5.0]))


ACTIVATIONS = [
    nn.ReLU(), nn.LeakyReLU(-0.3), nn.PReLU(12), L.Abs(), L.BetaAbs(0.5), L.MaxMin(), L.GroupSort(4), L.GroupSort(3),
    L.HouseHolder(12), L.HouseHolder2(12), L.NActivation(12), L.SoftHuber(),
]  # fmt: skip


def saved(folder: Path, activation: nn.Module) -> Path:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 12), activation, nn.Linear(12, 12), nn.BatchNorm1d(12),
        copy.deepcopy(activation), L.Scale(0.75), nn.Linear(12, 5), L.ChannelKeep(4),
    ).eval()  # fmt: skip
    model[5].running_var.uniform_(0.5, 2)
    x = torch.randn(20, 1, 4, 4)
    return certify(model, x, model(x).argmax(1), search_steps=5).save(folder)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_certificates_with_runs_are_verified(activation: nn.Module, tmp_path: Path) -> None:
    path = saved(tmp_path, activation)
    outcome = verify(path)
    assert outcome.ok, str(outcome)
    certificate = load_certificate(path)
    assert len(certificate.runs) == 1
    tightened = certificate.bound.tightened
    assert tightened is not None
    assert tightened.value * (1 - 1e-6) <= outcome.tightened_proved <= tightened.value * (1 + 1e-6)
    assert tightened.value < certificate.bound.value


def forged(path: Path, folder: Path, **changes: Any) -> Path:
    certificate: Certificate = replace(load_certificate(path), **changes)
    return certificate.save(folder)


def test_forged_runs_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "good", nn.ReLU())
    certificate = load_certificate(path)
    tightened = certificate.bound.tightened
    assert tightened is not None
    smaller = replace(certificate.bound, tightened=replace(tightened, value=tightened.value * 0.99))
    shrunk = copy.deepcopy(certificate.runs)
    shrunk[0]["radii"][0] = [(float.fromhex(h) * 0.5).hex() for h in shrunk[0]["radii"][0]]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"bound": smaller}, "tightened constant .* could not be proved"),
        ({"runs": []}, "malformed"),
        ({"runs": shrunk}, "prove nothing|could not be proved"),
        ({"pair_constants": certificate.pair_constants * 0.99}, "pair constant .* could not be proved"),
        ({"bound": replace(certificate.bound, tightened=None), "runs": []}, "could not be proved"),
    ]
    for i, (changes, message) in enumerate(cases):
        outcome = verify(forged(path, tmp_path / str(i), **changes))
        assert not outcome.ok
        assert re.search(message, str(outcome)), str(outcome)
