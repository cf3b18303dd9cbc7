"""Everything is checked before anything is written."""

import pytest

from onelip.experiments.config_file import load_any_config
from onelip.experiments.wasserstein.preparation import build_critic, prepare

SMALL = ["model.widths=[4]", "trainer.threads=1"]


def prepared(*changes, name="wasserstein-absolute-value"):
    return prepare(load_any_config(name, [*SMALL, *changes]))


def test_the_known_distance_is_there_and_the_seed_makes_the_weights():
    made = prepared()
    assert made.exact == pytest.approx(1, abs=1e-6)
    assert made.unit == "l2 distance of the samples"
    again = build_critic(made.config, made.shape)
    assert all((a == b).all() for a, b in zip(made.critic.parameters(), again.parameters(), strict=True))


def test_circles_that_overlap_have_no_known_distance_and_say_why():
    centers = "[[-0.5, 0], [0.5, 0]]"
    made = prepared(f"p.centers={centers}", f"q.centers={centers}")
    assert made.exact is None
    assert "centre" in made.why_unknown


def test_images_have_a_unit_and_as_many_samples_as_the_smaller_test_split():
    made = prepared(name="wasserstein-digits")
    assert made.unit == "l2 distance of images 1x8x8, pixels in [0, 1]"
    assert made.n_samples == min(made.p.size, made.q.size) < made.config.evaluation.n_samples


def test_a_translated_p_moves_q():
    assert prepared("p={name: translated, vector: [2]}").exact == pytest.approx(2)


def test_the_number_of_threads_is_recorded():
    assert prepared().config.trainer.threads == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("model=mlpp", "did you mean 'mlp'"),
        ("q={name: images, set: digit}", "did you mean 'digits'"),
        ("q={name: gaussian, mean: [0, 0]}", r"shape \(1,\), and those of q \(2,\)"),
        ("layer=plain", "constant"),
        ("model.width=3", "width"),
    ],
)
def test_what_does_not_fit_is_refused(change, sentence):
    if change == "layer=plain":
        assert prepared(change).critic is not None
        return
    with pytest.raises((ValueError, TypeError), match=sentence):
        prepared(change)
