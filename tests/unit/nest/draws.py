# SPDX-License-Identifier: Apache-2.0
"""Random small layers, hierarchies and legal mappings, from an explicit numpy Generator."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from nba.loopnest.hierarchy import Axis, Hierarchy, Level, LevelMemory, Link, Mac
from nba.loopnest.layer import DIMS, NestLayer, elements
from nba.loopnest.mapping import Mapping, mac_bits, operand_bits, problems

Triple = tuple[NestLayer, Hierarchy, Mapping]
BITS = (2, 3, 4, 8, 12, 16)


def numbered(seed: int, *, max_macs: int = 200) -> Triple:
    """Draw number `seed`."""
    return draw(np.random.default_rng([4, seed]), max_macs=max_macs)


def draw(rng: np.random.Generator, *, max_macs: int = 200) -> Triple:
    """A layer, a hierarchy and a legal mapping; memories have room for the mapping, often not a bit more."""
    layer = draw_layer(rng, max_macs=max_macs)
    hierarchy = _hierarchy(rng, layer)
    mapping = draw_mapping(rng, layer, hierarchy)
    hierarchy = _fit(rng, layer, hierarchy, mapping)
    found = problems(layer, hierarchy, mapping)
    assert not found, found
    return layer, hierarchy, mapping


def draw_layer(rng: np.random.Generator, *, max_macs: int) -> NestLayer:
    """A dense, grouped, depthwise or fully connected layer, with at most so many MACs."""
    while True:
        kind = rng.choice(["dense", "grouped", "depthwise", "connected", "any"])
        wide, narrow = (int(v) for v in rng.integers(1, 8, size=2))
        groups = int(rng.integers(2, 5))
        image = {name: int(rng.integers(1, 7)) for name in "pq"} | {name: int(rng.integers(1, 5)) for name in "rs"}
        channels = {
            "dense": {"m": wide, "c": narrow},
            "grouped": {"g": groups, "m": 1 + wide // 3, "c": 1 + narrow // 3},
            "depthwise": {"g": wide, "m": 1, "c": 1},
            "connected": {"m": 2 * wide, "c": 2 * narrow},
            "any": {"g": groups, "m": wide, "c": narrow},
        }[kind]
        layer = NestLayer(
            name=kind,
            n=int(rng.choice([1, 1, 2, 3])),
            stride_h=int(rng.integers(1, 4)),
            stride_w=int(rng.integers(1, 4)),
            weight_bits=int(rng.choice(BITS)),
            act_bits=int(rng.choice(BITS)),
            **channels,
            **({} if kind == "connected" else image),
        )
        if layer.macs <= max_macs:
            return layer


def _parts(rng: np.random.Generator, operands: list[int]) -> list[tuple[int, ...]]:
    """A random partition of operands."""
    labels = rng.integers(0, len(operands), size=len(operands))
    return [
        tuple(o for o, at in zip(operands, labels, strict=True) if at == label)
        for label in sorted(set(labels.tolist()))
    ]


def _hierarchy(rng: np.random.Generator, layer: NestLayer) -> Hierarchy:
    depth = int(rng.integers(2, 5))
    levels = []
    for level in range(depth):
        held = [0, 1, 2]
        if 0 < level < depth - 1:
            held = sorted(int(o) for o in rng.choice(3, size=int(rng.choice([1, 2, 3, 3])), replace=False))
        memories = tuple(
            LevelMemory(
                name=f"m{level}{i}",
                operands=operands,
                size_bits=None,
                word_bits=int(rng.choice([1, 8, 12, 16, 32, 64])),
                read_pj=float(rng.integers(1, 100)),
                write_pj=float(rng.integers(1, 100)),
                area_mm2=1.0,
            )
            for i, operands in enumerate(_parts(rng, held))
        )
        if level == 0:
            levels.append(Level(name="l0", memories=memories))
            continue
        axes = tuple(
            Axis(
                name=f"a{level}{i}",
                size=int(rng.integers(1, 5)),
                dims=tuple(sorted(int(d) for d in rng.choice(8, size=int(rng.integers(2, 9)), replace=False))),
            )
            for i in range(int(rng.choice([0, 1, 1, 2])))
        )
        links = tuple(
            Link(
                operands=operands,
                fill_bits_per_cycle=int(rng.choice([1, 3, 8, 16, 64, 1000])),
                drain_bits_per_cycle=int(rng.choice([1, 3, 8, 16, 64, 1000])),
                pj_per_bit=float(rng.integers(0, 3)),
            )
            for operands in _parts(rng, held)
        )
        restricted = level == depth - 1 and rng.random() < 0.2
        levels.append(
            Level(
                name=f"l{level}",
                memories=memories,
                axes=axes,
                links=links,
                double_buffered=bool(rng.random() < 0.6),
                innermost=(3, 6, 7) if level < depth - 1 and rng.random() < 0.2 else (),
                unit_tiles=tuple(int(d) for d in rng.choice(8, size=3, replace=False)) if restricted else (),
            )
        )
    mac = Mac(
        bits=mac_bits(layer),
        pj=1.0,
        area_mm2=1.0,
        accumulator_bits=int(rng.choice([17, 24, 32])),
        lanes=int(rng.choice([1, 1, 2, 3])),
    )
    return Hierarchy(name="random", clock_mhz=100.0, levels=tuple(levels), macs=(mac,))


def _share(rng: np.random.Generator, extent: int) -> int:
    """A part of an extent: often all of it or one element, and as often one that does not divide it."""
    return int(rng.choice([extent, 1, rng.integers(1, extent + 1), rng.integers(1, extent + 1)]))


def draw_mapping(rng: np.random.Generator, layer: NestLayer, hierarchy: Hierarchy) -> Mapping:
    """A mapping that is legal but for the sizes of the memories."""
    arrays, tiles, axes = [layer.extents], [layer.extents], [(0,) * 8]
    for level in range(1, len(hierarchy.levels)):
        spec = hierarchy.levels[level]
        room = list(hierarchy.axis_sizes(level, mac_bits(layer)))
        array, tile, along = [1] * 8, [1] * 8, [0] * 8
        for d in (int(d) for d in rng.permutation(8)):
            wanted = _share(rng, tiles[-1][d])
            array[d] = tile[d] = wanted
            choices = [i for i, axis in enumerate(spec.axes) if d in axis.dims and room[i] > 1]
            if choices and (d in spec.unit_tiles or rng.random() < 0.7):
                axis = int(rng.choice(choices))
                smallest = -(-wanted // room[axis])
                if d in spec.unit_tiles:
                    array[d], smallest, tile[d] = min(wanted, room[axis]), 1, 1
                else:
                    tile[d] = int(rng.integers(smallest, wanted + 1)) if rng.random() < 0.5 else smallest
                instances = -(-array[d] // tile[d])
                if instances > 1:
                    room[axis] //= instances
                    along[d] = axis
            elif d in spec.unit_tiles:
                array[d] = tile[d] = 1
        arrays.append(tuple(array))
        tiles.append(tuple(tile))
        axes.append(tuple(along))
    orders = []
    for spec in hierarchy.levels[:-1]:
        order = [int(d) for d in rng.permutation(8)]
        orders.append(tuple(sorted(order, key=lambda d: d in spec.innermost)))
    return Mapping(arrays=tuple(arrays), tiles=tuple(tiles), axes=tuple(axes), orders=tuple(orders))


def _fit(rng: np.random.Generator, layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping) -> Hierarchy:
    """The hierarchy with memories that hold the mapping's tiles."""
    levels = [hierarchy.levels[0]]
    for level in range(1, len(hierarchy.levels)):
        spec, lanes = hierarchy.levels[level], hierarchy.lanes(level, mac_bits(layer))
        memories = []
        for memory in spec.memories:
            words = sum(
                memory.words(
                    lanes * elements(o, mapping.tiles[level], layer.strides),
                    operand_bits(layer, hierarchy, o, level=level),
                )
                for o in memory.operands
            )
            words = words * (2 if spec.double_buffered else 1) + int(rng.choice([0, 0, rng.integers(0, 50)]))
            memories.append(replace(memory, size_bits=words * memory.word_bits))
        levels.append(replace(spec, memories=tuple(memories)))
    return replace(hierarchy, levels=tuple(levels))


def describe(triple: Triple) -> str:
    """A triple in few lines, for the message of a failed comparison."""
    layer, hierarchy, mapping = triple
    lines = [repr(layer)]
    for level, spec in enumerate(hierarchy.levels):
        order = " ".join(DIMS[d] for d in mapping.orders[level]) if level < len(mapping.orders) else ""
        lines += [repr(spec), f"  array {mapping.arrays[level]} tile {mapping.tiles[level]} order {order}"]
    return "\n".join(lines)


def n_instances(mapping: Mapping) -> int:
    """Instances of the innermost level that the largest blocks use."""
    pairs = zip(mapping.arrays, mapping.tiles, strict=True)
    return prod(-(-a // t) for array, tile in pairs for a, t in zip(array, tile, strict=True))
