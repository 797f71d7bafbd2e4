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

from nba.core.errors import SpecError
from nba.learn.search.bilevel import gate_penalty
from nba.learn.search.config import CostForm
from nba.learn.space.network import Macro, blocks, choices
from nba.learn.supernet.paths import Path

EfficiencyObjective = Literal["edp", "latency", "energy", "macs", "bit_operations"]
"""edp: (sum of energies) * (sum of cycles); latency: sum of cycles; energy: sum of energies; macs: sum of
multiply-accumulates; bit_operations: of these times the bits of both factors."""
EFFICIENCY_OBJECTIVES: tuple[EfficiencyObjective, ...] = get_args(EfficiencyObjective)


_SUMS: dict[EfficiencyObjective, tuple[str, ...]] = {
    "edp": ("energy_pj", "cycles"), "latency": ("cycles",), "energy": ("energy_pj",), "macs": ("macs",),
    "bit_operations": ("bit_operations",),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorCost:
    """Energy, cycles and operations of the layers of one operator in one block; all 0 of a skipped block."""

    operator: str
    energy_pj: float
    cycles: int
    macs: int = 0
    bit_operations: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class EfficiencyTable:
    """Costs of the operators of every block, at `bits` bits on the hierarchy called `hierarchy`.

    fixed_energy_pj, fixed_cycles, fixed_macs, fixed_bit_operations: of the layers that every network of the space has
    (poolings left out). n_layers, n_shapes: how many layers of candidates the table is made of, and how many of them
    differ.
    """

    hierarchy: str
    objective: EfficiencyObjective
    bits: int
    fixed_energy_pj: float
    fixed_cycles: int
    blocks: tuple[tuple[OperatorCost, ...], ...]
    n_layers: int = 0
    n_shapes: int = 0
    fixed_macs: int = 0
    fixed_bit_operations: int = 0

    @property
    def fixed(self) -> OperatorCost:
        """The layers that every network of the space has."""
        return OperatorCost(
            operator="fixed", energy_pj=self.fixed_energy_pj, cycles=self.fixed_cycles, macs=self.fixed_macs,
            bit_operations=self.fixed_bit_operations,
        )  # fmt: skip

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

    def operations(self, ops: tuple[str, ...]) -> tuple[int, int]:
        """(multiply-accumulates, bit operations) of the network with operators `ops`."""
        parts = [self.fixed, *(self.of(b, op) for b, op in enumerate(ops))]
        return sum(part.macs for part in parts), sum(part.bit_operations for part in parts)

    def cost(self, ops: tuple[str, ...]) -> float:
        """The value of the objective [pJ x cycles, cycles, pJ or operations] of the network with operators `ops`."""
        parts = [self.of(b, op) for b, op in enumerate(ops)]
        return self._value(*(self._fixed(name) + math.fsum(getattr(p, name) for p in parts) for name in self._sums()))

    def efficiency(self, ops: tuple[str, ...], form: CostForm = "log") -> float:
        """L_eff: log of the cost in units of the mean network's (all operators of a block equally often); in the linear
        form the cost itself."""
        if form == "linear":
            return self.cost(ops)
        mean = self._value(
            *(
                self._fixed(name)
                + math.fsum(math.fsum(getattr(part, name) for part in block) / len(block) for block in self.blocks)
                for name in self._sums()
            )
        )
        return math.log(self.cost(ops) / mean)

    def compare(
        self, ops: tuple[str, ...], candidates: tuple[tuple[str, ...], ...], form: CostForm = "log"
    ) -> tuple[tuple[float, ...], ...]:
        """Differences of L_eff to the network of `ops` when candidates[block][k] takes its operator's place."""

        def score(found: tuple[str, ...]) -> float:
            return self.cost(found) if form == "linear" else math.log(self.cost(found))

        base = score(ops)
        return tuple(
            tuple(score((*ops[:b], op, *ops[b + 1 :])) - base for op in options) for b, options in enumerate(candidates)
        )

    def _sums(self) -> tuple[str, ...]:
        """Fields of `OperatorCost` whose sums over the layers the objective is made of."""
        return _SUMS[self.objective]

    def _fixed(self, name: str) -> float:
        return float(getattr(self.fixed, name))

    def _value(self, *sums: float) -> float:
        return math.prod(sums)


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
        fixed = table.fixed
        parts = [fixed, *(part for block in table.blocks for part in block)]
        bad = [p for p in parts if not (0 <= p.energy_pj < math.inf and min(p.cycles, p.macs, p.bit_operations) >= 0)]
        needed = {"energy_pj", "cycles", *_SUMS[table.objective]} if table.objective in _SUMS else set()
        if bad or any(getattr(fixed, name) == 0 for name in needed):
            problems.append("every cost must be finite and not negative, and that of the fixed layers more than 0")
    if problems:
        raise SpecError(
            "the efficiency table does not belong to this search:\n" + "\n".join(f"  - {p}" for p in problems)
        )


def efficiency_loss(
    path: Path, operators: tuple[str, ...], table: EfficiencyTable, form: CostForm = "log"
) -> Tensor:  # fmt: skip
    """L_eff of a sampled path, with a gradient for its gates.

    As in `nba.learn.search.penalty`: each candidate is put in the place of the executed operator of its block, and the
    difference of L_eff multiplies its gate. operators: names by number. The value is `table.efficiency` of the path.
    """
    names = tuple(tuple(operators[o] for o in choice.candidates) for choice in path)
    ops = tuple(options[0] for options in names)
    return table.efficiency(ops, form) + gate_penalty(path, table.compare(ops, names, form)).to(torch.float64)
