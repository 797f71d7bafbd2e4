# SPDX-License-Identifier: Apache-2.0
"""Random (network, design) pairs through the RTL simulators: every output bit and every predicted cycle.

    python benchmarks/property.py                                  1,000 pairs, every 25th in Verilator
    python benchmarks/property.py --pairs 200 --sim icarus
    python benchmarks/property.py --seed 17 --sim icarus           one pair again, with all that differs

Pairs are those of seeds --first-seed, --first-seed + 1, ... Of every ten, nine are of other kinds, whose seeds are
some millions higher (KINDS): multipliers made of adders; weights from external memory; shifts and pad codes per
channel; any number of columns and strides up to 4; slices; row programs; narrow codes on an accelerator that packs
columns; rings that share memory; rings whose rows hold the channels of a slice. Every fifth pair of each kind also has
random stalls, resets and several batches; one of 25 pairs is simulated in Verilator, and these are of all kinds too.
Finished pairs are kept in --log (JSON lines): a second run goes on where the first one stopped, as long as no source
changed; pairs that failed are tried again. Exit status 0 only if every pair holds. Prints a table for
benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "eda")]

from template_pairs import (  # noqa: E402
    ADDER_SEED,
    CHANNEL_SEED,
    COLUMNS_SEED,
    FRAMES,
    PACKED_SEED,
    PART_SEED,
    SHARE_SEED,
    SLICE_SEED,
    STREAM_SEED,
    TURN_SEED,
    WIDE_SEED,
    Outcome,
    check,
    report,
)

from benchmarks.figures_file import record  # noqa: E402

THOROUGH_EVERY = 5
VERILATOR_EVERY = 25
KIND_EVERY = 10
KINDS = {
    1: PART_SEED, 2: ADDER_SEED, 3: STREAM_SEED, 4: CHANNEL_SEED, 5: SLICE_SEED, 6: COLUMNS_SEED, 7: TURN_SEED,
    8: PACKED_SEED, 9: SHARE_SEED,
}  # fmt: skip
"""Where a pair of another kind stands among KIND_EVERY, and the first seed of that kind."""
LOG = ROOT / "build" / "property.jsonl"
COMMAND = "python benchmarks/property.py --record"


def run_pair(seed: int, simulator: str, thorough: bool) -> Outcome:
    """One pair in a temporary folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="nba-pair-"))
    try:
        return check(seed, "verilator" if simulator == "verilator" else "icarus", folder, thorough=thorough)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def plan(first: int, pairs: int, sim: str) -> list[tuple[int, str, bool]]:
    """(seed, simulator, thorough) of every pair. `sim` both: one of 25 in Verilator. Which are simulated there, or
    thoroughly, moves on by a place or two each time, so that all kinds come."""
    chosen = []
    for index in range(pairs):
        seed = first + index + (KINDS.get(index % KIND_EVERY, 0) if first < WIDE_SEED else 0)
        turn = index // VERILATOR_EVERY
        in_verilator = index % VERILATOR_EVERY == 2 * turn % VERILATOR_EVERY
        name = sim if sim != "both" else "verilator" if in_verilator else "icarus"
        chosen.append((seed, name, (index // KIND_EVERY + index) % THOROUGH_EVERY == 0))
    return chosen


def source_digest() -> str:
    """12 hex digits over all that a pair's outcome depends on: templates, benches, package, helpers of the tests."""
    total = hashlib.sha256()
    paths = [ROOT / "tests" / "strategies.py", ROOT / "tests" / "eda" / "template_pairs.py"]
    for folder, pattern in (("templates/rtl", "*.*"), ("templates/sim", "*.j2"), ("sim", "*.py"), ("nba", "*.py")):
        paths += sorted((ROOT / folder).rglob(pattern))
    for path in paths:
        total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:12]


def load(log: Path, digest: str) -> dict[tuple[int, str, bool], Outcome]:
    """Pairs of an earlier run of the same sources that held. A line that was cut off is left out."""
    done = {}
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else ():
        try:
            entry = json.loads(line)
            if entry.pop("source") != digest:
                continue
            outcome = Outcome(**entry)
        except (ValueError, TypeError, KeyError):
            continue
        if not outcome.failure:
            done[outcome.seed, outcome.simulator, outcome.thorough] = outcome
    return done


def run_all(todo: list[tuple[int, str, bool]], jobs: int, log: Path, digest: str) -> Iterator[Outcome]:
    """Outcomes in the order in which they come; each is appended to `log` first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as lines, ProcessPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(run_pair, *item) for item in todo]):
            outcome = future.result()
            lines.write(json.dumps(asdict(outcome) | {"source": digest}) + "\n")
            lines.flush()
            yield outcome


def table(outcomes: list[Outcome], wall_s: float) -> str:
    """Markdown: one row per simulator."""
    columns = ["simulator", "pairs", "of these with stalls, resets, batches", "frames", "layers"]
    columns += ["output codes", "cycles", "seconds", "failed"]
    rows = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name in sorted({o.simulator for o in outcomes}):
        group = [o for o in outcomes if o.simulator == name]
        numbers = (
            len(group), sum(o.thorough for o in group), FRAMES * len(group), sum(o.jobs for o in group),
            sum(o.codes for o in group), sum(o.cycles for o in group),
        )  # fmt: skip
        failed = sum(bool(o.failure) for o in group)
        cells = [name, *(f"{n:,}" for n in numbers), f"{sum(o.seconds for o in group):,.0f}", str(failed)]
        rows.append(f"| {' | '.join(cells)} |")
    where = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    return "\n".join([*rows, "", f"{wall_s:.0f} s wall clock, {where}"])


def main() -> int:
    """Command line; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000, help="number of pairs (default 1000)")
    parser.add_argument("--first-seed", type=int, default=1000, help="seed of the first pair (default 1000)")
    parser.add_argument("--sim", choices=("icarus", "verilator", "both"), default="both")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="pairs at a time (default 2)")
    parser.add_argument("--log", type=Path, default=LOG, help="finished pairs (default build/property.jsonl)")
    parser.add_argument("--seed", type=int, help="run this pair alone")
    parser.add_argument("--thorough", action="store_true", help="with --seed: also stalls, resets, batches")
    parser.add_argument("--record", action="store_true", help="put the counts into benchmarks/figures.json")
    args = parser.parse_args()
    if args.pairs < 1 or args.jobs < 1:
        parser.error("--pairs and --jobs must be at least 1")
    if args.seed is not None:
        simulators = ("icarus", "verilator") if args.sim == "both" else (args.sim,)
        results = [run_pair(args.seed, simulator, args.thorough) for simulator in simulators]
        for outcome in results:
            print(report(outcome) if outcome.failure else f"seed {outcome.seed} ({outcome.simulator}): all equal")
        return int(any(outcome.failure for outcome in results))

    wanted = plan(args.first_seed, args.pairs, args.sim)
    digest = source_digest()
    done = load(args.log, digest)
    outcomes = [done[item] for item in wanted if item in done]
    todo = [item for item in wanted if item not in done]
    print(f"{len(wanted)} pairs, {len(outcomes)} of them finished before ({args.log})", flush=True)
    begin = time.perf_counter()
    for count, outcome in enumerate(run_all(todo, args.jobs, args.log, digest), start=1):
        outcomes.append(outcome)
        elapsed = time.perf_counter() - begin
        left = elapsed / count * (len(todo) - count)
        if outcome.failure:
            print(report(outcome), flush=True)
        if count % 10 == 0 or count == len(todo):
            print(f"{count}/{len(todo)} pairs, {elapsed:.0f} s, {left:.0f} s left", flush=True)
    print(table(outcomes, time.perf_counter() - begin))
    failed = sum(bool(outcome.failure) for outcome in outcomes)
    if args.record:
        record("property.pairs", len(outcomes), "pairs of a network and a design", COMMAND)
        record("property.differences", failed, "pairs with a differing code or cycle", COMMAND)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
