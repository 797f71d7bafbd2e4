# SPDX-License-Identifier: Apache-2.0
"""A mapping as a loop nest that can be read, and what it costs as a table: plain ASCII."""

from __future__ import annotations

from collections.abc import Sequence

from nba.core.figures import clock_text
from nba.loopnest.cost import NestCost
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import DIMS, INPUTS, OPERANDS, OUTPUTS, NestLayer, P, elements
from nba.loopnest.mapping import Mapping, fanout, is_trivial, mac_bits, operand_bits, position, slides

INDENT = "  "


def nest_text(layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping) -> str:
    """The loop nest of a legal mapping, outermost loop first.

    Loops with one block are left out. `load` and `drain` stand inside the loop that makes them happen again, before
    the loops that they stay through; a level's memories stand below its name with the bytes of its largest tile.
    """
    sizes = ", ".join(f"{name} {extent}" for name, extent in zip(DIMS, layer.extents, strict=True) if extent > 1)
    lines = [
        f"{layer.name}: {sizes or 'one MAC'}, stride {layer.stride_text}; "
        f"{_bits(layer.weight_bits)} weights, {_bits(layer.act_bits)} activations",
        f"{hierarchy.levels[0].name}: the whole layer",
    ]
    depth = 0
    for level in range(len(hierarchy.levels) - 1):
        depth = _loops(lines, depth, hierarchy, mapping, level)
        inside = level + 1
        for d, n in enumerate(fanout(mapping.arrays[inside], mapping.tiles[inside])):
            if n > 1:
                axis = hierarchy.levels[inside].axes[mapping.axes[inside][d]].name
                bounds = _bounds(mapping.arrays[inside][d], mapping.tiles[inside][d])
                lines.append(f"{INDENT * depth}parallel-for {DIMS[d].lower()} {bounds}, along {axis}")
                depth += 1
        lines.append(f"{INDENT * depth}{hierarchy.levels[inside].name}:")
        depth += 1
        lines += [INDENT * depth + line for line in _memories(layer, hierarchy, mapping, inside)]
    for d, extent in enumerate(mapping.tiles[-1]):
        if extent > 1:
            lines.append(f"{INDENT * depth}for {DIMS[d].lower()} {_bounds(extent, 1)}")
            depth += 1
    lines.append(f"{INDENT * depth}MAC")
    return "\n".join(lines) + "\n"


def _bits(bits: int) -> str:
    return f"{bits}-bit"


def _bounds(extent: int, step: int) -> str:
    """`in 0..9 by 4 (3 blocks, the last of 2)`: walks 10 elements in blocks of 4."""
    n, last = -(-extent // step), extent % step
    if step == 1:
        return f"in 0..{extent - 1}"
    return f"in 0..{extent - 1} by {step} ({n} blocks{f', the last of {last}' if last else ''})"


def _loops(lines: list[str], depth: int, hierarchy: Hierarchy, mapping: Mapping, level: int) -> int:
    """Adds the loops of one level, and what is moved where; returns the depth inside them."""
    inside = hierarchy.levels[level + 1]
    held = [operand for operand in range(3) if inside.memory(operand) is not None]
    at: dict[int, list[int]] = {}
    for operand in held:
        at.setdefault(position(mapping, level, operand), []).append(operand)
    _moves(lines, depth, hierarchy, mapping, level, at.get(-1, []))
    for place, d in enumerate(mapping.orders[level]):
        if is_trivial(mapping, level, d):
            continue
        bounds = _bounds(mapping.tiles[level][d], mapping.arrays[level + 1][d])
        lines.append(f"{INDENT * depth}for {DIMS[d].lower()} {bounds}")
        depth += 1
        _moves(lines, depth, hierarchy, mapping, level, at.get(place, []))
    return depth


def _moves(
    lines: list[str], depth: int, hierarchy: Hierarchy, mapping: Mapping, level: int, operands: Sequence[int]
) -> None:
    name = hierarchy.levels[level + 1].name
    for operand in operands:
        parent = hierarchy.levels[hierarchy.parent(level + 1, operand)].name
        if operand == OUTPUTS:
            lines.append(f"{INDENT * depth}start outputs in {name}; at the end drain them to {parent}")
            continue
        only = ""
        if operand == INPUTS and slides(mapping, level):
            what = "rows" if mapping.orders[level][position(mapping, level, INPUTS)] == P else "columns"
            only = f" (after the first block only new {what})"
        lines.append(f"{INDENT * depth}load {OPERANDS[operand]} from {parent} to {name}{only}")


def _memories(layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping, level: int) -> list[str]:
    spec = hierarchy.levels[level]
    copies = 2 if spec.double_buffered else 1
    lanes = hierarchy.lanes(level, mac_bits(layer))
    lines = []
    for memory in spec.memories:
        needed = {}
        for operand in memory.operands:
            bits = operand_bits(layer, hierarchy, operand, level=level)
            words = memory.words(lanes * elements(operand, mapping.tiles[level], layer.strides), bits)
            needed[OPERANDS[operand]] = -(-words * memory.word_bits // 8)
        total = sum(needed.values())
        parts = " + ".join(f"{n} B {name}" for name, n in needed.items())
        if copies > 1:
            parts = f"2 x ({parts})" if len(needed) > 1 else f"2 x {parts}"
        room = "" if memory.size_bits is None else f" of {memory.size_bits // 8} B"
        place = f", for the {lanes} MACs of a place" if lanes > 1 else ""
        lines.append(f"[{memory.name}: {parts} = {copies * total}{room}{place}]")
    return lines


def cost_text(hierarchy: Hierarchy, cost: NestCost) -> str:
    """What a layer costs: accesses and energy by level, memory and operand, then links, MACs and the totals."""
    rows = [("level", "memory", "operand", "reads", "writes", "energy [pJ]", "share")]
    for access in cost.accesses:
        found = (access.level, access.memory, access.operand, f"{access.reads:,}", f"{access.writes:,}")
        rows.append((*found, f"{access.energy_pj:,.1f}", _share(access.energy_pj, cost)))
    for name, pj in (("links", cost.link_pj), ("MACs", cost.mac_pj), ("total", cost.energy_pj)):
        rows.append((name, "", "", "", "", f"{pj:,.1f}", _share(pj, cost)))
    lines = aligned(rows, 3)
    rule = "-" * max(len(line) for line in lines)
    lines = [lines[0], rule, *lines[1:-3], rule, *lines[-3:]]
    seconds = cost.cycles / (hierarchy.clock_mhz * 1e6)
    lines += [
        f"{cost.macs:,} MACs in {cost.cycles:,} cycles ({seconds * 1e6:,.3f} us {clock_text(hierarchy.clock_mhz)})",
        f"utilisation of the MACs {cost.utilisation:.1%}; places of the array in use {cost.occupancy:.1%}",
        f"EDP (energy x latency) {cost.energy_pj * 1e-12 * seconds:.4g} J s",
    ]
    return "\n".join(lines) + "\n"


def _share(pj: float, cost: NestCost) -> str:
    return f"{pj / cost.energy_pj:.1%}" if cost.energy_pj > 0 else "-"


def aligned(rows: Sequence[tuple[str, ...]], n_left: int) -> list[str]:
    """Lines of a table; the first `n_left` columns begin, the others end at one place."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        pairs = enumerate(zip(row, widths, strict=True))
        lines.append("  ".join(cell.ljust(w) if i < n_left else cell.rjust(w) for i, (cell, w) in pairs).rstrip())
    return lines
