"""Making a sweep's folder and study, going on with them, and choosing the best for the final trainings."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.experiments.sweep.sweeping import RANDOM, Made, read, written

from onelip.experiments import UserError
from onelip.experiments.sweep.creation import best_params, goal_of, make_sweep, plan_final, storage_of
from onelip.experiments.sweep.files import SweepFolder
from onelip.experiments.sweep.spec import read_sweep
from onelip.experiments.sweep.storages import default_storage
from onelip.experiments.sweep.study import StoredTrial, Study

SEEDS = RANDOM.replace("{method: {a: {layer: aoc}, b: {layer: aol}}}", "{method: {a: {layer: aoc}}, seed: [0, 1]}")


def made_again(spec, storage=None, stage="search", *, quick=True):
    """As the command does it, in a journal if it is to be quick; the trials of the stage."""
    folder = SweepFolder(spec.folder)
    url = make_sweep(spec, folder, storage, stage, several_machines=quick)
    return Study(url, folder.study_name(stage), spec.distributions).trials()


def end_all(made, value=lambda trial: 0.5, state="complete"):
    for trial in made.trials:
        if trial.state == "waiting":
            made.study.finish(trial.id, state, None if state == "failed" else value(trial))


def test_a_sweep_is_made_and_gone_on_with(tmp_path):
    spec = read(tmp_path)
    first = made_again(spec, quick=False)
    folder = SweepFolder(spec.folder)
    assert sorted(p.name for p in folder.path.iterdir() if p.suffix in (".yaml", ".json", ".db")) == [
        "study.db", "sweep.json", "sweep.yaml",
    ]  # fmt: skip
    state = folder.state_file.read_text()
    assert json.loads(state)["storage"] is None
    assert [t.id for t in made_again(read(tmp_path), quick=False)] == [t.id for t in first]
    assert [t.id for t in made_again(read_sweep(str(folder.spec_file)))] == [t.id for t in first]
    assert folder.state_file.read_text() == state


def test_keys_in_another_order_are_the_same_sweep(tmp_path):
    made_again(read(tmp_path, "name: tried\nbase: digits\noptimizer: {lr: 0.5}\nseed: 3\nsweep: {}\n"))
    made_again(read(tmp_path, "seed: 3\noptimizer: {lr: 0.5}\nbase: digits\nname: tried\nsweep: {}\n"))


def test_a_folder_that_is_moved_takes_its_study_with_it(tmp_path):
    first = made_again(read(tmp_path), quick=False)
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    folder = SweepFolder(tmp_path / "moved" / "tried")
    spec = read_sweep(str(folder.spec_file))
    url = make_sweep(spec, folder, None, "search")
    assert url == default_storage(folder.path)
    assert [t.params for t in Study(url, "tried", spec.distributions).trials()] == [t.params for t in first]


def test_of_many_that_make_it_at_once_all_have_the_same(tmp_path):
    spec = read(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: [t.id for t in made_again(spec)], range(4)))
    assert found == [found[0]] * 4
    assert len(found[0]) == 4


def test_a_sweep_may_grow(tmp_path):
    first = made_again(read(tmp_path))
    grown = made_again(read(tmp_path, RANDOM, "sweep.trials=5"))
    assert [(t.id, t.params) for t in grown[:4]] == [(t.id, t.params) for t in first]
    assert len(grown) == 10
    assert read_sweep(str(SweepFolder(read(tmp_path).folder).spec_file)).section.trials == 5
    made_again(read(tmp_path, RANDOM, "sweep.trials=5", "sweep.final.seeds=[7]"))


@pytest.mark.parametrize(
    "changes", [["seed=9"], ["sweep.seed=9"], ["sweep.trials=1"], ["sweep.metric=val_accuracy", "sweep.goal=maximize"]]
)
def test_other_settings_are_another_sweep(tmp_path, changes):
    made_again(read(tmp_path))
    before = SweepFolder(read(tmp_path).folder).spec_file.read_text()
    with pytest.raises(
        UserError, match=r"tried holds a sweep with other settings; go on with: onelip sweep .*runs/tried"
    ):
        made_again(read(tmp_path, RANDOM, *changes))
    assert SweepFolder(read(tmp_path).folder).spec_file.read_text() == before
    assert len(made_again(read(tmp_path))) == 4


def test_fewer_draws_than_the_usual_number_are_fewer(tmp_path):
    text = RANDOM.replace("  trials: 2\n", "")
    assert len(made_again(read(tmp_path, text))) == 32
    with pytest.raises(UserError, match="other settings"):
        made_again(read(tmp_path, text, "sweep.trials=3"))


def test_another_base_is_another_sweep(tmp_path):
    text = "base: '{b}'\nname: tried\nsweep: {factors: {b: [digits]}}\n"
    made_again(read(tmp_path, text))
    with pytest.raises(UserError, match="other settings"):
        made_again(read(tmp_path, text.replace("{b}", "{b}-few-steps")))


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    spec = read(tmp_path)
    spec.folder.mkdir(parents=True)
    (spec.folder / "20260101-120000").mkdir()
    with pytest.raises(UserError, match=r"runs/tried holds something else than a sweep; give the sweep another name"):
        made_again(spec)
    assert sorted(p.name for p in spec.folder.iterdir()) == [".sweep.yaml.lock", "20260101-120000"]


def test_a_sweep_stays_in_its_storage(tmp_path):
    spec, url = read(tmp_path), f"journal:{tmp_path / 'a.journal'}"
    first = made_again(spec, url)
    folder = SweepFolder(spec.folder)
    assert storage_of(folder, None) == storage_of(folder, url) == url
    assert [t.id for t in made_again(spec)] == [t.id for t in first]
    assert not (folder.path / "study.db").exists()
    with pytest.raises(UserError, match=r"has its study in journal:.*a\.journal; leave --storage out"):
        made_again(spec, f"journal:{tmp_path / 'b.journal'}")


def test_a_sweep_that_goes_on_elsewhere_keeps_its_storage(tmp_path):
    folder, spec = SweepFolder(tmp_path / "runs" / "tried"), read(tmp_path)
    sqlite = make_sweep(spec, folder, None, "search")
    assert sqlite.startswith("sqlite:")
    assert make_sweep(spec, folder, None, "search", several_machines=True) == sqlite
    shutil.rmtree(folder.path)
    journal = make_sweep(spec, folder, None, "search", several_machines=True)
    assert journal == default_storage(folder.path, several_machines=True)
    assert make_sweep(spec, folder, None, "search") == journal


def test_a_study_of_another_folder_is_refused(tmp_path):
    url = f"journal:{tmp_path / 'shared.journal'}"
    (tmp_path / "other").mkdir()
    first = made_again(read(tmp_path), url)
    with pytest.raises(UserError, match="has a sweep 'tried' of another folder; take another name"):
        made_again(read(tmp_path / "other", RANDOM, "sweep.trials=7"), url)
    assert [t.id for t in made_again(read(tmp_path), url)] == [t.id for t in first]


def test_cells_without_a_metric_in_common_need_one(tmp_path):
    text = "base: digits\nname: tried\nsweep: {factors: {m: {a: {}, b: {certify: null}}}}\n"
    with pytest.raises(
        UserError, match=r"different metrics, val_certified_accuracy \(m=a\), val_accuracy \(m=b\); choose"
    ):
        made_again(read(tmp_path, text))
    made_again(read(tmp_path, text, "sweep.metric=val_accuracy", "sweep.goal=maximize"))


def test_the_goal_is_that_of_the_metric(tmp_path):
    assert goal_of(read(tmp_path)) == "maximize"
    assert goal_of(read(tmp_path, RANDOM, "sweep.metric=val_loss", "sweep.goal=minimize")) == "minimize"


def ended(labels, draw, value, lr=None, state="complete"):
    params = {"optimizer.lr": lr or 0.01 * (draw + 1)}
    return StoredTrial(0, 0, labels, draw, params, [], state, value, "", {})


def best(spec, trials):
    params = best_params(spec, spec.cells()[0].key, trials)
    return None if params is None else params["optimizer.lr"]


def test_the_best_draw_is_that_with_the_best_mean_over_the_seeds(tmp_path):
    spec = read(tmp_path, SEEDS)
    values = [[0.9, 0.1], [0.6, 0.6], [0.7, 0.3]]
    trials = [
        ended({"method": "a", "seed": s}, draw, v) for draw, pair in enumerate(values) for s, v in enumerate(pair)
    ]
    assert best(spec, trials) == 0.02
    # Nor does it help to have failed with the bad seed.
    assert best(spec, [*trials[1:], ended({"method": "a", "seed": 1}, 0, None, state="failed")]) == 0.02
    down = read(tmp_path, SEEDS, "sweep.metric=val_loss", "sweep.goal=minimize")
    assert best(down, trials) == 0.01


def test_of_equal_draws_the_first_is_taken_and_pruned_ones_never(tmp_path):
    spec, labels = read(tmp_path), {"method": "a"}
    trials = [ended(labels, 2, 0.5), ended(labels, 1, 0.5), ended(labels, 0, 0.9, state="pruned")]
    assert best(spec, trials) == 0.02
    assert best(spec, trials[2:]) is None
    assert best(spec, [ended({"method": "b"}, 0, 0.5)]) is None


def test_proposals_that_differ_between_seeds_are_not_averaged(tmp_path):
    spec = read(tmp_path, SEEDS)
    one, other = {"method": "a", "seed": 0}, {"method": "a", "seed": 1}
    trials = [ended(one, 0, 0.9, lr=0.25), ended(other, 0, 0.1, lr=0.75), ended(one, 1, 0.6, lr=0.5)]
    assert best(spec, trials) == 0.25


def test_final_trainings_are_the_best_of_each_cell_with_each_seed(tmp_path):
    text = SEEDS.replace("b: [0, 1]}", "") + "  final: {seeds: [7, 8], set: {trainer.max_epochs: 9}}\n"
    made = Made(tmp_path, text)
    end_all(made, lambda trial: float(trial.draw))
    plan = plan_final(made.spec, made.trials)
    assert [(t.number, dict(t.cell.labels), t.draw) for t in plan] == [(0, {"method": "a"}, 7), (1, {"method": "a"}, 8)]
    assert plan[0].params == next(t.params for t in made.trials if t.draw == 1)
    assert [t.changes for t in plan] == [(("trainer.max_epochs", 9), ("seed", seed)) for seed in (7, 8)]
    final = Made(tmp_path, text, stage="final")
    assert [(t.draw, t.params) for t in final.trials] == [(t.draw, t.params) for t in plan]
    assert set(json.loads(final.folder.state_file.read_text())["tokens"]) == {"search", "final"}


def test_the_final_stage_needs_a_search_that_has_ended(tmp_path):
    with pytest.raises(UserError, match=r"runs/tried has no search yet; do that first, without --stage final"):
        Made(tmp_path, stage="final")
    made = Made(tmp_path)
    made.study.finish(made.trials[0].id, "complete", 0.5)
    with pytest.raises(UserError, match="3 of 4 trials of the search have not ended; finish it first, without --stage"):
        Made(tmp_path, stage="final")
    end_all(made)
    assert len(Made(tmp_path, stage="final").trials) == 6


def test_a_cell_without_a_result_has_no_final_training(tmp_path):
    made = Made(tmp_path)
    for trial in made.trials:
        made.study.finish(trial.id, "complete" if trial.labels["method"] == "a" else "failed", 0.5, "")
    with pytest.raises(UserError, match="no trial of method=b has ended well, so there is nothing to train finally"):
        Made(tmp_path, stage="final")


def test_final_settings_are_fixed_once_the_final_stage_has_begun(tmp_path):
    end_all(Made(tmp_path))
    Made(tmp_path, RANDOM, "sweep.final.seeds=[3]")
    Made(tmp_path, RANDOM, "sweep.final.seeds=[4]", stage="final")
    with pytest.raises(UserError, match="other settings"):
        Made(tmp_path, RANDOM, "sweep.final.seeds=[5]", stage="final")


def test_nothing_is_made_where_something_is_wrong(tmp_path):
    with pytest.raises(UserError, match="unknown"):
        made_again(read_sweep(written(tmp_path), ["optimizer.name=nothing"]))
    assert not (tmp_path / "runs").exists()
