import threading

import pytest

from onelip.experiments import UserError
from onelip.experiments.bench.budgets import read_budgets, write_budget


def test_rows_of_other_machines_and_configurations_stay(tmp_path):
    path = tmp_path / "budgets.yaml"
    assert read_budgets(path) == {}
    write_budget(path, "A: 1 thread, torch 2", "digits trainer.threads=1", {"epochs": 3, "hours": 0.5})
    write_budget(path, "B", "digits", {"error": "it's: too large"})
    write_budget(path, "A: 1 thread, torch 2", "other", {"epochs": 4})
    write_budget(path, "A: 1 thread, torch 2", "digits trainer.threads=1", {"epochs": 5, "hours": 1.0})
    assert read_budgets(path) == {
        "A: 1 thread, torch 2": {"digits trainer.threads=1": {"epochs": 5, "hours": 1.0}, "other": {"epochs": 4}},
        "B": {"digits": {"error": "it's: too large"}},
    }


def test_rows_of_many_writers_are_all_there(tmp_path):
    path = tmp_path / "budgets.yaml"
    writers = [
        threading.Thread(target=lambda i=i: [write_budget(path, f"m{i}", f"c{j}", {"epochs": j}) for j in range(5)])
        for i in range(3)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {machine: len(rows) for machine, rows in read_budgets(path).items()} == {"m0": 5, "m1": 5, "m2": 5}


@pytest.mark.parametrize("text", ["- 1\n", "name: digits\n", "machines: {a: 1}\n", "machines: {a: {b: 1}}\n", "x"])
def test_other_files_are_left_as_they_are(tmp_path, text):
    path = tmp_path / "budgets.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="is no file of budgets, whose one key is 'machines'"):
        write_budget(path, "A", "digits", {"epochs": 3})
    assert path.read_text() == text
