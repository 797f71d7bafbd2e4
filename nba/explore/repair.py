# SPDX-License-Identifier: Apache-2.0
"""Compiled repair of accelerator choices: engines that use the DSP budget up, layers dealt out to these engines, and
the least rings that cost no cycles.

Cycles and DSPs here guide a search, which scores every result by the closed forms: drains are taken as the sizes of the
engines allow them, and a chunk's DSPs as the layers that it may get need them.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

import numpy as np

from nba.core.compiled import compiled
from nba.explore.space import PER_CHUNK, PER_SLOT, Rules
from nba.machine.designs import (
    ACC_BITS,
    ACT_BITS,
    COLS,
    DEGREE,
    FIRST_NEED,
    FIRST_RELEASE,
    HEIGHT_IN,
    INPUT,
    KERNEL_H,
    LAST_NEED,
    MIXES,
    PACKED,
    PAD_TOP,
    RESIDUAL,
    ROWS,
    STRIDE_H,
    TAPS,
    WEIGHT_BITS,
    WIDTH_IN,
    M,
    N,
    words_of,
)
from nba.machine.geometry import least_rows
from nba.machine.kernels import PAIR_BITS, chunk_dsp
from nba.machine.timing import (
    OVERHEAD_CYCLES,
    RELEASE_CYCLES,
    drain_cycles,
    job_cycles,
    lane_cycles,
    row_cycles,
    slot_cycles,
    work_cycles,
    written_cycles,
)

PRODUCTS, OPERAND, WIDE, LONG = 1, 2, 4, 8
"""What a layer needs DSPs for: its products, its residual operand, an accumulator of more than 24 bits, products of
codes too long for pairs."""
N_NEEDS = 4
"""How many of these there are."""
TRIES = 12
"""Attempts to make an engine larger, or smaller in vain."""
NOISE = 0.1
"""Part of its work by which a layer is blurred when it is dealt out."""


class Demand(NamedTuple):
    """What a network asks of the engines of a space.

    layers: its table; slots: int64 [L]. By option of pp, pm, pn: groups, int64 [L, pp], of columns; parts, int64
    [L, pm], groups of output channels; words, int64 [L, pm, pn], input words that such a group walks for one tap.
    needs: int64 [L], a sum of PRODUCTS to LONG; order: layers, the largest first; maps: layers, the largest input map
    first; acc_bits: the widest accumulator.
    """

    layers: np.ndarray
    slots: np.ndarray
    groups: np.ndarray
    words: np.ndarray
    parts: np.ndarray
    needs: np.ndarray
    order: np.ndarray
    maps: np.ndarray
    acc_bits: int


def demand(layers: np.ndarray, slot_of_layer: tuple[int, ...], rules: Rules) -> Demand:
    """The demand of the network of `layers` [L, 37] (nba.machine.designs.layer_table)."""
    columns, sizes_m, sizes_n = (rules.options[i, : rules.counts[i]] for i in (0, 3, 4))
    words = np.empty((len(layers), len(sizes_m), len(sizes_n)), np.int64)
    _words(layers, sizes_m, sizes_n, words)
    macs = layers[:, [ROWS, COLS, M, TAPS]].prod(1) * np.where(layers[:, MIXES] == 1, layers[:, N], 1)
    product = np.minimum(layers[:, ACT_BITS] + layers[:, WEIGHT_BITS], layers[:, ACC_BITS])
    needs = (
        PRODUCTS * ((product >= 9) | (layers[:, PACKED] > 1))
        + OPERAND * (layers[:, RESIDUAL] >= 0)
        + WIDE * (layers[:, ACC_BITS] > 24)
    )
    needs += LONG * (layers[:, [ACT_BITS, WEIGHT_BITS]].max(1) > PAIR_BITS)
    return Demand(
        layers=layers,
        slots=np.array(slot_of_layer, np.int64),
        groups=-(-layers[:, [COLS]] // (columns * layers[:, [DEGREE]])),
        words=words,
        parts=-(-layers[:, [M]] // sizes_m),
        needs=needs,
        order=np.argsort(-macs, kind="stable"),
        maps=np.argsort(-layers[:, [HEIGHT_IN, WIDTH_IN, N]].prod(1), kind="stable"),
        acc_bits=int(layers[:, ACC_BITS].max()),
    )


@compiled
def _words(layers: np.ndarray, sizes_m: np.ndarray, sizes_n: np.ndarray, words: np.ndarray) -> None:
    for i in range(layers.shape[0]):
        for m in range(sizes_m.size):
            for n in range(sizes_n.size):
                words[i, m, n] = words_of(layers[i], sizes_m[m], sizes_n[n])


@compiled
def _dsps(
    row: np.ndarray, may: np.ndarray, acc_bits: int, careful: bool, options: np.ndarray, pq: np.ndarray,
    dsp: np.ndarray,
) -> int:  # fmt: skip
    """The sum of dsp [K], which this fills, as it does pq [K], the drains; `careful`: as if every chunk wrote to every
    other one. may: int64 [K], needs of the layers that a chunk may get."""
    total = 0
    for k in range(pq.size):
        p = 1 + PER_CHUNK * k
        dsp[k] = 0
        if row[p + 1] != 0:
            continue
        pm = options[p + 2, row[p + 2]]
        pq[k] = gcd(options[p + 4, row[p + 4]], pm)
        for j in range(pq.size):
            q = 1 + PER_CHUNK * j
            if careful and row[q + 1] == 0:
                pq[k] = gcd(pq[k], options[q + 3, row[q + 3]] if row[q] == 0 else options[q + 2, row[q + 2]])
        bits = (PAIR_BITS + 1 if may[k] & LONG else PAIR_BITS) if may[k] & PRODUCTS else 0
        dsp[k] = chunk_dsp(
            row[p] == 0, pm, options[p + 3, row[p + 3]] if row[p] == 0 else 1, options[0, row[0]], pq[k], bits, bits,
            acc_bits if may[k] & WIDE else 24, may[k] & OPERAND > 0, 1,
        )  # fmt: skip
        total += dsp[k]
    return total


# One compiled kernel: its arguments are the arrays of a choice and of a `Demand`.
@compiled
def repair_engines(
    rng: np.random.Generator, row: np.ndarray, limit: int, may: np.ndarray, acc_bits: int, careful: bool,
    pq: np.ndarray, dsp: np.ndarray, options: np.ndarray, counts: np.ndarray, divides: np.ndarray,
) -> None:  # fmt: skip
    """Make engines of `row` smaller until all fit into `limit` DSPs, then larger while they do; fills pq and dsp."""
    total = _dsps(row, may, acc_bits, careful, options, pq, dsp)
    tries = 0
    while tries < TRIES:
        grows = total <= limit
        k = int(rng.random() * pq.size)
        p = 1 + PER_CHUNK * k
        which = p + (3 if row[p] == 0 and rng.random() < 0.5 else 2)
        size, drain = row[which], row[p + 4]
        row[which] = size + 1 if grows else size - 1
        changed = -1
        if row[p + 1] == 0 and 0 <= row[which] < counts[which]:
            while row[p + 4] > 0 and not divides[row[p + 2]] >> row[p + 4] & 1:
                row[p + 4] -= 1
            if divides[row[p + 2]] >> row[p + 4] & 1:
                changed = _dsps(row, may, acc_bits, careful, options, pq, dsp)
        tries += grows or changed < 0
        if changed < 0 or (grows and changed > limit):
            row[which], row[p + 4] = size, drain
        else:
            total = changed
    _dsps(row, may, acc_bits, careful, options, pq, dsp)


@compiled
def busy_cycles(
    row: np.ndarray, i: int, k: int, pq: int, layers: np.ndarray, groups: np.ndarray, words: np.ndarray,
    parts: np.ndarray, options: np.ndarray,
) -> int:  # fmt: skip
    """Engine cycles of one row of layer i on chunk k of `row`."""
    p = 1 + PER_CHUNK * k
    m = row[p + 2]
    drain = drain_cycles(options[p + 2, m], pq)
    slot = slot_cycles(words[i, m, row[p + 3]], layers[i, TAPS], drain, layers[i, PACKED])
    return row_cycles(work_cycles(groups[i, row[0]], parts[i, m], slot))


# One compiled loop: its moves and exchanges share the loads, which every step changes.
@compiled
def deal(
    rng: np.random.Generator, order: np.ndarray, cycles: np.ndarray, load: np.ndarray, owner: np.ndarray
) -> None:  # fmt: skip
    """Fill owner [L] and load [K]: every layer, in `order`, to the chunk that would be done with it first, then moves
    and exchanges of layers of the busiest chunk while they help. cycles: int64 [L, K], 0 where a layer may not be."""
    n_layers, n_chunks = cycles.shape
    load[:] = 0
    for i in order:
        best = -1
        least = 0.0
        for k in range(n_chunks):
            if cycles[i, k] > 0:
                done = (load[k] + cycles[i, k]) * (1.0 + NOISE * (rng.random() - 0.5))
                if best < 0 or done < least:
                    best = k
                    least = done
        load[best] += cycles[i, best]
        owner[i] = best
    while True:
        top = load.argmax()
        peak = load[top]
        best = peak
        moved = -1
        partner = -1
        to = -1
        for i in range(n_layers):
            if owner[i] != top:
                continue
            left = peak - cycles[i, top]
            for k in range(n_chunks):
                if k == top or cycles[i, k] == 0:
                    continue
                there = load[k] + cycles[i, k]
                if max(left, there) < best:
                    best = max(left, there)
                    moved, partner, to = i, -1, k
                if there >= 2 * peak:
                    continue
                for j in range(n_layers):
                    if owner[j] == k and cycles[j, top] > 0:
                        both = max(left + cycles[j, top], there - cycles[j, k])
                        if both < best:
                            best = both
                            moved, partner, to = i, j, k
        if moved < 0:
            return
        owner[moved] = to
        load[top] -= cycles[moved, top]
        load[to] += cycles[moved, to]
        if partner >= 0:
            owner[partner] = top
            load[top] += cycles[partner, top]
            load[to] -= cycles[partner, to]


# One compiled kernel: its arguments are the arrays of a choice and of the layers.
@compiled
def repair_rings(
    row: np.ndarray, first_slot: int, slack: float, layers: np.ndarray, slots: np.ndarray, maps: np.ndarray,
    per_row: np.ndarray, pq: np.ndarray, owner: np.ndarray, load: np.ndarray, minimal: int, whole: int,
    busy: np.ndarray, options: np.ndarray,
) -> None:  # fmt: skip
    """Every layer to its owner [L], without a stage offset; rings of one map, or of the fewest rows where no chunk's
    load then exceeds `slack` times the largest, the largest maps first. per_row: int64 [L], cycles of a row on its
    owner; busy [L] is written to. The bounds are those of nba.machine.closed_form."""
    n_layers = owner.size
    peak = load.max() * slack
    again = 1 + RELEASE_CYCLES + OVERHEAD_CYCLES
    for i in range(n_layers):
        p = first_slot + PER_SLOT * slots[i]
        row[p] = owner[i]
        row[p + 1] = 0
        row[p + 2] = whole
        busy[i] = job_cycles(layers[i, ROWS], per_row[i])
    for i in maps:
        x = layers[i]
        p = x[INPUT] - 1
        if p < 0 or owner[p] == owner[i]:
            continue
        mine, theirs = per_row[i], per_row[p]
        e = 1 + PER_CHUNK * owner[p]
        lanes = lane_cycles(options[e + 3, row[e + 3]], layers[p, PACKED]) if row[e] == 0 else 0
        drain = layers[p, DEGREE] * drain_cycles(options[e + 2, row[e + 2]], pq[owner[p]])
        seen = written_cycles(theirs, drain, lanes) + 1
        held = least_rows(x[KERNEL_H], x[STRIDE_H])
        short = x[HEIGHT_IN] - held
        if short <= 0:
            continue
        late = x[LAST_NEED] - held
        here = busy[i]
        if late >= 0:
            here = max(here, (x[FIRST_RELEASE] + 2) * mine + late * theirs + seen + again)
        last = min(x[ROWS] - 1, (short + x[PAD_TOP] - 1) // x[STRIDE_H])
        there = (x[FIRST_NEED] + 1) * theirs + seen + (last + 1) * mine + again
        there = max(busy[p], there)
        more, others = here - busy[i], there - busy[p]
        if load[owner[i]] + more <= peak and load[owner[p]] + others <= peak:
            load[owner[i]] += more
            load[owner[p]] += others
            busy[i], busy[p] = here, there
            row[first_slot + PER_SLOT * slots[i] + 2] = minimal


@compiled
def area_time(cycles: np.ndarray, dsp: np.ndarray) -> float:
    """A lower bound of the largest load: sum over layers of the least share of the DSPs times cycles."""
    total = 0.0
    for i in range(cycles.shape[0]):
        least = -1.0
        for k in range(cycles.shape[1]):
            if cycles[i, k] > 0 and (least < 0.0 or dsp[k] * cycles[i, k] < least):
                least = float(dsp[k] * cycles[i, k])
        total += least
    return total / max(1, dsp.sum())
