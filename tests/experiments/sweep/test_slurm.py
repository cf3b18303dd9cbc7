from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.experiments.sweep.claiming import Claiming, Failing, workers_of
from tests.experiments.sweep.slurm_cluster import end_the_time, slurm_cluster

from onelip.experiments.errors import CommandFailedError, UserError
from onelip.experiments.sweep import slurm
from onelip.experiments.sweep.slurm import OPTIONS, slurm_script, start_slurm
from onelip.experiments.sweep.work import Work

pytest.importorskip("submitit")

PAGE = Path(__file__).parents[3] / "docs" / "clusters.md"
WORK = Work("/shared/runs/methods", "postgresql://me:secret@host/db")


@pytest.fixture(autouse=True)
def _jobs_import_tests(monkeypatch):
    monkeypatch.setattr(slurm, "_POLL_SECONDS", 0.2)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


def flags(script: str) -> dict[str, str]:
    return dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", script, re.MULTILINE))


def test_the_script_of_the_page():
    options = {"partition": "gpu", "time": "8:00:00", "gpus": "1", "cpus": "8", "mem": "32GB"}
    script = slurm_script(WORK, 8, options).replace(sys.executable, "/shared/venv/bin/python")
    assert f"```bash\n{script.strip()}\n```" in PAGE.read_text("utf-8")
    assert "secret" not in script


@pytest.mark.parametrize(
    ("options", "flag", "value"),
    [
        ({}, "time", "1440"),
        ({}, "array", "0-3%4"),
        ({}, "signal", "USR2@120"),
        ({"parallel": "2"}, "array", "0-3%2"),
        ({"time": "90"}, "time", "90"),
        ({"time": "1:30:30"}, "time", "91"),
        ({"time": "2-12"}, "time", "3600"),
        ({"time": "1-0:30"}, "time", "1470"),
        ({"time": "1-0:30:01"}, "time", "1471"),
        ({"time": "2"}, "signal", "USR2@60"),
        ({"mem": "500MB"}, "mem", "500MB"),
        ({"mem": "16"}, "mem", "16GB"),
        ({"mem": "1.5G"}, "mem", "1536MB"),
        ({"mem": "1T"}, "mem", "1024GB"),
        ({"gpus": "2"}, "gpus-per-node", "2"),
        ({"cpus": "3"}, "cpus-per-task", "3"),
        *(
            ({name: "a b"}, name.replace("_", "-"), "'a b'")
            for name in OPTIONS
            if OPTIONS[name].meaning.startswith("as ")
        ),
    ],
)
def test_options_reach_the_script(options, flag, value):
    assert flags(slurm_script(WORK, 4, options))[flag] == value


def test_what_the_jobs_do():
    script = slurm_script(WORK, 4, {"setup": "module load cuda; ulimit -n 4096", "cpus": "3"})
    assert "\nmodule load cuda; ulimit -n 4096\n" in script
    assert re.search(
        r"^srun .*--cpus-per-task=3 .*submitit.core._submit /shared/runs/methods/slurm$", script, re.MULTILINE
    )
    assert flags(script)["job-name"] == "onelip-methods"
    assert "array" not in flags(slurm_script(WORK, 1, {}))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"partiton": "gpu"}, r"^option of Slurm 'partiton' is unknown; did you mean 'partition'\?$"),
        ({"nodes": "2"}, r"^nodes=2: each worker is one process on one machine; ask for more workers instead$"),
        ({"time": "1:30"}, r"^time=1:30 must be minutes, H:MM:SS"),
        ({"time": "0"}, r"^time=0 must be at least a minute$"),
        ({"mem": "much"}, r"^mem=much must be a size"),
        ({"gpus": "one"}, r"^gpus=one must be a whole number$"),
        ({"account": ""}, r"^account='' must be one line$"),
        ({"cluster": "debug"}, r"^cluster=debug is unknown; it must be slurm or local$"),
        ({"cluster": "local"}, r"^cluster=local submits nothing"),
        ({"max_requeues": "ever"}, r"^max_requeues=ever must be a whole number$"),
    ],
)
def test_mistakes(options, sentence):
    with pytest.raises(UserError, match=sentence):
        slurm_script(WORK, 4, options)


def test_no_slurm_and_no_submitit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"^--executor slurm: there is no Slurm on this machine"):
        start_slurm(Work(str(tmp_path), "journal:a"), 2, {}, wait=False)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'onelip\[slurm\]'"):
        start_slurm(Work(str(tmp_path), "journal:a"), 2, {}, wait=False)


def test_what_sbatch_says_is_passed_on(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sbatch", "srun"):
        (programs / name).write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpu' >&2; exit 1\n")
        (programs / name).chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UserError, match=r"^Slurm refused the jobs: .*invalid partition specified: gpu"):
        start_slurm(Work(str(tmp_path), "journal:a"), 2, {"partition": "gpu"}, wait=False)


