import dataclasses

import pytest
import torch
from torch import nn

from onelip.attacks.judge import Judge
from onelip.certify import certify


def line(bias: float = 0.0, *modules: nn.Module):
    """Class 0 where x > -bias / 2, from a certificate at x = 1."""
    head = nn.Linear(1, 2).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        head.bias.copy_(torch.tensor([bias, 0.0]))
    return certify(nn.Sequential(*modules, head), torch.ones(1, 1), torch.tensor([0]))


def point(x: float) -> torch.Tensor:
    return torch.tensor([x], dtype=torch.float64)


def test_verdicts_on_a_line():
    certificate = line()
    assert certificate.radii[0] == pytest.approx(1, rel=1e-5)
    assert Judge(certificate).verdict(0, point(0.5), "me") == ("holds", None)
    assert Judge(certificate).verdict(0, point(-0.5), "me") == ("outside", None)
    assert Judge(certificate).verdict(0, point(float("nan")), "me") == ("outside", None)
    broken = Judge(dataclasses.replace(certificate, radii=certificate.radii * 2))
    verdict, violation = broken.verdict(0, point(-0.5), "me")
    assert (verdict, violation.index, violation.attack, violation.distance, violation.margin) == (
        "violation", 0, "me", 1.5, -1.0,
    )  # fmt: skip
    assert "sample 0 is certified within 1.99" in str(violation)
    # A tie is no answer.
    assert broken.verdict(0, point(0.0), "me")[0] == "violation"
    assert broken.verdict(0, point(5e-324), "me")[0] == "holds"


def test_a_margin_below_the_rounding_error_is_decided_exactly():
    # In float64, 2^60 + x is 2^60, and the computed margin is 0 on either side of the border.
    certificate = dataclasses.replace(line(), radii=line().radii * 2)
    shift = nn.Linear(1, 1).double()
    with torch.no_grad():
        shift.weight.fill_(1.0)
        shift.bias.fill_(2.0**60)
    back = nn.Linear(1, 1).double()
    with torch.no_grad():
        back.weight.fill_(1.0)
        back.bias.fill_(-(2.0**60))
    network = line(0.0, shift, back).network
    judge = Judge(dataclasses.replace(certificate, network=network))
    lead, doubt = judge.margins(point(0.25)[None], torch.tensor([0]))
    assert float(lead) == 0 < float(doubt)
    assert judge.verdict(0, point(0.25), "me")[0] == "holds"
    assert judge.verdict(0, point(-0.25), "me")[0] == "violation"


def test_without_exact_arithmetic_it_stays_undecided():
    certificate = line(0.0, nn.PReLU().double())
    judge = Judge(dataclasses.replace(certificate, radii=certificate.radii * 2))
    assert judge.verdict(0, point(0.0), "me")[0] == "undecided"
    assert judge.verdict(0, point(-0.1), "me")[0] == "violation"


def test_executed_programs_are_taken_at_their_word():
    certificate = line(0.0, nn.PReLU().double())
    judge = Judge(dataclasses.replace(certificate, radii=certificate.radii * 2, semantics="executed-float64"))
    assert judge.verdict(0, point(0.0), "me")[0] == "violation"


def test_bounds_of_errors_are_not_believed_in_small_networks(monkeypatch):
    # A bound of 0 for a margin whose sign float64 gets wrong.
    certificate = dataclasses.replace(line(), radii=line().radii * 2)
    judge = Judge(certificate)
    assert judge.small
    monkeypatch.setattr(judge, "margins", lambda points, labels: (torch.ones(1).double(), torch.zeros(1).double()))
    assert judge.verdict(0, point(-0.25), "me")[0] == "violation"
    assert judge.verdict(0, point(0.25), "me")[0] == "holds"
