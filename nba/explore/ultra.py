# SPDX-License-Identifier: Apache-2.0
"""Which written memories of a design lie in UltraRAM: as few blocks of it as bring block RAM within its budget.

A choice for each memory: the block RAM that it saves, the UltraRAM that it takes. Two answers: the best one for a
finished program, by dynamic programming over the number of blocks; and a greedy one for estimates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from nba.boards import Platform
from nba.ir.accelerator import UltraMemory
from nba.machine import kernels
from nba.machine.program import Program, store_of
from nba.machine.resources import Memory, banks, predict, style, weight_rom

blocks_of = lru_cache(maxsize=65536)(kernels.uram)
"""UltraRAM blocks of a memory, remembered (nba.machine.kernels.uram)."""


def candidates(program: Program, platform: Platform) -> Iterator[tuple[UltraMemory, int, int]]:
    """The memories of block RAM that UltraRAM can hold, with the 18-Kbit blocks that each takes and the UltraRAM blocks
    that it would take. The program has none in UltraRAM."""
    found: list[tuple[UltraMemory, Memory, int]] = [
        (edge.memory, banks(edge, program.banks), program.block_luts) for edge in program.edges
    ]
    # Nothing fills UltraRAM with words from a file.
    found += [
        (store_of(k), weight_rom(chunk), 0)
        for k, chunk in enumerate(program.chunks)
        if chunk.slots and not chunk.weight_depth
    ]
    for name, memory, price in found:
        saved = memory.bram18(style(memory, platform, price))
        if saved:
            taken = memory.copies * blocks_of(memory.width_bits, memory.words, memory.sub_width_bits)
            yield name, saved, taken


def ultra_memories(program: Program, platform: Platform, bram18: int, uram: int) -> tuple[UltraMemory, ...]:
    """The memories of `program` that lie in the fewest of at most `uram` UltraRAM blocks with which the others are
    within `bram18` block RAMs; where that cannot be, those that save the most block RAM. `program` has none there."""
    excess = predict(program, platform).bram18 - bram18
    if excess <= 0 or uram <= 0:
        return ()
    found = list(candidates(program, platform))
    best = np.zeros(uram + 1, np.int64)
    """The most block RAM that the memories so far save in so many blocks."""
    chosen = np.zeros((len(found), uram + 1), bool)
    for i, (_, saved, taken) in enumerate(found):
        if taken <= uram:
            trial = best[: uram + 1 - taken] + saved
            chosen[i, taken:] = trial > best[taken:]
            best[taken:] = np.maximum(best[taken:], trial)
    left = int(np.argmax(best >= min(excess, int(best[-1]))))
    taken_by: list[UltraMemory] = []
    for i in range(len(found) - 1, -1, -1):
        if chosen[i, left]:
            taken_by.append(found[i][0])
            left -= found[i][2]
    return tuple(reversed(taken_by))


def greedy_saving(items: Sequence[tuple[int, int]], uram: int) -> int:
    """Block RAM that memories save, each of which saves so many and takes so many UltraRAM blocks of `uram`: those that
    save the most per block first."""
    saved = 0
    for save, take in sorted(items, key=lambda item: item[0] / item[1], reverse=True):
        if take <= uram:
            uram -= take
            saved += save
    return saved
