"""Measure every convolution over the whole product of sizes that the contract names, on all cores.

python -m tools.check_sizes                      every convolution
python -m tools.check_sizes aoc rko --cores 2    some methods
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import warnings
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.contract.cases import all_records
from tests.contract.sizes import KINDS, cases_of, check_sizes

_PARTS = 8
"""Pieces that one method's product is cut into, so that the cores finish together."""

Job = tuple[str, str, str, int]


def _run(job: Job) -> tuple[Job, Counter[str], list[str]]:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Using padding='same'")
    kind, name, dtype_name, part = job
    dtype: torch.dtype = getattr(torch, dtype_name)
    record = next(r for r in all_records() if (r.kind, r.name) == (kind, name))
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    for case in cases_of(record, dtype, whole=True)[part::_PARTS]:
        try:
            outcomes[check_sizes(case)] += 1
        except Exception as error:
            outcomes["FAILED"] += 1
            failures.append(f"{case.name}: {type(error).__name__}: {error}")
    return job, outcomes, failures


def main() -> None:
    """Check the whole product and print what came of it, method by method."""
    parser = argparse.ArgumentParser(description="Measure every convolution over the whole product of sizes.")
    parser.add_argument("names", nargs="*", help="methods, all by default")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    options = parser.parse_args()
    methods = [
        (r.kind, r.name, dtype)
        for dtype in options.dtypes
        for r in all_records()
        if r.kind in KINDS and (not options.names or r.name in options.names)
    ]
    outcomes: dict[tuple[str, ...], Counter[str]] = {method: Counter() for method in methods}
    parts: Counter[tuple[str, ...]] = Counter()
    failed = False
    with multiprocessing.get_context("spawn").Pool(options.cores) as pool:
        jobs = [(*method, part) for method in methods for part in range(_PARTS)]
        for job, found, failures in pool.imap_unordered(_run, jobs):
            method = job[:3]
            outcomes[method] += found
            parts[method] += 1
            for line in failures[:3]:
                print(f"    {line}")
            failed = failed or bool(failures)
            if parts[method] == _PARTS:
                counts = sorted(outcomes[method].items())
                print(f"{' '.join(method)}: " + ", ".join(f"{n} {what}" for what, n in counts), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
