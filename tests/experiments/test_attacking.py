"""The command that attacks, on a run without a certificate; certified runs are attacked in test_commands.py."""

import csv
import itertools
import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

from onelip.experiments import RunFolder, UserError, commands
from onelip.experiments.attacking import attack_options
from onelip.experiments.config_file import load_config
from onelip.experiments.preparation import prepare
from onelip.experiments.run_folder import create_run_folder

PUBLISHED = [
    "attack.norm=linf", "attack.radii=[0.02]", "attack.steps=50", "attack.step_size=0.002", "attack.restarts=1",
    "attack.random_start=true", "attack.samples=60",
    "attack.cw={confidence: 0.1, steps: 100, binary_search_steps: 1, initial_const: 0.02}",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFolder:
    """A run of an ordinary network, as a training leaves it."""
    about = ["layer=plain", "activation=relu", "model.widths=[32]", "certify=null", "trainer.threads=1", *PUBLISHED]
    config = load_config("digits", [*about, f"runs_dir={tmp_path_factory.mktemp('runs')}"])
    experiment, folder = prepare(config), create_run_folder(config)
    model = experiment.model.train()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(experiment.train.pixels()), experiment.train.labels).backward()
        optimizer.step()
    torch.save({"state_dict": model.state_dict(), "epoch": 2}, folder.best_checkpoint)
    folder.results_file.write_text('{"name": "digits", "accuracy": 0.9}')
    return folder


