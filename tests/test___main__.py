"""The command without the packages it needs."""

import subprocess
import sys

import pytest

import onelip.__main__ as entry

WITHOUT = """
import sys
from onelip.__main__ import main
sys.modules[{missing!r}] = None
sys.argv = ["onelip", *{arguments!r}]
main()
"""


@pytest.mark.parametrize(("missing", "arguments"), [("typer", ["list"]), ("pydantic", ["train", "digits"])])
def test_a_missing_package_is_one_sentence_with_exit_code_2(missing, arguments, tmp_path):
    code = WITHOUT.format(missing=missing, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert f"needs the package '{missing}'" in done.stderr
    assert "extra [train]" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_module_of_our_own_is_a_bug(monkeypatch):
    def broken():
        raise ModuleNotFoundError("No module named 'onelip.lost'", name="onelip.lost")

    monkeypatch.setattr("onelip.cli.main", broken)
    with pytest.raises(ModuleNotFoundError, match="lost"):
        entry.main()


def test_the_package_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "onelip", "list", "layers"], capture_output=True, text=True, check=True
    )
    assert "aoc" in done.stdout
