# SPDX-License-Identifier: Apache-2.0
"""yosys as a program: `python -m nba.synth.yosys_worker SCRIPT` runs a yosys script in the current folder.

pyosys ends the process by itself on a yosys error, so that a caller always starts it as a child (nba.synth.run).
"""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """Run the script; exit status 2 without exactly one argument."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m nba.synth.yosys_worker SCRIPT\n")
        return 2
    from pyosys import libyosys

    design = libyosys.Design()
    libyosys.run_pass(f"script {arguments[0]}", design)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
