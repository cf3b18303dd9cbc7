"""Make a page over many made-up runs and measure it in headless Chromium.

    python -m benchmarks.overview_page                  10,000 runs; a minute or two
    python -m benchmarks.overview_page --runs 1000 --keep FOLDER

Each run is a folder as a sweep leaves it: configuration, trial, results, 50 epochs, and a certificate with 200 radii;
one in twenty failed, and one in fifty is unfinished. Times inside of the page are from the event to the next frame on
the screen, and, as "script", until the script is done; reported are the median and the largest of `--repeats`.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from benchmarks.browser import Page, browser, find_browser

from onelip.experiments import dump_config, load_config
from onelip.experiments.collection import collect
from onelip.experiments.machine import describe_machine
from onelip.experiments.overview import write_overview

METHODS = ("aoc", "aol", "bcop", "bjorck", "cayley", "cpl", "sll", "soc")
SIZES = ("xs", "s", "m", "l")
DATA = ("cifar10", "cifar100", "tiny-imagenet")
EPOCHS = 50
COLUMNS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_certified_accuracy", "seconds")

# The time until a script is done, and until what it changed is on the screen.
TIMED = """
(async () => {{
  const frame = () => new Promise((ok) => requestAnimationFrame(() => setTimeout(ok)));
  await frame();
  const start = performance.now();
  {action}
  const done = performance.now();
  await frame();
  return [done - start, performance.now() - start];
}})()
"""


def make_run(folder: Path, k: int, config: str, draw: random.Random) -> None:
    """Write what one run has left."""
    folder.mkdir(parents=True)
    method, size, data, seed = METHODS[k % 8], SIZES[k // 8 % 4], DATA[k // 32 % 3], k // 96 % 3
    (folder / "config.yaml").write_text(
        config.replace("seed: 0", f"seed: {seed}").replace("layer: aoc", f"layer: {method}")
    )
    failed, unfinished = k % 20 == 7, k % 50 == 9
    factors = {"method": method, "size": size, "set": data, "seed": seed}
    params = {"optimizer.lr": 10 ** draw.uniform(-4, -1), "optimizer.weight_decay": 10 ** draw.uniform(-6, -3)}
    trial = {"sweep": "made-up", "stage": "search", "trial": k, "factors": factors, "draw": k // 288, "params": params}
    best = draw.uniform(0.3, 0.9)
    n_epochs = draw.randrange(1, EPOCHS) if failed or unfinished else EPOCHS
    rows = [
        (e, 3 / (e + 1), best * (e + 2) / (e + 3), 3.1 / (e + 1), best * (e + 1) / (e + 3), best * e / (e + 5), 1.3)
        for e in range(n_epochs)
    ]
    with (folder / "metrics.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    if failed:
        trial |= {"state": "failed", "error": f"the loss is not finite in epoch {n_epochs}; lower the learning rate"}
    elif not unfinished:
        trial |= {"state": "complete", "value": rows[-1][5], "seconds": 70.0}
        finish_run(folder, method, best, draw)
    (folder / "trial.json").write_text(json.dumps(trial))


def finish_run(folder: Path, method: str, best: float, draw: random.Random) -> None:
    """Write the results of a run that ended."""
    radii = sorted(max(0.0, draw.gauss(best - 0.3, 0.4)) for _ in range(200))
    certified = {f"{r / 255:.6g}": sum(x > r / 255 for x in radii) / len(radii) for r in (36, 72, 108, 255)}
    bound = {"value": 1 - draw.random() / 10, "proved": True, "method": "product over the graph"}
    results = {
        "name": "made-up",
        "layer": method,
        "n_parameters": draw.randrange(10**5, 10**8),
        "train_seconds": draw.uniform(50, 5000),
        "epochs": EPOCHS,
        "weights": {"rule": "best", "epoch": EPOCHS},
        "accuracy": best,
        "certified": certified,
        "attacked": {r: share + 0.02 for r, share in certified.items()},
        "norm": "l2",
        "lipschitz_bound": bound,
    }
    (folder / "results.json").write_text(json.dumps(results))
    certificate = {"lipschitz": bound, "norm": "l2", "radii": [r.hex() for r in radii]}
    (folder / "certificate.json").write_text(json.dumps(certificate))
    (folder / "report.html").touch()


def make_runs(folder: Path, n_runs: int) -> None:
    """Write the folders of made-up runs."""
    draw = random.Random(0)
    config = dump_config(load_config("digits", ["layer=aoc"]))
    for k in range(n_runs):
        make_run(folder / "search" / f"{k:05d}", k, config, draw)


def timed(page: Page, action: str, repeats: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds of an action until its script is done, and until the next frame."""
    both = [page.evaluate(TIMED.format(action=action.replace("$K", str(k)))) for k in range(repeats)]
    return [script for script, _ in both], [frame for _, frame in both]


