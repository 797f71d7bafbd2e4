# SPDX-License-Identifier: Apache-2.0
"""A lower bound on the cycles of a frame that knows DSP blocks, LUTs, block RAM and the external memory.

It holds for every accelerator of the template within the budgets, row programs and streamed weights included, because
it counts only what no design does without (docs/streaming.md has the argument):

- Layers that mix channels multiply in DSP blocks, at most two products a cycle in each, and as many times more as
  columns of narrow codes fit one operand. Products of less than 9 bits are free.
- The other layers multiply in DSP blocks, one product a cycle in each, or in LUTs at what the estimate says of one.
- Products, sums and accumulators take the LUTs that the estimate gives them where they are cheapest.
- Weights beyond what all block RAM and the small memories in LUTs hold are read from external memory in every frame.
"""

from __future__ import annotations

from math import ceil, prod

from nba.boards import LogicTable, Platform
from nba.explore.budgets import Budgets
from nba.ir.accelerator import WeightMemory
from nba.ir.network import Network, weight_shape
from nba.machine.accelerator_rules import MAX_CHUNKS, PACKINGS
from nba.machine.geometry import ceil_div
from nba.machine.kernels import BLOCK_BITS, IN_LUTS, PAIRED, SINGLE, chains, products
from nba.machine.multipliers import product_bits
from nba.machine.placement import multiplier_table
from nba.machine.program import job_degree

MOST_LANES = 64
"""Lanes beyond which a sum of them costs no less per lane than half of an adder."""


def lower_bound(network: Network, platform: Platform, budgets: Budgets, memory: WeightMemory | None) -> int:
    """Cycles of a frame below which no design of `network` within `budgets` gets. memory: the external one; None: all
    weights are on chip (and nothing is said about whether they fit)."""
    need = _Need(network, platform)
    low, high = 0, 1
    while not need.met(high, budgets):
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if need.met(middle, budgets) else (middle, high)
    return max(high, streaming_cycles(network, platform, budgets, memory))


def streaming_cycles(network: Network, platform: Platform, budgets: Budgets, memory: WeightMemory | None) -> int:
    """Cycles in which the external memory reads the weights that cannot be on chip."""
    if memory is None:
        return 0
    stored = widest = 0
    for i, layer in enumerate(network.layers):
        if not (layer.operator.mixes and layer.operator.stores_weights):
            continue
        bits = layer.operator.memory_bits(layer)
        widest = max(widest, bits)
        stored += prod(weight_shape(network, i)) * bits
        if products(True, layer.act_bits, layer.operator.operand_bits(layer), network.acc_bits(i), 1) == IN_LUTS:
            return 0
    # Memories in LUTs are few words of as many lanes as DSP blocks feed, or very few bits, in every chunk.
    small = 2 * budgets.dsp * widest * (platform.min_block_words - 1) + MAX_CHUNKS * platform.min_block_bits
    return ceil_div(max(0, stored - budgets.bram18 * BLOCK_BITS - small), memory.bus_bits)


class _Need:
    """What the products of a frame ask for."""

    def __init__(self, network: Network, platform: Platform):
        table = platform.logic
        self.dsp_cycles = 0.0
        """DSP blocks times cycles of layers that mix channels."""
        self.lut_cycles = 0.0
        """LUTs times cycles of sums and accumulators, wherever products are made."""
        self.either: list[tuple[float, int]] = []
        """Per layer of the others: LUTs of a product that is made of them, products."""
        adders = multiplier_table(table)[1]
        for i, layer in enumerate(network.layers):
            acc, macs, mixes = network.acc_bits(i), network.macs(i), layer.operator.mixes
            weight = layer.operator.operand_bits(layer)
            kinds = {products(mixes, layer.act_bits, weight, acc, packing) for packing in PACKINGS}
            if IN_LUTS in kinds:
                continue
            if mixes:
                degree = job_degree(layer, PACKINGS[-1])
                self.dsp_cycles += macs / (2 * degree if PAIRED in kinds else 1)
                self.lut_cycles += macs * _sum_luts(table, layer.act_bits + weight, acc) if degree == 1 else 0.0
            elif kinds == {SINGLE}:
                bits = product_bits(1, 1, layer.act_bits, weight, acc)
                self.either.append((float(bits[0] * adders[0] + bits[1] * adders[1]) / 1000, macs))
                self.lut_cycles += macs * acc * _lut(table, "accumulator bits")
        self.either.sort()

    def met(self, cycles: int, budgets: Budgets) -> bool:
        """Whether so many cycles may be enough."""
        left = self.dsp_cycles + sum(macs for _, macs in self.either) - budgets.dsp * cycles
        luts = self.lut_cycles
        for price, macs in self.either:
            moved = max(0.0, min(left, macs))
            luts += price * moved
            left -= moved
        return left <= 0 and (budgets.lut is None or luts <= budgets.lut * cycles)


def _lut(table: LogicTable, feature: str) -> float:
    """LUTs per unit of a feature of the arrays."""
    return next(c.lut_milli for c in table.coefficients if (c.part, c.feature) == ("array", feature)) / 1000


def _sum_luts(table: LogicTable, product: int, acc: int) -> float:
    """LUTs that the sum and the accumulator of a product take at least, over all numbers of lanes."""
    gather, keep = _lut(table, "adder bits of the lane sums"), _lut(table, "accumulator bits")
    bits = min(product, acc)
    found = gather * bits / 2
    for pn in range(1, MOST_LANES + 1):
        adders = ((pn + 1) // 2 - 1) * (bits + 2) if chains(PAIRED, 1, pn) else (pn - 1) * bits
        found = min(found, (keep * acc + gather * adders) / pn)
    return found


def bound_note(lower: int, interval: int) -> str:
    """What the bound says of an interval."""
    gap = ceil(1000 * (1 - lower / interval)) / 10
    return (
        f"gap at most {gap:g} %: no design within the budgets of DSP blocks, LUTs, block RAM and bandwidth takes less "
        f"than {lower:,} cycles"
    )
