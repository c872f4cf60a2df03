"""`python -m tests.mutants`: try a random sample of mutants for some minutes, and list those that no test notices."""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.environments import ROOT
from tests.mutants import runner, selection
from tests.mutants.mutations import UNCHANGED, Mutant, mutants_of

DOCUMENTATION = ROOT / "docs" / "testing.md"
MIN_KILLED_SHARE = 0.9


def main() -> int:
    """Print the figures; return 1 if tests notice fewer than 90 % of the mutants."""
    options = parse_options()
    deadline = time.monotonic() + 60 * options.minutes
    folder = ROOT / "build" / "mutants"
    folder.mkdir(parents=True, exist_ok=True)
    if not (options.reuse_coverage and (folder / "coverage").exists()):
        print("Measuring which test executes which line ...", flush=True)
        print(selection.measure_coverage(folder / "coverage", options.jobs), flush=True)
    coverage = selection.read_coverage(folder / "coverage")
    sample = sample_of(options.seed, options.only)
    runner.import_libraries()

    check_unchanged(tasks_of(sample[:1], coverage))
    killed, survivors = 0, []
    for mutant, noticed in runner.run(tasks_of(sample, coverage), options.jobs, deadline):
        killed += noticed
        survivors += [] if noticed else [mutant]
        print("." if noticed else f"\n{row(mutant)}\n", end="", flush=True)
    return report(options.seed, len(sample), killed, survivors)


def tasks_of(mutants: list[Mutant], coverage: selection.Coverage) -> Iterator[tuple[Mutant, Sequence[str]]]:
    """Yield each mutant with its tests."""
    return ((mutant, selection.select_tests(mutant, coverage)) for mutant in mutants)


def check_unchanged(tasks: Iterator[tuple[Mutant, Sequence[str]]]) -> None:
    """End the program if the tests of a mutant fail without its change: then every mutant would seem killed."""
    unchanged = ((replace(mutant, number=UNCHANGED), tests) for mutant, tests in tasks)
    if any(noticed for _, noticed in runner.run(unchanged, 1, time.monotonic() + 60)):
        sys.exit("Tests fail without a mutant when they run alone: fix them first.")


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="selects the sample")
    parser.add_argument("--minutes", type=float, default=10, help="start no mutant after this time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    parser.add_argument("--only", default="", help="a part of the path, like app/accounts")
    parser.add_argument("--reuse-coverage", action="store_true", help="do not run the tests without a mutant again")
    return parser.parse_args()


def sample_of(seed: int, only: str) -> list[Mutant]:
    """Return the mutants in an order that depends on the seed only, without the documented equivalent ones."""
    everything = [
        mutant
        for file in selection.target_files()
        for mutant in mutants_of(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8"))
    ]
    equivalent = documented_equivalents(DOCUMENTATION.read_text(encoding="utf-8"))
    mutants = [mutant for mutant in everything if only in mutant.path and str(mutant) not in equivalent]
    random.Random(seed).shuffle(mutants)
    return mutants


def documented_equivalents(text: str) -> set[str]:
    """Return the rows of the documentation's table, without the reasons: (path, scope, before, after)."""
    return set(re.findall(r"^\| (`app/[^|]+` \| `[^|]+` \| `[^|]+` \| `[^|]+`) \|", text, re.MULTILINE))


def report(seed: int, total: int, killed: int, survivors: list[Mutant]) -> int:
    """Print the result, and the survivors as rows of the documentation's table; return the exit code."""
    tried = killed + len(survivors)
    print(f"\nSeed {seed}: {tried} of {total} mutants tried, {killed} killed, {len(survivors)} survived")
    if not tried:
        print("No mutant was tried: allow more time with MINUTES=.")
        return 1
    if survivors:
        print("Write a test for each survivor. If none can notice it, add the row and the reason to docs/testing.md:")
        print(*map(row, sorted(survivors, key=lambda mutant: (mutant.path, mutant.lines.start))), sep="\n")
    share = killed / tried
    print(f"{share:.0%} killed; at least {MIN_KILLED_SHARE:.0%} are required")
    return int(share < MIN_KILLED_SHARE)


def row(mutant: Mutant) -> str:
    """Return a survivor as a row of the documentation's table, with its line instead of the reason."""
    return f"| {mutant} | line {mutant.lines.start}"


if __name__ == "__main__":
    sys.exit(main())
