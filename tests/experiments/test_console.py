"""Plain lines stay as they are."""

from onelip.experiments.console import say


def test_paths_are_neither_wrapped_nor_read_as_markup(capsys):
    path = "runs/" + "x" * 300 + "/[bold]"
    say(path)
    assert capsys.readouterr().out == path + "\n"
