"""The sections of optimisers and schedules, which say what the factories take."""

import inspect
import typing

import pytest
import torch
from torch import nn

from onelip.experiments import UserError, dump_config, load_config
from onelip.experiments.config_optimizer import Lookahead, Optimizer, Schedule
from onelip.experiments.training import optimizer_factory
from onelip.optim import Lookahead as LookaheadOptimizer
from onelip.tasks import OPTIMIZERS, SCHEDULES, lookahead
from onelip.tasks.optimizers import make_optimizer


def sections(union):
    """The sections of a union, by name."""
    found = typing.get_args(typing.get_args(union)[0])
    return {typing.get_args(section.model_fields["name"].annotation)[0]: section for section in found}


def defaults(factory):
    return {p.name: p.default for p in inspect.signature(factory).parameters.values() if p.kind is p.KEYWORD_ONLY}


@pytest.mark.parametrize(
    ("registered", "union"), [(OPTIMIZERS, Optimizer), (SCHEDULES, Schedule)], ids=["optimizer", "schedule"]
)
def test_there_is_a_section_for_each_factory_with_its_options_and_defaults(registered, union):
    assert sections(union).keys() == registered.keys()
    for name, section in sections(union).items():
        values = section(name=name).model_dump(exclude={"name", "lookahead"})
        assert {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()} == defaults(registered[name])
    assert Lookahead().model_dump() == {k: v for k, v in defaults(lookahead).items() if k != "factory"}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_each_optimizer_is_configured_built_and_survives_a_round_trip(name, tmp_path):
    changes = ["schedule=constant", f"optimizer={name}", "optimizer.lr=0.01"]
    wrapped = name != "schedule-free-adamw"
    if wrapped:
        changes.append("optimizer.lookahead={k: 3}")
    config = load_config("digits", changes)
    file = tmp_path / "copy.yaml"
    file.write_text(dump_config(config))
    assert load_config(str(file)) == config
    model = nn.Linear(2, 2)
    optimizer = make_optimizer(optimizer_factory(config.optimizer), model)
    assert optimizer.param_groups[0]["lr"] in (0.01, 1e-3)
    assert isinstance(optimizer, LookaheadOptimizer) == wrapped
    model(torch.ones(1, 2)).sum().backward()
    before = model.weight.detach().clone()
    if not wrapped:
        optimizer.train()
    optimizer.step()
    assert not torch.equal(model.weight, before)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer=nadm", "optimizer 'nadm' is unknown; did you mean 'nadam'?"),
        ("optimizer.momentum_deca=1", "'optimizer.momentum_deca' is unknown; did you mean 'optimizer.momentum_decay'?"),
        ("optimizer.lookahead={steps: 3}", "'optimizer.lookahead.steps' is unknown"),
        ("optimizer.lookahead={k: 0}", "optimizer.lookahead.k=0 in the configuration is not allowed"),
        ("optimizer.lookahead={alpha: half}", "optimizer.lookahead.alpha='half' in the configuration is not allowed"),
        ("optimizer.lookahead=true", "optimizer.lookahead=True in the configuration is not allowed"),
        ("optimizer={name: aggmo, betas: []}", "it must have at least one entry"),
        ("optimizer={name: muon, steps: 1.5}", "optimizer.steps=1.5 in the configuration is not allowed"),
        ("optimizer={name: manifold-adam, retraction: qr}", "it must be 'polar' or 'exponential'"),
        ("optimizer={name: schedule-free-adamw, lookahead: {k: 2}}", "'optimizer.lookahead' does not belong to this"),
    ],
)
def test_each_mistake_is_one_sentence_with_its_path(override, sentence):
    with pytest.raises(UserError) as caught:
        load_config("digits", ["optimizer=nadam", override])
    assert sentence in str(caught.value)
