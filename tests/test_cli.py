"""The command line: what it says, its exit codes, and that mistakes write nothing."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from onelip.cli import main

COMMANDS = (
    "train", "certify", "verify", "attack", "spectrum", "clip", "report", "tables", "list", "data", "doctor", "bench",
    "sweep", "convert",
)  # fmt: skip


@pytest.fixture
def onelip(tmp_path, monkeypatch, capsys):
    """Run a command in an empty folder; return the exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["onelip", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return (caught.value.code or 0, *capsys.readouterr())

    return run


@pytest.mark.parametrize(
    "command", [["train", "--resume"], ["certify"], ["attack"], ["report"], ["spectrum"]], ids=" ".join
)
def test_a_run_that_cannot_be_written_is_refused_before_any_work(onelip, tmp_path, monkeypatch, command):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("data: {name: digits}\nmodel: {name: mlp}\n")
    # The file system would let root, who may run these tests, write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    code, _, error = onelip(*command, "run")
    assert (code, error) == (2, "onelip: run cannot be written, and the command puts its results there\n")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["config.yaml"]


def test_what_the_system_refuses_midway_is_one_sentence(onelip, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/x/weights.safetensors")

    monkeypatch.setattr("onelip.experiments.commands.certify", full)
    code, _, error = onelip("certify", "runs/x")
    assert (code, error) == (1, "onelip: runs/x/weights.safetensors: no space left on device\n")


def test_options_of_an_attack_arrive(onelip, monkeypatch):
    given = {}
    monkeypatch.setattr("onelip.experiments.commands.attack", lambda run, **options: given.update(options))
    assert onelip("attack", "runs/x")[0] == 0
    assert set(given.values()) == {None}
    line = "--attack cw --norm l2 --eps 8/255 --radius 0.5 --steps 3 --restarts 2 --samples 9 --step-size 2/255"
    code, _, _ = onelip("attack", "runs/x", *line.split(), "--random-start", "--confidence", "0.1", "gamma=0.3")
    assert code == 0
    assert {key: value for key, value in given.items() if value is not None} == {
        "kind": "cw", "norm": "l2", "radii": ["8/255", "0.5"], "steps": 3, "restarts": 2, "samples": 9,
        "step_size": "2/255", "random_start": True, "confidence": 0.1, "settings": ["gamma=0.3"],
    }  # fmt: skip


def write_arrays(path, images, labels):
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)


def with_nan(path):
    images = np.random.default_rng(0).random((40, 1, 8, 8), dtype=np.float32)
    images[3, 0, 2, 2] = np.nan
    write_arrays(path, images, np.arange(40) % 4)
    return [f"data.dir={path}"]


def too_small(path):
    write_arrays(path, np.zeros((40, 3, 2, 2), dtype=np.uint8), np.arange(40) % 4)
    return [f"data.dir={path}", "model=convnet-xs"]


def truncated(path):
    write_arrays(path, np.zeros((40, 1, 8, 8), dtype=np.uint8), np.arange(40) % 4)
    path.write_bytes(path.read_bytes()[:1000])
    return [f"data.dir={path}"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["digitz"], "did you mean 'digits'"),
        (["digits", "trainer.max_epoch=5"], "did you mean 'trainer.max_epochs'"),
        (["digits", "layer=aocc"], "did you mean 'aoc'"),
        (["digits", "data=digitz"], "did you mean 'digits'"),
        (["digits", "model=convnet-xss"], "did you mean 'convnet-xs'"),
        (["digits", "activation=maxmn"], "did you mean 'maxmin'"),
        (["digits", "loss=cross-entropi"], "did you mean 'cross-entropy'"),
        (["digits", "loss.margn=1"], "margn"),
        (["digits", "model.wdith=1"], "wdith"),
        (["digits", "trainer.max_epochs=many"], "trainer.max_epochs='many'"),
        (["digits", "data.batch_size=0"], "data.batch_size=0"),
        (["cifar10", "data.dir=nowhere"], "nowhere"),
        (["digits", "runs_dir=in-the-way"], "in-the-way"),
        (["digits", "--resume"], "there is no run of 'digits'"),
        (["runs/digitz/x", "--resume"], "runs/digitz/x is not the folder of a run"),
        (["digits", "--resume", "seed=3"], "cannot change a run that is resumed"),
        (["missing.yaml"], "missing.yaml: no such file"),
    ],
)
def test_a_mistake_is_one_sentence_with_exit_code_2_and_nothing_written(arguments, sentence, onelip, tmp_path):
    (tmp_path / "in-the-way").write_text("a file where the runs should go")
    code, output, errors = onelip("train", *arguments)
    assert code == 2
    assert sentence in errors
    assert errors.count("\n") == 1
    assert output == ""
    assert [p.name for p in tmp_path.iterdir()] == ["in-the-way"]


@pytest.mark.parametrize(("make", "sentence"), [(with_nan, "NaN"), (too_small, "(3, 2, 2)"), (truncated, "data.npz")])
def test_bad_data_is_one_sentence_with_exit_code_2_and_nothing_written(make, sentence, onelip, tmp_path):
    overrides = make(tmp_path / "data.npz")
    code, output, errors = onelip("train", "digits", "data=arrays", *overrides)
    assert code == 2
    assert sentence.lower() in errors.lower()
    assert errors.count("\n") == 1
    assert output == ""
    assert [p.name for p in tmp_path.iterdir()] == ["data.npz"]


