"""Workers as tasks of a Ray cluster that is there already; those of a machine that is lost start again on others."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from onelip.experiments.console import say
from onelip.experiments.errors import CommandFailedError, UserError, one_line
from onelip.experiments.sweep.sigterm import stopping_on_sigterm
from onelip.experiments.sweep.work import Work
from onelip.linalg.errors import unknown_name

_CONNECT_SECONDS = 10
_POLL_SECONDS = 0.5

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    # As always: a task without a GPU sees none. Said so, Ray does not warn of a change to come.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}
"""No statistics to Ray's makers, and no words about it."""

RESOURCES = {"cpus": ("CPU", 1.0), "gpus": ("GPU", 0.0), "mem": ("memory", 0.0)}
"""What a worker can ask for: Ray's name of it, and how much if nothing is said (mem in GB)."""


def start_ray(
    work: Work,
    n_workers: int | None,
    address: str,
    resources: Mapping[str, str],
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Run workers on a cluster until no trial is left.

    A worker whose machine or process is lost is started again, on any machine with room; its trial goes on from its
    checkpoint. The workers end when this process does, however it ends.

    Args:
        work: What they do. Its folder must be the same on all machines.
        n_workers: How many; None for as many as have room at once.
        address: HOST:6379 or auto on a machine of the cluster, ray://HOST:10001 on any other.
        resources: Of each worker, see `RESOURCES`; a share of a GPU, such as 0.5, is possible.
        watch: Called about twice a second.

    Raises:
        UserError: If Ray is missing, the cluster does not answer, or no machine of it has the resources.
        CommandFailedError: If workers failed, or SIGTERM came.
    """
    asked = _asked(resources)
    with _connected(address) as ray:
        room = _room(ray.nodes(), asked)
        if room == 0:
            raise UserError(
                f"no machine of the Ray cluster at {address} has {_shown(asked)}; it has {_all(ray.nodes())}"
            )
        count = n_workers or room
        late = f", {count - room} of which wait for room" if count > room else ""
        say(f"{count} worker{'s' if count > 1 else ''} on the Ray cluster at {address}{late}")
        task = ray.remote(
            num_cpus=asked["CPU"],
            num_gpus=asked["GPU"],
            memory=int(asked["memory"]) or None,
            max_retries=-1,
            # A process that has used a GPU keeps some of its memory: the next task gets a new one.
            max_calls=1,
            scheduling_strategy="SPREAD",
        )(_run)
        _wait(ray, [task.remote(work.absolute()) for _ in range(count)], asked, watch)


# In a worker. Errors become words, as not every exception survives the journey.
def _run(work: Work) -> tuple[int, str]:
    try:
        return work(), ""
    except UserError as error:
        return 0, str(error)
    except Exception as error:
        return 0, f"{type(error).__name__}: {one_line(str(error))}"


def _wait(ray: Any, tasks: list[Any], asked: Mapping[str, float], watch: Callable[[], None]) -> None:
    waiting, errors = list(tasks), []
    machines = _Machines(asked)
    try:
        while waiting:
            ended, waiting = ray.wait(waiting, timeout=_POLL_SECONDS)
            errors += [error for _, error in ray.get(ended) if error]
            machines.look(ray.nodes())
            watch()
    except ray.exceptions.RayError as error:
        raise CommandFailedError(f"the Ray cluster gave up: {one_line(str(error))}", 1) from error
    finally:
        for task in waiting:
            # As Ctrl-C in each worker, so that trials are given back in good order.
            ray.cancel(task)
        if waiting:
            ray.wait(waiting, num_returns=len(waiting), timeout=_CONNECT_SECONDS)
    if errors:
        raise CommandFailedError(f"{len(errors)} of {len(tasks)} workers failed: {errors[0]}", 1)


class _Machines:
    """Say when some are lost, and when none is left with room."""

    def __init__(self, asked: Mapping[str, float]) -> None:
        self._asked = asked
        self._alive: set[str] = set()
        self._room = True

    def look(self, nodes: list[dict[str, Any]]) -> None:
        alive = {str(node["NodeID"]): str(node["NodeManagerHostname"]) for node in nodes if node["Alive"]}
        lost = self._alive - set(alive)
        if lost:
            machines = f"{len(lost)} of its {len(self._alive)} machines"
            say(f"the Ray cluster has lost {machines}; their workers start again on others")
        self._alive = set(alive)
        room = _room(nodes, self._asked) > 0
        if self._room and not room:
            say(f"no machine with {_shown(self._asked)} is left; waiting for one to join")
        self._room = room


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    try:
        import ray
    except ImportError as error:
        raise UserError("--executor ray needs Ray; install it with: pip install 'onelip[ray]'") from error
    _check_answer(address)
    paths = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment = {"env_vars": {"PYTHONPATH": os.pathsep.join(paths)}} if paths else {}
    # Twice, as Ray puts a handler of its own in place, and leaves it there.
    with stopping_on_sigterm():
        try:
            ray.init(address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise UserError(f"no Ray cluster at {address}: {_first_sentence(error)}") from error
        try:
            with stopping_on_sigterm():
                yield ray
        finally:
            ray.shutdown()


# Ray itself would try for a minute.
def _check_answer(address: str) -> None:
    if address == "auto":
        return
    match = re.fullmatch(r"(?:ray://)?(?P<host>[^:/]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})", address)
    if match is None:
        raise UserError(f"--ray-address {address} must be auto, HOST:PORT or ray://HOST:PORT")
    try:
        socket.create_connection((match["host"].strip("[]"), int(match["port"])), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"no Ray cluster at {address}: {one_line(str(error))}") from error


def _first_sentence(error: BaseException) -> str:
    return re.split(r"(?<=[^\d.])\.\s", one_line(str(error)))[0].rstrip(".")


def _asked(resources: Mapping[str, str]) -> dict[str, float]:
    asked = dict(RESOURCES.values())
    for name, text in resources.items():
        if name not in RESOURCES:
            raise UserError(unknown_name("resource of Ray", name, RESOURCES))
        number = text.upper().removesuffix("B").removesuffix("G") if name == "mem" else text
        if not re.fullmatch(r"\d+(\.\d+)?", number):
            raise UserError(f"{name}={text} must be a number" + (" of GB" if name == "mem" else ""))
        asked[RESOURCES[name][0]] = float(number) * (1e9 if name == "mem" else 1)
    if asked["CPU"] == asked["GPU"] == 0:
        raise UserError("cpus=0: a worker needs a part of a processor or of a GPU, or a machine would take all workers")
    return asked


# How many workers the machines would have room for at once if nothing else ran there.
def _room(nodes: list[dict[str, Any]], asked: Mapping[str, float]) -> int:
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return sum(
        int(min(has.get(name, 0.0) / amount + 1e-9 for name, amount in asked.items() if amount > 0)) for has in alive
    )


def _shown(amounts: Mapping[str, float]) -> str:
    cpus, gpus, memory = (amounts.get(name, 0.0) for name in ("CPU", "GPU", "memory"))
    return f"cpus={cpus:g} gpus={gpus:g}" + (f" mem={memory / 1e9:.0f}GB" if memory >= 1e9 else "")


def _all(nodes: list[dict[str, Any]]) -> str:
    kinds = Counter(_shown(node["Resources"]) for node in nodes if node["Alive"])
    return "; ".join(f"{count} with {kind}" for kind, count in kinds.items()) or "none"
