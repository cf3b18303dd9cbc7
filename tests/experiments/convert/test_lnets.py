"""Which task a file of LNets is of."""

from __future__ import annotations

import pytest
from tests.experiments.convert.settings_files import classifier_json, critic_json, gan_json, write_json

from onelip.experiments.convert.settings import convert_settings
from onelip.experiments.errors import UserError


@pytest.mark.parametrize(
    ("tree", "task"), [(classifier_json(), None), (critic_json(), "wasserstein"), (gan_json(), "gan")]
)
def test_the_task_is_told_by_the_keys(tmp_path, tree, task):
    assert convert_settings(write_json(tmp_path, tree)).tree.get("task") == task


def test_a_file_of_no_task_is_refused(tmp_path):
    with pytest.raises(UserError, match="line 1: the file has neither data nor distrib1 nor gan_type"):
        convert_settings(write_json(tmp_path, {"seed": 1}), source="lnets")
