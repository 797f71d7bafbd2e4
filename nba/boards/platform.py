# SPDX-License-Identifier: Apache-2.0
"""`Platform`: a board or device as the models and the hardware see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nba.boards.energy import HOROWITZ_45NM, EnergyTable
from nba.boards.family import Family
from nba.boards.logic import LogicTable

if TYPE_CHECKING:
    from nba.boards.schema import BoardText

MemoryStyle = Literal["block", "distributed", "ultra"]
"""What a memory is made of. UltraRAM is never chosen by size: a design names the memories that it holds."""

MIN_BLOCK_WORDS = 65
"""A LUT6 holds 64 words of one bit: up to there a memory costs about one LUT per bit of its width."""
MIN_BLOCK_BITS = 2049
"""A memory that fills less than a ninth of the smallest block RAM (18 Kib) is cheaper in LUTs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExternalMemory:
    """What a design may count on of the memory beside the device: `ports` ports, each of which moves `bytes_per_cycle`
    bytes per cycle of a clock of `at_clock_mhz`, and the cycles from an address to its first byte. source: where the
    figures are from, and how much of the memory's peak they are. Streamed weights are read through it
    (nba.explore.streaming)."""

    ports: int
    bytes_per_cycle: int
    latency_cycles: int
    at_clock_mhz: float
    source: str

    @property
    def mbytes_per_s(self) -> float:
        """Of all ports together, in units of a million bytes per second."""
        return self.ports * self.bytes_per_cycle * self.at_clock_mhz


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """One board or device.

    dsp: DSP blocks, each of which multiplies 25 x 18 or 27 x 18 bits signed (nba.machine.kernels.product_dsp): a MAC,
    or two of at most 8 bits that share an activation. bram18: 18 Kib block RAMs (one of 36 Kib is two). uram: UltraRAM
    blocks of 288 Kib. lut, ff: 6-input LUTs, flip-flops. clock_mhz: target clock, which only
    place and route can confirm; by default, and at most, the clock that the template supports on the family. energy:
    what events cost; logic: the estimate of LUTs and flip-flops. memory: the external one, if the board has any.
    source: where the numbers are from. described: the description that the board was made of, if it is no built-in one:
    designs carry it with them.
    """

    name: str
    part: str
    clock_mhz: float
    family: Family
    dsp: int
    bram18: int
    uram: int
    lut: int
    ff: int
    source: str
    logic: LogicTable
    memory: ExternalMemory | None = None
    energy: EnergyTable = HOROWITZ_45NM
    min_block_words: int = MIN_BLOCK_WORDS
    min_block_bits: int = MIN_BLOCK_BITS
    described: BoardText | None = None

    def memory_style(self, width_bits: int, depth: int) -> MemoryStyle:
        """How a memory of `depth` stored words (of a ROM: guard included) of `width_bits` bits is built: in block RAM
        iff it has at least `min_block_words` words and `min_block_bits` bits. Emission passes it on as BLOCK."""
        block = depth >= self.min_block_words and depth * width_bits >= self.min_block_bits
        return "block" if block else "distributed"
