"""Accuracy against the radius, each norm apart."""

import dataclasses
import json
import math

import numpy as np
import pytest

from onelip.experiments.report.record import read_run
from onelip.experiments.report.robust import radii_in, robust_accuracies


@pytest.fixture
def with_linf(run):
    attack = json.loads(run.attack_file.read_text())
    other = attack | {"attack": "fgsm", "norm": "linf", "radii": [0.01, 0.02], "accuracy": [0.5, 0.25]}
    (run.path / "attack-fgsm-linf.json").write_text(json.dumps(other))
    return read_run(run.path)


def test_each_norm_has_its_attacks_and_its_certified_radii(with_linf):
    l2, linf = robust_accuracies(with_linf)
    assert (l2.norm, [a.name for a in l2.attacks]) == ("l2", ["pgd"])
    assert (linf.norm, [a.name for a in linf.attacks]) == ("linf", ["fgsm"])
    assert linf.attacks[0].accuracy == (0.5, 0.25)
    radii = with_linf.certificate.radii
    assert (l2.certified == radii).all()
    # 64 pixels: an l_inf ball of radius r is inside of the l2 ball of radius 8 r.
    assert linf.certified == pytest.approx(radii / 8)
    assert (linf.certified <= radii / 8).all()


def test_a_norm_without_attack_is_not_shown_unless_certified(finished):
    record = dataclasses.replace(read_run(finished.path), attacks=())
    (only,) = robust_accuracies(record)
    assert (only.norm, only.attacks) == ("l2", ())


def test_an_l2_ball_is_inside_of_the_linf_ball_of_its_radius(finished):
    record = read_run(finished.path)
    bound = dataclasses.replace(record.certificate.bound, norm="linf")
    certificate = dataclasses.replace(record.certificate, bound=bound)
    assert (radii_in(certificate, "l2") == np.asarray(certificate.radii)).all()
    assert (radii_in(certificate, "linf") == np.asarray(certificate.radii)).all()
    (only,) = robust_accuracies(dataclasses.replace(record, certificate=certificate, attacks=()))
    assert only.norm == "linf"


def test_relaxation_is_in_the_norm_of_the_certificate(with_linf):
    relaxation = {"certified": {"0.5": 0.25, "0.25": 0.75}}
    record = dataclasses.replace(with_linf, results=with_linf.results | {"relaxation": relaxation})
    l2, linf = robust_accuracies(record)
    assert l2.relaxed == ((0.25, 0.75), (0.5, 0.25))
    assert linf.relaxed == ()


def test_an_ordinary_run_has_attacks_alone(with_linf):
    record = dataclasses.replace(with_linf, certificate=None)
    l2, linf = robust_accuracies(record)
    assert l2.certified is None
    assert l2.clean == record.results["accuracy"]
    assert math.isclose(linf.limit, 0.02 * 1.06)
    assert robust_accuracies(dataclasses.replace(record, attacks=())) == []
