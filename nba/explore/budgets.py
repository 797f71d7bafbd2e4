# SPDX-License-Identifier: Apache-2.0
"""The hard limits of a design."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from nba.core.figures import clock_text
from nba.core.section import PositiveFloat
from nba.explore.config import ResourceBudgets, RunBudgets
from nba.ir.design import Cost
from nba.machine.logic import PlaceLimits
from nba.machine.usage import Need, Usage

MAX_CYCLES = 1 << 62
"""No limit at all: cycles are counted in 64 bits."""
NEEDS: Mapping[str, Need] = {"lut": "lut", "power_w": "energy"}

LEAST: Mapping[str, float] = {"bram": 0.25, "uram": 0.5}
"""What a limit of no block at all counts as."""

_Cycles = Annotated[int, Field(ge=0, strict=True)]


class Budgets(ResourceBudgets):
    """What a design may use, as the search and the mapper compare it: time counts in cycles. None is no limit.

    dsp: DSP blocks. bram: 36-Kbit memory blocks (a half is one 18-Kbit block). uram: UltraRAM blocks; None: those of
    the board. lut: 6-input LUTs, by the calibrated estimate. power_w: dynamic watts at one frame per interval.
    interval_cycles: between frames (a floor of frames per second). latency_cycles: from the first input to the first
    output. clock_mhz: turns cycles into what the user asked for in messages.
    """

    interval_cycles: _Cycles | None = None
    latency_cycles: _Cycles | None = None
    clock_mhz: PositiveFloat | None = None

    @classmethod
    def of(cls, wanted: RunBudgets, clock_mhz: float) -> Budgets:
        """The limits of a spec for designs: frames per second and microseconds as cycles of a clock. (Accuracy is no
        property of a design.)"""
        hz = Fraction(clock_mhz) * 1_000_000
        fps, latency = wanted.fps, wanted.latency_us
        return cls(
            **{name: getattr(wanted, name) for name in ResourceBudgets.model_fields},
            interval_cycles=None if fps is None else min(MAX_CYCLES, int(hz / Fraction(fps))),
            latency_cycles=None if latency is None else int(Fraction(latency) * Fraction(clock_mhz)),
            clock_mhz=clock_mhz,
        )

    @property
    def bram18(self) -> int:
        """The memory budget in 18-Kbit blocks."""
        return int(2 * self.bram)

    def names(self) -> tuple[str, ...]:
        """The limits that are set, in the order of the columns of `excess`."""
        optional = ("uram", "lut", "interval_cycles", "latency_cycles", "power_w")
        return ("dsp", "bram", *(name for name in optional if getattr(self, name) is not None))

    @property
    def limits(self) -> PlaceLimits | None:
        """DSP blocks and LUTs between which multipliers are placed; None without a budget of LUTs: they then stay in
        DSP blocks."""
        return None if self.lut is None else (self.dsp, self.lut)

    def needs(self) -> frozenset[Need]:
        """What `excess` needs of a Usage."""
        return frozenset(NEEDS[name] for name in self.names() if name in NEEDS)

    def excess(self, used: Usage) -> np.ndarray:
        """float [B, limits]: use over limit; a design is feasible where no entry is above 1. (No memory block at all:
        one is twice too much.) Designs of the search use no UltraRAM."""
        return self._excess(
            {
                "dsp": used.dsp, "bram": used.bram18 / 2, "uram": np.zeros(len(used.dsp)), "lut": used.lut,
                "interval_cycles": used.interval, "latency_cycles": used.latency, "power_w": used.power_w,
            }
        )  # fmt: skip

    def excess_of(self, cost: Cost) -> dict[str, float]:
        """Use over limit by name, of one exact cost."""
        values = {
            "dsp": cost.dsp, "bram": cost.bram, "uram": cost.uram, "lut": cost.lut,
            "interval_cycles": cost.interval_cycles, "latency_cycles": cost.first_output_latency_cycles,
            "power_w": cost.power_w,
        }  # fmt: skip
        row = self._excess({name: np.array([value]) for name, value in values.items()})[0]
        return dict(zip(self.names(), row.tolist(), strict=True))

    def _excess(self, values: Mapping[str, Any]) -> np.ndarray:
        found = []
        for name in self.names():
            assert values[name] is not None, f"usage was computed without {name}"
            least = LEAST.get(name, 0.0)
            limit = max(self.bram18 / 2 if name == "bram" else getattr(self, name), least)
            found.append(values[name] / limit)
        return np.stack(found, axis=1)

    def describe(self, cost: Cost, names: tuple[str, ...]) -> str:
        """What a design of `cost` takes of the limits `names`, in the units of the spec."""
        return ", ".join(self._amount(name, cost) for name in names)

    def field(self, name: str) -> str:
        """The limit `name` as the user wrote it in the spec."""
        value = getattr(self, name)
        if name == "interval_cycles" and self.clock_mhz is not None:
            return f"budgets.fps: at least {self.clock_mhz * 1e6 / value:,.10g}"
        if name == "latency_cycles" and self.clock_mhz is not None:
            return f"budgets.latency_us: {value / self.clock_mhz:,.10g}"
        return f"budgets.{name}: {value:g}"

    def _amount(self, name: str, cost: Cost) -> str:
        if name == "dsp":
            return f"{cost.dsp} DSP"
        if name == "bram":
            return f"{cost.bram:g} BRAM (36 Kbit)"
        if name == "uram":
            return f"{cost.uram} UltraRAM (288 Kbit)"
        if name == "lut":
            return f"{cost.lut} LUT (estimate)"
        if name == "power_w":
            return f"{cost.power_w:.3g} W (relative model)"
        clock = self.clock_mhz
        if name == "interval_cycles":
            rate = "" if clock is None else f" ({clock * 1e6 / cost.interval_cycles:,.8g} frames/s {clock_text(clock)})"
            return f"an interval of {cost.interval_cycles} cycles{rate}"
        delay = "" if clock is None else f" ({cost.first_output_latency_cycles / clock:,.6g} us)"
        return f"a latency of {cost.first_output_latency_cycles} cycles{delay}"
