# SPDX-License-Identifier: Apache-2.0
"""The space of mappings that the searches look through.

Loop by loop, a mapping is a chain of sizes. `arrays[l]` is ceil(tiles[l - 1] / n) for a number n of blocks: between
two such sizes the number of blocks is the same and only the last one gets smaller. `tiles[l]` is ceil(arrays[l] / f)
for a number f of instances along an axis that the loop may be unrolled along.

Orders: what moves depends, level by level, only on the innermost loop with several blocks that walks an operand. Every
loop but G is not walked by exactly one operand (N, P, Q: weights; M: inputs; C, R, S: outputs), so only one operand
can be reused while the innermost loops advance, and all loops that it does not depend on belong there; inputs may
slide along P or Q beside them. `canonical_orders` lists these few orders: none of the 40,320 moves less. Which of two
loops outside them comes first only matters to how the smaller last blocks meet in time.
"""

from __future__ import annotations

from itertools import product
from math import ceil
from typing import NamedTuple

import numpy as np

from nba.core.compiled import compiled
from nba.core.errors import NbaError
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import DIMS, WALKS, C, G, M, N, NestLayer, P, Q, R, S
from nba.loopnest.mapping import Loops, Mapping, mac_bits, operand_bits, overflow

_WALKS = np.array(WALKS)


class Room(NamedTuple):
    """What a mapping of one layer may use, for compiled code; L levels, X axes per level at most.

    words [L, memories]: of a memory, -1 without bound. store [L, 3]: memory of an operand, or -1. packed [L, 3]:
    elements in a word, or minus the words of an element. copies [L]: 2 where tiles are double buffered. lanes [L]:
    instances that share one place's memories. axis [L, X]: sizes, 0 where there is none. may [L, X, 8]: loops that
    may be unrolled along it. unit [L, 8]: loops of which an instance holds one element.
    """

    extents: np.ndarray
    strides: np.ndarray
    words: np.ndarray
    store: np.ndarray
    packed: np.ndarray
    copies: np.ndarray
    lanes: np.ndarray
    axis: np.ndarray
    may: np.ndarray
    unit: np.ndarray


def room(layer: NestLayer, hierarchy: Hierarchy) -> Room:
    """The room for `layer`. Raises NbaError if not even the smallest tile fits: level, memory, operands, bytes
    short."""
    depth = len(hierarchy.levels)
    n_memories = max(len(level.memories) for level in hierarchy.levels)
    n_axes = max(1, *(len(level.axes) for level in hierarchy.levels))
    words = np.full((depth, n_memories), -1, np.int64)
    store, packed = np.full((depth, 3), -1, np.int64), np.ones((depth, 3), np.int64)
    axis, may = np.zeros((depth, n_axes), np.int64), np.zeros((depth, n_axes, 8), np.bool_)
    unit = np.zeros((depth, 8), np.bool_)
    short: list[str] = []
    for number, level in enumerate(hierarchy.levels):
        if number > 0:
            short += overflow(layer, hierarchy, number, (1,) * len(DIMS))
        for place, memory in enumerate(level.memories):
            if memory.size_bits is not None and number > 0:
                words[number, place] = memory.size_bits // memory.word_bits
            for operand in memory.operands:
                bits = operand_bits(layer, hierarchy, operand, level=number)
                store[number, operand] = place
                fit = memory.word_bits // bits
                packed[number, operand] = fit if fit else -ceil(bits / memory.word_bits)
        for place, size in enumerate(hierarchy.axis_sizes(number, mac_bits(layer))):
            axis[number, place] = size
            may[number, place, list(level.axes[place].dims)] = True
        unit[number, list(level.unit_tiles)] = True
    if short:
        raise NbaError(
            f"layer {layer.name}: no mapping fits hierarchy {hierarchy.name}, even with tiles of one element: "
            + "; ".join(short)
            + ". Enlarge the memory or use fewer bits"
        )
    return Room(
        extents=np.array(layer.extents, np.int64),
        strides=np.array(layer.strides, np.int64),
        words=words,
        store=store,
        packed=packed,
        copies=np.array([2 if level.double_buffered else 1 for level in hierarchy.levels], np.int64),
        lanes=np.array([hierarchy.lanes(number, mac_bits(layer)) for number in range(depth)], np.int64),
        axis=axis,
        may=may,
        unit=unit,
    )


