# SPDX-License-Identifier: Apache-2.0
"""Energy of the events of a design, as data: each entry with its source, and the rule that scales it to other sizes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One number of a table and where it is from. `rule`: how it is scaled to other widths and sizes."""

    value: float
    unit: str
    rule: str
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyTable:
    """What events cost (docs/decisions/0010-energy-and-logic-models.md).

    multiply: of 8 x 8 bits. add_8, add_32: of two integers of 8 and 32 bits. sram: access of 64 bits in a memory of
    8 KiB. host: 64 bits to or from the host's memory.
    """

    name: str
    nature: str
    multiply: Entry
    add_8: Entry
    add_32: Entry
    sram: Entry
    host: Entry

    def scaled(self) -> tuple[float, float, float, float, float]:
        """Attojoules: of a product per bit x bit; of a sum without and per bit; of a memory access per bit and square
        root of the memory's bits; of the host per bit."""
        per_bit = (self.add_32.value - self.add_8.value) / 24
        return (
            1e6 * self.multiply.value / 64,
            1e6 * (self.add_8.value - 8 * per_bit),
            1e6 * per_bit,
            1e6 * self.sram.value / 64 / 65536.0**0.5,
            1e6 * self.host.value / 64,
        )


_HOROWITZ = "M. Horowitz, Computing's energy problem, ISSCC 2014, figure 1.1.9 (45 nm, 0.9 V)"

HOROWITZ_45NM = EnergyTable(
    name="horowitz-45nm",
    nature="a relative model: published energies of 45 nm standard cells, not measured on any board or FPGA",
    multiply=Entry(
        value=0.2, unit="pJ", source=f"{_HOROWITZ}: 8-bit integer multiply",
        rule="proportional to the product of the operands' bits (gives 3.2 pJ at 32 x 32 bits, published 3.1)",
    ),
    add_8=Entry(
        value=0.03, unit="pJ", source=f"{_HOROWITZ}: 8-bit integer add", rule="a line through 8 and 32 bits"
    ),
    add_32=Entry(
        value=0.1, unit="pJ", source=f"{_HOROWITZ}: 32-bit integer add", rule="a line through 8 and 32 bits"
    ),
    sram=Entry(
        value=10.0, unit="pJ", source=f"{_HOROWITZ}: 64 bits of an 8 KB cache",
        rule="proportional to the bits of the word and to the square root of the memory's bits, reads and writes alike "
        "(gives 20 pJ at 32 KB, published 20; 113 pJ at 1 MB, published 100)",
    ),
    host=Entry(
        value=1300.0, unit="pJ", source=f"{_HOROWITZ}: 64 bits of DRAM, 1.3 to 2.6 nJ, of which the lower end",
        rule="proportional to the bits of the stream, padding included",
    ),
)  # fmt: skip
"""The default of every platform."""
