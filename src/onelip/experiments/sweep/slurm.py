"""Workers as an array of Slurm jobs, through submitit; each goes on in a new job when its time is over."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError, one_line
from onelip.experiments.sweep.work import Work
from onelip.linalg.errors import unknown_name

_DEFAULT_MINUTES = 24 * 60
_SIGNAL_SECONDS = 120
"""How long before the end of its time a job is told, as in docs/distributed.md."""

_POLL_SECONDS = 3.0
_FILE_SECONDS = 10.0
"""For a file that another machine has written to be seen."""

_GAP_SECONDS = 30.0
"""How long a job that is queued again may be missing from the queue."""

_TIME = re.compile(
    r"(?:(?P<d>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?|(?P<h>\d+):(?P<m>\d\d):(?P<s>\d\d)|(?P<min>\d+))"
)
_MEMORY = re.compile(r"(?P<n>\d+(?:\.\d+)?)(?P<unit>[MGT]?)B?", re.IGNORECASE)


def start_slurm(
    work: Work,
    n_workers: int,
    options: Mapping[str, str],
    *,
    wait: bool,
    watch: Callable[[], None] = lambda: None,
) -> list[str]:
    """Submit workers as a job array; a job whose time is over, or that is preempted, is queued again by itself.

    Logs and submitit's files are in `slurm/` of the sweep's folder, which all machines must see.

    Args:
        work: What they do.
        n_workers: How many.
        options: Of the jobs, see `OPTIONS`; `cluster=local` runs them as processes of this machine, to try it out.
        wait: Wait until all have ended?
        watch: Called every few seconds of that time.

    Returns:
        The jobs' numbers.

    Raises:
        UserError: If an option is wrong, submitit or Slurm is missing, or Slurm refuses the jobs.
        CommandFailedError: If workers that were waited for have failed.
        KeyboardInterrupt: Ctrl-C while waiting; jobs of Slurm go on, processes of this machine end.
    """
    work = work.absolute()
    with _sentences():
        jobs = _submit(work, n_workers, options, Path(work.folder) / "slurm")
    if wait:
        local = options.get("cluster") == "local"
        try:
            _wait(jobs, _at_work if local else _to_come, watch)
        except KeyboardInterrupt:
            if not local:
                say(f"the jobs go on without this command; end them with: scancel {_array(jobs)}")
            for job in jobs if local else ():
                job.cancel()
            raise
    return [job.job_id for job in jobs]


def slurm_script(work: Work, n_workers: int, options: Mapping[str, str]) -> str:
    """Show what `start_slurm` would submit; needs submitit, but no Slurm.

    Args:
        work: What the workers do.
        n_workers: How many.
        options: Of the jobs.

    Returns:
        The script for sbatch.

    Raises:
        UserError: If an option is wrong, or submitit is missing.
    """
    if options.get("cluster") == "local":
        raise UserError("cluster=local submits nothing, so there is no script to show")
    work = work.absolute()
    with _sentences(), tempfile.TemporaryDirectory() as name, _slurm_that_only_says_yes(Path(name)):
        # Through submitit's own submission, so that it is the script and not something like it.
        folder = Path(name) / "slurm"
        (job, *_) = _submit(work, n_workers, options, folder)
        return str(job.paths.submission_file.read_text("utf-8").replace(str(folder), f"{work.folder}/slurm"))


def _submit(work: Work, n_workers: int, options: Mapping[str, str], folder: Path) -> list[Any]:
    try:
        import submitit
    except ImportError as error:
        raise UserError("--executor slurm needs submitit; install it with: pip install 'onelip[slurm]'") from error
    cluster, parameters, max_requeues = _parameters(options)
    limits = {f"{cluster}_max_num_timeout": max_requeues}
    executor = submitit.AutoExecutor(folder=folder, cluster=cluster, **limits)
    executor.update_parameters(name=f"onelip-{Path(work.folder).name}", **parameters)
    with executor.batch():
        jobs = [executor.submit(work) for _ in range(n_workers)]
    # Filled in at the end of the batch.
    return list(jobs)


def _wait(jobs: list[Any], at_work: Callable[[list[Any]], bool], watch: Callable[[], None]) -> None:
    while at_work(jobs):
        watch()
        time.sleep(_POLL_SECONDS)
    watch()
    errors = [(job, error) for job, error in ((job, _error_of(job)) for job in jobs) if error is not None]
    if errors:
        job, error = errors[0]
        raise CommandFailedError(
            f"{len(errors)} of {len(jobs)} workers failed; job {job.job_id}: {error}; see {job.paths.stderr}", 1
        )


def _at_work(jobs: list[Any]) -> bool:
    return not all(job.done() for job in jobs)


# Queued now, or again in a moment.
def _to_come(jobs: list[Any]) -> bool:
    until = time.monotonic() + _GAP_SECONDS
    while not _queued(jobs):
        if all(job.paths.result_pickle.exists() for job in jobs) or time.monotonic() > until:
            return False
        time.sleep(_POLL_SECONDS)
    return True


# The queue is on every cluster; submitit asks sacct, which needs a database.
def _queued(jobs: list[Any]) -> bool:
    command = ["squeue", "--noheader", f"--jobs={_array(jobs)}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if found.returncode:
        # Slurm forgets a job some minutes after its end; any other trouble passes.
        return "Invalid job id" not in found.stderr
    return bool(found.stdout.strip())


def _array(jobs: list[Any]) -> str:
    return str(jobs[0].job_id).partition("_")[0]


def _error_of(job: Any) -> str | None:
    until = time.monotonic() + _FILE_SECONDS
    while not job.paths.result_pickle.exists():
        if time.monotonic() > until:
            return "it was cancelled or killed"
        time.sleep(0.5)
    error = job.exception()
    if error is None:
        return None
    lines = [line for line in str(error).splitlines() if line.strip(" -")]
    named = (line for line in reversed(lines) if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line))
    return one_line(next(named, lines[0]))


# Submitit and Slurm say it in many lines.
@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "srun" in str(error):
            raise UserError(
                "--executor slurm: there is no Slurm on this machine; start the command on a login node of the "
                "cluster, or try it with --resource cluster=local"
            ) from error
        raise UserError(f"Slurm refused the jobs: {one_line(str(error))}") from error


@contextlib.contextmanager
def _slurm_that_only_says_yes(folder: Path) -> Iterator[None]:
    programs = folder / "bin"
    programs.mkdir()
    for name in ("sbatch", "srun"):
        (programs / name).write_text("#!/bin/sh\necho Submitted batch job 1\n", "ascii")
        (programs / name).chmod(0o700)
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = f"{programs}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


# A cluster's name, submitit's parameters, and how often a job may be queued again.
def _parameters(options: Mapping[str, str]) -> tuple[str, dict[str, Any], int]:
    cluster = options.get("cluster", "slurm")
    if cluster not in ("slurm", "local"):
        raise UserError(f"cluster={cluster} is unknown; it must be slurm or local")
    parameters: dict[str, Any] = {"timeout_min": _DEFAULT_MINUTES}
    for name, text in options.items():
        if name in _NEEDLESS:
            raise UserError(f"{name}={text}: {_NEEDLESS[name]}")
        if name not in OPTIONS:
            raise UserError(unknown_name("option of Slurm", name, OPTIONS))
        option = OPTIONS[name]
        if option.parameter is None:
            continue
        if cluster == "local" and not option.also_local:
            raise UserError(f"{name}={text} is for Slurm, and has no meaning with cluster=local")
        parameters[option.parameter.replace("CLUSTER", cluster)] = option.read(name, text)
    if cluster == "slurm":
        # Of a job of few minutes, half is for work.
        parameters["slurm_signal_delay_s"] = min(_SIGNAL_SECONDS, 30 * parameters["timeout_min"])
    if "cpus_per_task" in parameters:
        # Since Slurm 22.05 srun does not take it over from sbatch, and would give the worker one core.
        parameters["slurm_srun_args"] = [f"--cpus-per-task={parameters['cpus_per_task']}"]
    return cluster, parameters, _count("max_requeues", options.get("max_requeues", "100"))


def _count(name: str, text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise UserError(f"{name}={text} must be a whole number")
    return int(text)


def _minutes(name: str, text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise UserError(f"{name}={text} must be minutes, H:MM:SS, D-H, D-H:MM or D-H:MM:SS")
    part = {key: int(value) for key, value in match.groupdict(default="0").items()}
    seconds = part["s"] + part["ds"]
    minutes = part["min"] + part["m"] + part["dm"] + 60 * (part["h"] + part["dh"] + 24 * part["d"]) + -(-seconds // 60)
    if minutes == 0:
        raise UserError(f"{name}={text} must be at least a minute")
    return minutes


def _gigabytes(name: str, text: str) -> float:
    match = _MEMORY.fullmatch(text)
    if match is None or float(match["n"]) == 0:
        raise UserError(f"{name}={text} must be a size such as 16GB or 500MB")
    return float(match["n"]) * {"M": 1 / 1024, "G": 1.0, "T": 1024.0, "": 1.0}[match["unit"].upper()]


def _text(name: str, text: str) -> str:
    if not text or "\n" in text:
        raise UserError(f"{name}={text!r} must be one line")
    return text


def _lines(name: str, text: str) -> list[str]:
    return [_text(name, text)]


@dataclass(frozen=True)
class SlurmOption:
    """An option of the jobs.

    Attributes:
        meaning: For the documentation.
        parameter: Submitit's name for it; None for those that are no parameter of a job.
        read: From its name and text to its value.
        also_local: Has it a meaning with cluster=local?
    """

    meaning: str
    parameter: str | None
    read: Callable[[str, str], Any] = _text
    also_local: bool = False


def _of_sbatch(name: str) -> SlurmOption:
    return SlurmOption(f"as sbatch's --{name.replace('_', '-')}", f"slurm_{name}")


OPTIONS: dict[str, SlurmOption] = {
    "partition": _of_sbatch("partition"),
    "time": SlurmOption("of one job: minutes, H:MM:SS or D-H; 24 hours if not given", "timeout_min", _minutes, True),
    "gpus": SlurmOption("of each worker", "gpus_per_node", _count, True),
    "cpus": SlurmOption("of each worker", "cpus_per_task", _count),
    "mem": SlurmOption("of each worker, such as 16GB", "mem_gb", _gigabytes),
    "parallel": SlurmOption("how many workers may run at once", "slurm_array_parallelism", _count),
    "setup": SlurmOption("a shell command before the worker, such as module load cuda", "CLUSTER_setup", _lines, True),
    "max_requeues": SlurmOption("how often a job may run out of time; 100 if not given", None, _count, True),
    "cluster": SlurmOption("slurm, or local for processes on this machine", None, _text, True),
    **{
        name: _of_sbatch(name)
        for name in ("account", "qos", "constraint", "gres", "nodelist", "exclude", "dependency", "comment")
    },
    **{name: _of_sbatch(name) for name in ("mail_type", "mail_user")},
}
"""What can be asked for, by name."""

_NEEDLESS = {
    "nodes": "each worker is one process on one machine; ask for more workers instead",
    "ntasks": "each worker is one task; ask for more workers instead",
}