ORDER_CLASSES = (((N, P), (Q,)), ((N, Q), (P,)), ((Q,), (M,)), ((P,), (M,)), ((), (C, R, S)))
"""Loops at the innermost end, outermost first: weights stay and inputs slide along Q, or P; inputs stay, and slide
along Q, or P, when they do not; outputs stay."""


def _arranged(dims: tuple[int, ...], tail: tuple[tuple[int, ...], tuple[int, ...]]) -> Loops:
    """`dims` with the loops of `tail` inside, the others in a fixed order outside."""
    inner = [d for part in tail for d in part if d in dims]
    outer = [d for d in (G, N, M, C, R, S, P, Q) if d in dims and d not in inner]
    return (*outer, *inner)


def canonical_orders(
    innermost: tuple[int, ...] = (), classes: tuple[int, ...] = tuple(range(len(ORDER_CLASSES)))
) -> tuple[Loops, ...]:
    """The orders of a level that are worth looking at. innermost: loops that must be inside all others. classes:
    indices into ORDER_CLASSES; only these."""
    allowed = [ORDER_CLASSES[c] for c in classes]
    inside = tuple(sorted(innermost))
    outside = tuple(d for d in range(8) if d not in inside)
    found: dict[Loops, None] = {}
    for outer, inner in product(allowed, allowed):
        found[_arranged(outside, outer) + _arranged(inside, inner)] = None
    return tuple(found)


def level_orders(hierarchy: Hierarchy) -> np.ndarray:
    """canonical_orders of levels 0 .. L - 2: [L - 1, most, 8]."""
    return padded_orders([canonical_orders(level.innermost) for level in hierarchy.levels[:-1]])


def padded_orders(lists: list[tuple[Loops, ...]]) -> np.ndarray:
    """Lists of orders as one array [levels, most, 8]; shorter lists repeat their first order."""
    most = max(len(orders) for orders in lists)
    return np.array([orders + orders[:1] * (most - len(orders)) for orders in lists], np.int64)


def as_mapping(arrays: np.ndarray, tiles: np.ndarray, axes: np.ndarray, orders: np.ndarray) -> Mapping:
    """A mapping from the arrays of compiled code."""

    def rows(table: np.ndarray) -> tuple[Loops, ...]:
        return tuple(tuple(int(v) for v in row) for row in table)

    unrolled = np.where(arrays > tiles, axes, 0)
    return Mapping(arrays=rows(arrays), tiles=rows(tiles), axes=rows(unrolled), orders=rows(orders))


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S33 = (np.uint64(n) for n in (27, 30, 31, 33))


@compiled
def draw_integer(state: np.ndarray, n: int) -> int:
    """An integer in 0 .. n - 1 from the generator `state` (uint64 [1]): splitmix64."""
    state[0] += _GOLDEN
    z = state[0]
    z = (z ^ (z >> _S30)) * _MIX1
    z = (z ^ (z >> _S27)) * _MIX2
    z ^= z >> _S31
    return int(np.int64(z >> _S33) % n)


@compiled
def draw_log(state: np.ndarray, n: int) -> int:
    """An integer in 1 .. n, small ones more often: as often between 2**k and 2**(k + 1) for every k."""
    bits = 0
    while (1 << bits) <= n:
        bits += 1
    low = 1 << draw_integer(state, bits)
    return low + draw_integer(state, min(low, n - low + 1))


@compiled
def held(operand: int, tile: np.ndarray, strides: np.ndarray) -> int:
    """Elements of an operand in a tile [8]; strides [2] of rows and columns."""
    if operand == 0:
        return tile[1] * tile[2] * tile[3] * tile[6] * tile[7]
    if operand == 2:
        return tile[0] * tile[1] * tile[2] * tile[4] * tile[5]
    rows = (tile[4] - 1) * min(strides[0], tile[6]) + tile[6]
    columns = (tile[5] - 1) * min(strides[1], tile[7]) + tile[7]
    return tile[0] * tile[1] * tile[3] * rows * columns


@compiled
def overfull(space: Room, level: int, tile: np.ndarray) -> int:
    """A memory of `level` that a tile does not fit, or -1."""
    for memory in range(space.words.shape[1]):
        if space.words[level, memory] < 0:
            continue
        total = 0
        for operand in range(3):
            if space.store[level, operand] == memory:
                elements = space.lanes[level] * held(operand, tile, space.strides)
                packed = space.packed[level, operand]
                total += (elements + packed - 1) // packed if packed > 0 else -packed * elements
        if total * space.copies[level] > space.words[level, memory]:
            return memory
    return -1


