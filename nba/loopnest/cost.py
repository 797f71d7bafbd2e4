# SPDX-License-Identifier: Apache-2.0
"""From counts of moved elements to accesses, energy and area (docs/mapping-model.md)."""

from __future__ import annotations

from dataclasses import dataclass

from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import INPUTS, OPERANDS, OUTPUTS, WEIGHTS, NestLayer
from nba.loopnest.mapping import Mapping, fanout, mac_bits, operand_bits

Operands = tuple[int, int, int]
"""One integer per operand, in the order of OPERANDS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessCounts:
    """What the model and the reference count, in elements and cycles.

    outer [L][3]: elements of weights and inputs sent to a level, of outputs merged from it, at its parent.
    inner [L][3]: elements received, of outputs drained, summed over all instances of the level. Both are 0 for level 0
    and for operands that a level does not hold. cycles: latency of the layer.
    """

    cycles: int
    outer: tuple[Operands, ...]
    inner: tuple[Operands, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Accesses of one operand in one memory, all instances together, in elements."""

    level: str
    memory: str
    operand: str
    reads: int
    writes: int
    energy_pj: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NestCost:
    """What one layer costs under one mapping.

    utilisation: MACs over cycles times the MACs of the array. occupancy: share of the array's places that the largest
    block takes. link_pj, mac_pj, and the accesses' energy add up to energy_pj. edp_pj_cycles: energy * latency.
    """

    macs: int
    cycles: int
    energy_pj: float
    mac_pj: float
    link_pj: float
    accesses: tuple[Access, ...]
    utilisation: float
    occupancy: float

    @property
    def edp_pj_cycles(self) -> float:
        """Energy-delay product."""
        return self.energy_pj * self.cycles


def moves_results(layer: NestLayer, moved: int) -> bool:
    """Whether so many outputs, drained or merged in all, are results: each output once."""
    return moved == layer.elements(OUTPUTS)


def accesses(layer: NestLayer, hierarchy: Hierarchy, counts: AccessCounts) -> list[Access]:
    """Reads and writes of every operand in every memory, with their energy."""
    depth = len(hierarchy.levels)
    reads = [[0, 0, 0] for _ in range(depth)]
    writes = [[0, 0, 0] for _ in range(depth)]
    for level in range(1, depth):
        for operand in range(3):
            if hierarchy.levels[level].memory(operand) is None:
                continue
            parent = hierarchy.parent(level, operand)
            outer, inner = counts.outer[level][operand], counts.inner[level][operand]
            if operand == OUTPUTS:
                started = layer.elements(OUTPUTS) if parent == 0 else counts.inner[parent][OUTPUTS]
                writes[parent][operand] += outer
                reads[parent][operand] += outer - started
                reads[level][operand] += inner
            else:
                reads[parent][operand] += outer
                writes[level][operand] += inner
    last = depth - 1
    reads[last][WEIGHTS] += layer.macs
    reads[last][INPUTS] += layer.macs
    reads[last][OUTPUTS] += layer.macs - counts.inner[last][OUTPUTS]
    writes[last][OUTPUTS] += layer.macs
    found = []
    for level, spec in enumerate(hierarchy.levels):
        for operand, name in enumerate(OPERANDS):
            memory = spec.memory(operand)
            if memory is None:
                continue
            bits = operand_bits(layer, hierarchy, operand, level=level)
            if operand == OUTPUTS and level < last:
                bits = result_bits(layer, hierarchy, counts, into=level)
            share = memory.words_per_element(bits)
            r, w = reads[level][operand], writes[level][operand]
            energy = share * (r * memory.read_pj + w * memory.write_pj)
            found.append(Access(level=spec.name, memory=memory.name, operand=name, reads=r, writes=w, energy_pj=energy))
    return found


def result_bits(layer: NestLayer, hierarchy: Hierarchy, counts: AccessCounts, *, into: int) -> int:
    """Bits of the outputs that are merged into level `into`: results if each comes once, else partial sums."""
    for level in range(into + 1, len(hierarchy.levels)):
        if hierarchy.levels[level].memory(OUTPUTS) is not None:
            if moves_results(layer, counts.outer[level][OUTPUTS]):
                return layer.act_bits
            break
    return hierarchy.mac(mac_bits(layer)).accumulator_bits


def cost(layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping, counts: AccessCounts) -> NestCost:
    """Energy and utilisation of what was counted. Raises NbaError if the hierarchy has no MAC of the layer's bits."""
    mac = hierarchy.mac(mac_bits(layer))
    found = accesses(layer, hierarchy, counts)
    link_pj = 0.0
    places = 1
    for level in range(1, len(hierarchy.levels)):
        for n in fanout(mapping.arrays[level], mapping.tiles[level]):
            places *= n
        for operand, bits in ((WEIGHTS, layer.weight_bits), (INPUTS, layer.act_bits), (OUTPUTS, 0)):
            link = hierarchy.levels[level].link(operand)
            if link is None:
                continue
            if operand == OUTPUTS:
                # Several partial sums that are added on the way to one output are none of them results.
                results = moves_results(layer, counts.inner[level][OUTPUTS])
                bits = layer.act_bits if results else mac.accumulator_bits
            link_pj += counts.inner[level][operand] * bits * link.pj_per_bit
    mac_pj = layer.macs * mac.pj
    n_macs = hierarchy.n_macs(mac.bits)
    return NestCost(
        macs=layer.macs,
        cycles=counts.cycles,
        energy_pj=sum(a.energy_pj for a in found) + link_pj + mac_pj,
        mac_pj=mac_pj,
        link_pj=link_pj,
        accesses=tuple(found),
        utilisation=layer.macs / (counts.cycles * n_macs),
        occupancy=places / n_macs,
    )


def area_mm2(hierarchy: Hierarchy, bits: int) -> float:
    """Area of all memories inside level 0 and of the MACs of `bits` bits."""
    total, instances = 0.0, 1
    for level, spec in enumerate(hierarchy.levels):
        for axis in spec.axes:
            instances *= axis.size
        if level > 0:
            total += instances * sum(memory.area_mm2 for memory in spec.memories)
    return total + hierarchy.n_macs(bits) * hierarchy.mac(bits).area_mm2
