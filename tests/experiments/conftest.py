"""A whole run of an ordinary network that a method clips, made once; nobody may change it."""

import pytest

from onelip.experiments import RunFolder, commands, latest_run

MODEL = "model={name: simple-conv, width: 4}"
SHORT = ["data.batch_size=256", "trainer.max_epochs=3", "trainer.max_steps=12", "clipping.check_every=4"]
"""Twelve steps in two epochs of six, a check after every four."""


@pytest.fixture(scope="session")
def ordinary(tmp_path_factory) -> RunFolder:
    runs = tmp_path_factory.mktemp("ordinary")
    overrides = [MODEL, *SHORT, "clipping.warm_start=true", f"runs_dir={runs}"]
    commands.train("clipping-digits-gouk-wbn", overrides, resume=False)
    return latest_run("clipping-digits-gouk-wbn", runs)
