# SPDX-License-Identifier: Apache-2.0
"""What the sizes of one loop at one level multiply what moves with: the options of the exact search."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nba.core.compiled import compiled
from nba.loopnest.layer import WALKS
from nba.loopnest.space import Room, blocked, overfull

_WALKS = np.array(WALKS)
SEQUENCE = np.array([0, 1, 6, 7, 2, 3, 4, 5], np.int64)
"""Loops in the order of the search: N, G, R, S, M, C, P, Q; kernel rows before the rows that they share inputs with."""
PLACE = np.argsort(SEQUENCE)
"""Where a loop stands in the search's sequence."""
# Columns of an option of one loop at one level.
ARRAY, TILE, AXIS, FAN, OWN, N_ARRAYS, N_TILES, N_FIRST, REACH_ARRAYS, REACH_TILES, FIRST, REACH_FIRST, LAST = range(13)
_COLUMNS = 13
STAYS = np.array([0, 0, 1, 1, 2], np.int64)
"""Operand that stays in the classes."""
SLIDES = np.array([5, 4, 5, 4, -1], np.int64)
"""Loop along which inputs slide."""


class Tree(NamedTuple):
    """State of the search; L levels, V = 8 L variables (a loop at a level), O options at most.

    sizes, times [L, 8, 2 L + 1], used [L, 8]: tiles of a loop, all instances; first_ the same for the first instance.
    options [L, 8, O, columns], n_options [L, 8], cursor [V]. n_tiles, n_first_path [L, 8]: tiles, all and of the first
    instance; own [L, 8]: their extents summed. partial [V + 1, 5, 6]: by class, sent and received elements of the
    three operands as far as known. least [L, 9, 5, 6]: product of the least factors of the loops from here on. fans [V
    + 1, X]: instances along the axes. compute [V + 1], least_compute [L, 9], rest [L, 9]: products of summed extents
    as known, least, and of the level above. energy [L, 5]: by class, of complete levels. done [L + 1]: least energies
    of the levels outside. plan [3, L, 8]: the member, with its parts arrays, tiles, orders [L, 8]; axes [L, 8]. floor
    [L + 1]: least energy of this level and all inside whatever the mapping. places [L + 1]: instances of this level
    and all inside, at most, for one of the level above. carried [L]: least cycles of loads and drains of complete
    levels.
    """

    sizes: np.ndarray
    times: np.ndarray
    used: np.ndarray
    first_sizes: np.ndarray
    first_times: np.ndarray
    first_used: np.ndarray
    options: np.ndarray
    n_options: np.ndarray
    cursor: np.ndarray
    n_tiles: np.ndarray
    n_first_path: np.ndarray
    own: np.ndarray
    partial: np.ndarray
    least: np.ndarray
    fans: np.ndarray
    compute: np.ndarray
    least_compute: np.ndarray
    rest: np.ndarray
    energy: np.ndarray
    done: np.ndarray
    plan: np.ndarray
    arrays: np.ndarray
    tiles: np.ndarray
    axes: np.ndarray
    orders: np.ndarray
    floor: np.ndarray
    places: np.ndarray
    carried: np.ndarray


