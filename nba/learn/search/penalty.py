# SPDX-License-Identifier: Apache-2.0
"""What the sampled path costs on the current best accelerator, and what every alternative to it would cost.

The cost model is a black box. For a sampled path, each candidate operator of each block, and each bitwidth of the
executed operator, is put in the path's place; the difference of log costs multiplies that choice's straight-through
gate. The path is thereby its own baseline (the executed choices have difference 0), and the gradient goes through hard
samples only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from nba.explore.protocol import HardwareCost, HardwareSearch
from nba.ir.network import Network
from nba.learn.search.config import SearchSchedule
from nba.learn.space.network import SKIP, Architecture, bit_operations, blocks, macs, skeleton, slot_of_layer
from nba.machine.usage import Objective

MAX_ADAPTATION = 2.0
"""Largest change of the penalty's weight after one epoch."""
WEIGHT_RANGE = 100.0
"""How far, either way, the penalty's weight gets from its first value."""


INFEASIBLE_PENALTY = 1.0
"""What a broken budget adds to a score."""


def adapted_weight(config: SearchSchedule, weight: float, cost: float, feasible: bool) -> float:
    """The weight of the penalty after an epoch whose derived architecture costs `cost`.

    weight * (cost / target) ** adapt_rate: more where the target is missed, less where it is met with room to spare.
    One epoch changes it by at most a factor of 2 (upwards by 2 where a budget is broken), all together by 100.
    With a range: `config.cost_weight` above it or where a budget is broken, minus that below it, 0 within it.
    """
    if config.cost_range is not None:
        least, most = config.cost_range
        if cost > most or not feasible:
            return config.cost_weight
        return -config.cost_weight if cost < least else 0.0
    if config.target is None:
        return weight
    change = MAX_ADAPTATION if not feasible else (cost / config.target) ** config.adapt_rate
    change = min(MAX_ADAPTATION, max(1.0 / MAX_ADAPTATION, change))
    return min(config.cost_weight * WEIGHT_RANGE, max(config.cost_weight / WEIGHT_RANGE, weight * change))


@dataclass(frozen=True, kw_only=True, slots=True)
class PathScores:
    """Score differences to the executed path: operators[block][k] of candidate k, bits[block][j] of bitwidth j.

    Blocks that share their bits change them together; the difference stands with the first of them, the others have 0.
    """

    operators: tuple[tuple[float, ...], ...]
    bits: tuple[tuple[float, ...], ...]


class CostOracle:
    """Scores architectures on the accelerator search's current best; remembers scores until that changes."""

    def __init__(self, hardware: HardwareSearch, config: SearchSchedule, objective: Objective = "interval"):
        self._hardware = hardware
        self._config, self._objective = config, objective
        self._known: dict[tuple[tuple[str, ...], tuple[int, ...]], float] = {}

    def improve(self, architecture: Architecture, n_samples: int) -> None:
        """Let the accelerator search work on `architecture`."""
        self._hardware.step(skeleton(architecture), slot_of_layer(architecture), n_samples)
        self._known.clear()

    def cost(self, architecture: Architecture) -> HardwareCost:
        """Cost on the current best accelerator."""
        return self._hardware.cost(skeleton(architecture), slot_of_layer(architecture))

    def value(self, network: Network, cost: HardwareCost) -> float:
        """What `network` is to pay for, in its own unit; `cost` is that on the current best accelerator."""
        if self._config.network_objective == "hardware":
            return cost.value(self._objective)
        return float(macs(network) if self._config.network_objective == "macs" else bit_operations(network))

    def score(self, architecture: Architecture) -> float:
        """The scalar that the search minimises (nba.learn.search.config.SearchSchedule)."""
        key = (architecture.ops, architecture.bits)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._score(architecture)
        return known

    def _score(self, architecture: Architecture) -> float:
        config, network = self._config, skeleton(architecture)
        cost = self._hardware.cost(network, slot_of_layer(architecture))
        value = max(1.0, self.value(network, cost))
        bits = float(bit_operations(network)) if config.bits_weight else 1.0
        if config.cost_form == "linear":
            broken = 0.0 if cost.feasible else INFEASIBLE_PENALTY
            return value * (1.0 + broken) + config.bits_weight * bits
        score = math.log(value) + config.bits_weight * math.log(bits)
        return score if cost.feasible else score + INFEASIBLE_PENALTY

    def compare(self, architecture: Architecture, candidates: tuple[tuple[tuple[str, int], ...], ...]) -> PathScores:
        """Differences to `architecture` of candidates[block] = ((operator, bits), ...) and of every bitwidth."""
        base = self.score(architecture)
        macro = architecture.macro
        places = blocks(macro)
        operators, bits = [], []
        seen: set[int] = set()
        for b, (options, block) in enumerate(zip(candidates, places, strict=True)):
            operators.append(tuple(self.score(_changed(architecture, (b,), op, width)) - base for op, width in options))
            group = tuple(i for i, other in enumerate(places) if other.bits_group == block.bits_group)
            first = block.bits_group not in seen
            seen.add(block.bits_group)
            bits.append(
                tuple(
                    self.score(_changed(architecture, group, None, width)) - base
                    if first and width in block.bitwidths and any(architecture.ops[i] != SKIP for i in group)
                    else 0.0
                    for width in macro.all_bitwidths
                )
            )
        return PathScores(operators=tuple(operators), bits=tuple(bits))


def _changed(architecture: Architecture, places: tuple[int, ...], op: str | None, bits: int) -> Architecture:
    """`architecture` with another operator (if any) and other bits in `places`."""
    ops, widths = list(architecture.ops), list(architecture.bits)
    for b in places:
        ops[b], widths[b] = op or ops[b], bits
    return replace(architecture, ops=tuple(ops), bits=tuple(widths))
