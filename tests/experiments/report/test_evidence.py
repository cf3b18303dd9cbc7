"""What is measured of a run's network."""

import shutil

import numpy as np
import pytest
import torch

from onelip.certify import load_certificate
from onelip.experiments import RunFolder, UserError
from onelip.experiments.report.evidence import evidence_of_run
from onelip.experiments.report.record import read_run


def test_a_run_has_a_gallery_of_its_certified_images(finished, evidence):
    certificate = load_certificate(finished.certificate_file)
    gallery = evidence.gallery
    assert 12 <= len(gallery.examples) <= 15
    assert gallery.consistent
    assert all(e.radius == certificate.radii[e.index] for e in gallery.examples)
    assert [e.distance for e in gallery.examples] == sorted(e.distance for e in gallery.examples)
    # The smallest certified radius is among them.
    smallest = certificate.radii[certificate.radii > 0].min()
    assert smallest in [e.radius for e in gallery.examples]


def test_the_margins_are_the_radii_of_a_head_with_orthonormal_rows(evidence):
    assert evidence.margins.norm == "l2"
    right = evidence.radii > 0
    assert (evidence.margins.right == right).all()
    assert evidence.margins.values[right] == pytest.approx(evidence.radii[right], abs=1e-4)


def test_depth_and_gradients_are_those_of_the_network(finished, evidence):
    bound = load_certificate(finished.certificate_file).bound
    squares = {layer.name: layer.cumulative.value**2 for layer in bound.layers}
    assert all(part.ratio <= squares.get(part.name, np.inf) * (1 + 1e-5) for part in evidence.depth.parts)
    assert float(evidence.gradients.norms.max()) <= bound.value * (1 + 1e-6)
    assert evidence.gradients.classes == tuple(range(10))
    assert evidence.depth.n_images == 359


def test_the_same_run_gives_the_same_gallery(finished, evidence):
    assert evidence_of_run(read_run(finished.path)).gallery == evidence.gallery


def test_a_run_without_a_certificate_has_distances_and_logits(ordinary, tmp_path):
    folder = RunFolder(shutil.copytree(ordinary.path, tmp_path / "run"))
    found = evidence_of_run(read_run(folder.path))
    assert found.margins.norm is None
    assert found.radii is None
    assert found.gallery.examples
    assert all(e.radius is None for e in found.gallery.examples)
    assert found.depth is not None


def test_other_weights_than_the_certified_ones_are_not_shown(run):
    checkpoint = torch.load(run.best_checkpoint)
    for tensor in checkpoint["state_dict"].values():
        tensor.neg_() if tensor.dim() == 2 else None
    torch.save(checkpoint, run.best_checkpoint)
    with pytest.raises(UserError, match="not those of the certificate; renew it with: onelip certify"):
        evidence_of_run(read_run(run.path))
