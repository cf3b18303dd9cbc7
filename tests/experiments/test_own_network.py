"""Networks of the user's own are found, filled with their weights, and mistakes are one sentence."""

import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from onelip.experiments.errors import UserError
from onelip.experiments.own_network import build_own_network, load_own_weights, parse_shape

CODE = """
from types import SimpleNamespace
from torch import nn
def build(width=3): return nn.Linear(2, width)
def needs(width): return nn.Linear(2, width)
def other(): return "a network"
def broken(): raise RuntimeError("a mistake of the user's own")
network = nn.Linear(2, 3)
number = 3
inside = SimpleNamespace(build=build)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a module of the user's, which no other test has imported."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_code").mkdir()
    (tmp_path / "own_code" / "nets.py").write_text(CODE)
    (tmp_path / "own_code" / "needy.py").write_text("import not_installed_anywhere\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "own_code"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["build", "network", "inside.build"])
def test_a_network_is_imported_from_the_current_folder(folder, name):
    before = list(sys.path)
    assert isinstance(build_own_network(f"own_code.nets:{name}"), nn.Linear)
    assert sys.path == before


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("own_code.nets:", "must be package.module:factory"),
        ("own code:build", "must be package.module:factory"),
        ("own_code.nots:build", "there is no module 'own_code.nots'; looked in"),
        ("not_there:build", "there is no module 'not_there'; looked in"),
        ("own_code.needy:build", "no module 'not_installed_anywhere', which own_code.needy imports"),
        ("own_code.nets:biuld", "own_code.nets has no 'biuld'"),
        ("own_code.nets:needs", "callable without arguments: missing a required argument: 'width'"),
        ("own_code.nets:other", "gives str; it must be or give an nn.Module"),
        ("own_code.nets:number", "is int; it must be or give an nn.Module"),
    ],
)
def test_what_is_no_network_is_one_sentence(folder, place, sentence):
    with pytest.raises(UserError) as caught:
        build_own_network(place)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_users_code_is_left_as_it_is(folder):
    with pytest.raises(RuntimeError, match="of the user's own"):
        build_own_network("own_code.nets:broken")


def write_weights(path, weights):
    save_file(weights, path) if path.suffix == ".safetensors" else torch.save(weights, path)
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.ckpt"])
def test_weights_are_loaded(tmp_path, name):
    given, network = nn.Linear(2, 3), nn.Linear(2, 3)
    weights = given.state_dict()
    path = write_weights(tmp_path / name, {"state_dict": weights} if name == "a.ckpt" else weights)
    load_own_weights(network, path)
    torch.testing.assert_close(network.state_dict(), given.state_dict(), rtol=0, atol=0)


def test_weights_of_another_network_are_told_by_name(tmp_path):
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    path = write_weights(tmp_path / "a.safetensors", {"0.weight": torch.zeros(2, 3), "extra": torch.zeros(1)})
    with pytest.raises(UserError) as caught:
        load_own_weights(network, path)
    assert str(caught.value) == (
        f"{path} does not fit Sequential: it lacks 0.bias, 1.bias, 1.weight and 2 more and has unknown extra and has "
        "in another shape 0.weight"
    )
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


class Dangerous:
    """Would run code when read."""

    def __reduce__(self):
        return exec, ("raise SystemExit('it ran')",)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_broken_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights")
    with pytest.raises(UserError, match="is not a whole file of weights"):
        load_own_weights(nn.Linear(2, 2), tmp_path / name)


def test_other_files_are_refused_and_nothing_is_run(tmp_path):
    torch.save(Dangerous(), tmp_path / "code.pt")
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(UserError, match="without running code"):
        load_own_weights(nn.Linear(2, 2), tmp_path / "code.pt")
    with pytest.raises(UserError, match="must hold a dictionary of tensors"):
        load_own_weights(nn.Linear(2, 2), tmp_path / "list.pt")
    with pytest.raises(UserError, match="no such file"):
        load_own_weights(nn.Linear(2, 2), tmp_path / "none.pt")


@pytest.mark.parametrize(("text", "shape"), [("3,32,32", (3, 32, 32)), ("1x28x28", (1, 28, 28)), ("7", (7,))])
def test_shapes_are_read(text, shape):
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "3,", "3,0,2", "-1", "a", "3 32", "3.5"])
def test_other_shapes_are_refused(text):
    with pytest.raises(UserError, match="must be positive whole numbers"):
        parse_shape(text)
