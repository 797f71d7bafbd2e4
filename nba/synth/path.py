# SPDX-License-Identifier: Apache-2.0
"""The path that limits a clock, as every timing analysis reports it."""

from __future__ import annotations

import re
from dataclasses import dataclass

KIND = r"[\\_]+(?:TRELLIS_FF_Q|MULT18X18D_|DP16KD_|DPR16X4|FD[RSCP]E)\w*$"
"""How yosys ends the name of a cell that it named after the wire that it drives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimingPath:
    """From the register (or memory, or multiplier) `start` to `end`.

    delay_ns: clock-to-output of the start and set-up time of the end included. logic_ns and route_ns are its parts in
    cells and in wires (None: the analysis knows no wires). levels: cells between start and end. places: lines of the
    Verilog that it passes, in order, as far as the tool knows them.
    """

    start: str
    end: str
    delay_ns: float
    logic_ns: float | None = None
    route_ns: float | None = None
    levels: int = 0
    places: tuple[str, ...] = ()


def register_name(cell: str) -> str:
    """The register behind the name that yosys gave a cell: without the cell's type and the instance under test."""
    name = re.sub(KIND, "", cell.strip().lstrip("\\").strip())
    return re.sub(r"^u_dut\.", "", name)


def place(source: str) -> str | None:
    """file:line of a source attribute of yosys, or None if it is not the design's own Verilog."""
    found = re.fullmatch(r"(?:.*/)?([\w.]+\.v):(\d+)\.\d+.*", source)
    if not found or "/share/" in source or found[1].startswith("pins"):
        return None
    return f"{found[1]}:{found[2]}"
