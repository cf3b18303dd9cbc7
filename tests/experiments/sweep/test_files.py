"""The files of a sweep's folder, and that a sweep which is written is read back."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.experiments.sweep.sweeping import read, written

from onelip.experiments import UserError
from onelip.experiments.config_distributions import Choice, LogUniform, RandInt, Uniform
from onelip.experiments.config_source import parse_yaml
from onelip.experiments.config_sweep import Sweep
from onelip.experiments.sweep.files import STAGES, SweepFolder, base_anywhere, dump_sweep, stage_named
from onelip.experiments.sweep.spec import SweepSpec, read_sweep

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    words,
    st.sampled_from(
        ["1e-3", "1_000", "yes", "null", "~", "0o17", "0x1f", "!choice", "2026-01-02", "- a", "1:30", "=", ""]
    ),
)
plain = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))
bounds = st.tuples(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9)).filter(lambda pair: pair[0] < pair[1])
distributions = st.one_of(
    st.lists(plain, min_size=1, max_size=3, unique_by=lambda value: Choice((value,)).label(value)).map(
        lambda options: Choice(tuple(options))
    ),
    st.integers(-99, 99).map(lambda low: RandInt(low, low + 7)),
    bounds.map(lambda pair: Uniform(*pair)),
    bounds.map(lambda pair: LogUniform(*pair)),
)
keys = words.filter(lambda key: key not in ("base", "sweep"))
trees = st.dictionaries(
    keys, plain | distributions | st.dictionaries(words, plain | distributions, max_size=2), max_size=4
)


@settings(max_examples=40)
@given(trees, st.none() | st.just("layers-{size}"), st.dictionaries(words, st.dictionaries(words, plain, max_size=2)))
def test_what_is_written_is_read_back(tree, template, changes):
    section = Sweep(trials=3, budget=90.0, factors={"m": {"a": changes}}, skip=[{"m": "a"}])
    spec = SweepSpec(tree, template, section, "here")
    again = parse_yaml(dump_sweep(spec), "there")
    assert again.pop("base", None) == template
    assert Sweep.model_validate(again.pop("sweep")) == section
    assert again == tree
    assert list(again) == list(tree)
    assert repr(again) == repr(tree)


def test_a_sweep_is_read_back_from_another_folder_with_its_base(tmp_path, monkeypatch):
    (tmp_path / "net-s.yaml").write_text("base: digits\nmodel: {widths: [8]}\n")
    text = (
        "base: ./net-{size}.yaml\nname: tried\nlayer: !choice [aoc, aol]\noptimizer: {lr: !loguniform [1e-3, 1]}\n"
        "sweep: {budget: 2h, pruning: median, factors: {size: [s], seed: [0, 1]}, final: {seeds: [3]}}\n"
    )
    file = written(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    spec = read_sweep("./tried.yaml")
    base = base_anywhere(spec)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "sweep.yaml").write_text(dump_sweep(spec))
    monkeypatch.chdir(tmp_path / "deep")
    again = read_sweep("./sweep.yaml")
    assert (again.tree, again.section) == (spec.tree, spec.section)
    assert base_anywhere(again) == base == str(tmp_path / "net-{size}.yaml")
    assert again.distributions == read_sweep(file).distributions


def test_the_base_of_a_shipped_sweep_is_a_name():
    assert base_anywhere(read_sweep("lconvnet-dense")) == "lconvnet-{data}-fc-3"
    assert base_anywhere(read_sweep("digits-methods")) is None


def test_only_what_is_not_usual_is_written(tmp_path):
    assert "max_deaths" not in dump_sweep(read(tmp_path))
    assert "max_deaths: 5" in dump_sweep(read(tmp_path, "base: digits\nname: x\nsweep: {max_deaths: 5}\n"))


def test_files_have_their_places():
    folder = SweepFolder(Path("runs/x"))
    assert folder.trial("search", 7) == Path("runs/x/search/0007")
    assert folder.trial("final", 12345) == Path("runs/x/final/12345")
    assert len({folder.leases(stage) for stage in STAGES}) == len({folder.study_name(stage) for stage in STAGES}) == 2
    places = (folder.spec_file, folder.state_file, folder.logs, folder.budgets)
    assert [str(place) for place in places] == [f"runs/x/{n}" for n in ("sweep.yaml", "sweep.json", "logs", "budgets")]


def test_stages_are_known_by_name():
    assert [stage_named(stage) for stage in STAGES] == ["search", "final"]
    with pytest.raises(UserError, match="stage 'finale' is unknown; did you mean 'final'"):
        stage_named("finale")
