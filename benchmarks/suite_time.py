# SPDX-License-Identifier: Apache-2.0
"""Wall-clock time of `make test` on this machine, and the tests that take it; recorded as `tests.wall_s`.

    python -m benchmarks.suite_time [--slowest 25] [--record]

On a machine that does nothing else, after `make setup`. Nothing is recorded if a test fails.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time

from benchmarks.figures_file import ROOT, record

COMMAND = "make test"


def run(slowest: int) -> tuple[float, int]:
    """`make test` with pytest's list of the slowest tests, whose output goes on: wall clock [s], exit status."""

    def as_from_a_terminal() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):  # a test sends them; a parent such as nohup may ignore them
            signal.signal(number, signal.SIG_DFL)

    began = time.monotonic()
    status = subprocess.run(
        ["make", "test", f"PYTEST_ARGS=--durations={slowest}"], cwd=ROOT, preexec_fn=as_from_a_terminal, check=False
    ).returncode
    return time.monotonic() - began, status


def main() -> None:
    """Run the tests; print, and on request record, how long they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slowest", type=int, default=25, help="how many of the slowest tests are listed")
    parser.add_argument("--record", action="store_true", help="put tests.wall_s into benchmarks/figures.json")
    args = parser.parse_args()
    wall_s, status = run(args.slowest)
    print(f"{COMMAND}: {wall_s:.0f} s")
    if status:
        sys.exit(f"{COMMAND} failed (exit status {status}): nothing is recorded")
    if args.record:
        record("tests.wall_s", round(wall_s, 1), "s", COMMAND)


if __name__ == "__main__":
    main()
