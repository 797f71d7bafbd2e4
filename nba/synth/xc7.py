# SPDX-License-Identifier: Apache-2.0
"""The longest path of a netlist for Xilinx 7-series, without wires, by yosys' own timing analysis.

yosys knows the delays of LUTs, carry chains, registers, block RAMs and DSP48E1 (with the pipeline registers that it
put to use) of the slowest speed grade of Artix-7; it knows nothing of routing, which takes as much again or more.
"""

from __future__ import annotations

import re
from pathlib import Path

from nba.core.errors import ToolError
from nba.synth.path import TimingPath, register_name
from nba.synth.yosys import READ_WRAPPER, TOP, read_library, run_yosys

XC7_SCRIPT = f"""{READ_WRAPPER}synth_xilinx -family xc7 -top {TOP} -flatten -noiopad -noclkbuf
delete t:$scopeinfo
splitnets
opt_clean
rename -wire t:FD*
delete =A:blackbox
write_rtlil xc7.il
design -reset
read_verilog -lib -specify +/xilinx/cells_sim.v
read_rtlil xc7.il
hierarchy -top {TOP}
tee -o xc7.sta sta
"""
"""The cells are read again for `sta`: mapping to LUTs leaves them without their delays."""
STEP = re.compile(r"^ +\d+ (.+) \(([\w$]+)\.(?:(\w+)->)?(\w+)\)$", flags=re.MULTILINE)


def xc7_path(work: Path) -> TimingPath:
    """Synthesise the wrapper `pins.v` in `work` with the Verilog in work/rtl and time it.

    Raises ToolError if yosys fails, or does not know the delays of a cell.
    """
    output = run_yosys(read_library() + XC7_SCRIPT, work, "xc7")
    unknown = sorted(set(re.findall(r"Module '(\w+)' has no timing arcs", output)))
    if unknown:
        raise ToolError(f"yosys sta: no delays of {', '.join(unknown)}; whole log: {work / 'xc7.log'}")
    return read_sta((work / "xc7.sta").read_text(encoding="utf-8"))


def read_sta(text: str) -> TimingPath:
    """Parse what yosys' `sta` prints: the path from its end back to its start. Raises ToolError if there is none.

    An end without a set-up time (<unknown> there) has the name of the wire to it."""
    latest = re.search(r"^Latest arrival time in '\S+' is (\d+):$", text, flags=re.MULTILINE)
    steps = list(STEP.finditer(text))
    open_end = re.search(r"\(<unknown>\)\n(?:Warning: .*\n)?\s*(\S+)$", text, flags=re.MULTILINE)
    if not latest or len(steps) + bool(open_end) < 2:
        raise ToolError("yosys sta: no path between registers was found")
    return TimingPath(
        start=_name(steps[-1]), end=register_name(open_end[1]) if open_end else _name(steps[0]),
        delay_ns=int(latest[1]) / 1000, levels=len(steps) - (1 if open_end else 2),
    )  # fmt: skip


def _name(step: re.Match[str]) -> str:
    kind, port = step[2], step[4]
    name = register_name(step[1])
    return name if kind.startswith("FD") else f"{name} ({kind}.{port})"
