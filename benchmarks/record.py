# SPDX-License-Identifier: Apache-2.0
"""Run the examples from nothing, keep their metrics and headline figures, bring the documents up to date.

    python -m benchmarks.record [-o FOLDER] [EXAMPLE ...]

EXAMPLE: digits, instantnet_digits (both if none is named). On a machine that does nothing else: the wall clock is one
of the figures. Writes benchmarks/recorded/EXAMPLE.metrics.json, benchmarks/figures.json, README.md and RESULTS.md.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import render_docs
from benchmarks.figures_file import ROOT, record
from benchmarks.render_docs import RECORDED, wall_key
from nba.core.files import write_atomic
from nba.flow import metrics
from nba.flow.metrics import Json

EXAMPLES = ("digits", "instantnet_digits")
COMMANDS = {
    "digits": "nba-codesign run examples/digits.yaml -o build/digits",
    "instantnet_digits": "nba-codesign run examples/instantnet_digits.yaml -o build/instantnet",
}


def headlines(name: str, run: Json) -> dict[str, tuple[int | float, str]]:
    """The headline figures in the metrics of an example: key -> (value, unit)."""
    found: dict[str, tuple[int | float, str]] = {
        f"{name}.accuracy_percent": (100 * run["accuracy"]["integer"], "%"),
        f"{name}.accuracy_standard_error_percent": (100 * run["accuracy"]["standard_error"], "%"),
        f"{name}.steady_interval_cycles": (run["steady_interval_cycles"], "cycles"),
        f"{name}.fps_at_target_clock": (run["fps"], "frames/s"),
        f"{name}.dsp": (run["resources"]["synthesised"]["dsp"], "blocks"),
        f"{name}.bram36": (run["resources"]["synthesised"]["bram"], "blocks"),
    }
    for baseline, at in run.get("baselines", {}).items():
        found[f"{name}.baseline_{baseline}_percent"] = (100 * at["accuracy"], "%")
    proof = run["certificate"]
    if proof is not None and proof["lower_bound_cycles"]:
        gap = 100 * (1 - proof["lower_bound_cycles"] / proof["interval_cycles"])
        found[f"{name}.certificate_gap_percent"] = (gap, "%")
    return found


def keep(name: str, source: Path, wall_s: float) -> None:
    """Record what the run of an example left in its metrics file `source`. Raises SystemExit if a claim fails,
    or if the interval in the headlines was not simulated."""
    run = metrics.read(source)
    broken = [line.label for line in metrics.table(run) if line.holds is False]
    if broken:
        sys.exit(f"{source}: these claims do not hold, so nothing is recorded: {', '.join(broken)}")
    if not run["cycles"]["steady"]["reached"]:
        sys.exit(f"{source}: the simulated batch is too short for the steady interval; see `verify` of the spec")
    write_atomic(RECORDED / f"{name}.metrics.json", source.read_text(encoding="utf-8"))
    record(wall_key(name), round(wall_s, 1), "s", COMMANDS[name])
    for key, (value, unit) in headlines(name, run).items():
        record(key, value, unit, COMMANDS[name])


def main() -> None:
    """Run, record, render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examples", nargs="*", metavar="EXAMPLE", help=", ".join(EXAMPLES))
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build" / "record", help="folder of the runs")
    args = parser.parse_args()
    if set(args.examples) - set(EXAMPLES):
        parser.error(f"EXAMPLE must be out of {', '.join(EXAMPLES)}; found {' '.join(args.examples)}")
    for name in args.examples or EXAMPLES:
        build = args.out / name
        shutil.rmtree(build, ignore_errors=True)
        command = [sys.executable, "-m", "nba", "run", str(ROOT / "examples" / f"{name}.yaml"), "-o", str(build)]
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, check=False)
        wall_s = time.monotonic() - began
        if done.returncode != 0:
            sys.exit(f"{name}: the run ended with status {done.returncode}; nothing is recorded")
        keep(name, build / metrics.FILE, wall_s)
    render_docs.main([])


if __name__ == "__main__":
    main()
