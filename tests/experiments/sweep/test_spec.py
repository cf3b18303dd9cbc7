"""Sweep files: their cells, the configuration of each trial, and the sentence for each mistake."""

import pytest
from tests.experiments.sweep.sweeping import read

from onelip.experiments import UserError
from onelip.experiments.config_distributions import Choice, LogUniform
from onelip.experiments.sweep.spec import Cell

FACTORS = """
base: digits
name: tried
sweep:
  factors:
    method: {a: {layer: aoc}, b: {layer: aol, optimizer.lr: 0.5}}
    trainer.max_epochs: [1, 2]
    seed: [0, 1]
  skip: [{method: b, seed: 1}]
"""
PLACE = ("runs", "tried")


def config(spec, params=None, changes=(), **labels):
    cell = next(c for c in spec.cells() if labels.items() <= c.labels.items())
    return spec.config(cell, params or {}, changes, PLACE)


def test_cells_are_all_combinations_without_those_that_are_skipped(tmp_path):
    spec = read(tmp_path, FACTORS)
    assert [tuple(cell.labels.values()) for cell in spec.cells()] == [
        ("a", 1, 0), ("a", 1, 1), ("a", 2, 0), ("a", 2, 1), ("b", 1, 0), ("b", 2, 0),
    ]  # fmt: skip
    assert str(spec.cells()[0]) == "method=a, trainer.max_epochs=1, seed=0"


def test_rules_that_no_combination_matches_are_found(tmp_path):
    text = (
        "base: digits\nname: tried\nsweep:\n  factors: {seed: [0, 1], trainer.max_epochs: [1, 2]}\n"
        "  skip: [{seed: 1, trainer.max_epochs: 2}, {seed: 2}, {seed: 0, trainer.max_epochs: 3}]\n"
    )
    spec = read(tmp_path, text)
    assert len(spec.cells()) == 3
    assert spec.idle_rules() == [{"seed": 2}, {"seed": 0, "trainer.max_epochs": 3}]


def test_without_factors_there_is_one_cell(tmp_path):
    spec = read(tmp_path, "base: digits\nname: tried\nsweep: {}\n")
    assert [(dict(cell.labels), str(cell)) for cell in spec.cells()] == [({}, "the one cell")]


def test_the_seed_is_no_part_of_a_cells_key():
    first, second, other = (Cell({"m": m, "seed": s}) for m, s in (("a", 0), ("a", 1), ("b", 0)))
    assert first.key == second.key == first.without_seed.key
    assert first.key != other.key
    assert first.without_seed.labels == {"m": "a"}
    assert Cell({"x": 1, "y": 2}).key == Cell({"y": 2, "x": 1}).key


def test_a_list_has_values_of_a_key_and_a_mapping_changes(tmp_path):
    spec = read(tmp_path, FACTORS)
    a, b = (config(spec, method=m, **{"trainer.max_epochs": 2}) for m in "ab")
    assert (a.layer, a.trainer.max_epochs, a.seed) == ("aoc", 2, 0)
    assert (b.layer, b.trainer.max_epochs, b.optimizer.lr) == ("aol", 2, 0.5)
    assert config(spec, method="a", seed=1).seed == 1


def test_a_list_of_a_name_in_the_base_says_what_the_base_is(tmp_path):
    for size, width in (("s", 16), ("l", 64)):
        (tmp_path / f"net-{size}.yaml").write_text(f"base: digits\nmodel: {{widths: [{width}]}}\nseed: 3\n")
    text = "base: ./net-{size}.yaml\nname: tried\noptimizer: {lr: 0.25}\nsweep: {factors: {size: [s, l]}}\n"
    spec = read(tmp_path, text)
    small, large = (config(spec, size=size) for size in "sl")
    assert (small.model.options["widths"], large.model.options["widths"]) == ([16], [64])
    assert (small.seed, small.optimizer.lr, small.name) == (3, 0.25, "tried")


def test_what_comes_later_wins(tmp_path):
    (tmp_path / "below.yaml").write_text("base: digits\nseed: 1\noptimizer: {lr: 0.125, weight_decay: 0.125}\n")
    text = (
        "base: ./below.yaml\nname: tried\noptimizer: {lr: !loguniform [0.1, 1]}\ntrainer: {max_epochs: 2}\n"
        "sweep: {factors: {m: {a: {trainer.max_epochs: 3, loss: cross-entropy}}}}\n"
    )
    spec = read(tmp_path, text, "sweep.seed=7")
    made = config(spec, {"optimizer.lr": 0.5}, [("seed", 9), ("trainer.max_epochs", 4)])
    assert (made.optimizer.weight_decay, made.optimizer.lr, made.loss.name) == (0.125, 0.5, "cross-entropy")
    assert (made.trainer.max_epochs, made.seed, made.runs_dir) == (4, 9, "runs")
    assert config(spec, {"optimizer.lr": 0.5}).trainer.max_epochs == 3
    assert spec.section.seed == 7


