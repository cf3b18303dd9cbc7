"""What is said of trainings that stop early."""

import json

import pytest

from onelip.experiments.errors import CommandFailedError
from onelip.experiments.process_plan import ProcessPlan
from onelip.experiments.resumable import recall_failure, resumable
from onelip.experiments.run_folder import RunFolder
from onelip.experiments.training import StoppedError
from onelip.tasks import NonFiniteLossError


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (StoppedError(15), 143)])
def test_a_signal_ends_in_its_code_and_the_way_to_go_on(tmp_path, error, code):
    with (
        pytest.raises(CommandFailedError, match=f"continue with: onelip train --resume {tmp_path}") as caught,
        resumable(RunFolder(tmp_path), ProcessPlan()),
    ):
        raise error
    assert caught.value.exit_code == code


def test_a_failure_is_kept_told_and_forgotten_once_it_is_over(tmp_path, capsys):
    folder = RunFolder(tmp_path)
    with pytest.raises(CommandFailedError, match="there is no checkpoint yet"), resumable(folder, ProcessPlan()):
        raise NonFiniteLossError(0, 3, float("nan"))
    assert "the loss is nan" in json.loads(folder.failure_file.read_text("utf-8"))["message"]
    recall_failure(folder)
    assert "the run stopped since the loss is nan" in capsys.readouterr().out
    with resumable(folder, ProcessPlan()):
        pass
    assert not folder.failure_file.exists()
