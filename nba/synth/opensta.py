# SPDX-License-Identifier: Apache-2.0
"""The longest path of a netlist of standard cells, without wires: mapping with yosys and ABC, timing with OpenSTA."""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, replace
from pathlib import Path

from nba.core.errors import ToolError
from nba.core.files import write_atomic
from nba.core.tools import HANG_S, require_tool, run_tool
from nba.synth.path import TimingPath, register_name
from nba.synth.yosys import READ_WRAPPER, TOP, read_library, run_yosys

_PROGRAM = "sta"


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """A library of standard cells. file: its Liberty text, gzipped.

    driver, load_ff: what ABC takes to drive inputs and load outputs [fF] while it sizes cells. high, low: (cell, pin)
    of constants."""

    name: str
    file: str
    driver: str
    load_ff: float
    high: tuple[str, str]
    low: tuple[str, str]


SKY130 = Library(
    name="sky130", file="sky130hd_tt.lib.gz", driver="sky130_fd_sc_hd__inv_2",
    load_ff=20.0, high=("sky130_fd_sc_hd__conb_1", "HI"), low=("sky130_fd_sc_hd__conb_1", "LO"),
)  # fmt: skip
NANGATE45 = Library(
    name="nangate45", file="nangate45_typ.lib.gz", driver="INV_X2", load_ff=4.0,
    high=("LOGIC1_X1", "Z"), low=("LOGIC0_X1", "Z"),
)  # fmt: skip
LIBRARIES = {library.name: library for library in (SKY130, NANGATE45)}

ABC = """strash
ifraig
scorr
dc2
if -g -K 6
st
dch -f
map -B 0.9 -D 1
topo
buffer -c
upsize
dnsize
stime -p
"""
"""For speed, as tools for chips map: logic balanced by its delay (`if -g`), the structure that is least deep, then
buffers and sizes. (ABC's default script looks for little area, which turns fast adders back into ripple-carry ones: a
third to twice as slow. Without the balancing, multipliers are half as slow again.)"""


def require_opensta() -> str:
    """Path of the program. Raises ToolError if it is missing."""
    try:
        return require_tool(_PROGRAM)
    except ToolError:
        raise ToolError("sta (OpenSTA): not found on PATH; install it with: apt-get install opensta") from None


def synthesis(library: Library) -> str:
    """The script that maps the wrapper to the cells of `library`.

    Registers have neither enable nor reset pins: as logic in front of D these are buffered and sized by ABC, which does
    not see the pins that a net drives outside of it."""
    name = library.name
    return f"""{READ_WRAPPER}synth -flatten -top {TOP}
delete t:$scopeinfo
dfflegalize -cell $_DFF_P_ 01
opt -nodffe -nosdff
dfflibmap -liberty {name}.lib
abc -liberty {name}.lib -constr {name}.constr -script {name}.abc
setundef -zero
splitnets
opt_clean -purge
hilomap -hicell {" ".join(library.high)} -locell {" ".join(library.low)}
write_verilog -noattr -noexpr -nohex {name}.v
"""


def chip_path(library: Library, liberty: Path, work: Path, *, timeout_s: float = HANG_S) -> TimingPath:
    """Map the wrapper `pins.v` in `work` with the Verilog in work/rtl, and time it. liberty: folder of the libraries.

    Raises ToolError if a tool or the library is missing, or if one fails.
    """
    program, name = require_opensta(), library.name
    source = liberty / library.file
    if not source.is_file():
        raise ToolError(f"{source}: not found; it holds the cells of {name}")
    write_atomic(work / f"{name}.lib", gzip.decompress(source.read_bytes()).decode("utf-8"))
    write_atomic(work / f"{name}.abc", ABC)
    write_atomic(work / f"{name}.constr", f"set_driving_cell {library.driver}\nset_load {library.load_ff:g}\n")
    run_yosys(read_library() + synthesis(library), work, name, timeout_s=timeout_s)
    write_atomic(work / f"{name}.tcl", _commands(name))
    command = [program, "-no_splash", "-exit", f"{name}.tcl"]
    output = run_tool(command, cwd=work, timeout_s=timeout_s, log_path=work / f"{name}_sta.log").output
    (work / f"{name}.lib").unlink()
    found, netlist = read_checks(output), (work / f"{name}.v").read_text(encoding="utf-8")
    return replace(found, start=driven(netlist, found.start), end=driven(netlist, found.end))


def driven(netlist: str, cell: str) -> str:
    """The name of the wire at output Q of a register `cell`; the cell's own name if it has none."""
    found = re.search(rf"^ +\w+ {re.escape(cell)} \(([^;]*)\);", netlist, flags=re.MULTILINE)
    wire = found and re.search(r"\.Q\((\S+?) ?\)", found[1])
    return register_name(wire[1]) if wire else cell


def _commands(name: str) -> str:
    return f"""read_liberty {name}.lib
read_verilog {name}.v
link_design {TOP}
create_clock -name clk -period 0 [get_ports clk]
report_checks -path_delay max -from [all_registers -clock_pins] -to [all_registers -data_pins] -digits 4
"""


def read_checks(text: str) -> TimingPath:
    """Parse what OpenSTA's `report_checks` prints for one path. Raises ToolError if there is none, or an error."""
    wrong = re.search(r"^Error: .*", text, flags=re.MULTILINE)
    ends = [re.search(rf"^{word}: (\S+)", text, flags=re.MULTILINE) for word in ("Startpoint", "Endpoint")]
    arrival = re.search(r"^\s*([\d.]+)\s+data arrival time", text, flags=re.MULTILINE)
    setup = re.search(r"^\s*(-?[\d.]+)\s+-?[\d.]+\s+library setup time", text, flags=re.MULTILINE)
    if wrong or not all(ends) or not arrival or not setup:
        raise ToolError(f"OpenSTA: {wrong[0] if wrong else 'no path between registers was found'}")
    start, end = (found[1] if found else "" for found in ends)
    before = text[: arrival.start()]
    cells = len(re.findall(r"^\s*[\d.]+\s+[\d.]+ [v^] \S+/\w+ \(\w+\)$", before, flags=re.MULTILINE))
    return TimingPath(start=start, end=end, delay_ns=float(arrival[1]) - float(setup[1]), levels=max(0, cells - 3))
