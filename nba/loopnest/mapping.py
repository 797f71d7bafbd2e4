# SPDX-License-Identifier: Apache-2.0
"""A mapping of a layer on a hierarchy, and why one is not legal."""

from __future__ import annotations

from dataclasses import dataclass

from nba.loopnest.hierarchy import Hierarchy, Level
from nba.loopnest.layer import DIMS, INPUTS, OPERANDS, OUTPUTS, WALKS, WEIGHTS, NestLayer, P, Q, R, S, elements

Loops = tuple[int, ...]
"""One integer per loop, in the order of DIMS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapping:
    """Blocks, order and unrolling of the loops, level by level (docs/mapping-model.md).

    arrays [L][8]: elements of a loop in all instances of a level below one of the level above; tiles [L][8]: in one
    instance; axes [L][8]: index of the axis along which the loop is unrolled (0 where it is not);
    orders [L - 1][8]: loops of levels 0 .. L - 2, outermost first.
    """

    arrays: tuple[Loops, ...]
    tiles: tuple[Loops, ...]
    axes: tuple[Loops, ...]
    orders: tuple[Loops, ...]


def operand_bits(layer: NestLayer, hierarchy: Hierarchy, operand: int, *, level: int) -> int:
    """Bits that memories of `level` reserve for one element of an operand of `layer`."""
    if operand == WEIGHTS:
        return layer.weight_bits
    if operand == OUTPUTS and level > 0:
        return hierarchy.mac(mac_bits(layer)).accumulator_bits
    return layer.act_bits


def mac_bits(layer: NestLayer) -> int:
    """Bits of the MACs that compute the layer: those of its wider operand."""
    return max(layer.weight_bits, layer.act_bits)


def fanout(arrays: Loops, tiles: Loops) -> Loops:
    """Instances that each loop is unrolled over."""
    return tuple(-(-a // t) for a, t in zip(arrays, tiles, strict=True))


def is_trivial(mapping: Mapping, level: int, loop: int) -> bool:
    """Whether a loop has one block in every execution of `level`."""
    return mapping.tiles[level][loop] <= mapping.arrays[level + 1][loop]


def position(mapping: Mapping, level: int, operand: int) -> int:
    """Place in the order of `level` of the innermost loop that is not trivial and walks the operand: the level inside
    loads it whenever that loop or one outside it advances. -1: there is none."""
    found = -1
    for place, d in enumerate(mapping.orders[level]):
        if WALKS[operand][d] and not is_trivial(mapping, level, d):
            found = place
    return found


def slides(mapping: Mapping, level: int) -> bool:
    """Whether only what is new of the inputs is loaded when the loop at their position in `level` advances."""
    place = position(mapping, level, INPUTS)
    d = mapping.orders[level][place] if place >= 0 else None
    if d not in (P, Q):
        return False
    both = (P, R) if d == P else (Q, S)
    return all(mapping.arrays[level + 1][e] == mapping.tiles[level + 1][e] for e in both)


def overflow(layer: NestLayer, hierarchy: Hierarchy, level: int, tile: Loops) -> list[str]:
    """Memories of `level` that a tile does not fit: which, which operands, how many bytes short."""
    found = []
    copies = 2 if hierarchy.levels[level].double_buffered else 1
    lanes = hierarchy.lanes(level, mac_bits(layer))
    for memory in hierarchy.levels[level].memories:
        if memory.size_bits is None:
            continue
        needed = {}
        for operand in memory.operands:
            bits = operand_bits(layer, hierarchy, operand, level=level)
            held = lanes * elements(operand, tile, layer.strides)
            needed[OPERANDS[operand]] = copies * memory.words(held, bits)
        have = memory.size_bits // memory.word_bits
        if sum(needed.values()) > have:
            short = -(-(sum(needed.values()) - have) * memory.word_bits // 8)
            parts = " + ".join(f"{-(-words * memory.word_bits // 8)} bytes of {name}" for name, words in needed.items())
            twice = " (two tiles of each, for double buffering)" if copies == 2 else ""
            shared = f" for the {lanes} MACs of a place" if lanes > 1 else ""
            found.append(
                f"level {hierarchy.levels[level].name}, memory {memory.name}: {parts}{twice}{shared}, but it has "
                f"{memory.size_bits // 8} bytes: {short} bytes short"
            )
    return found


def problems(layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping) -> list[str]:
    """Everything that makes a mapping illegal; empty if it is legal."""
    found = []
    depth = len(hierarchy.levels)
    if not (len(mapping.arrays) == len(mapping.tiles) == len(mapping.axes) == depth == len(mapping.orders) + 1):
        return [f"the mapping has not {depth} levels, as hierarchy {hierarchy.name} has"]
    if mapping.arrays[0] != layer.extents or mapping.tiles[0] != layer.extents:
        found.append(f"level 0 must hold the whole layer, {layer.extents}")
    for level in range(1, depth):
        spec, arrays, tiles = hierarchy.levels[level], mapping.arrays[level], mapping.tiles[level]
        for d, name in enumerate(DIMS):
            if not 1 <= tiles[d] <= arrays[d] <= mapping.tiles[level - 1][d]:
                found.append(
                    f"level {spec.name}, loop {name}: tile {tiles[d]}, array {arrays[d]}, tile outside "
                    f"{mapping.tiles[level - 1][d]}; each must be at least 1 and at most the next"
                )
            elif d in spec.unit_tiles and tiles[d] != 1:
                found.append(f"level {spec.name}, loop {name}: tile {tiles[d]}; an instance holds one element of it")
        if not found:
            found += _unrolling(hierarchy, level, mapping, mac_bits(layer))
            found += overflow(layer, hierarchy, level, tiles)
    for level, order in enumerate(mapping.orders):
        found += _order(hierarchy.levels[level], order)
    return found


def _unrolling(hierarchy: Hierarchy, level: int, mapping: Mapping, bits: int) -> list[str]:
    spec, sizes = hierarchy.levels[level], hierarchy.axis_sizes(level, bits)
    used = [1] * len(sizes)
    found = []
    for d, n in enumerate(fanout(mapping.arrays[level], mapping.tiles[level])):
        if n == 1:
            continue
        axis = mapping.axes[level][d]
        if not 0 <= axis < len(sizes):
            found.append(f"level {spec.name}: loop {DIMS[d]} is unrolled along axis {axis}, of {len(sizes)}")
        elif d not in spec.axes[axis].dims:
            found.append(f"level {spec.name}: loop {DIMS[d]} may not be unrolled along {spec.axes[axis].name}")
        else:
            used[axis] *= n
    for axis, (n, size) in enumerate(zip(used, sizes, strict=True)):
        if n > size:
            found.append(f"level {spec.name}: {n} instances along {spec.axes[axis].name}, of {size}")
    return found


def _order(spec: Level, order: Loops) -> list[str]:
    if sorted(order) != list(range(len(DIMS))):
        return [f"level {spec.name}: an order lists every loop once; found {order}"]
    inner = order[len(DIMS) - len(spec.innermost) :]
    if set(inner) != set(spec.innermost):
        names = ", ".join(DIMS[d] for d in spec.innermost)
        return [f"level {spec.name}: loops {names} must be inside all others"]
    return []