@pytest.mark.slow
def test_processes_of_this_machine(tmp_path):
    with pytest.raises(UserError, match=r"^partition=gpu is for Slurm, and has no meaning with cluster=local$"):
        start_slurm(Work(str(tmp_path), "journal:a"), 2, {"cluster": "local", "partition": "gpu"}, wait=True)
    work = Claiming(str(tmp_path), "journal:a", seconds=0.2)
    jobs = start_slurm(work, 2, {"cluster": "local", "setup": f"touch {tmp_path}/set-up"}, wait=True)
    assert len(set(jobs)) == 2
    assert [len(workers) for workers in workers_of(tmp_path).values()] == [1] * 6
    assert (tmp_path / "set-up").exists()
    with pytest.raises(
        CommandFailedError, match=r"^2 of 2 workers failed; job \d+: ValueError: no such layer; see .*err$"
    ):
        start_slurm(Failing(str(tmp_path), "journal:a"), 2, {"cluster": "local"}, wait=True)


@pytest.mark.slow
def test_a_real_cluster(tmp_path):
    watched, log = [], tmp_path / "slurm"

    # Between its two turns a job may be missing from the queue for a moment.
    def starts() -> int:
        return sum(f.read_text().count("Starting with JobEnvironment") for f in log.glob(f"{jobs[0]}_0_log.out"))

    with slurm_cluster():
        with pytest.raises(UserError, match=r"^Slurm refused the jobs: .*[Ii]nvalid partition"):
            start_slurm(WORK, 2, {"partition": "gpu"}, wait=False)
        work = Claiming(str(tmp_path), "journal:a", numbers=24)
        jobs = start_slurm(work, 2, {"time": "30", "cpus": "1"}, wait=False)
        assert [job.partition("_")[2] for job in jobs] == ["0", "1"]
        while len(workers_of(tmp_path)) < 2:
            time.sleep(0.1)
        end_the_time(jobs[0])
        until = time.monotonic() + 120
        while time.monotonic() < until and (
            starts() < 2 or subprocess.run(["squeue", "-h"], capture_output=True, check=True).stdout
        ):
            time.sleep(0.2)
        with pytest.raises(
            CommandFailedError, match=r"^1 of 1 workers failed; job \d+: ValueError: no such layer; see"
        ):
            start_slurm(Failing(str(tmp_path), "journal:a"), 1, {}, wait=True, watch=lambda: watched.append(1))
    assert len(list(tmp_path.glob("*.done"))) == 24
    output = (tmp_path / "slurm" / f"{jobs[0]}_0_log.out").read_text()
    assert output.count("Starting with JobEnvironment") == 2
    assert "Exiting after successful completion" in output
    assert watched


@pytest.mark.parametrize("cluster", ["local", "slurm"])
def test_an_interrupted_wait(cluster, monkeypatch, capsys):
    cancelled = []
    jobs = [
        SimpleNamespace(job_id=f"7_{index}", cancel=lambda: cancelled.append(1), done=lambda: False) for index in (0, 1)
    ]
    monkeypatch.setattr(slurm, "_submit", lambda *arguments: jobs)
    monkeypatch.setattr(slurm, "_queued", lambda jobs: True)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_slurm(WORK, 2, {"cluster": cluster}, wait=True, watch=interrupt)
    assert len(cancelled) == (2 if cluster == "local" else 0)
    assert ("scancel 7\n" in capsys.readouterr().out) == (cluster == "slurm")


def test_a_worker_that_left_nothing(tmp_path, monkeypatch):
    paths = SimpleNamespace(result_pickle=tmp_path / "none.pkl", stderr=tmp_path / "log.err")
    monkeypatch.setattr(slurm, "_FILE_SECONDS", 0)
    with pytest.raises(
        CommandFailedError, match=r"^1 of 1 workers failed; job 7: it was cancelled or killed; see .*log.err$"
    ):
        slurm._wait([SimpleNamespace(job_id="7", paths=paths)], lambda jobs: False, lambda: None)


def test_the_queue_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = [SimpleNamespace(job_id="7_0")]
    for does, queued in [
        ("echo 7_0 RUNNING", True),
        ("true", False),
        ("echo Invalid job id >&2; exit 1", False),
        ("exit 1", True),
    ]:
        (tmp_path / "squeue").write_text(f'#!/bin/sh\ntest "$2" = --jobs=7 || exit 9\n{does}\n')
        (tmp_path / "squeue").chmod(0o700)
        assert slurm._queued(asked) == queued


@pytest.mark.parametrize(
    ("shown", "result", "to_come"),
    [([True], False, True), ([False, False, True], False, True), ([False], True, False), ([False] * 9, False, False)],
)
def test_a_job_missing_from_the_queue_for_a_moment(tmp_path, monkeypatch, shown, result, to_come):
    answers, moments = iter(shown), itertools.count()
    monkeypatch.setattr(slurm, "_queued", lambda jobs: next(answers))
    monkeypatch.setattr(slurm, "_GAP_SECONDS", 5)
    monkeypatch.setattr(slurm, "time", SimpleNamespace(monotonic=lambda: next(moments), sleep=lambda seconds: None))
    file = tmp_path / "result.pkl"
    if result:
        file.touch()
    assert slurm._to_come([SimpleNamespace(paths=SimpleNamespace(result_pickle=file))]) == to_come