def new_tree(space: Room, depth: int) -> Tree:
    ints = np.int64
    most = 0
    for d in range(8):
        sizes = 2 * int(np.sqrt(space.extents[d])) + 2
        fans = 1
        for level in range(depth):
            fans = max(fans, int(space.axis[level].sum()) + 1)
        most = max(most, sizes * min(fans, int(space.extents[d]) * space.axis.shape[1] + 1))
    nodes = 2 * depth + 1
    plan = np.ones((3, depth, 8), ints)
    tree = Tree(
        sizes=np.zeros((depth, 8, nodes), ints),
        times=np.zeros((depth, 8, nodes), ints),
        used=np.zeros((depth, 8), ints),
        first_sizes=np.zeros((depth, 8, nodes), ints),
        first_times=np.zeros((depth, 8, nodes), ints),
        first_used=np.zeros((depth, 8), ints),
        options=np.zeros((depth, 8, most, _COLUMNS), ints),
        n_options=np.zeros((depth, 8), ints),
        cursor=np.zeros(8 * depth, ints),
        n_tiles=np.ones((depth, 8), ints),
        n_first_path=np.ones((depth, 8), ints),
        own=np.ones((depth, 8), ints),
        partial=np.ones((8 * depth + 1, 5, 6)),
        least=np.ones((depth, 9, 5, 6)),
        fans=np.ones((8 * depth + 1, space.axis.shape[1]), ints),
        compute=np.ones(8 * depth + 1),
        least_compute=np.ones((depth, 9)),
        rest=np.ones((depth, 9)),
        energy=np.zeros((depth, 5)),
        done=np.zeros(depth + 1),
        plan=plan,
        arrays=plan[0],
        tiles=plan[1],
        axes=np.zeros((depth, 8), ints),
        orders=plan[2],
        floor=np.zeros(depth + 1),
        places=np.ones(depth + 1),
        carried=np.zeros(depth),
    )
    tree.arrays[0] = tree.tiles[0] = tree.own[0] = space.extents
    tree.sizes[0, :, 0] = tree.first_sizes[0, :, 0] = space.extents
    tree.times[0, :, 0] = tree.first_times[0, :, 0] = 1
    tree.used[0] = tree.first_used[0] = 1
    for level in range(depth - 1, -1, -1):
        tree.places[level] = tree.places[level + 1] * float(np.prod(np.maximum(1, space.axis[level])))
    return tree


@compiled
def _cut(sizes: np.ndarray, times: np.ndarray, used: int, size: int, to: np.ndarray, to_times: np.ndarray) -> int:
    """Cut tiles into parts of `size` and what is left; how many different parts there are."""
    rest, full = 0, 0
    for k in range(used):
        whole = sizes[k] // size
        left = sizes[k] - whole * size
        full += times[k] * whole
        if left > 0:
            to[rest], to_times[rest] = left, times[k]
            rest += 1
    if full > 0:
        to[rest], to_times[rest] = size, full
        rest += 1
    return rest


