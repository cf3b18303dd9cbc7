"""The commands on a real, small run."""

import dataclasses
import json

import pytest
import torch

from onelip.certify import load_certificate
from onelip.experiments import RunFolder, UserError, commands, evaluation, inspection, latest_run, verification
from onelip.experiments.errors import CommandFailedError
from onelip.experiments.recorder import read_metrics
from onelip.experiments.subject import load_subject
from onelip.spectral import spectrum

pytestmark = pytest.mark.slow

SMALL = [
    "trainer.max_epochs=3", "trainer.threads=1", "model.widths=[32]",
    "attack.samples=30", "attack.steps=5", "attack.restarts=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    runs = tmp_path_factory.mktemp("runs")
    commands.train("digits", [*SMALL, f"runs_dir={runs}"], resume=False)
    return latest_run("digits", runs)


def contents(folder: RunFolder) -> dict:
    return json.loads(folder.results_file.read_text())


def test_a_run_leaves_every_file_of_the_documented_folder(run):
    names = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert {
        "config.yaml", "metrics.csv", "results.json", "attack.json", "report.html", "certificate.json",
        "weights.safetensors", "architecture.json", "samples.safetensors", "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
    } <= names  # fmt: skip
    assert any(name.startswith("tensorboard/events") for name in names)
    assert not [name for name in names if "partial" in name]


def test_the_spectrum_of_the_kept_and_of_the_last_weights_are_one_where_the_last_are_kept(run):
    tables = []
    for weights in ("best", "last"):
        subject = load_subject(str(run.path), input_shape=None, weights=weights)
        tables.append(spectrum(subject.network, subject.input_shape).values_by_name())
    assert tables[0] == tables[1]
    assert max(values[0] for values in tables[0].values()) < 1.0001


def test_results_are_ordered_certified_attacked_clean(run):
    results, attack = contents(run), json.loads(run.attack_file.read_text())
    assert results["split"] == "test"
    # The demonstration keeps the last weights; epochs are counted from 1.
    assert results["weights"] == {"rule": "last", "epoch": 3}
    assert results["epochs"] == 3 == len(read_metrics(run))
    assert list(results["certified"]) == list(results["attacked"]) == ["0.25", "0.5", "0.75", "1"]
    for certified, attacked in zip(attack["certified_on_same"], attack["accuracy"], strict=True):
        assert certified <= attacked <= attack["clean_on_same"]
    assert results["lipschitz_bound"]["proved"] is True
    assert 0.9 < results["lipschitz_bound"]["value"] <= 1.0001
    assert results["accuracy"] > 0.3, "no better than chance"


def test_certifying_again_gives_the_same_results(run):
    before = contents(run)
    commands.certify(str(run.path))
    assert {**contents(run), "created": ""} == {**before, "created": ""}


def test_relaxation_is_added_and_goes_with_its_certificate(run):
    commands.certify(str(run.path), relaxation="crown-ibp")
    relaxed = contents(run)["relaxation"]["certified"]
    certified = contents(run)["certified"]
    assert list(relaxed) == list(certified)
    assert all(relaxed[radius] >= share for radius, share in certified.items())
    commands.certify(str(run.path))
    assert "relaxation" not in contents(run)
    assert not run.relaxation_file.exists()


def test_an_attack_with_other_options_renews_the_results(run):
    before = contents(run)
    commands.attack(str(run.path), radii=[0.1], steps=3, restarts=1, samples=10)
    attack = json.loads(run.attack_file.read_text())
    assert (attack["radii"], attack["steps"], attack["samples"]) == ([0.1], 3, 10)
    after = contents(run)
    assert after["attacked"] == {"0.1": attack["accuracy"][0]}
    assert after["certified"] == before["certified"]
    with pytest.raises(UserError, match=r"attack\.radii\[0\]=-1\.0"):
        commands.attack(str(run.path), radii=[-1.0], steps=None, restarts=None, samples=None)


def test_other_attacks_have_files_of_their_own(run):
    options = {"steps": 3, "restarts": 1, "samples": 10}
    before = run.attack_file.read_bytes()
    commands.attack(str(run.path), radii=["16/255"], kind="apgd-t", **options)
    attack = json.loads((run.path / "attack-apgd-t-l2.json").read_text())
    assert (attack["attack"], attack["radii"]) == ("apgd-t", [16 / 255])
    commands.attack(str(run.path), radii=["8/255"], kind="fgsm", norm="linf", samples=10)
    commands.attack(str(run.path), radii=None, kind="break", **options)
    rows = json.loads(run.break_file.read_text())
    assert (rows["attack"], rows["n_samples"], rows["violations"]) == ("break", 10, [])
    assert run.attack_file.read_bytes() == before
    assert list(contents(run)["attacks"]) == ["apgd-t-l2", "fgsm-linf", "pgd-l2"]
    assert contents(run)["attacks"]["apgd-t-l2"]["accuracy"] == {"0.0627451": attack["accuracy"][0]}


def test_a_certificate_that_is_broken_is_a_failure(run, monkeypatch):
    def exaggerate(path):
        certificate = load_certificate(path)
        return dataclasses.replace(certificate, radii=certificate.radii * 20)

    monkeypatch.setattr(evaluation, "load_certificate", exaggerate)
    for kind in ("pgd", "break"):
        with pytest.raises(CommandFailedError, match=r"sample \d+ is certified within") as failed:
            commands.attack(str(run.path), radii=None, steps=10, restarts=1, samples=5, kind=kind)
        assert failed.value.exit_code == 1


def test_weights_that_are_not_certified_are_not_attacked(run):
    """A run that was trained further has another checkpoint than its certificate."""
    whole = run.best_checkpoint.read_bytes()
    checkpoint = torch.load(run.best_checkpoint)
    for tensor in checkpoint["state_dict"].values():
        tensor.neg_() if tensor.dim() == 2 else None
    torch.save(checkpoint, run.best_checkpoint)
    times = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    with pytest.raises(UserError, match="not those of the certificate; renew it with: onelip certify"):
        commands.attack(str(run.path), radii=None, steps=None, restarts=None, samples=None)
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == times
    run.best_checkpoint.write_bytes(whole)


def test_a_finished_run_resumes_to_the_same_results(run):
    commands.certify(str(run.path))
    before, metrics = contents(run), run.metrics_file.read_text()
    commands.train(str(run.path), [], resume=True)
    assert run.metrics_file.read_text() == metrics
    after = contents(run)
    for changing in ("created", "attacked", "attacks"):
        del before[changing], after[changing]
    assert after == before


def test_a_truncated_checkpoint_changes_nothing(run):
    whole = run.last_checkpoint.read_bytes()
    run.last_checkpoint.write_bytes(whole[:1000])
    times = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    with pytest.raises(UserError, match=r"last\.ckpt is not a whole checkpoint"):
        commands.train(str(run.path), [], resume=True)
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == times
    run.last_checkpoint.write_bytes(whole)


def test_the_certificate_and_the_report_of_a_run_stand_on_their_own(run, capsys):
    verification.verify(str(run.path))
    assert "the certificate holds" in capsys.readouterr().out
    page = run.path / "report.html"
    page.unlink()
    inspection.report(str(run.path))
    assert page.stat().st_size > 10_000


def test_norm_and_semantics_of_the_configuration_reach_every_output(tmp_path, capsys):
    about = ["certify.norm=linf", "certify.semantics=executed-float64", "certify.radii=[1/255]"]
    small = ["trainer.max_epochs=1", "trainer.threads=1", "model.widths=[32]", "attack.samples=10", "attack.steps=2"]
    commands.train("digits", [*small, *about, "layer=l-infinity", f"runs_dir={tmp_path}"], resume=False)
    run = latest_run("digits", tmp_path)
    results = contents(run)
    assert (results["norm"], results["semantics"]) == ("linf", "executed-float64")
    assert results["lipschitz_bound"]["value"] <= 1 + 1e-6
    page = (run.path / "report.html").read_text()
    assert "change of linf length up to" in page
    assert "what any float64 evaluation of the frozen operations computes" in page
    assert "l2 radius" not in page
    capsys.readouterr()
    verification.verify(str(run.path))
    shown = capsys.readouterr().out
    assert "in linf, proved" in shown
    assert "semantics executed-float64" in shown
