# SPDX-License-Identifier: Apache-2.0
"""The hard limits of a design."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Budgets:
    """DSP blocks, and 36-Kbit memory blocks (a half is one 18-Kbit block), that a design may use."""

    dsp: int
    bram: float

    @property
    def bram18(self) -> int:
        """The memory budget in 18-Kbit blocks."""
        return int(2 * self.bram)
