"""Progress goes to standard error, and only to a terminal."""

from onelip.experiments.progress import work_bar


def test_a_work_bar_is_silent_where_there_is_no_terminal(capsys):
    with work_bar("counting") as progress:
        progress(1, 2)
        progress(2, None)
    assert capsys.readouterr() == ("", "")


def test_a_work_bar_shows_its_description_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with work_bar("counting") as progress:
        progress(1, 2)
    output, errors = capsys.readouterr()
    assert output == ""
    assert "counting" in errors
