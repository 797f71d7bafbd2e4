# SPDX-License-Identifier: Apache-2.0
"""What designs take, by the closed forms: the arrays that objectives and budgets are made of."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from nba.boards import Platform
from nba.machine.blocks import block_counts
from nba.machine.closed_form import speed_bounds
from nba.machine.designs import Designs, as_row_programs
from nba.machine.energy import event_counts, power_w
from nba.machine.logic import PlaceLimits, placed_counts

Objective = Literal["interval", "latency", "energy", "edp"]
"""What is minimised. interval: cycles between frames; latency: cycles from first input to first output; energy: pJ of
one frame; edp: energy times interval."""

OBJECTIVES: tuple[Objective, ...] = get_args(Objective)

UNITS: dict[Objective, str] = {
    "interval": "cycles", "latency": "cycles", "energy": "pJ per frame", "edp": "pJ x cycles",
}  # fmt: skip
"""Unit of the value that an objective minimises."""

Need = Literal["lut", "energy"]
"""Parts of `Usage` that cost time and are computed only when an objective or a budget asks for them."""

NOTHING: frozenset[Need] = frozenset()


def needed(objective: Objective) -> frozenset[Need]:
    """What `Usage.cost` of `objective` needs."""
    return frozenset({"energy"}) if objective in ("energy", "edp") else NOTHING


def value_of(objective: Objective, interval: float, latency: float, energy_pj: float) -> float:
    """The number that `objective` minimises, of a design's interval and latency [cycles] and energy [pJ]."""
    if objective == "interval":
        return interval
    if objective == "latency":
        return latency
    return energy_pj * interval if objective == "edp" else energy_pj


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Usage:
    """Of B designs: interval, latency (lower bounds, cycles), dsp, bram18: int64 [B]; layer_cycles: int64 [B, L]; lut:
    int64 [B] (calibrated estimate); energy_pj (per frame), power_w (dynamic, at one frame per interval): float [B].
    The last three are None where they were not asked for."""

    interval: np.ndarray
    latency: np.ndarray
    dsp: np.ndarray
    bram18: np.ndarray
    layer_cycles: np.ndarray
    lut: np.ndarray | None = None
    energy_pj: np.ndarray | None = None
    power_w: np.ndarray | None = None

    def put(self, where: np.ndarray, other: Usage) -> None:
        """Write `other`, of which the same was asked for, over the designs of the numbers `where`, in place."""
        for name in (f.name for f in fields(Usage)):
            mine, new = getattr(self, name), getattr(other, name)
            if mine is not None:
                mine[where] = new

    def cost(self, objective: Objective) -> np.ndarray:
        """float [B]: the value that `objective` minimises. Energy must have been asked for where it matters."""
        if objective == "interval":
            return self.interval.astype(float)
        if objective == "latency":
            return self.latency.astype(float)
        assert self.energy_pj is not None, "usage was computed without energy"
        return self.energy_pj * self.interval if objective == "edp" else self.energy_pj


def usage_within(
    layers: np.ndarray, designs: Designs, platform: Platform, bram18: int, needs: frozenset[Need] = NOTHING,
    limits: PlaceLimits | None = None,
) -> Usage:  # fmt: skip
    """`usage` of designs that may be completed within `bram18` blocks (nba.explore.finalise): those whose rings take
    more have row programs, and count with the fewest rows that their rings may have."""
    used = usage(layers, designs, platform, needs, limits)
    over = np.flatnonzero(used.bram18 > bram18)
    if len(over):
        used.put(over, usage(layers, as_row_programs(layers, designs.at(over)), platform, needs, limits))
    return used


def usage(
    layers: np.ndarray, designs: Designs, platform: Platform, needs: frozenset[Need] = NOTHING,
    limits: PlaceLimits | None = None, block_luts: int = 0,
) -> Usage:  # fmt: skip
    """Closed forms of `designs` for the network of `layers` (nba.machine.designs.layer_table), with what is in
    `needs`. limits: multipliers are placed by these (nba.machine.placement), which needs LUTs; None: all in DSP
    blocks. block_luts: of the designs (nba.ir.accelerator.Accelerator)."""
    bounds, busy = speed_bounds(layers, designs)
    used = block_counts(layers, designs, platform, block_luts)
    interval, dsp = bounds[:, 0], used[:, 0]
    lut = energy = power = None
    if "lut" in needs:
        placed = placed_counts(layers, designs, platform, limits, block_luts)
        lut, dsp = placed[:, 0], dsp - placed[:, 2]
    if "energy" in needs:
        energy = event_counts(layers, designs, platform)[1].sum(1) / 1e6
        power = power_w(energy, interval, platform)
    return Usage(
        interval=interval, latency=bounds[:, 1], dsp=dsp, bram18=used[:, 1], layer_cycles=busy,
        lut=lut, energy_pj=energy, power_w=power,
    )  # fmt: skip
