# SPDX-License-Identifier: Apache-2.0
"""Costs of the operators of the small space, by hand."""

from __future__ import annotations

import numpy as np

from nba.learn.space.network import SKIP, blocks, choices
from nba.learn.switchable.efficiency import EfficiencyObjective, EfficiencyTable, OperatorCost
from tests.torch.small import MACRO


def hand_table(seed: int = 0, objective: EfficiencyObjective = "edp", bits: int = 4) -> EfficiencyTable:
    """Random costs: energy, cycles and operations have nothing to do with each other."""
    rng, operations = np.random.default_rng(seed), np.random.default_rng(seed + 1)

    def cost(op: str) -> OperatorCost:
        if op == SKIP:
            return OperatorCost(operator=op, energy_pj=0.0, cycles=0)
        macs, bits = (int(n) for n in operations.integers(10, 1000, 2))
        return OperatorCost(
            operator=op, energy_pj=float(rng.uniform(1, 100)), cycles=int(rng.integers(10, 1000)), macs=macs,
            bit_operations=bits,
        )  # fmt: skip

    return EfficiencyTable(
        hierarchy="by hand", objective=objective, bits=bits, fixed_energy_pj=10.0, fixed_cycles=100,
        fixed_macs=50, fixed_bit_operations=70,
        blocks=tuple(tuple(cost(op) for op in choices(block)) for block in blocks(MACRO)),
    )  # fmt: skip