@compiled
def blocked(extent: int, size: int) -> int:
    """The smallest size with as many blocks of `extent` as `size` (at most `extent`) gives."""
    n = (extent + size - 1) // size
    return (extent + n - 1) // n


@compiled
def instances_along(level: int, axis: int, arrays: np.ndarray, tiles: np.ndarray, axes: np.ndarray) -> int:
    """Instances along an axis of a level."""
    used = 1
    for d in range(8):
        if axes[level, d] == axis:
            used *= (arrays[level, d] + tiles[level, d] - 1) // tiles[level, d]
    return used


@compiled
def chain(space: Room, level: int, d: int, fan: int, tile: int, arrays: np.ndarray, tiles: np.ndarray) -> None:
    """Set the sizes of a loop at a level to about `tile` in each of about `fan` instances."""
    outside = tiles[level - 1, d]
    if space.unit[level, d]:
        tile = 1
    array = blocked(outside, min(outside, fan * tile))
    arrays[level, d] = array
    tiles[level, d] = (array + fan - 1) // fan


@compiled
def settle(space: Room, arrays: np.ndarray, tiles: np.ndarray, axes: np.ndarray, state: np.ndarray) -> None:
    """Make a member of the space of wished sizes [L, 8], level by level from the outside: too many instances and tiles
    that do not fit are made smaller in loops drawn from the generator. The smallest tile must fit (see `room`)."""
    for level in range(1, arrays.shape[0]):
        for d in range(8):
            fan = (arrays[level, d] + tiles[level, d] - 1) // tiles[level, d]
            axis = axes[level, d]
            if fan > 1 and not (space.axis[level, axis] > 1 and space.may[level, axis, d]):
                fan = 1
            chain(space, level, d, fan, tiles[level, d], arrays, tiles)
        for axis in range(space.axis.shape[1]):
            size = max(1, space.axis[level, axis])
            while True:
                used = instances_along(level, axis, arrays, tiles, axes)
                if used <= size:
                    break
                d = draw_integer(state, 8)
                fan = (arrays[level, d] + tiles[level, d] - 1) // tiles[level, d]
                if axes[level, d] == axis and fan > 1:
                    chain(space, level, d, max(1, size * fan // used), tiles[level, d], arrays, tiles)
        while True:
            memory = overfull(space, level, tiles[level])
            if memory < 0:
                break
            d = draw_integer(state, 8)
            tile = tiles[level, d]
            helps = False
            for operand in range(3):
                if space.store[level, operand] == memory and _WALKS[operand, d]:
                    helps = True
            if tile > 1 and helps:
                fan = (arrays[level, d] + tile - 1) // tile
                smaller = (tile + 1) // 2 if draw_integer(state, 2) else tile - 1
                chain(space, level, d, fan, smaller, arrays, tiles)


@compiled
def random_member(
    space: Room, choices: np.ndarray, arrays: np.ndarray, tiles: np.ndarray, axes: np.ndarray, orders: np.ndarray,
    state: np.ndarray,
) -> None:  # fmt: skip
    """Draw a member of the space; choices [L - 1, n, 8]: orders to draw from."""
    depth = arrays.shape[0]
    arrays[0], tiles[0] = space.extents, space.extents
    for level in range(1, depth):
        for d in range(8):
            outside = tiles[level - 1, d]
            blocks = 1 if draw_integer(state, 2) else draw_log(state, outside)
            size = (outside + blocks - 1) // blocks
            axis = draw_integer(state, space.axis.shape[1])
            fan = 1
            if space.axis[level, axis] > 1 and space.may[level, axis, d]:
                fan = draw_log(state, min(outside, space.axis[level, axis]))
            axes[level, d] = axis
            tiles[level, d] = max(1, size // fan)
            arrays[level, d] = min(outside, fan * tiles[level, d])
            if space.unit[level, d]:
                tiles[level, d], arrays[level, d] = 1, fan
    settle(space, arrays, tiles, axes, state)
    for level in range(depth - 1):
        orders[level] = choices[level, draw_integer(state, choices.shape[1])]
