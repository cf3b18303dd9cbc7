"""A command's network is that of a run or the user's own."""

import pytest
import torch
from tests.experiments.small_run import small_run
from torch import nn

from onelip.experiments.errors import UserError
from onelip.experiments.subject import load_subject


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return small_run(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize(("weights", "factor"), [(None, 1), ("best", 1), ("last", 10)])
def test_a_run_gives_its_kept_weights_or_its_last(run, weights, factor):
    folder, model = run
    subject = load_subject(str(folder.path), input_shape=None, weights=weights)
    assert subject.folder == folder
    assert subject.input_shape == (1, 8, 8)
    assert not any(m.training for m in subject.network.modules())
    # The last weights of this run are ten times the best.
    expected = {name: factor * value for name, value in model.state_dict().items()}
    assert sorted(v.norm().item() for v in subject.network.state_dict().values()) == pytest.approx(
        sorted(v.norm().item() for v in expected.values())
    )
    assert subject.validation.pixels(slice(0, 2)).shape == (2, 1, 8, 8)


def test_layers_of_a_run_become_plain(tmp_path):
    folder, _ = small_run(tmp_path, "layer=bjorck", "activation=maxmin")
    network = load_subject(str(folder.path), input_shape=None, weights=None).network
    assert {type(m) for m in network.modules() if list(m.parameters(recurse=False))} == {nn.Linear}


def test_a_network_of_the_users_own_has_its_shape_from_the_user(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "subject_nets.py").write_text("from torch import nn\nnet = nn.Linear(2, 3)\n")
    torch.save({"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, "w.pt")
    subject = load_subject("subject_nets:net", input_shape="2", weights="w.pt")
    assert (subject.input_shape, subject.folder, subject.validation) == ((2,), None, None)
    assert bool((subject.network.weight == 1).all())
    assert not subject.network.training


@pytest.mark.parametrize(
    ("place", "options", "sentence"),
    [
        ("RUN", {"input_shape": "1,8,8"}, "--input-shape=1,8,8 is for package.module:factory"),
        ("RUN", {"weights": "beste"}, "--weights=beste of a run must be best or last"),
        ("nowhere", {}, "nowhere is not the folder of a run"),
        ("torch.nn:ReLU", {}, "torch.nn:ReLU needs --input-shape"),
        ("torch.nn:ReLU", {"input_shape": "2", "weights": "w.pt"}, "w.pt: no such file"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(run, place, options, sentence):
    with pytest.raises(UserError) as caught:
        load_subject(str(run[0].path) if place == "RUN" else place, **{"input_shape": None, "weights": None, **options})
    assert sentence in str(caught.value)
