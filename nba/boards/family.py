# SPDX-License-Identifier: Apache-2.0
"""Families of devices: what synthesis calls their blocks, the width of their multipliers, their clock and logic."""

from __future__ import annotations

from dataclasses import dataclass

from nba.boards.clocks import SEVEN_SERIES, ULTRASCALE_PLUS, FamilyClock
from nba.boards.logic import LogicTable
from nba.boards.logic_xc7 import XC7


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A family of devices.

    yosys: its name for `synth_xilinx -family`. parts: how the names of its devices begin. dsp, bram18, bram36, uram:
    what the netlist calls its blocks (uram: nothing where no device has UltraRAM). wide_bits: the wider operand of a
    signed multiplication that one DSP block makes; the other has 18 bits. logic: the estimate of LUTs and flip-flops;
    logic_note: what is to be said of it, as a sentence, or nothing.
    """

    name: str
    title: str
    yosys: str
    parts: tuple[str, ...]
    dsp: str
    bram18: str
    bram36: str
    uram: str
    wide_bits: int
    clock: FamilyClock
    logic: LogicTable
    logic_note: str = ""


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="7-series", title="Xilinx 7-series", yosys="xc7", parts=("xc7",),
            dsp="DSP48E1", bram18="RAMB18E1", bram36="RAMB36E1", uram="", wide_bits=25,
            clock=SEVEN_SERIES, logic=XC7,
        ),
        Family(
            name="ultrascale+", title="Xilinx UltraScale+", yosys="xcup",
            parts=("xcau", "xck2", "xcku", "xcvu", "xczu"),
            dsp="DSP48E2", bram18="RAMB18E2", bram36="RAMB36E2", uram="URAM288", wide_bits=27,
            clock=ULTRASCALE_PLUS, logic=XC7,
            logic_note=(
                "The calibration is that of 7-series, whose LUTs and flip-flops are of the same kind; none was made "
                "for UltraScale+, where yosys leaves adders and registers outside the DSP blocks and finds more."
            ),
        ),
    )
}  # fmt: skip
"""Every family by its name, as board files have it."""
