"""Results and metrics as numbers by name."""

import statistics

from onelip.experiments.collection.measured import kept_epoch, values_of_metrics, values_of_results

COLUMNS = ["epoch", "train_loss", "val_accuracy", "val_certified_accuracy", "seconds"]


def test_of_a_certificate():
    results = {
        "accuracy": 0.9, "certified": {"0.25": 0.8, "1.58": 0.1}, "attacked": {"0.25": 0.85},
        "attacks": {"pgd-l2": {"accuracy": {"0.25": 0.85}, "never_changed": 0.5}},
        "relaxation": {"method": "crown", "certified": {"0.25": 0.7}, "seconds": 2.0},
        "lipschitz_bound": {"value": 1.01, "proved": True, "method": "product"},
        "start": {"before": {"accuracy": 0.3}}, "seed": 4, "weights": {"rule": "best", "epoch": 7},
        "n_parameters": 10, "train_seconds": 1.5, "machine": {"cores": 2}, "name": "it",
    }  # fmt: skip
    assert values_of_results(results) == {
        "accuracy": 0.9, "certified@0.25": 0.8, "certified@1.58": 0.1, "attacked@0.25": 0.85,
        "attacked-pgd-l2@0.25": 0.85, "never_changed-pgd-l2": 0.5, "relaxed@0.25": 0.7, "relaxed_seconds": 2.0,
        "lipschitz_bound": 1.01, "lipschitz_proved": 1.0, "start.before.accuracy": 0.3, "n_parameters": 10.0,
        "train_seconds": 1.5,
    }  # fmt: skip


def test_of_a_run_without_a_certificate():
    spectrum = [
        {"name": "a", "kind": "conv2d", "input_shape": [1, 8, 8], "values": [2.0, 1.0]},
        {"name": "b", "kind": "conv2d", "input_shape": [1, 8, 8], "values": [3.0]},
        {"name": "c", "kind": "linear", "input_shape": [9], "values": [0.5]},
    ]
    results = {"clean_accuracy": 0.5, "largest_norm_at_checks": None, "checks": 0, "spectrum": spectrum}
    assert values_of_results(results) == {
        "clean_accuracy": 0.5, "checks": 0.0, "largest_singular_value": 3.0, "largest_singular_value-conv2d": 3.0,
        "largest_singular_value-linear": 0.5,
    }  # fmt: skip


def test_of_a_gan():
    results = {
        "n_parameters": {"generator": 3, "critic": 4}, "frechet": {"squared_distance": 2.5, "n_real": 10},
        "critic_constant": {"value": 1.0, "proved": False, "method": "it", "kind": "estimate, not proved"},
        "critic_gradients": {"largest": 0.9},
        "wasserstein1": {"lower_bound": None, "standard_error": 0.1, "discrete": 3},
    }  # fmt: skip
    assert values_of_results(results) == {
        "n_parameters": 7.0, "n_parameters.generator": 3.0, "n_parameters.critic": 4.0, "frechet_sq": 2.5,
        "frechet.n_real": 10.0, "lipschitz_bound": 1.0, "lipschitz_proved": 0.0, "critic_gradient_largest": 0.9,
        "standard_error": 0.1, "discrete.exact": 3.0,
    }  # fmt: skip


def test_of_metrics():
    rows = [["0", "2.0", "0.5", "0.1", "3.0"], ["1", "1.0", "0.6", "", "1.0"], ["2", "1.0", "0.7", "0.2", "2.5"]]
    assert values_of_metrics(COLUMNS, rows, 1) == {
        "epochs": 3.0, "val_accuracy": 0.6, "train_seconds": 6.5, "seconds_per_epoch": statistics.median([3, 1, 2.5]),
    }  # fmt: skip
    assert values_of_metrics(COLUMNS, rows[:2], None)["seconds_per_epoch"] == statistics.median([3, 1])
    assert values_of_metrics(COLUMNS, [], None) == {"epochs": 0.0}


def test_the_kept_epoch():
    rows = [
        ["0", "2", "0.5", "0.2", "1"],
        ["1", "1", "0.6", "0.2", "1"],
        ["2", "1", "0.9", "0.1", "1"],
        ["3", "1", "", "", "1"],
    ]
    assert kept_epoch(COLUMNS, rows, "best") == 1
    assert kept_epoch(COLUMNS, rows, "last") == 2
    assert kept_epoch(COLUMNS, rows[3:], "best") is None
    # Without certified accuracies, accuracies decide; of equal ones the later.
    plain = [[*row[:3], "", *row[4:]] for row in rows[:3]] + [["4", "1", "0.9", "", "1"]]
    assert kept_epoch(COLUMNS, plain, "best") == 4
