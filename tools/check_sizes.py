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


def _run(job: tuple[str, str, str]) -> tuple[tuple[str, str, str], Counter[str], list[str]]:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Using padding='same'")
    kind, name, dtype_name = job
    dtype: torch.dtype = getattr(torch, dtype_name)
    record = next(r for r in all_records() if (r.kind, r.name) == (kind, name))
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    for case in cases_of(record, dtype, whole=True):
        try:
            outcomes[check_sizes(case)] += 1
        except Exception as error:
            outcomes["FAILED"] += 1
            failures.append(f"{case.name}: {type(error).__name__}: {error}")
    return job, outcomes, failures


def main() -> None:
    """Check the whole product and print what came of it."""
    parser = argparse.ArgumentParser(description="Measure every convolution over the whole product of sizes.")
    parser.add_argument("names", nargs="*", help="methods, all by default")
    parser.add_argument("--dtypes", nargs="+", default=["float32", "float64"])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    options = parser.parse_args()
    jobs = [
        (r.kind, r.name, dtype)
        for r in all_records()
        if r.kind in KINDS and (not options.names or r.name in options.names)
        for dtype in options.dtypes
    ]
    failed = False
    with multiprocessing.get_context("spawn").Pool(options.cores) as pool:
        for (kind, name, dtype), outcomes, failures in pool.imap_unordered(_run, jobs):
            print(f"{kind} {name} {dtype}: " + ", ".join(f"{n} {what}" for what, n in sorted(outcomes.items())))
            for line in failures[:5]:
                print(f"    {line}")
            failed = failed or bool(failures)
            sys.stdout.flush()
    sys.exit(failed)


if __name__ == "__main__":
    main()
