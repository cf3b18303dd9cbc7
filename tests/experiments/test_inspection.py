"""The commands that look at a run and at the machine."""

import pytest

from onelip.experiments import UserError, dump_config, inspection, load_config
from onelip.experiments.doctor import Check
from onelip.experiments.errors import CommandFailedError


def test_a_run_without_results_has_no_report(tmp_path):
    (tmp_path / "config.yaml").write_text(dump_config(load_config("digits")))
    with pytest.raises(UserError, match="has no results yet; finish it with: onelip train --resume"):
        inspection.report(str(tmp_path))


@pytest.mark.parametrize("pictures", [False, True])
def test_pictures_are_drawn_if_they_are_wanted(tmp_path, monkeypatch, capsys, pictures):
    (tmp_path / "config.yaml").write_text(dump_config(load_config("digits")))
    (tmp_path / "results.json").touch()
    asked = []
    monkeypatch.setattr(inspection, "write_report", lambda path, **options: asked.append((path, options)) or "page")
    inspection.report(str(tmp_path), pictures=pictures)
    assert asked == [(tmp_path, {"pictures": pictures})]
    assert (f"pictures: {tmp_path / 'pictures'}" in capsys.readouterr().out) == pictures


def test_one_run_has_its_own_page_and_several_have_one_together(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(dump_config(load_config("digits")))
    asked = []
    monkeypatch.setattr(inspection, "report", lambda *args, **options: asked.append((args, options)))
    monkeypatch.setattr(inspection, "overview", lambda *args, **options: asked.append((args, options)))
    run, folder = str(tmp_path / "run"), str(tmp_path)
    inspection.report_all([run], pictures=True)
    inspection.report_all([folder], title="t")
    inspection.report_all([run, run], out="o", measurements="m", pictures=True)
    nothing = {"out": None, "title": None, "measurements": None, "pictures": False}
    assert asked == [
        ((run,), {"pictures": True}),
        (([folder],), nothing | {"title": "t"}),
        (([run, run],), nothing | {"out": "o", "measurements": "m", "pictures": True}),
    ]


@pytest.mark.parametrize("option", ["out", "title", "measurements"])
def test_options_of_many_runs_are_refused_for_one(tmp_path, option):
    (tmp_path / "config.yaml").write_text(dump_config(load_config("digits")))
    with pytest.raises(UserError, match=f"--{option} is for one page over several runs"):
        inspection.report_all([str(tmp_path)], **{option: "x"})


def test_doctor_fails_when_a_check_fails(monkeypatch, capsys):
    checks = [Check("sums", "ok", "right"), Check("products", "broken", "wrong", "use another machine")]
    monkeypatch.setattr(inspection, "run_checks", lambda: checks)
    with pytest.raises(CommandFailedError, match="1 of 2 checks failed"):
        inspection.doctor()
    assert "use another machine" in capsys.readouterr().out
    monkeypatch.setattr(inspection, "run_checks", lambda: checks[:1])
    inspection.doctor()
