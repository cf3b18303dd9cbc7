"""Headline numbers and warnings."""

import dataclasses

import pytest

from onelip.experiments.report import summary
from onelip.experiments.report.gallery import Example, Gallery
from onelip.experiments.report.numbers import MISSING
from onelip.experiments.report.record import RunRecord, read_run


@pytest.fixture
def record(finished) -> RunRecord:
    return read_run(finished.path)


def looks(badges):
    return {badge["text"]: badge["look"] for badge in badges}


def test_a_sound_run_has_good_badges_and_no_alarm(record):
    assert set(looks(summary.badges(record, None)).values()) == {"good"}
    assert "attack never beat the certificate" in looks(summary.badges(record, None))
    assert summary.alarms(record, None) == []


def test_an_attack_below_the_certified_accuracy_is_an_alarm(record):
    beaten = [0.0, *record.attack["accuracy"][1:]]
    broken = dataclasses.replace(record, attacks=[record.attack | {"accuracy": beaten}])
    assert "an attack BEAT the certificate" in looks(summary.badges(broken, None))
    (alarm,) = summary.alarms(broken, None)
    assert "At radius 0.25 the l2 attack left 0.00" in alarm
    assert summary.lead(broken, None)["certified"] is None
    assert "good" not in looks(summary.badges(broken, None)).values()
    equal = dataclasses.replace(record, attacks=[record.attack | {"accuracy": record.attack["certified_on_same"]}])
    assert summary.alarms(equal, None) == []


def test_an_adversarial_image_inside_the_certified_ball_is_an_alarm(record):
    example = Example(7, "3", "5", 0.5, 0.4, "pgd-l2", 1.0, "", "", "")
    gallery = Gallery((example,), 1.0, "l2")
    assert looks(summary.badges(record, gallery))["an attack BEAT the certificate"] == "bad"
    assert "Image 7 is certified within 0.5" in summary.alarms(record, gallery)[0]


def test_an_estimate_is_called_one_everywhere(record):
    bound = record.certificate.bound
    estimated = dataclasses.replace(bound, bound=dataclasses.replace(bound.bound, proved=False, method="power"))
    results = record.results | {"lipschitz_bound": {"value": 1.0, "proved": False, "method": "power"}}
    certificate = dataclasses.replace(record.certificate, bound=estimated)
    guess = dataclasses.replace(record, certificate=certificate, results=results)
    assert looks(summary.badges(guess, None))["constant is an ESTIMATE, not proved"] == "bad"
    assert "ESTIMATE, so nothing on this page is proved: power" in summary.alarms(guess, None)[0]
    assert not summary.lead(guess, None)["proved"]
    assert "l2, ESTIMATE, not proved" in [tile["detail"] for tile in summary.tiles(guess)]


def test_the_sentence_quotes_the_smallest_radius(record):
    sentence = summary.lead(record, None)
    assert (sentence["radius"], sentence["samples"], sentence["split"]) == ("0.25", "359", "test")
    share = record.certificate.certified_accuracy(0.25)
    assert float(sentence["certified"].rstrip("%")) <= 100 * share
    assert summary.lead(RunRecord(record.folder), None) is None


def test_problems_are_shown_as_alarms(record):
    assert summary.alarms(dataclasses.replace(record, problems=("x is broken",)), None) == ["x is broken"]


def test_tiles_quote_the_results(record):
    tiles = {tile["name"]: tile for tile in summary.tiles(record)}
    assert list(tiles)[:4] == ["clean accuracy", "certified at 0.25", "certified at 0.5", "Lipschitz constant ≤"]
    assert tiles["certified at 0.25"]["detail"].startswith("under attack")
    assert tiles["training"] == {"name": "training", "value": "2.0 s", "detail": "4 epochs", "look": ""}
    assert tiles["parameters"]["value"] == f"{record.results['n_parameters']:,}"
    assert summary.tiles(RunRecord(record.folder)) == []


def test_rows_join_the_radii_of_results_and_attack(record):
    attack = record.attack | {"radii": [0.5, 2.0], "certified_on_same": [0.1, 0.0], "accuracy": [0.3, 0.05]}
    rows = summary.radius_rows(dataclasses.replace(record, attack=attack))
    assert [row["radius"] for row in rows] == ["0.25", "0.5", "2"]
    assert [row["between"][:5] for row in rows] == [MISSING, "20.00", "5.00\N{NARROW NO-BREAK SPACE}"]
    assert summary.radius_rows(RunRecord(record.folder)) == []
    bare = summary.radius_rows(dataclasses.replace(record, attack=None, results=None))
    assert [row["radius"] for row in bare] == ["0.25", "0.5", "1"]


def test_the_attack_is_described_with_its_effort(record):
    text = summary.attack_summary(record)
    assert text["partial"]
    assert "40 of the" in text["text"]
    assert "4 steps, 1 random start at" in text["text"]
    assert summary.attack_summary(dataclasses.replace(record, attack=None)) is None
    step = {key: value for key, value in record.attack.items() if key not in ("steps", "restarts")} | {"attack": "fgsm"}
    text = summary.attack_summary(dataclasses.replace(record, attack=step))["text"]
    assert text.startswith("Attack: l2 fast gradient sign method on 40 of the 359 images. Their clean")


def test_relaxation_is_told_where_there_is_one(record):
    assert summary.relaxation_summary(record) is None
    relaxation = {"method": "kw", "samples": 359, "seconds": 12.0, "certified": {"0.25": 0.5}}
    relaxed = dataclasses.replace(record, results=record.results | {"relaxation": relaxation})
    assert "kw, lines around the activations of 359 images in 12" in summary.relaxation_summary(relaxed)
    rows = {row["radius"]: row["relaxed"] for row in summary.radius_rows(relaxed)}
    assert rows["0.25"].startswith("50.00")
    assert rows["0.5"] == MISSING


def test_facts_leave_out_what_is_unknown(record):
    names = dict(summary.facts(record))
    assert names["data set"] == "digits"
    assert names["cores"] == str(record.results["machine"]["cores"])
    assert summary.facts(RunRecord(record.folder)) == []


def test_attacks_on_fewer_images_are_named(record):
    assert summary.other_attacks(record) == ""
    other = record.attack | {"attack": "cw", "samples": 30}
    whole = record.attack | {"attack": "mim", "samples": 359}
    text = summary.other_attacks(dataclasses.replace(record, attacks=(record.attack, other, whole)))
    assert text.endswith("below the line of all that are certified: cw in l2 (30).")
    assert summary.other_attacks(dataclasses.replace(record, certificate=None)) == ""
