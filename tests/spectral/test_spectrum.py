"""A spectrum is that of the dense matrices, layer by layer, and changes nothing."""

import copy
import csv
import json
import math
import os
import sys

import pytest
import torch
from tests.spectral.dense import dense_values
from tests.spectral.networks import Untraceable, randomise_, resnet18
from torch import nn

import onelip
from onelip import layers
from onelip.spectral import affine_parts, spectrum


@pytest.fixture
def network():
    """Every kind of part, small enough for dense matrices."""
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        layers.AOLConv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1),
        nn.Conv2d(2, 2, 3, padding="same", dilation=2, groups=2),
        nn.Flatten(),
        nn.Linear(98, 3),
    )
    return randomise_(model)


@pytest.mark.parametrize("joint", [False, True])
def test_values_are_those_of_the_dense_matrices(network, joint):
    found = spectrum(network, (2, 8, 8), 3, joint=joint)
    parts = affine_parts(network, (2, 8, 8), joint=joint)
    assert len(found.rows) == len(parts) == (5 if joint else 6)
    assert found.converged
    for row, part in zip(found.rows, parts, strict=True):
        reference = dense_values(copy.deepcopy(part.module).double(), part.input_shape)
        assert row.values == pytest.approx(reference[:3].tolist(), rel=1e-3)
        assert row.output_shape == tuple(part.module(torch.zeros(1, *part.input_shape)).shape[1:])


def test_rows_tell_what_they_are_of(network):
    rows = {row.name: row for row in spectrum(network, (2, 8, 8)).rows}
    conv, norm, head = rows["0"], rows["1"], rows["7"]
    assert (conv.kind, conv.weight_shape, conv.stride, conv.padding) == ("Conv2d", (4, 2, 3, 3), (2, 2), (1, 1))
    assert (conv.dilation, conv.groups, conv.input_shape, conv.output_shape) == ((1, 1), 1, (2, 8, 8), (4, 4, 4))
    assert (norm.weight_shape, norm.stride, norm.groups, norm.exact) == ((4,), None, None, True)
    assert (head.exact, conv.exact, rows["5"].padding, rows["5"].groups) == (True, False, "same", 2)


def test_the_network_is_left_as_it_is(network):
    for p in network.parameters():
        p.grad = torch.ones_like(p)
    network[1].eval()
    state, random = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    addresses = [p.data_ptr() for p in network.parameters()]
    spectrum(network, (2, 8, 8), 2, joint=True)
    torch.testing.assert_close(network.state_dict(), state, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), random)
    assert [m.training for m in network] == [True, False, *[True] * 6]
    assert all(bool((p.grad == 1).all()) for p in network.parameters())
    assert [p.data_ptr() for p in network.parameters()] == addresses
    assert all(p.requires_grad for p in network.parameters())


def test_a_resnet18_is_listed_whole():
    found = spectrum(resnet18(2), (3, 32, 32))
    kinds = [row.kind for row in found.rows]
    assert (kinds.count("Conv2d"), kinds.count("BatchNorm2d"), kinds.count("Linear")) == (20, 20, 1)
    assert found.rows[0].input_shape == (3, 32, 32)
    assert found.rows[-4].input_shape == (16, 4, 4)
    assert str(found).splitlines()[-2].startswith("41 parts at inputs 3x32x32; the largest is ")


def test_what_is_not_measured_is_said():
    model = nn.Sequential(Untraceable(), nn.LayerNorm(3))
    text = str(spectrum(model, (2, 6, 6)))
    assert "not affine, so without singular values: 1" in text
    assert "NOT REACHED by the pass, so unknown: 0.fallback" in text
    assert "NOT CONVERGED" not in text


def test_values_that_did_not_converge_are_marked(monkeypatch):
    def short(*arguments, **options):
        return onelip.spectral.singular_values(*arguments, **options, max_iter=1)

    # The function of the package hides the module of its name.
    monkeypatch.setattr(sys.modules["onelip.spectral.spectrum"], "singular_values", short)
    found = spectrum(nn.Conv2d(8, 8, 3, padding=1), (8, 9, 9), tol=1e-6)
    assert not found.converged
    assert f"{found.rows[0].largest:#.5g}*" in str(found)
    assert "NOT CONVERGED" in str(found)


def test_weights_that_are_not_finite_are_marked():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    with torch.no_grad():
        model[0].weight[0, 0] = math.inf
    found = spectrum(model, (3,))
    assert math.isnan(found.rows[0].largest)
    assert not found.rows[0].converged
    assert "of 1" in found.remarks()[0]


def test_no_more_values_than_there_are():
    model = nn.Sequential(nn.Conv1d(4, 2, 1, stride=3), nn.Linear(2, 1))
    rows = spectrum(model, (4, 4), 9).rows
    assert [len(row.values) for row in rows] == [4, 2]
    with torch.no_grad():
        model[0].weight[1] = model[0].weight[0]
    assert spectrum(model, (4, 4), 9).rows[0].values[2:] == pytest.approx([0, 0], abs=1e-6)


def test_only_some_parts_by_name():
    model = Untraceable()
    assert list(spectrum(model, (2, 6, 6), names=["head", "bn"]).values_by_name()) == ["bn", "head"]
    assert list(spectrum(model, (2, 6, 6), joint=True, names=["bn"]).values_by_name()) == ["conv + bn"]
    with pytest.raises(ValueError, match="did you mean 'head'"):
        spectrum(model, (2, 6, 6), names=["haed"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"k": 0}, "k=0"), ({"k": True}, "k=True"), ({"tol": 0.0}, "tol=0.0"), ({"tol": math.nan}, "tol=nan")],
)
def test_arguments_out_of_range_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        spectrum(nn.Linear(2, 2), (2,), **options)


def test_files_are_written_whole(network, tmp_path):
    found = spectrum(network, (2, 8, 8), 2)
    found.to_csv(tmp_path / "a.csv")
    found.to_json(str(tmp_path / "a.json"))
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(found.values_by_name())
    assert [float(row["sigma_2"]) for row in rows] == pytest.approx([row.values[1] for row in found.rows])
    read = json.loads((tmp_path / "a.json").read_text())
    assert read["input_shape"] == [2, 8, 8]
    assert [tuple(row["values"]) for row in read["layers"]] == list(found.values_by_name().values())
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "a.json"]
    assert found.to_markdown().startswith("| name |")


def test_progress_counts_the_parts(network):
    seen = []
    spectrum(network, (2, 8, 8), names=["0", "1"], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_a_network_without_parts_has_an_empty_spectrum():
    found = spectrum(nn.ReLU(), (3,))
    assert found.rows == ()
    assert "0 parts" in str(found)
