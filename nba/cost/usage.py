# SPDX-License-Identifier: Apache-2.0
"""What designs take, by the closed forms: the arrays that objectives and budgets are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nba.cost.cycles import Designs, resources, speed_bounds
from nba.platform import Platform

Objective = Literal["interval", "latency", "energy", "edp"]
"""What is minimised. interval: cycles between frames; latency: cycles from first input to first output; energy: pJ of
one frame; edp: energy times interval."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Usage:
    """Of B designs: interval, latency (lower bounds, cycles), dsp, bram18: int64 [B]; layer_cycles: int64 [B, L]; lut
    (calibrated), energy_pj (per frame), power_w (dynamic, at one frame per interval): float [B]."""

    interval: np.ndarray
    latency: np.ndarray
    dsp: np.ndarray
    bram18: np.ndarray
    layer_cycles: np.ndarray
    lut: np.ndarray
    energy_pj: np.ndarray
    power_w: np.ndarray

    def cost(self, objective: Objective) -> np.ndarray:
        """float [B]: the value that `objective` minimises."""
        if objective == "interval":
            return self.interval.astype(float)
        if objective == "latency":
            return self.latency.astype(float)
        return self.energy_pj * (self.interval if objective == "edp" else 1.0)


def usage(layers: np.ndarray, designs: Designs, platform: Platform) -> Usage:
    """Closed forms of `designs` for the network of `layers` (nba.cost.cycles.layer_table)."""
    bounds, busy = speed_bounds(layers, designs)
    used = resources(layers, designs, platform)
    nothing = np.zeros(len(designs.pp))
    return Usage(
        interval=bounds[:, 0], latency=bounds[:, 1], dsp=used[:, 0], bram18=used[:, 1], layer_cycles=busy,
        lut=nothing, energy_pj=nothing, power_w=nothing,
    )  # fmt: skip
