# SPDX-License-Identifier: Apache-2.0
"""Runs a yosys script of the folder in which this file lies; its log takes the script's name, with the ending .log.

    python3 run_yosys.py [--with PROGRAM] [SCRIPT]

Without --with it takes the program `yosys` where it is on PATH, else the Python package pyosys, which is the same yosys
without that program; `--with pyosys` takes the package in any case.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", nargs="?", default="yosys.ys", metavar="SCRIPT", help="yosys.ys or yosys_count.ys")
    parser.add_argument("--with", dest="program", metavar="PROGRAM", help="a yosys program, or the word pyosys")
    args = parser.parse_args()
    os.chdir(Path(__file__).resolve().parent)
    if not Path(args.script).is_file():
        there = ", ".join(sorted(path.name for path in Path().glob("*.ys")))
        parser.error(f"no script {args.script!r} here; there is {there}")
    log = Path(args.script).with_suffix(".log").name
    program = None if args.program == "pyosys" else shutil.which(args.program or "yosys")
    if program is not None:
        return subprocess.run([program, "-l", log, args.script], check=False).returncode
    if args.program not in (None, "pyosys"):
        parser.error(f"--with {args.program}: no such program on PATH")
    if importlib.util.find_spec("pyosys") is None:
        sys.stderr.write("yosys: not found; install it with `pip install pyosys` (or your system's package yosys)\n")
        return 2
    from pyosys import libyosys

    libyosys.run_pass(f"tee -o {log} script {args.script}", libyosys.Design())
    return 0


if __name__ == "__main__":
    sys.exit(main())
