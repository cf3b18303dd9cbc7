import numpy as np
import pytest
import torch
from tests.certify.networks import around, predictions, rich, samples
from tests.certify.paranoid.balls import step

from onelip.certify import certify
from onelip.certify.checker.errors import VerificationError
from onelip.certify.checker.files import ARCHITECTURE, WEIGHTS, parse_json, read_certificate, unpack_arrays
from onelip.certify.checker.network import Graph, read_graph
from onelip.certify.paranoid.balls import exact
from onelip.certify.paranoid.composition import compose, evaluate
from onelip.certify.paranoid.errors import NotCoveredError


def read(model, folder):
    x = samples(n=2)
    certify(model, x, predictions(model, x)).save(folder)
    values = read_certificate(folder / "certificate.json")
    arrays = unpack_arrays((folder / WEIGHTS).read_bytes(), WEIGHTS)
    return read_graph(parse_json((folder / ARCHITECTURE).read_bytes(), ARCHITECTURE), arrays, values["constants"]), x


@pytest.mark.parametrize("build", [rich, around])
def test_logits_are_those_of_the_model(build, tmp_path):
    model = build()
    graph, x = read(model, tmp_path)
    with torch.no_grad():
        expected = model.double()(x.double()).numpy()
    shapes = {}
    logits = evaluate(graph, exact(x.double().numpy()), shapes)
    assert shapes[graph.output] == logits.shape == expected.shape
    for value, number in zip(logits.ravel(), expected.ravel(), strict=True):
        assert value.rad() < 1e-24
        assert abs(float(value.mid()) - number) < 1e-9
    composed = compose(graph, shapes, 1e-8)
    assert not composed.failures
    # No difference of two outputs is larger than the constant allows.
    with torch.no_grad():
        moved = model(x.double() + 1e-3 * torch.randn(64, 1, *x.shape[1:]).double().flatten(0, 1)[:2]).numpy()
        shift = np.linalg.norm(moved - expected)
    assert shift <= float(composed.cumulative[graph.output].upper())


def chain(*steps):
    return Graph((2,), steps, steps[-1].name)


def test_joins_and_failures():
    from dataclasses import replace

    double = replace(step("scale", {"factor": 2.0}), name="a", claimed=2.0)
    triple = replace(step("scale", {"factor": 3.0}), name="b", claimed=1.0)
    total = replace(step("add"), name="c", inputs=("a", "b"), claimed=5.0)
    both = replace(step("concatenate", {"axis": 0}), name="d", inputs=("a", "b"), claimed=3.6)
    larger = replace(step("maximum"), name="e", inputs=("a", "b"), claimed=3.61)
    graph = chain(double, triple, total, both, larger)
    shapes = {}
    evaluate(graph, exact(np.ones((1, 2))), shapes)
    composed = compose(graph, shapes, 0.0)
    assert composed.cumulative["c"] == 5
    assert (composed.cumulative["d"] ** 2).overlaps(composed.cumulative["a"] * 0 + 13)
    assert composed.cumulative["e"].overlaps(composed.cumulative["d"])
    first, second = composed.failures
    assert "constant 1.0 of scale 'b' is not proved; balls prove 3.0" in first
    assert "constant 3.6 of concatenate 'd' is not proved; balls prove 3.60555" in second


def test_what_is_unknown_is_named():
    with pytest.raises(NotCoveredError, match="op='amplify' of 'n'"):
        evaluate(chain(step("amplify")), exact(np.ones((1, 2))))
    with pytest.raises(VerificationError, match="lacks its branch"):
        evaluate(chain(step("concat_residual")), exact(np.ones((1, 2))))
    composed = compose(chain(step("amplify")), {"input": (1, 2)}, 0.0)
    assert not composed.cumulative["n"].is_finite()
    assert "not known" in composed.failures[0]
