"""The benchmark that trains a record on a GPU, here on the CPU with a tiny network and made-up images."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from benchmarks.gpu_records import ROOT, data_folder, main

from onelip.data.cifar10 import TEST_FILE, TRAIN_FILES
from onelip.experiments import UserError

SCRIPT = ROOT / "benchmarks" / "gpu_records.sh"
TINY = [
    "model={name: bronet, width: 4, depth: 1, dense_width: 8, dense_depth: 1}",
    "data.batch_size=90",
    "data.validation=0.1",
    "trainer.validate_every=1",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
]
TWO_STEPS = ["trainer.max_minutes=null", "trainer.max_epochs=2", "trainer.max_steps=2"]
N_RECORDS = 20


@pytest.fixture
def cifar(tmp_path, monkeypatch) -> Path:
    """CIFAR-10 in its binary form, with twenty images in each file."""
    monkeypatch.setattr("onelip.data.cifar10.N_RECORDS", N_RECORDS)
    folder, rng = tmp_path / "cifar-10-batches-bin", np.random.default_rng(0)
    folder.mkdir()
    for name in (*TRAIN_FILES, TEST_FILE):
        records = rng.integers(0, 256, (N_RECORDS, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(N_RECORDS) % 2
        records.tofile(folder / name)
    return folder


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_two_steps_leave_a_curve_with_a_proved_constant(cifar, tmp_path, monkeypatch):
    results = tmp_path / "out" / "results.jsonl"
    results.parent.mkdir()
    results.write_text('{"split": "earlier"}\n', encoding="utf-8")
    common = ["--data", str(cifar), "--results", str(results), "--samples", "4", *TINY, f"runs_dir={tmp_path / 'runs'}"]
    main(["1", *common, *TWO_STEPS])
    first, *validations, test = rows_of(results)
    assert first == {"split": "earlier"}
    assert [(row["split"], row["epoch"]) for row in validations] == [("validation", 1), ("validation", 2)]
    assert (test["split"], test["epoch"], test["samples"], test["proved"]) == ("test", 2, 4, True)
    assert 0 < test["constant"] < 100
    assert set(test["certified"]) == {"0.141176", "0.282353", "0.423529", "1"}
    for row in (*validations, test):
        assert (row["config"], row["changes"], row["seed"]) == ("cifar10-record", [*common[6:], *TWO_STEPS], 0)
        assert row["device"]
        assert row["torch"]
        assert row["commit"] is None or len(row["commit"]) == 40
        assert 0 <= row["certified"]["0.141176"] <= row["accuracy"] <= 1
    # For a time, with the folder around the images from the environment.
    monkeypatch.setenv("CIFAR10_DIR", str(cifar.parent))
    main(["0.0001", *common[2:]])
    assert rows_of(results)[:4] == [first, *validations, test]
    assert rows_of(results)[-1]["split"] == "test"
    assert rows_of(results)[-1]["minutes"] > 0


def test_a_training_without_validation_leaves_its_certificate(cifar, tmp_path):
    results = tmp_path / "results.jsonl"
    whole = ["data.validation=0", "certify.weights=last", f"runs_dir={tmp_path / 'runs'}"]
    main(["1", "--data", str(cifar), "--results", str(results), "--samples", "4", *TINY, *TWO_STEPS, *whole])
    (row,) = rows_of(results)
    assert (row["split"], row["epoch"], row["samples"], row["proved"]) == ("test", 1, 4, True)
    assert row["minutes"] > 0


def test_missing_data_are_said_before_anything_is_done(tmp_path, monkeypatch):
    monkeypatch.delenv("CIFAR10_DIR", raising=False)
    with pytest.raises(SystemExit, match="no data: give --data FOLDER, or set CIFAR10_DIR"):
        main(["1", "--results", str(tmp_path / "results.jsonl")])
    with pytest.raises(SystemExit, match=r"holds no data_batch_1\.bin"):
        main(["1", "--data", str(tmp_path), "--results", str(tmp_path / "results.jsonl")])
    with pytest.raises(UserError, match="no data"):
        data_folder(None, {"CIFAR10_DIR": ""})
    assert not (tmp_path / "results.jsonl").exists()


def test_the_script_says_how_it_is_used():
    done = subprocess.run(["sh", str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Train cifar10-record on a GPU for MINUTES minutes")
    assert "never overwritten" in done.stderr
    assert "PACKAGES" not in done.stderr
    names = subprocess.run(["sh", str(SCRIPT), "packages"], capture_output=True, text=True, check=True).stdout.split()
    assert {"lightning", "pydantic", "ruamel.yaml", "tensorboard"} <= set(names)
