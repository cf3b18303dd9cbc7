"""The benchmark of half an hour, here for two steps, with a tiny network and made-up images."""

import argparse
import json
import sys

from benchmarks import laptop_record
from tests.test_gpu_records import cifar  # noqa: F401


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["laptop_record", *arguments])
    laptop_record.main()


def test_a_curve_is_trained_and_drawn(cifar, tmp_path, monkeypatch, capsys):  # noqa: F811
    results = tmp_path / "record.jsonl"
    monkeypatch.setattr(laptop_record, "DOCS", tmp_path)
    tiny = ["model={name: pyramid, widths: [4, 4], depths: [2, 2], dense: [8]}", "data.batch_size=100"]
    steps = ["trainer.max_minutes=null", "trainer.max_epochs=2", "trainer.validate_every=1", "trainer.threads=1"]
    common = ["--data", str(cifar), "--results", str(results)]
    for seed in (1, 2):
        call(
            monkeypatch, "train", "cifar10-laptop", *common, "--set", *tiny, *steps, f"seed={seed}",
            f"runs_dir={tmp_path / 'runs'}",
        )  # fmt: skip
    rows = [json.loads(line) for line in results.read_text("utf-8").splitlines()]
    assert [(row["seed"], row["split"], row["epoch"]) for row in rows] == [
        (seed, split, epoch)
        for seed in (1, 2)
        for split, epoch in (("test, along the way", 1), ("test, along the way", 2), ("test", 2))
    ]
    for row in rows[2::3]:
        assert (row["samples"], row["images"], row["proved"]) == (20, 100, True)
    # Along the way the constant is estimated, and the network is the same.
    assert rows[1]["accuracy"] == rows[2]["accuracy"]
    capsys.readouterr()
    call(monkeypatch, "plot", "--results", str(results))
    printed = capsys.readouterr().out
    assert f"| `cifar10-laptop` | 2 | {100 * rows[-1]['accuracy']:.2f} | " in printed
    assert (tmp_path / "laptop-record.png").read_bytes().startswith(b"\x89PNG")
    assert len(laptop_record.read(results)["cifar10-laptop"]) == 3
    # A training that was stopped before its certificate leaves points behind.
    stopped = [{**row, "date": "2000-01-01"} for row in rows[:2]]
    results.write_text("".join(json.dumps(row) + "\n" for row in [*stopped, *rows[3:]]), encoding="utf-8")
    assert laptop_record.read(results)["cifar10-laptop"] == rows[3:]
    results.write_text("".join(json.dumps(row) + "\n" for row in [*rows[3:], *stopped]), encoding="utf-8")
    assert laptop_record.read(results) == {}


def test_all_test_images_are_certified_but_where_a_recipe_says_how_many(cifar):  # noqa: F811
    options = argparse.Namespace(data=cifar, minutes=30.0, changes=[])
    found = {
        name: next(change for change in laptop_record.overrides(name, options) if "max_samples" in change)
        for name in laptop_record.RECIPES
    }
    samples = {name: change.removeprefix("certify.max_samples=") for name, change in found.items()}
    assert samples.pop("orthogonium-cifar10-robust") == "1000"
    assert set(samples.values()) == {"null"}
