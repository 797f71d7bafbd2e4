# SPDX-License-Identifier: Apache-2.0
"""The clock that the template supports on a family of devices, and how it was obtained (benchmarks/clock.py).

No free tool places and routes a 7-series device, so its clock is an estimate: the slowest library module between
registers, by yosys' delays of an Artix-7 without wires, times a margin for the wires. What was routed, on ECP5, stands
beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

STEP_MHZ = 5.0
"""Supported clocks are multiples of this, rounded down."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoutedClock:
    """The slowest whole design that was placed and routed: its device, clock and the commit that was measured."""

    device: str
    clock_mhz: float
    commit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyClock:
    """The clock of a family of devices.

    module_ns: the slowest library module without wires [ns], measured at `commit`; margin: what this is multiplied
    with, for wires and for paths between modules. measured_on: the family whose delays these are, where it is another
    one.
    """

    family: str
    module_ns: float
    margin: float
    commit: str
    measured_on: str | None = None

    @property
    def clock_mhz(self) -> float:
        """The supported clock: designs of the template are expected to meet it."""
        return 1000 / (self.module_ns * self.margin) // STEP_MHZ * STEP_MHZ

    @property
    def note(self) -> str:
        """What kind of figure it is, and where it is from."""
        where = f"that of {self.measured_on}, whose silicon is slower, " if self.measured_on else ""
        return (
            f"an estimate: {where}{self.module_ns:g} ns for the slowest module without wires, times {self.margin:g} "
            f"(commit {self.commit})"
        )


SEVEN_SERIES = FamilyClock(family="7-series", module_ns=2.78, margin=2.2, commit="b74dc8b66f04")
"""Figure clock.xc7.slowest_module_ns. The margin: 2 for wires, and 1.1 for paths between modules, which whole designs
have (3.01 ns for the slowest in benchmarks/RESULTS.md)."""

ULTRASCALE_PLUS = replace(SEVEN_SERIES, family="ultrascale+", measured_on="7-series")
"""yosys knows no delays of the DSP blocks and block RAMs of UltraScale+, so that nothing could be measured. Its silicon
(16 nm) is faster than that of 7-series (28 nm): the clock of 7-series is on the safe side."""

ROUTED_ECP5: RoutedClock | None = None
"""Figure clock.ecp5.small_design_mhz: the slower of two small designs on an LFE5U-85F, speed grade 8, median of three
seeds. None: none was routed since the template changed."""
