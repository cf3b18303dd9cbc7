"""Clip every convolution of the whole product of sizes at every bound, and measure what came of it by its matrix.

python -m tools.check_clipping                             fastclip, all of it, on all cores
python -m tools.check_clipping fft scale --part 1/8        other methods, the first eighth
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.spectral.clip_cases import BOUNDS, build, check_clipping, product

_MOST_LINES = 20
_PIECES = 32
"""Jobs for each method and bound, so that the cores finish together."""

Job = tuple[str, float, list[Any]]


def _run(job: Job) -> tuple[Job, Counter[str], list[str]]:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Using padding='same'")
    method, bound, cases = job
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    for case in cases:
        module, shape = build(case)
        start = time.perf_counter()
        try:
            outcomes[check_clipping(module, shape, bound, method=method)] += 1
        except Exception as error:
            outcomes["FAILED"] += 1
            failures.append(f"{method} {case} at {bound}: {type(error).__name__}: {error}")
        outcomes["over 10 s"] += time.perf_counter() - start > 10
    return job, outcomes, failures


def main() -> None:
    """Check and print what came of it, method by method."""
    parser = argparse.ArgumentParser(description="Clip the whole product of convolutions at every bound.")
    parser.add_argument("methods", nargs="*", default=["fastclip"], help="fastclip by default")
    parser.add_argument("--part", default="1/1", help="i/n: every n-th case, from the i-th")
    parser.add_argument("--bounds", nargs="+", type=float, default=list(BOUNDS))
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    options = parser.parse_args()
    index, count = map(int, options.part.split("/"))
    cases = product()[index - 1 :: count]
    jobs = [
        (method, bound, piece)
        for method in options.methods
        for bound in options.bounds
        for i in range(_PIECES)
        if (piece := cases[i::_PIECES])
    ]
    outcomes: dict[str, Counter[str]] = {method: Counter() for method in options.methods}
    failed = 0
    with multiprocessing.get_context("spawn").Pool(options.cores) as pool:
        for job, found, failures in pool.imap_unordered(_run, jobs):
            outcomes[job[0]] += found
            for line in failures[: max(0, _MOST_LINES - failed)]:
                print(f"    {line}", flush=True)
            failed += len(failures)
    for method, counted in outcomes.items():
        print(f"{method}, part {options.part} of {len(product())} cases x {len(options.bounds)} bounds: "
              + ", ".join(f"{n} {what}" for what, n in sorted(counted.items())), flush=True)  # fmt: skip
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
