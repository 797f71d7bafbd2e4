# SPDX-License-Identifier: Apache-2.0
"""What the operators of a space cost on a hierarchy of memories: the efficiency term of SP-NAS (InstantNet).

The layers of a network run one after another on one array (multi-cycle execution): energies and cycles add up. So a
table of what every operator of every block costs gives the cost of every network of the space, exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from nba.errors import SpecError
from nba.search.bilevel import gate_penalty
from nba.space.network import Macro, blocks, choices
from nba.supernet.paths import Path

EfficiencyObjective = Literal["edp", "latency", "energy"]
"""edp: (sum of energies) * (sum of cycles); latency: sum of cycles; energy: sum of energies."""
EFFICIENCY_OBJECTIVES: tuple[EfficiencyObjective, ...] = get_args(EfficiencyObjective)


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorCost:
    """Energy and cycles of the layers of one operator in one block; 0 and 0 of a skipped block."""

    operator: str
    energy_pj: float
    cycles: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficiencyTable:
    """Costs of the operators of every block, at `bits` bits on the hierarchy called `hierarchy`.

    fixed_energy_pj, fixed_cycles: of the layers that every network of the space has. n_layers, n_shapes: how many
    layers of candidates the table is made of, and how many of them differ.
    """

    hierarchy: str
    objective: EfficiencyObjective
    bits: int
    fixed_energy_pj: float
    fixed_cycles: int
    blocks: tuple[tuple[OperatorCost, ...], ...]
    n_layers: int = 0
    n_shapes: int = 0

    def of(self, block: int, operator: str) -> OperatorCost:
        """The cost of one operator in one block. Raises KeyError if the block does not have it."""
        for found in self.blocks[block]:
            if found.operator == operator:
                return found
        raise KeyError(f"block {block} has no operator {operator}")

    def totals(self, ops: tuple[str, ...]) -> tuple[float, int]:
        """(energy [pJ], cycles) of the network with operators `ops`."""
        parts = [self.of(b, op) for b, op in enumerate(ops)]
        return (
            self.fixed_energy_pj + math.fsum(part.energy_pj for part in parts),
            self.fixed_cycles + sum(part.cycles for part in parts),
        )

    def cost(self, ops: tuple[str, ...]) -> float:
        """The value of the objective [pJ x cycles, cycles or pJ] of the network with operators `ops`."""
        return self._value(*self.totals(ops))

    def efficiency(self, ops: tuple[str, ...]) -> float:
        """L_eff: log of the cost in units of the mean network's (all operators of a block equally often)."""
        means = [
            (math.fsum(part.energy_pj for part in block) / len(block), sum(part.cycles for part in block) / len(block))
            for block in self.blocks
        ]
        mean = self._value(
            self.fixed_energy_pj + math.fsum(energy for energy, _ in means),
            self.fixed_cycles + math.fsum(cycles for _, cycles in means),
        )
        return math.log(self.cost(ops) / mean)

    def compare(self, ops: tuple[str, ...], candidates: tuple[tuple[str, ...], ...]) -> tuple[tuple[float, ...], ...]:
        """Differences of L_eff to the network of `ops` when candidates[block][k] takes its operator's place."""
        base = math.log(self.cost(ops))
        return tuple(
            tuple(math.log(self.cost((*ops[:b], op, *ops[b + 1 :]))) - base for op in options)
            for b, options in enumerate(candidates)
        )

    def _value(self, energy_pj: float, cycles: float) -> float:
        return {"edp": energy_pj * cycles, "latency": float(cycles), "energy": energy_pj}[self.objective]


def check_table(table: EfficiencyTable, macro: Macro, bits: int) -> None:
    """Raise SpecError unless `table` holds the costs of all operators of `macro` at `bits` bits."""
    problems = []
    if table.objective not in EFFICIENCY_OBJECTIVES:
        problems.append(f"objective {table.objective!r}; legal: {', '.join(EFFICIENCY_OBJECTIVES)}")
    if table.bits != bits:
        problems.append(f"it is of {table.bits} bits, the lowest bitwidth is {bits}")
    have = tuple(tuple(part.operator for part in block) for block in table.blocks)
    want = tuple(choices(block) for block in blocks(macro))
    if have != want:
        problems.append(f"its blocks have the operators {have}, the network space has {want}")
    else:
        fixed = OperatorCost(operator="fixed", energy_pj=table.fixed_energy_pj, cycles=table.fixed_cycles)
        parts = [fixed, *(part for block in table.blocks for part in block)]
        bad = [p for p in parts if not (0 <= p.energy_pj < math.inf and p.cycles >= 0)]
        if bad or fixed.energy_pj == 0 or fixed.cycles == 0:
            problems.append("every cost must be finite and not negative, and that of the fixed layers more than 0")
    if problems:
        raise SpecError("the efficiency table is not of this search:\n" + "\n".join(f"  - {p}" for p in problems))


def efficiency_loss(path: Path, operators: tuple[str, ...], table: EfficiencyTable) -> Tensor:
    """L_eff of a sampled path, with a gradient for its gates.

    As in `nba.search.penalty`: each candidate is put in the place of the executed operator of its block, and the
    difference of L_eff multiplies its gate. operators: names by number. The value is `table.efficiency` of the path.
    """
    names = tuple(tuple(operators[o] for o in choice.candidates) for choice in path)
    ops = tuple(options[0] for options in names)
    return table.efficiency(ops) + gate_penalty(path, table.compare(ops, names)).to(torch.float64)
