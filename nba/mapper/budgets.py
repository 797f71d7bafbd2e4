# SPDX-License-Identifier: Apache-2.0
"""The hard limits of a design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.cost.usage import Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Budgets:
    """What a design may use; None is no limit.

    dsp: DSP blocks. bram: 36-Kbit memory blocks (a half is one 18-Kbit block). lut: 6-input LUTs, by the calibrated
    estimate. interval_cycles: between frames (a floor of frames per second). latency_cycles: from the first input to
    the first output. power_w: dynamic watts at one frame per interval.
    """

    dsp: int
    bram: float
    lut: int | None = None
    interval_cycles: int | None = None
    latency_cycles: int | None = None
    power_w: float | None = None

    @property
    def bram18(self) -> int:
        """The memory budget in 18-Kbit blocks."""
        return int(2 * self.bram)

    def names(self) -> tuple[str, ...]:
        """The limits that are set, in the order of the columns of `excess`."""
        optional = ("lut", "interval_cycles", "latency_cycles", "power_w")
        return ("dsp", "bram", *(name for name in optional if getattr(self, name) is not None))

    def excess(self, used: Usage) -> np.ndarray:
        """float [B, limits]: use over limit; a design is feasible where no entry is above 1. (No memory block at all:
        one is twice too much.)"""
        found = [used.dsp / self.dsp, used.bram18 / max(self.bram18, 0.5)]
        values = {
            "lut": used.lut, "interval_cycles": used.interval, "latency_cycles": used.latency, "power_w": used.power_w,
        }  # fmt: skip
        found.extend(values[name] / getattr(self, name) for name in self.names()[2:])
        return np.stack(found, axis=1)
