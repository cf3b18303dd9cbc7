"""The section of a subset: what goes together, and what contradicts."""

import pytest

from onelip.experiments import UserError, dump_config, load_config

NONE = "data.validation=null"


@pytest.mark.parametrize(
    ("changes", "own"),
    [
        (["data.subset={per_class: 5}"], None),
        (["data.subset.per_class=5", "data.subset.seed=3", "data.validation=0", "certify.weights=last"], None),
        ([NONE, "data.subset={per_class: 5, validation_per_class: 2}"], "data.subset.validation_per_class=2"),
        (["data.subset={indices: a.txt}"], None),
        ([NONE, "data.subset={indices: a.txt, validation_indices: b.txt}"], "data.subset.validation_indices=b.txt"),
    ],
)
def test_subsets_survive_a_round_trip(tmp_path, changes, own):
    config = load_config("digits", changes)
    assert config.data.subset.own_validation == own
    assert (config.data.validation is None) == (own is not None)
    (tmp_path / "copy.yaml").write_text(dump_config(config))
    assert load_config(str(tmp_path / "copy.yaml")) == config


def test_validation_images_of_its_own_replace_the_default_share(tmp_path):
    text = "model: mlp\nloss: cross-entropy\ndata: {name: digits, subset: {per_class: 5, validation_per_class: 2}}\n"
    (tmp_path / "own.yaml").write_text(text)
    assert load_config(str(tmp_path / "own.yaml")).data.validation is None
    (tmp_path / "share.yaml").write_text(text.replace(", validation_per_class: 2", ""))
    assert load_config(str(tmp_path / "share.yaml")).data.validation == 0.1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["data.subset={}"], "data.subset.per_class=None and data.subset.indices=None say how many images to draw"),
        (
            ["data.subset={per_class: 3, indices: a.txt}"],
            "data.subset.per_class=3 and data.subset.indices=a.txt say how",
        ),
        (["data.subset={per_class: 0}"], "data.subset.per_class=0 in the configuration is not allowed"),
        (["data.subset={per_class: 3, seed: -1}"], "data.subset.seed=-1 in the configuration is not allowed"),
        (["data.subset={per_classs: 3}"], "did you mean 'data.subset.per_class'"),
        (
            [NONE, "data.subset={indices: a, validation_per_class: 3}"],
            "data.subset.validation_per_class=3 goes with data.",
        ),
        (
            ["data.subset={indices: a, seed: 3}"],
            "data.subset.seed=3 goes with data.subset.per_class, which is not given",
        ),
        (["data.subset={per_class: 3, validation_indices: b}"], "data.subset.validation_indices=b goes with"),
        (
            ["data.subset={per_class: 3, validation_per_class: 2}"],
            "data.validation=0.05 and data.subset.validation_per_class=2 both say what validates; set data.valid",
        ),
        (["data.subset={indices: a, validation_indices: b}"], "and data.subset.validation_indices=b both say what"),
        ([NONE], "data.validation=null needs a data.subset with validation images"),
        ([NONE, "data.subset={per_class: 3}"], "data.validation=null needs a data.subset with validation images"),
    ],
)
def test_each_contradiction_is_one_sentence(changes, sentence):
    with pytest.raises(UserError) as caught:
        load_config("digits", changes)
    assert sentence in str(caught.value)
