# SPDX-License-Identifier: Apache-2.0
"""Runs a yosys script of the folder in which this file lies, and compares DSP blocks, block RAMs and UltraRAM of the
netlist with what the bundle's design.json predicts. The log takes the script's name, with the ending .log.

    python3 run_yosys.py [--with PROGRAM] [SCRIPT]

Exit status 0 only if the numbers are equal, 1 if one is not.

Without --with it takes the program `yosys` where it is on PATH, else the Python package pyosys, which is the same yosys
without that program; `--with pyosys` takes the package in any case.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

DESIGN = Path("..") / "design.json"
FAMILIES = ("E1", "E2")
"""How the names of blocks end: of 7-series, of UltraScale+."""
BLOCKS = ("DSP48", "RAMB18", "RAMB36")
URAM = "URAM288"


def compare(stat):
    """Print predicted and synthesised resources; 0 if they are equal. stat: what `stat -json` of the script wrote."""
    try:
        cells = json.loads(stat.read_text())["design"]["num_cells_by_type"]
        family = next((name for name in FAMILIES if any(f"{block}{name}" in cells for block in BLOCKS)), FAMILIES[0])
        blocks = {n: cells.get(f"RAMB{n}{family}", 0) for n in (18, 36)}
        made = {"dsp": cells.get(f"DSP48{family}", 0), "bram": blocks[36] + blocks[18] / 2}
        cost = json.loads(DESIGN.read_text())["cost"]
        if URAM in cells or "uram" in cost:
            made["uram"] = cells.get(URAM, 0)
            cost.setdefault("uram", 0)
        wanted = {name: cost[name] for name in made}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        sys.stderr.write(f"predicted and synthesised resources cannot be compared ({err!r})\n")
        return 1
    titles = {"dsp": f"DSP48{family}", "bram": "block RAM (36 Kbit)", "uram": "UltraRAM"}
    for name, title in ((name, titles[name]) for name in made):
        equal = made[name] == wanted[name]
        print(f"{title}: predicted {wanted[name]:g}, synthesised {made[name]:g}: {'=' if equal else 'DIFFERS'}")
    print("PASSED" if made == wanted else "FAILED")
    return int(made != wanted)


def run(script, wanted):
    """Run the script with the program `wanted` (None: the one that is there); exit status."""
    log = Path(script).with_suffix(".log").name
    program = None if wanted == "pyosys" else shutil.which(wanted or "yosys")
    if program is not None:
        return subprocess.run([program, "-l", log, script], check=False).returncode
    if wanted not in (None, "pyosys"):
        sys.stderr.write(f"--with {wanted}: no such program on PATH\n")
        return 2
    if importlib.util.find_spec("pyosys") is None:
        sys.stderr.write("yosys: not found; install it with `pip install pyosys` (or your system's package yosys)\n")
        return 2
    from pyosys import libyosys

    libyosys.run_pass(f"tee -o {log} script {script}", libyosys.Design())
    return 0


def main():
    """Command line; see the text of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", nargs="?", default="yosys.ys", metavar="SCRIPT", help="yosys.ys or yosys_count.ys")
    parser.add_argument("--with", dest="program", metavar="PROGRAM", help="a yosys program, or the word pyosys")
    args = parser.parse_args()
    os.chdir(Path(__file__).resolve().parent)
    if not Path(args.script).is_file():
        there = ", ".join(sorted(path.name for path in Path().glob("*.ys")))
        parser.error(f"no script {args.script!r} here; there is {there}")
    stat = Path(Path(args.script).with_suffix(".json").name)
    stat.unlink(missing_ok=True)
    status = run(args.script, args.program)
    # Verilog without a bundle around it has no prediction.
    return status if status or not DESIGN.is_file() else compare(stat)


if __name__ == "__main__":
    sys.exit(main())