@pytest.mark.parametrize("command", ["certify", "attack", "report", "verify", "spectrum"])
def test_commands_on_a_folder_without_a_run_say_so(command, onelip, tmp_path):
    code, _, errors = onelip(command, str(tmp_path))
    assert code == 2
    assert str(tmp_path) in errors


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["own_nets:net"], "own_nets:net needs --input-shape"),
        (["own_nets:net", "--input-shape", "3;4"], "--input-shape=3;4 must be positive whole numbers"),
        (["own_nets:net", "--input-shape", "4"], "input_shape=(4,) does not fit Linear"),
        (["own_nets:nat", "--input-shape", "3"], "own_nets has no 'nat'"),
        (["absent_nets:net", "--input-shape", "3"], "there is no module 'absent_nets'"),
        (["own_nets:net", "--input-shape", "3", "--weights", "w.pt"], "w.pt: no such file"),
        (["own_nets:net", "--input-shape", "3", "--format", "cvs"], "did you mean 'csv'"),
    ],
)
def test_a_network_of_ones_own_that_does_not_fit_is_one_sentence(arguments, sentence, onelip, tmp_path):
    (tmp_path / "own_nets.py").write_text("from torch import nn\nnet = nn.Linear(3, 2)\n")
    code, output, errors = onelip("spectrum", *arguments)
    assert (code, output) == (2, "")
    assert sentence in errors
    assert errors.count("\n") == 1


def test_the_spectrum_of_a_network_of_ones_own(onelip, tmp_path):
    (tmp_path / "own_nets.py").write_text("from torch import nn\nnet = nn.Linear(3, 2)\n")
    code, output, _ = onelip("spectrum", "own_nets:net", "--input-shape", "3", "--k", "2")
    assert code == 0
    assert output.splitlines()[1].split()[:5] == ["(model)", "Linear", "2x3", "3", "2"]
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix) == ["own_nets.py"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--max-norm", "1", "--out", "a.pt"], "--out=a.pt must end in .safetensors"),
        (["--max-norm", "1", "--out", "old.safetensors"], "old.safetensors exists and is not overwritten"),
        (["--max-norm", "1", "--out", "missing/a.safetensors"], "missing: no such folder"),
        (["--max-norm", "0", "--out", "a.safetensors"], "max_norm=0"),
        (["--max-norm", "1", "--out", "a.safetensors", "--method", "fastclap"], "did you mean 'fastclip'"),
        (["--max-norm", "1", "--out", "a.safetensors", "--batch-norm", "keeep"], "did you mean 'keep'"),
    ],
)
def test_what_cannot_be_clipped_is_one_sentence(arguments, sentence, onelip, tmp_path):
    (tmp_path / "own_nets.py").write_text("from torch import nn\nnet = nn.Linear(3, 2)\n")
    (tmp_path / "old.safetensors").write_text("weights of another day")
    code, output, errors = onelip("clip", "own_nets:net", "--input-shape", "3", *arguments)
    assert (code, output) == (2, "")
    assert sentence in errors
    assert errors.count("\n") == 1
    assert (tmp_path / "old.safetensors").read_text() == "weights of another day"
    assert not (tmp_path / "a.safetensors").exists()


def test_help_names_every_command(onelip):
    code, output, _ = onelip("--help")
    assert code == 0
    assert all(command in output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command, onelip):
    code, output, _ = onelip(command, "--help")
    assert code == 0
    assert len(output) > 200


def test_help_does_not_load_the_training_libraries():
    check = (
        "import sys, onelip.cli; print([m for m in ('lightning', 'matplotlib', 'schedulefree') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_list_shows_every_kind_and_refuses_others(onelip):
    code, output, _ = onelip("list")
    assert code == 0
    for name in ("aoc", "maxmin", "convnet-xs", "digits", "cifar10", "offset-cross-entropy", "sgd", "one-cycle"):
        assert name in output
    code, output, _ = onelip("list", "layers")
    assert "aoc" in output
    assert "convnet-xs" not in output
    code, _, errors = onelip("list", "layer")
    assert code == 2
    assert "did you mean 'layers'" in errors


def test_layers_are_measured(onelip):
    options = ("--kind", "linear", "--methods", "qr", "--channels", "3", "--batch", "2", "--repeats", "1")
    code, output, _ = onelip("bench", "layers", *options, "--format", "csv")
    assert code == 0
    assert [line.split(",")[0] for line in output.splitlines()[2:]] == ["method", "plain", "qr"]
    code, output, errors = onelip("bench", "layers", "--methods", "aocc")
    assert (code, output) == (2, "")
    assert "did you mean 'aoc'" in errors


def test_bugs_show_their_traceback(monkeypatch, onelip):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("onelip.experiments.listing.show", broken)
    monkeypatch.setattr(sys, "argv", ["onelip", "list"])
    with pytest.raises(RuntimeError, match="a bug"):
        main()


def test_a_data_set_is_checked(onelip, tmp_path):
    code, output, _ = onelip("data")
    assert code == 0
    assert "svhn" in output
    code, output, _ = onelip("data", "digits")
    assert (code, output.splitlines()[1]) == (0, "files: packed in onelip")
    (tmp_path / "train_32x32.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM")
    code, output, errors = onelip("data", "svhn", "extra=false", "--dir", str(tmp_path))
    assert (code, output) == (2, "")
    assert "train_32x32.mat has no array X" in errors
    assert errors.count("\n") == 1
