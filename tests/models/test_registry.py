import pytest

from onelip import models

SMALL = {"input_shape": (1, 8, 8), "n_classes": 10}


def test_every_model_says_what_it_is():
    assert {"mlp", "convnet-xs", "tiny-convnet-l"} <= set(models.available())
    assert all(models.record(name).summary for name in models.available())


def test_options_show_the_defaults_of_the_name():
    assert models.record("convnet-s").options == {"width": 32, "blocks": 5, "kernel_size": 3}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("convent-xs", {}, "model 'convent-xs' is unknown; did you mean 'convnet-xs'"),
        ("mlp", {"width": 3}, "option of model 'mlp' 'width' is unknown; did you mean 'widths'"),
        ("mlp", {"layer": "aocc"}, "layer 'aocc' is unknown; did you mean 'aoc'"),
        ("mlp", {"linear": "bjork"}, "did you mean 'bjorck'"),
        ("mlp", {"activation": "minmax"}, "did you mean 'maxmin'"),
        ("mlp", {"n_classes": 1}, "n_classes=1"),
    ],
)
def test_unknown_names_come_with_the_nearest(name, options, words):
    with pytest.raises(ValueError, match=words):
        models.build(name, **{**SMALL, **options})


def test_names_are_taken_once():
    with pytest.raises(ValueError, match="registered already"):
        models.register_model("mlp", "again")
