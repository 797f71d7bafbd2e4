# SPDX-License-Identifier: Apache-2.0
"""The fuzzers' driver: `python -m tests.fuzz.run --cases 6000 --seed 0`; `make fuzz`.

A case is drawn from the seed, the name of its target and its number alone, so that any one of them can be made again:
`--only TARGET --index N`. What goes wrong lies in build/fuzz/<target>-<seed>-<number>/, with the input and the
traceback.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from nba.flow.stages.report import write
from nba.loopnest.description import load_hierarchy
from tests.fuzz import builds, commands, designs, imported, specs
from tests.fuzz.outcome import ACCEPTED, BAD, HANG, INTERNAL, REFUSED, Outcome, Target, attempt

TARGETS: tuple[Target, ...] = (
    *specs.TARGETS, *designs.TARGETS, *imported.TARGETS, *builds.TARGETS, *commands.TARGETS,
)  # fmt: skip
KEPT = Path(__file__).resolve().parents[2] / "build" / "fuzz"
MEMORY = 8 << 30
"""Bytes of data that a case may ask for."""


@dataclass(kw_only=True)
class Tally:
    """What was found: outcomes by target, and the cases that went wrong."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def of(self, kind: str) -> int:
        """Cases of one outcome."""
        return sum(count[kind] for count in self.counts.values())

    @property
    def cases(self) -> int:
        """All cases."""
        return sum(sum(count.values()) for count in self.counts.values())

    def table(self) -> str:
        """One line per target."""
        lines = [f"{'target':<18}{'cases':>8}{ACCEPTED:>10}{REFUSED:>10}{'internal':>10}{'hangs':>8}{'seconds':>10}"]
        rows = [*((name, count, self.seconds[name]) for name, count in self.counts.items())]
        total: Counter[str] = sum((count for _, count, _ in rows), Counter())
        for name, count, seconds in (*rows, ("all", total, sum(self.seconds.values()))):
            lines.append(
                f"{name:<18}{sum(count.values()):>8}{count[ACCEPTED]:>10}{count[REFUSED]:>10}{count[INTERNAL]:>10}"
                f"{count[HANG]:>8}{seconds:>10.1f}"
            )
        return "\n".join(lines)


def schedule(cases: int, targets: tuple[Target, ...]) -> list[tuple[Target, int]]:
    """(target, number) of every case: each target its share, at least one, and its share of every part of the list."""
    shares = sum(target.share for target in targets)
    counts = {target.name: max(1, round(cases * target.share / shares)) for target in targets}
    found = [(target, i) for target in targets for i in range(counts[target.name])]
    return sorted(found, key=lambda case: (case[1] + 0.5) / counts[case[0].name])


def one(target: Target, seed: int, index: int, folder: Path) -> Outcome:
    """Make and read one case in the empty `folder`."""
    target.make(random.Random(f"{seed}/{target.name}/{index}"), folder)
    return attempt(target, folder)


def _keep(target: Target, seed: int, index: int, folder: Path, found: Outcome) -> Path:
    place = KEPT / f"{target.name}-{seed}-{index}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place, symlinks=True, ignore=_specials)
    again = f"python -m tests.fuzz.run --seed {seed} --only {target.name} --index {index}"
    (place / "OUTCOME.txt").write_text(f"{found.kind}\nagain: {again}\n\n{found.detail}\n", errors="backslashreplace")
    return place


def _specials(folder: str, names: list[str]) -> list[str]:
    """Pipes, sockets and locked files, which cannot be copied."""
    paths = [(name, Path(folder, name)) for name in names]
    return [n for n, p in paths if not p.is_symlink() and not (p.is_dir() or (p.is_file() and os.access(p, os.R_OK)))]


def fuzz(work: list[tuple[Target, int]], seed: int, budget_s: float | None = None) -> Tally:
    """Do the cases of `work`, until `budget_s` seconds have passed."""
    warm_up()
    tally, began = Tally(), time.monotonic()
    for target, index in work:
        if budget_s is not None and time.monotonic() - began > budget_s:
            break
        with tempfile.TemporaryDirectory(prefix="nba-fuzz-", ignore_cleanup_errors=True) as name:
            with quiet():
                found = one(target, seed, index, Path(name))
            tally.counts.setdefault(target.name, Counter())[found.kind] += 1
            tally.seconds[target.name] += found.seconds
            if found.kind in BAD:
                place = _keep(target, seed, index, Path(name), found)
                last = found.detail.strip().splitlines()[-1][:150] if found.detail.strip() else ""
                tally.failures.append(f"{place}: {found.kind}: {last}")
    return tally


@cache
def warm_up() -> None:
    """Compile and load what cases use, so that no limit counts it."""
    builds.whole_bundle()
    specs.map_layers(load_hierarchy("eyeriss-like"))
    with tempfile.TemporaryDirectory() as name:
        write(builds.whole_build(), Path(name) / "page.html")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that cases deserve."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def record(tally: Tally, command: str) -> None:
    """Keep the headline figures in benchmarks/figures.json."""
    from benchmarks import figures_file

    for key, value in (
        ("fuzz.cases", tally.cases), ("fuzz.internal_errors", tally.of(INTERNAL)), ("fuzz.hangs", tally.of(HANG)),
    ):  # fmt: skip
        figures_file.record(key, value, "cases", command)


def main() -> int:
    """The command line; the exit status is 1 if a case went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=6000, help="how many in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="a target, of " + ", ".join(target.name for target in TARGETS))
    parser.add_argument("--index", type=int, help="only this case of --only")
    parser.add_argument("--budget", type=float, help="stop after so many seconds")
    parser.add_argument("--record", action="store_true", help="keep the figures in benchmarks/figures.json")
    wanted = parser.parse_args()
    targets = tuple(target for target in TARGETS if wanted.only in (None, target.name))
    if not targets or (wanted.index is not None and len(targets) > 1):
        parser.error("--only names one of the targets; --index needs it")
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    work = schedule(wanted.cases, targets) if wanted.index is None else [(targets[0], wanted.index)]
    tally = fuzz(work, wanted.seed, wanted.budget)
    print(tally.table())
    for line in tally.failures:
        print(line)
    if wanted.record:
        record(tally, f"make fuzz FUZZ_CASES={wanted.cases} FUZZ_SEED={wanted.seed}")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
