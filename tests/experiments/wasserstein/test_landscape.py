"""The critic beside the exact dual."""

import torch
from torch import nn

from onelip.experiments.config_file import load_any_config
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.wasserstein import landscape
from onelip.experiments.wasserstein.preparation import prepare
from onelip.transport import estimate_wasserstein1

SMALL = ["model.widths=[4]", "trainer.threads=1"]


class Cone(nn.Module):
    """Minus the distance to the nearest centre, three times too steep."""

    def __init__(self):
        super().__init__()
        self.register_buffer("centers", torch.tensor([[-2.0, 0], [0, 0], [2, 0]]))

    def forward(self, z):
        return -3 * torch.cdist(z, self.centers.to(z)).amin(1)


def drawn(monkeypatch, tmp_path, name, critic=None):
    seen = []
    for kind in ("Landscape1d", "Landscape2d"):
        true = getattr(landscape, kind)

        def keep(*given, true=true):
            seen.append(true(*given))
            return seen[-1]

        monkeypatch.setattr(landscape, kind, keep)
    made = prepare(load_any_config(name, SMALL))
    estimate = estimate_wasserstein1(
        made.critic, made.p.held_out, made.q.held_out, n_samples=8, batch_size=8, seed=0, exact=None
    )
    if critic is not None:
        bound = type(estimate.constant)(3.0, True, "by hand")
        estimate = type(estimate)(1.0, 0.0, 0.0, 8, bound)
    pictures = landscape.draw_landscape(made, critic or made.critic, estimate, RunFolder(tmp_path))
    return pictures, seen


def test_a_perfect_critic_is_the_exact_dual_once_divided_by_its_constant(monkeypatch, tmp_path):
    pictures, (seen,) = drawn(monkeypatch, tmp_path, "wasserstein-cones", Cone())
    assert (seen.learned - seen.best).max() < 1e-6
    assert pictures[0].path.is_file()
    assert "the exact dual." in pictures[0].text


def test_where_no_dual_is_known_it_is_that_of_samples(monkeypatch, tmp_path):
    pictures, (seen,) = drawn(monkeypatch, tmp_path, "wasserstein-gaussians")
    assert seen.z.shape == seen.best.shape
    assert "exact dual" in pictures[0].text


def test_images_have_no_landscape(monkeypatch, tmp_path):
    assert drawn(monkeypatch, tmp_path, "wasserstein-digits")[0] == []
