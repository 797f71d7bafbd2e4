# SPDX-License-Identifier: Apache-2.0
"""The table of platforms. Device totals are those of Xilinx DS180 (7 Series FPGAs) and DS190 (Zynq-7000), the parts
those of the boards' user guides."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from nba.boards.clocks import SEVEN_SERIES, FamilyClock
from nba.boards.energy import HOROWITZ_45NM, EnergyTable
from nba.boards.logic import LogicTable
from nba.boards.logic_xc7 import XC7
from nba.core.errors import SpecError

MemoryStyle = Literal["block", "distributed"]

MIN_BLOCK_WORDS = 65
"""A LUT6 holds 64 words of one bit: up to there a memory costs about one LUT per bit of its width."""
MIN_BLOCK_BITS = 2049
"""A memory that fills less than a ninth of the smallest block RAM (18 Kib) is cheaper in LUTs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """One board or device.

    dsp: DSP48E1 blocks, each of which multiplies 25 x 18 bits signed (nba.machine.kernels.product_dsp): a MAC, or
    two of at most 8 bits that share an activation. bram18: 18 Kib block RAMs (a RAMB36E1 is two). lut, ff: 6-input
    LUTs, flip-flops. clock_mhz: target clock, which only place and route can confirm; by default, and at most, the
    clock that the template supports on the family. energy: what events cost; logic: the estimate of LUTs and
    flip-flops.
    source: where the numbers are from.
    """

    name: str
    part: str
    clock_mhz: float
    family: FamilyClock
    dsp: int
    bram18: int
    lut: int
    ff: int
    source: str
    energy: EnergyTable = HOROWITZ_45NM
    logic: LogicTable = XC7
    min_block_words: int = MIN_BLOCK_WORDS
    min_block_bits: int = MIN_BLOCK_BITS

    def memory_style(self, width_bits: int, depth: int) -> MemoryStyle:
        """How a memory of `depth` stored words (of a ROM: guard included) of `width_bits` bits is built: in block RAM
        iff it has at least `min_block_words` words and `min_block_bits` bits. Emission passes it on as BLOCK."""
        block = depth >= self.min_block_words and depth * width_bits >= self.min_block_bits
        return "block" if block else "distributed"


def _row(name: str, part: str, dsp: int, bram36: int, lut: int, ff: int, source: str) -> tuple[str, Platform]:
    return name, Platform(
        name=name, part=part, clock_mhz=SEVEN_SERIES.clock_mhz, family=SEVEN_SERIES, dsp=dsp, bram18=2 * bram36,
        lut=lut, ff=ff, source=source,
    )  # fmt: skip


PLATFORMS: dict[str, Platform] = dict(
    (
        _row("zc706", "xc7z045ffg900-2", 900, 545, 218_600, 437_200, "DS190 (Z-7045), UG954"),
        _row("pynq-z2", "xc7z020clg400-1", 220, 140, 53_200, 106_400, "DS190 (Z-7020), TUL PYNQ-Z2 manual"),
        _row("zedboard", "xc7z020clg484-1", 220, 140, 53_200, 106_400, "DS190 (Z-7020), ZedBoard manual"),
        _row("zybo-z7-10", "xc7z010clg400-1", 80, 60, 17_600, 35_200, "DS190 (Z-7010), Zybo Z7 manual"),
        _row("arty-a7-35", "xc7a35ticsg324-1L", 90, 50, 20_800, 41_600, "DS180 (XC7A35T), Arty A7 manual"),
        _row("arty-a7-100", "xc7a100tcsg324-1", 240, 135, 63_400, 126_800, "DS180 (XC7A100T), Arty A7 manual"),
        _row("kc705", "xc7k325tffg900-2", 840, 445, 203_800, 407_600, "DS180 (XC7K325T), UG810"),
        _row("vc707", "xc7vx485tffg1761-2", 2800, 1030, 303_600, 607_200, "DS180 (XC7VX485T), UG885"),
        _row("generic-xc7", "xc7vx690tffg1761-2", 3600, 1470, 433_200, 866_400, "DS180 (XC7VX690T)"),
    )
)
"""Every platform by name. generic-xc7 is a large device for designs that no board bounds."""


def names() -> tuple[str, ...]:
    """Legal platform names, sorted."""
    return tuple(sorted(PLATFORMS))


def get(name: str) -> Platform:
    """The platform called `name`. Raises SpecError, which lists the legal names."""
    if name not in PLATFORMS:
        near = get_close_matches(name, PLATFORMS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise SpecError(f"platform: {name!r} is not known{hint}; legal: {', '.join(names())}")
    return PLATFORMS[name]