def test_an_optimizer_that_a_factor_names_keeps_what_is_drawn(tmp_path):
    text = (
        "base: digits\nname: tried\noptimizer: {lr: !loguniform [0.1, 1]}\n"
        "sweep: {factors: {m: {a: {optimizer: adam}, b: {optimizer: sgd}}}}\n"
    )
    spec = read(tmp_path, text)
    made = [config(spec, {"optimizer.lr": 0.5}, m=m).optimizer for m in "ab"]
    assert [(o.name, o.lr) for o in made] == [("adam", 0.5), ("sgd", 0.5)]


def test_making_a_configuration_changes_nothing(tmp_path):
    spec = read(tmp_path)
    before = repr(spec.tree)
    config(spec, {"optimizer.lr": 0.5}, [("data.batch_size", 3)])
    assert repr(spec.tree) == before


def test_names_folder_and_distributions_are_those_of_the_file(tmp_path):
    spec = read(tmp_path, "base: digits\nname: x\nlayer: !choice [aoc, aol]\n" + LR + "sweep: {}\n")
    assert (spec.name, spec.folder) == ("x", tmp_path / "runs" / "x")
    assert spec.distributions == {"layer": Choice(("aoc", "aol")), "optimizer.lr": LogUniform(1e-3, 1)}
    assert spec.typical == {"layer": "aoc", "optimizer.lr": 1e-3}


@pytest.mark.parametrize(
    ("section", "drawn", "evaluated"),
    [
        ("{}", True, False), ("{}", False, True), ("{evaluate: true}", True, True), ("{evaluate: false}", False, False),
    ],
)  # fmt: skip
def test_trials_are_evaluated_where_nothing_is_searched_or_it_is_asked_for(tmp_path, section, drawn, evaluated):
    seed = "!randint [0, 3]" if drawn else "1"
    spec = read(tmp_path, f"base: digits\nname: tried\nseed: {seed}\nsweep: {section}\n")
    assert spec.evaluated == evaluated


LR = "optimizer: {lr: !loguniform [1e-3, 1]}\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"has no section sweep; train it with: onelip train .*tried\.yaml"),
        ("sweep: {trails: 3}\n", r"'sweep.trails' is unknown; did you mean 'sweep.trials'"),
        ("sweep: {}\ntrainer: {max_epoch: 1}\n", r"'trainer.max_epoch' is unknown; did you mean"),
        ("sweep: {factors: {lr: [1]}}\n", r"'lr' is unknown; did you mean 'optimizer.lr'"),
        ("sweep: {factors: {m: {a: {layers: aoc}}}}\n", r"'layers' is unknown; did you mean 'layer'"),
        ("sweep: {factors: {seed: [1, 1]}}\n", r"sweep\.factors\.seed=\[1, 1\] has a level twice"),
        ("sweep: {factors: {seed: [1]}, skip: [{seed: 1}]}\n", r"sweep\.skip of .*tried\.yaml leaves no cell"),
        (
            LR + "sweep: {search: grid}\n",
            r"optimizer\.lr has infinitely many values, by !loguniform; for sweep\.search=grid give !choice",
        ),
        (
            LR + "sweep: {factors: {optimizer.lr: [1, 2]}}\n",
            r"optimizer\.lr is drawn, by !loguniform, and set by sweep\.factors\.optimizer\.lr; take one out",
        ),
        (
            LR + "sweep: {factors: {m: {a: {optimizer.lr: 1}}}}\n",
            r"optimizer\.lr is drawn, by !loguniform, and set by sweep\.factors\.m; take one out",
        ),
        ("sweep: {factors: {name: [a]}}\n", r"name is that of the sweep, and cannot differ"),
        ("runs_dir: !choice [a, b]\nsweep: {}\n", r"runs_dir is that of the sweep, and cannot differ"),
        (
            "sweep: {budget: 1h, factors: {trainer.max_epochs: [1]}}\n",
            r"sweep\.budget=3600 says how many epochs there are; leave trainer\.max_epochs alone",
        ),
        ("model: {widths: [!randint [1, 2]]}\nsweep: {}\n", r"model\.widths has !randint inside of a list"),
        ("sweep: {final: {set: {trainer.max_epoch: 3}}}\n", r"'trainer.max_epoch' is unknown"),
        ("sweep: {factors: {m: {a: {seed: !randint [0, 1]}}}}\n", r"seed is drawn, by !randint"),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        read(tmp_path, f"base: digits\nname: tried\n{text}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        ("digits-{size}", r"base=digits-\{size\} of .*tried\.yaml names \['size'\], which sweep\.factors has not"),
        ("digits-{", r"base=digits-\{: "),
        ("digitz{m}", r"'digitza' is unknown; did you mean 'digits'"),
    ],
)
def test_each_mistake_in_a_base_is_one_sentence(tmp_path, base, sentence):
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, f"base: '{base}'\nname: tried\nsweep: {{factors: {{m: [a]}}}}\n")
