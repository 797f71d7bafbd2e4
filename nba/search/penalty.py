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

from nba.cost.usage import Objective
from nba.search.protocol import HardwareCost, HardwareSearch
from nba.space.network import SKIP, Architecture, bit_operations, skeleton, slot_of_layer


@dataclass(frozen=True, kw_only=True, slots=True)
class CostConfig:
    """The objective that alpha and beta share with gamma.

    score = log of the value of `objective`, which gamma minimises; with `target`, in the objective's unit
    (nba.cost.usage.UNITS), max(0, log(value / target)); plus `infeasible_penalty` where the best accelerator found
    breaks a budget; plus, on the network's side only, `bits_weight` times the log of MACs x weight bits x activation
    bits: on a given accelerator no cycle depends on bits, they pay once the accelerator is searched anew
    (docs/decisions/0006-bits-term.md). 0 leaves it out. The loss grows by `weight` times the score.
    """

    objective: Objective = "interval"
    weight: float = 0.15
    bits_weight: float = 0.15
    infeasible_penalty: float = 1.0
    target: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PathScores:
    """Score differences to the executed path: operators[block][k] of candidate k, bits[block][j] of bitwidth j."""

    operators: tuple[tuple[float, ...], ...]
    bits: tuple[tuple[float, ...], ...]


class CostOracle:
    """Scores architectures on the accelerator search's current best; remembers scores until that changes."""

    def __init__(self, hardware: HardwareSearch, config: CostConfig):
        self._hardware = hardware
        self._config = config
        self._known: dict[Architecture, float] = {}

    def improve(self, architecture: Architecture, n_samples: int) -> None:
        """Let the accelerator search work on `architecture`."""
        self._hardware.step(skeleton(architecture), slot_of_layer(architecture), n_samples)
        self._known.clear()

    def cost(self, architecture: Architecture) -> HardwareCost:
        """Cost on the current best accelerator."""
        return self._hardware.cost(skeleton(architecture), slot_of_layer(architecture))

    def score(self, architecture: Architecture) -> float:
        """The scalar that the search minimises (see `CostConfig`)."""
        known = self._known.get(architecture)
        if known is None:
            cost = self.cost(architecture)
            known = self._known[architecture] = self._score(architecture, cost)
        return known

    def _score(self, architecture: Architecture, cost: HardwareCost) -> float:
        config = self._config
        value = math.log(max(1.0, cost.value(config.objective)))
        if config.target is not None:
            value = max(0.0, value - math.log(config.target))
        if config.bits_weight:
            value += config.bits_weight * math.log(bit_operations(skeleton(architecture)))
        return value if cost.feasible else value + config.infeasible_penalty

    def compare(self, architecture: Architecture, candidates: tuple[tuple[tuple[str, int], ...], ...]) -> PathScores:
        """Differences to `architecture` of candidates[block] = ((operator, bits), ...) and of every bitwidth."""
        base = self.score(architecture)
        operators, bits = [], []
        for b, options in enumerate(candidates):
            operators.append(tuple(self.score(_changed(architecture, b, op, width)) - base for op, width in options))
            op = architecture.ops[b]
            widths = architecture.macro.bitwidths
            if op == SKIP:
                bits.append((0.0,) * len(widths))
            else:
                bits.append(tuple(self.score(_changed(architecture, b, op, width)) - base for width in widths))
        return PathScores(operators=tuple(operators), bits=tuple(bits))


def _changed(architecture: Architecture, block: int, op: str, bits: int) -> Architecture:
    ops, widths = list(architecture.ops), list(architecture.bits)
    ops[block], widths[block] = op, bits
    return replace(architecture, ops=tuple(ops), bits=tuple(widths))
