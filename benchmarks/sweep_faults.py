"""Kill a sweep in every way, start it again, and compare it with one that nobody disturbed.

usage: python -m benchmarks.sweep_faults [CASE ...] [--sweep digits-methods] [--keep FOLDER] [KEY=VALUE ...]

Each case starts `onelip sweep` with two workers as a user does (4 methods x 2 sizes x 3 draws on handwritten digits),
does something to it while it runs, starts it again where it has ended, and counts: trials that are complete, trials
whose value or parameters differ from those of the undisturbed sweep, trials that were run twice from their beginning to
their end, and epochs that were trained again since the last checkpoint. Exit code 1 if anything but epochs was lost.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHORT = ["trainer.max_epochs=20", "trainer.validate_every=2"]


@dataclass(frozen=True)
class Running:
    """A sweep at work.

    Attributes:
        folder: Its folder.
        process: The command.
        server: That of the study, or None.
    """

    folder: Path
    process: subprocess.Popen[bytes]
    server: subprocess.Popen[bytes] | None = None

    def workers(self) -> list[int]:
        """Find its workers.

        Returns:
            Their process numbers.
        """
        found = subprocess.run(
            ["pgrep", "-f", f"sweep.worker {self.folder.absolute()} "], capture_output=True, text=True, check=False
        )
        return [int(number) for number in found.stdout.split()]

    def wait_for(self, n_begun: int) -> None:
        """Wait until so many trials have begun.

        Args:
            n_begun: How many.
        """
        while len(list(self.folder.glob("search/*/trial.json"))) < n_begun and self.process.poll() is None:
            time.sleep(0.1)

    def all(self) -> list[int]:
        """List all its processes.

        Returns:
            Their numbers.
        """
        return [self.process.pid, *self.workers()]


def kill(numbers: list[int], sig: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal.

    Args:
        numbers: To which processes.
        sig: Which signal.
    """
    for number in numbers:
        try:
            os.kill(number, sig)
        except ProcessLookupError:
            continue


def one_worker(sweep: Running) -> None:
    """Kill one of two workers (kill -9)."""
    sweep.wait_for(5)
    kill(sweep.workers()[:1])


def both_workers(sweep: Running) -> None:
    """Kill both workers at once (kill -9)."""
    sweep.wait_for(5)
    kill(sweep.workers())


def everything(sweep: Running) -> None:
    """Kill one worker, and later the command and all workers (kill -9)."""
    sweep.wait_for(4)
    kill(sweep.workers()[:1])
    sweep.wait_for(13)
    kill(sweep.all())


def the_command(sweep: Running) -> None:
    """Kill the command alone (kill -9), whose workers then stop."""
    sweep.wait_for(7)
    kill([sweep.process.pid])


def ctrl_c(sweep: Running) -> None:
    """Press Ctrl-C."""
    sweep.wait_for(7)
    kill([sweep.process.pid], signal.SIGINT)


def terminated(sweep: Running) -> None:
    """Send SIGTERM to the command, as at a time limit."""
    sweep.wait_for(7)
    kill([sweep.process.pid], signal.SIGTERM)


def frozen(sweep: Running) -> None:
    """Freeze a worker for 10 s (SIGSTOP), and let it go on."""
    sweep.wait_for(6)
    worker = sweep.workers()[:1]
    kill(worker, signal.SIGSTOP)
    time.sleep(10)
    kill(worker, signal.SIGCONT)


def torn_file(sweep: Running) -> None:
    """Kill everything (kill -9), and cut the metrics of running trials in the middle of a row."""
    sweep.wait_for(9)
    kill(sweep.all())
    for path in sorted(sweep.folder.glob("search/*/metrics.csv")):
        if "state" not in json.loads((path.parent / "trial.json").read_text()):
            path.write_text(path.read_text()[:-7])


def server_restarted(sweep: Running) -> None:
    """Kill the server of the study (Redis, kill -9), and start it again after 15 s."""
    sweep.wait_for(8)
    before = sweep.server
    assert before is not None, "this case has a server"
    before.kill()
    before.wait()
    time.sleep(15)
    subprocess.Popen(before.args, stdout=subprocess.DEVNULL)


CASES: dict[str, Callable[[Running], None]] = {
    case.__name__: case
    for case in (
        one_worker,
        both_workers,
        everything,
        the_command,
        ctrl_c,
        terminated,
        frozen,
        torn_file,
        server_restarted,
    )
}


def command(arguments: argparse.Namespace, place: Path, name: str) -> list[str]:
    """Write the command of a sweep.

    Args:
        arguments: Of the script.
        place: The runs folder.
        name: The sweep's name.

    Returns:
        The command.
    """
    changes = [*SHORT, *arguments.changes, f"runs_dir={place}", f"name={name}"]
    return [sys.executable, "-m", "onelip", "sweep", arguments.sweep, *changes, "--workers", "2"]


def redis_server(place: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server that keeps what it has.

    Args:
        place: Where its files go.

    Returns:
        The server, which ends with the script, and its URL.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(place), "--appendonly", "yes"]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    atexit.register(subprocess.run, ["pkill", "-f", f"redis-server 127.0.0.1:{port}"], check=False)
    time.sleep(1)
    return server, f"redis://127.0.0.1:{port}/0"


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """Read what the trials of a sweep have recorded.

    Args:
        folder: The sweep's.

    Returns:
        By number.
    """
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("search/*/trial.json")}


def main() -> int:
    """Run the cases and print a table.

    Returns:
        Exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="CASE|KEY=VALUE", help=", ".join(CASES))
    parser.add_argument("--sweep", default="digits-methods")
    parser.add_argument("--keep", type=Path, help="a folder for the runs, which then stay")
    arguments = parser.parse_args()
    arguments.changes = [word for word in arguments.words if "=" in word]
    names = [word for word in arguments.words if "=" not in word] or list(CASES)
    place = arguments.keep or Path(tempfile.mkdtemp(prefix="onelip-faults-"))
    place.mkdir(parents=True, exist_ok=True)
    log = (place / "log.txt").open("ab")
    # In the background of a script Ctrl-C is ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    subprocess.run(command(arguments, place, "undisturbed"), check=True, stdout=log, stderr=log)
    want = records(place / "undisturbed")
    print("| what was done | ended with | trials complete | differ | begun again after a death | lost |")
    print("|---|---|---|---|---|---|")
    lost = False
    for name in names:
        words = command(arguments, place, name)
        server = None
        if name == "server_restarted":
            server, url = redis_server(place)
            words += ["--storage", url]
        with subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True) as process:
            sweep = Running(place / name, process, server)
            CASES[name](sweep)
            code = process.wait()
        if code:
            subprocess.run(words, check=True, stdout=log, stderr=log)
        got = records(place / name)
        complete = sum(record.get("state") == "complete" for record in got.values())
        differ = sum(
            any(got.get(number, {}).get(key) != want[number][key] for key in ("params", "value", "factors"))
            for number in want
        )
        again = [record["attempts"] for record in got.values() if len(record["attempts"]) > 1]
        bad = differ or complete != len(want) or len(got) != len(want)
        lost = lost or bool(bad)
        deaths = f"{len(again)} (after {', '.join(str(a[-1]) for a in again)} epochs)" if again else "0"
        print(
            f"| {(CASES[name].__doc__ or name).rstrip('.')} | {code} | {complete} of {len(want)} | {differ} | "
            f"{deaths} | {'SOMETHING' if bad else 'nothing'} |",
            flush=True,
        )
    return int(lost)


if __name__ == "__main__":
    sys.exit(main())
