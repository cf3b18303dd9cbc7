"""Reading a run as far as it got."""

import json

import pytest

from onelip.experiments import UserError
from onelip.experiments.report.record import read_run


def test_a_finished_run_is_read_whole(finished):
    record = read_run(finished.path)
    assert record.problems == ()
    assert len(record.metrics) == 4
    assert record.certificate is not None
    assert record.results is not None
    assert record.attack is not None
    assert record.config_text == finished.config_file.read_text()


def test_an_empty_folder_has_no_problems_and_nothing_in_it(tmp_path):
    record = read_run(tmp_path)
    assert (record.config_text, record.results, record.attack, record.certificate) == (None, None, None, None)
    assert (list(record.metrics), record.problems) == ([], ())


def test_a_folder_must_be_there(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        read_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content", "part", "reason"),
    [
        ("results.json", "{", "results", "results.json cannot be used"),
        ("results.json", "[1]", "results", "it is not a JSON object"),
        ("attack.json", '{"radii": []}', "attack", "it lacks 'accuracy'"),
        ("attack.json", "\xff", "attack", "attack.json cannot be used"),
        ("certificate.json", "{}", "certificate", "certificate.json cannot be used"),
        ("metrics.csv", "epoch,loss\n0,zero\n", "metrics", "metrics.csv cannot be used"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_problem_of_its_own(run, name, content, part, reason):
    (run.path / name).write_bytes(content.encode("latin-1"))
    record = read_run(run.path)
    assert not getattr(record, part)
    assert len(record.problems) == 1
    assert reason in record.problems[0]
    assert "\n" not in record.problems[0]


@pytest.mark.parametrize(("key", "value"), [("certified_on_same", [0.9, 0.1]), ("samples", 10_000)])
def test_an_attack_on_another_certificate_is_left_out(run, key, value):
    attack = json.loads(run.attack_file.read_text())
    run.attack_file.write_text(json.dumps(attack | {key: value}))
    record = read_run(run.path)
    assert record.attack is None
    assert "attack again with: onelip attack" in record.problems[0]


def test_every_attack_on_the_kept_weights_is_read(run):
    attack = json.loads(run.attack_file.read_text())
    other = attack | {"attack": "apgd-t"}
    (run.path / "attack-apgd-t-l2.json").write_text(json.dumps(other))
    (run.path / "attack-fgsm-linf.json").write_text(json.dumps(attack | {"attack": "fgsm", "norm": "linf"}))
    (run.path / "attack-mim-l2.json").write_text(json.dumps(other | {"epoch": 1}))
    (run.path / "attack-bim-l2.json").write_text(json.dumps(other | {"certified_on_same": [0.9, 0.1]}))
    (run.path / "attack-cw-l2.json").write_text("{}")
    record = read_run(run.path)
    assert [one["attack"] for one in record.attacks] == ["pgd", "apgd-t", "fgsm"]
    (problem,) = record.problems
    assert "attack-cw-l2.json cannot be used: it lacks 'attack'" in problem


def test_an_ordinary_run_has_the_attack_of_its_configuration_too(run):
    run.certificate_file.unlink()
    results = json.loads(run.results_file.read_text())
    run.results_file.write_text(
        json.dumps(
            results
            | {
                "clean_accuracy": 0.9,
                "spectrum": [],
                "mode": "noBN",
                "checks": 0,
                "largest_norm_at_checks": None,
                "clipping": None,
                "samples": 9,
            }
        )
    )
    attack = {k: v for k, v in json.loads(run.attack_file.read_text()).items() if k != "certified_on_same"}
    run.attack_file.write_text(json.dumps(attack))
    record = read_run(run.path)
    assert record.attack is None
    assert [one["attack"] for one in record.attacks] == ["pgd"]


def test_points_are_read_and_a_broken_file_is_a_problem(run):
    (kept,) = read_run(run.path).kept
    assert kept.attack == "pgd-l2"
    (run.path / "attack-pgd-l2.npz").write_text("no archive")
    record = read_run(run.path)
    assert record.kept == ()
    assert "does not hold the points of an attack" in record.problems[0]