def test_an_ordinary_network_is_attacked_as_configured(run, capsys):
    commands.attack(str(run.path))
    attack = json.loads(run.attack_file.read_text())
    assert (attack["attack"], attack["norm"], attack["radii"], attack["step_size"]) == ("pgd", "linf", [0.02], 0.002)
    assert (attack["random_start"], attack["samples"], attack["epoch"]) == (True, 60, 3)
    assert 0.5 < attack["accuracy"][0] < attack["clean_on_same"]
    results = json.loads(run.results_file.read_text())
    assert (results["name"], results["accuracy"]) == ("digits", 0.9)
    assert results["attacked"] == results["attacks"]["pgd-linf"]["accuracy"] == {"0.02": attack["accuracy"][0]}
    with (run.path / "attack-pgd-linf.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 60
    assert sum(row["success"] == "0" for row in table) == round(60 * attack["accuracy"][0])
    assert all(float(row["distance"]) <= 0.02 for row in table if row["success"] == "1")
    shown = capsys.readouterr().out
    assert "pgd in linf, on 60 images of the test split" in shown
    assert str(run.attack_file) in shown.replace("\n", "")


def test_stronger_attacks_leave_less_and_keep_their_own_files(run):
    before = run.attack_file.read_bytes() if run.attack_file.exists() else None
    commands.attack(str(run.path), kind="fgsm", norm="linf", radii=["8/255", "2/255"])
    commands.attack(str(run.path), kind="mim", norm="linf", radii=["8/255", "2/255"], steps=10, step_size="1/255")
    fgsm, mim = (json.loads((run.path / f"attack-{kind}-linf.json").read_text()) for kind in ("fgsm", "mim"))
    assert fgsm["radii"] == mim["radii"] == [2 / 255, 8 / 255]
    assert all(a <= b for a, b in zip(mim["accuracy"], fgsm["accuracy"], strict=True))
    assert (run.attack_file.read_bytes() if run.attack_file.exists() else None) == before
    assert {"fgsm-linf", "mim-linf"} <= set(json.loads(run.results_file.read_text())["attacks"])


def test_a_range_of_radii_in_stages_is_plotted(run, capsys):
    commands.attack(
        str(run.path), kind="apgd", norm="linf", radii=["0:0.06:0.02", "0.01"], samples="all", steps=3, restarts=1,
        settings=["n_targets=2"],
    )  # fmt: skip
    attack = json.loads((run.path / "attack-apgd-linf.json").read_text())
    assert attack["radii"] == [0.01, 0.02, 0.04, 0.06]
    assert (attack["n_targets"], attack["samples"]) == (2, 359)
    assert list(attack["stages"]) == ["pgd", "apgd-ce", "apgd-t"]
    stages = [attack["clean_on_same"] * np.ones(4), *map(np.array, attack["stages"].values())]
    assert all((later <= earlier).all() for earlier, later in itertools.pairwise(stages))
    assert (run.path / "attack-apgd-linf.png").read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out.replace("\n", "")
    assert "after pgd" in shown
    assert "attack-apgd-linf.png" in shown


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved
def test_nearest_points_of_other_attacks_and_their_options(run):
    # The configuration has options of pgd, which are none of deepfool.
    commands.attack(
        str(run.path), kind="deepfool", norm="linf", radii=["0.05"], samples=20, steps=9, settings=["overshoot=0.1"]
    )  # fmt: skip
    attack = json.loads((run.path / "attack-deepfool-linf.json").read_text())
    assert (attack["steps"], attack["overshoot"], attack["candidates"]) == (9, 0.1, 10)
    assert attack["accuracy"][0] < attack["clean_on_same"]
    assert (run.path / "attack-deepfool-linf.png").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved
def test_autoattack_takes_a_list_of_its_parts(run):
    settings = ["version=custom", "parts=[apgd-ce, apgd-dlr]"]
    commands.attack(str(run.path), kind="autoattack", norm="linf", radii=["0.05"], samples=10, settings=settings)
    attack = json.loads((run.path / "attack-autoattack-linf.json").read_text())
    assert attack["parts"] == ["apgd-ce", "apgd-dlr"]
    assert attack["accuracy"][0] < attack["clean_on_same"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # foolbox imports what SciPy has moved
def test_carlini_and_wagner_measure_in_l2_with_their_own_effort(run):
    commands.attack(str(run.path), kind="cw", radii=[0.5], samples=20, initial_const=10.0)
    attack = json.loads((run.path / "attack-cw-l2.json").read_text())
    assert (attack["confidence"], attack["steps"], attack["initial_const"]) == (0.1, 100, 10.0)
    assert attack["never_changed"] < attack["clean_on_same"]


def test_without_foolbox_there_is_one_sentence(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "foolbox", None)
    with pytest.raises(UserError, match="needs foolbox; install it with"):
        commands.attack(str(run.path), kind="cw", samples=2)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("break", {}, "--attack=break needs a certificate, and .* is not certified"),
        ("break", {"radii": ["0.1"]}, "--eps does not go with --attack=break"),
        ("jsma", {}, "--attack=jsma must be one of pgd, apgd, apgd-ce, .*, pointwise, break"),
        ("fgsm", {"steps": 3}, "--steps does not go with --attack=fgsm, whose options are radii, samples, norm"),
        ("pgd", {"initial_const": 3.0}, "--initial-const does not go with --attack=pgd"),
        ("cw", {"norm": "linf"}, "measures l2 distances"),
        ("pgd", {"norm": "l1"}, r"attack\.norm='l1'"),
        ("pgd", {"radii": ["8/0"]}, r"attack\.radii\[0\]='8/0'"),
        ("pgd", {"radii": ["-1/255"]}, r"attack\.radii\[0\]"),
        ("cw", {"confidence": -1.0}, r"attack\.cw\.confidence=-1\.0"),
        ("pgd", {"radii": ["0:1"]}, r"attack.radii='0:1' must be a range FROM:TO:STEP"),
        ("pgd", {"samples": "some"}, r"attack\.samples='some'"),
        ("ddn", {"settings": ["overshoot=0.1"]}, "overshoot=0.1 does not go with --attack=ddn, whose options are"),
        ("ddn", {"settings": ["gamma"]}, "'gamma' is not an option of an attack; write it as key=value"),
        ("ddn", {"settings": ["0.5"]}, "'0.5' is not an option of an attack; several radii go into one --eps"),
        ("ddn", {"settings": ["gamma=2"]}, r"attack\.ddn\.gamma=2"),
        ("ddn", {"settings": ["gamma=0.1", "gamma=0.2"]}, "gamma=0.2 is given twice"),
        ("autoattack", {"settings": ["version=custom"]}, "version=custom does not go with attack.autoattack.parts"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(run, kind, options, words):
    times = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    with pytest.raises(UserError, match=words):
        commands.attack(str(run.path), kind=kind, **options)
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == times


def test_a_run_without_a_whole_epoch_is_named(run, monkeypatch):
    kept = run.best_checkpoint.rename(run.path / "away")
    with pytest.raises(UserError, match="has no whole epoch yet"):
        commands.attack(str(run.path))
    kept.rename(run.best_checkpoint)


def test_a_configuration_without_attack_can_be_attacked_all_the_same():
    config = load_config("digits", ["attack=null"])
    options = attack_options(config, "bim", {"steps": 3, "radii": ["1/255"]})
    assert (options.kind, options.steps, options.radii, options.samples) == ("bim", 3, (1 / 255,), 200)
    assert attack_options(config, None, {}).kind == "pgd"


@pytest.mark.parametrize(("kind", "value"), [*itertools.product(["pgd", "fmn", "cw"], ["0.02", "2e-2", "1/50"])])
def test_a_step_may_be_written_as_a_number_or_a_fraction(kind, value):
    attack = attack_options(load_config("digits", []), kind, {"step_size": value})
    found = attack.step_size if kind == "pgd" else getattr(attack, kind).step_size
    assert found == pytest.approx(0.02)
    with pytest.raises(UserError, match="step_size='two'"):
        attack_options(load_config("digits", []), kind, {"step_size": "two"})