@compiled
def list_options(space: Room, tree: Tree, level: int, d: int, to: np.ndarray, to_times: np.ndarray) -> None:
    """List the sizes and unrollings of loop d at `level`, given those outside."""
    outside = tree.tiles[level - 1, d]
    unit = np.ones(8, np.int64)
    count = 0
    array = outside
    stride = space.strides[1 if d == 7 else 0]
    while True:
        tile = -1
        for fan in range(1, array + 1):
            smaller = (array + fan - 1) // fan
            if smaller == tile:
                continue
            tile = smaller
            if fan > 1:
                widest = 0
                for axis in range(space.axis.shape[1]):
                    if space.may[level, axis, d]:
                        widest = max(widest, space.axis[level, axis])
                if (array + tile - 1) // tile > widest:
                    break
            if space.unit[level, d] and tile > 1:
                continue
            unit[d] = tile
            if overfull(space, level, unit) >= 0:
                continue
            real = (array + tile - 1) // tile
            for axis in range(space.axis.shape[1]):
                if real == 1 and axis > 0:
                    break
                if real > 1 and not (space.may[level, axis, d] and real <= space.axis[level, axis]):
                    continue
                row = tree.options[level, d, count]
                row[ARRAY], row[TILE], row[AXIS], row[FAN] = array, tile, axis, real
                _count(tree, row, level, d, stride, to, to_times)
                count += 1
        if array == 1:
            break
        array = blocked(outside, (outside - 1) // ((outside + array - 1) // array))
    tree.n_options[level, d] = count


@compiled
def _count(tree: Tree, row: np.ndarray, level: int, d: int, stride: int, to: np.ndarray, to_times: np.ndarray) -> None:
    """Fill in the columns of an option that follow from its sizes."""
    array, tile = row[ARRAY], row[TILE]
    used = tree.used[level - 1, d]
    sizes, times = tree.sizes[level - 1, d], tree.times[level - 1, d]
    first = 0
    for k in range(used):
        first += times[k] * ((min(array, sizes[k]) + tile - 1) // tile)
    row[N_FIRST] = first
    parts = _cut(sizes, times, used, array, to, to_times)
    n, reach = 0, 0
    n_t, reach_t = 0, 0
    for k in range(parts):
        n += to_times[k]
        reach += to_times[k] * min(stride, to[k])
        whole = to[k] // tile
        left = to[k] - whole * tile
        n_t += to_times[k] * whole
        reach_t += to_times[k] * whole * min(stride, tile)
        if left > 0:
            n_t += to_times[k]
            reach_t += to_times[k] * min(stride, left)
    row[N_ARRAYS], row[REACH_ARRAYS], row[N_TILES], row[REACH_TILES] = n, reach, n_t, reach_t
    own, firsts, reach_first, lasts = 0, 0, 0, 0
    for k in range(tree.first_used[level - 1, d]):
        size, many = tree.first_sizes[level - 1, d, k], tree.first_times[level - 1, d, k]
        whole = size // array
        left = size - whole * array
        own += many * (whole * tile + min(left, tile))
        block = min(array, size)
        firsts += many * block
        reach_first += many * min(stride, block)
        lasts += many * (left if left > 0 else block)
    row[OWN], row[FIRST], row[REACH_FIRST], row[LAST] = own, firsts, reach_first, lasts


@compiled
def cut_tiles(tree: Tree, level: int, to: np.ndarray, to_times: np.ndarray) -> None:
    """All loops of `level` are chosen: the tiles that the next level starts from."""
    for d in range(8):
        array, tile = tree.arrays[level, d], tree.tiles[level, d]
        used = _cut(tree.sizes[level - 1, d], tree.times[level - 1, d], tree.used[level - 1, d], array, to, to_times)
        used = _cut(to, to_times, used, tile, tree.sizes[level, d], tree.times[level, d])
        tree.used[level, d] = used
        n = 0
        for k in range(used):
            n += tree.times[level, d, k]
        tree.n_tiles[level, d] = n
        used = tree.first_used[level - 1, d]
        used = _cut(tree.first_sizes[level - 1, d], tree.first_times[level - 1, d], used, array, to, to_times)
        n, own = 0, 0
        for k in range(used):
            tree.first_sizes[level, d, k] = min(tile, to[k])
            tree.first_times[level, d, k] = to_times[k]
            n += to_times[k]
            own += to_times[k] * min(tile, to[k])
        tree.first_used[level, d] = used
        tree.n_first_path[level, d], tree.own[level, d] = n, own


@compiled
def whole_kernel(tree: Tree, level: int, d: int) -> np.ndarray:
    """Of the options of a kernel loop, columns with the least reach: blocks first, and parts."""
    found = tree.options[level, d, 0].copy()
    for o in range(tree.n_options[level, d]):
        row = tree.options[level, d, o]
        found[REACH_ARRAYS] = min(found[REACH_ARRAYS], row[REACH_ARRAYS])
        found[REACH_TILES] = min(found[REACH_TILES], row[REACH_TILES])
    found[ARRAY] = found[TILE]
    return found


@compiled
def factors_of(tree: Tree, level: int, d: int, row: np.ndarray, kernel: np.ndarray, factors: np.ndarray) -> None:
    """By class, what an option of loop d multiplies sent and received elements of the operands with. kernel: for P and
    Q, the option of R or S, with which inputs are counted."""
    before = tree.n_tiles[level - 1, d]
    for c in range(5):
        for operand in range(3):
            if _WALKS[operand, d]:
                factors[c, operand] = 1.0
                factors[c, operand + 3] = 1.0
            elif STAYS[c] == operand:
                factors[c, operand] = before
                factors[c, operand + 3] = row[N_FIRST]
            else:
                factors[c, operand] = row[N_ARRAYS]
                factors[c, operand + 3] = row[N_TILES]
        if d == 4 or d == 5:
            blocks, parts = row[N_ARRAYS], row[N_TILES]
            if SLIDES[c] == d and row[ARRAY] == row[TILE] and kernel[ARRAY] == kernel[TILE]:
                blocks = parts = before
            extent, taps = tree.arrays[0, d], tree.arrays[0, d + 2]
            factors[c, 1] = (extent - blocks) * kernel[REACH_ARRAYS] + blocks * taps
            factors[c, 4] = (extent - parts) * kernel[REACH_TILES] + parts * taps