ACTIONS = {
    "sort by a click on a heading": """
        const heads = [...document.querySelectorAll('#runs thead button')];
        heads[$K % heads.length].click();
    """,
    "a key in the filter": """
        const box = document.getElementById('filter');
        box.value = ['c', 'ca', 'cay', 'cayl', 'cayley', '', 'x', 'xs'][$K % 8];
        box.dispatchEvent(new Event('input'));
    """,
    "a level switched off": "document.querySelectorAll('#factors input')[$K % 12].click();",
    "scroll by 5,000 rows": """
        const row = document.querySelector('#runs tbody tr[data-row]');
        document.getElementById('scroller').scrollTop = ($K % 2 ? 0 : 5000) * row.offsetHeight;
    """,
}
PAINT = "performance.getEntriesByType('paint').find((e) => e.name === 'first-contentful-paint').startTime"
LOAD = "performance.getEntriesByType('navigation')[0].loadEventEnd"
ELEMENTS, ROWS = "document.querySelectorAll('*').length", "document.querySelectorAll('tr[data-row]').length"


def measure(page: Page, path: Path, repeats: int) -> None:
    """Print what a page takes."""
    loads, paints = [], []
    for _ in range(3):
        page.open(path)
        page.evaluate("new Promise((ok) => setTimeout(ok, 800))")
        loads.append(page.evaluate(LOAD))
        paints.append(page.evaluate(PAINT))
    report("first contentful paint", paints)
    report("page loaded, table and figures drawn first", loads)
    print(f"{'elements in the document':45} {page.evaluate(ELEMENTS):10,}")
    print(f"{'rows in the document':45} {page.evaluate(ROWS):10,}")
    for name, action in ACTIONS.items():
        script, frame = timed(page, action, repeats)
        page.evaluate("new Promise((ok) => setTimeout(ok, 600))")
        page.evaluate("document.getElementById('reset').click()")
        report(name + ", script", script)
        report(name + ", on the screen", frame)
    figures = "document.getElementById('most').dispatchEvent(new Event('change'));"
    report("all figures drawn again, script", timed(page, figures, repeats)[0])
    if page.errors:
        raise RuntimeError(f"the page has errors: {page.errors}")


def report(name: str, milliseconds: Sequence[float]) -> None:
    """Print the median and the largest."""
    print(f"{name:45} {statistics.median(milliseconds):7.1f} ms, at most {max(milliseconds):7.1f} ms")


def main() -> None:
    """Make the runs and the page, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--keep", type=Path, help="folder in which runs and page stay; it must not be there")
    arguments = parser.parse_args()
    program = find_browser()
    if program is None:
        sys.exit("there is no Chromium on this machine")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary) / "made-up"
        make_runs(folder, arguments.runs)
        print(f"machine: {describe_machine(torch.device('cpu'))}")
        start = time.perf_counter()
        rows = collect([folder])
        collected = time.perf_counter()
        path = write_overview(rows, folder / "overview.html", title="made-up")
        written = time.perf_counter() - collected
        print(f"{len(rows):,} runs read in {collected - start:.1f} s, page written in {written:.1f} s")
        print(f"size of the page {path.stat().st_size / 1e6:.2f} MB")
        with browser(program) as page:
            measure(page, path, arguments.repeats)


if __name__ == "__main__":
    main()
