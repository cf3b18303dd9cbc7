"""The sections `adversarial` and `jacobian`."""

import pytest

from onelip.experiments import UserError, load_config
from onelip.experiments.config_file import check_config


@pytest.mark.parametrize(
    ("text", "radius"),
    [
        ("0.3", 0.3),
        ("1", 1.0),
        ("36/255", 36 / 255),
        ("{start: 1/255, end: 2/255}", {"start": 1 / 255, "end": 2 / 255}),
    ],
)
def test_radii_are_numbers_fractions_or_ramps_and_survive_the_file(text, radius):
    config = load_config("digits", [f"adversarial={{radius: {text}}}"])
    assert config.adversarial.radius == radius
    assert check_config(config.resolved()) == config


def test_by_default_there_is_neither():
    config = load_config("digits")
    assert config.adversarial is None
    assert config.jacobian is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["adversarial={}"], "adversarial.radius is missing"),
        (["adversarial={radius: 0}"], "adversarial.radius=0 must be a positive number or a ramp"),
        (["adversarial={radius: {start: 1}}"], "the ramp of adversarial.radius has no end"),
        (["adversarial={radius: {start: -1, end: 1}}"], "must stay at least 0"),
        (["adversarial={radius: 1, kind: fgsm}"], "adversarial.kind='fgsm' in the configuration is not allowed"),
        (["adversarial={radius: 1, beta: 2}"], "adversarial.beta=2 has no effect on adversarial.kind=pgd"),
        (["adversarial={radius: 1, kind: trades, random_start: true}"], "adversarial.random_start=True has no effect"),
        (["adversarial={radius: 1, step: 2}"], "did you mean 'adversarial.steps'"),
        (["jacobian={kind: spectral}"], "jacobian.weight is missing"),
        (["jacobian={weight: 1, projections: 2}"], "jacobian.projections=2 has no effect on jacobian.kind=spectral"),
        (["jacobian={weight: 1, kind: frobenius, iterations: 2}"], "jacobian.iterations=2 has no effect"),
        (["jacobian={weight: 1}", "trainer.compile=true"], "trainer.compile=true does not go with jacobian"),
        (["adversarial={radius: 1}", "trainer.compile=true"], "trainer.compile=true does not go with adversarial"),
    ],
)
def test_mistakes_are_one_sentence(changes, message):
    with pytest.raises(UserError, match=message):
        load_config("digits", changes)
