# SPDX-License-Identifier: Apache-2.0
"""LUTs and flip-flops of a design: an estimate, linear in features of its parts.

The coefficients are fitted to complete syntheses of small designs (benchmarks/calibrate_logic.py), part by part, and
stand with their error in nba.boards.logic. DSP and block RAM are exact; these two numbers are not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nba.boards import LogicTable, Platform
from nba.core.compiled import compiled
from nba.ir.accelerator import Accelerator, Place
from nba.ir.network import MULT_BITS, Network
from nba.machine.blocks import compiled_bram18
from nba.machine.designs import Designs
from nba.machine.geometry import bits_below, input_word
from nba.machine.kernels import IN_LUTS, PAIR_BITS, SINGLE, chains, is_block, products
from nba.machine.parts import (
    C_ACC,
    C_ACT,
    C_CHAINS,
    C_DEGREE,
    C_DST,
    C_JOBS,
    C_MIXES,
    C_NEST_ACT,
    C_NEST_WEIGHT,
    C_PACKING,
    C_PAD_WORDS,
    C_PARAM_WORDS,
    C_PM,
    C_PN,
    C_PP,
    C_PQ,
    C_PRODUCT_LUT,
    C_PROGRAM_WORDS,
    C_REQUANT_LUT,
    C_RES,
    C_SHIFT,
    C_SHIFT_LEAST,
    C_SHIFT_MOST,
    C_SRC,
    C_STORE,
    C_STORE_ROWS,
    C_STORE_ULTRA,
    C_STORE_WIDTH,
    C_WEIGHT,
    C_WEIGHT_WORDS,
    CHUNK_COLUMNS,
    E_DEPTH,
    E_LANES,
    E_RINGS,
    E_ULTRA,
    E_WRITE,
    EDGE_COLUMNS,
    H_ADDRESS,
    H_BANKS,
    H_CODE_BITS,
    H_FETCHES,
    H_IN_COLS,
    H_IN_LANES,
    H_OUT_COLS,
    H_OUT_LANES,
    H_READ_BITS,
    H_STORES,
    HOST_COLUMNS,
    Parts,
    fill,
    n_edge_slots,
    parts,
)  # fmt: skip
from nba.machine.placement import chosen_milli, multiplier_table, place_multipliers
from nba.machine.program import Program, lower
from nba.machine.resources import rom_words

PlaceLimits = tuple[int, int]
"""DSP blocks and LUTs that a design may take."""

FEATURES: tuple[tuple[str, str], ...] = (
    ("array", "accumulator bits"),
    ("array", "adder bits of the lane sums"),
    ("array", "bits of products too small for a DSP block"),
    ("array", "operand bits times operand bits of these"),
    ("array", "bits of products that have a DSP block each"),
    ("array", "bits of products that are taken out of a packed one"),
    ("align", "operand bits"),
    ("align", "bits per stage of the rotator"),
    ("align", "operand bits that are nested"),
    ("align", "bits of packed operands"),
    ("nest", "weight bits"),
    ("nest", "weight bits that are nested"),
    ("requant", "values"),
    ("requant", "values times accumulator bits"),
    ("requant", "values with residuals"),
    ("requant", "channels"),
    ("drain", "one"),
    ("drain", "accumulator bits"),
    ("drain", "accumulator bits that are shifted"),
    ("drain", "bits per cycle"),
    ("roms", "bits of a word in distributed memory"),
    ("roms", "bits of a word times 64-word stretches"),
    ("program", "one, of several jobs"),
    ("program", "address bits"),
    ("counters", "32-job stretches"),
    ("control", "one"),
    ("control", "mixes"),
    ("control", "banks"),
    ("control", "bits of input words from further edges"),
    ("control", "bits of residual words"),
    ("control", "output edges"),
    ("rings", "one"),
    ("rings", "rings"),
    ("ram", "bits of distributed words"),
    ("ram", "bits of distributed words times 32-word stretches"),
    ("writer", "one"),
    ("writer", "banks"),
    ("writer", "bits per cycle"),
    ("writer", "places in a word"),
    ("host", "one"),
    ("host", "input bits"),
    ("host", "output bits"),
    ("host", "chunks"),
    ("align", "bits of columns, times banks less one"),
    ("roms", "bits of a word"),
    ("ram", "bits of words"),
    ("requant", "values times multiples of eight that shifts differ by"),
    ("requant", "values times bits that shifts differ by, at most seven"),
    ("control", "address bits"),
    ("control", "banks times address bits"),
    ("rings", "rings times address bits"),
    ("writer", "address bits"),
    ("writer", "banks times address bits"),
)
"""(part, what is counted): the columns of `features`."""


# One compiled loop: every part adds to the features in one pass, by their places in FEATURES.
@compiled
def features(
    chunks: np.ndarray, edges: np.ndarray, host: np.ndarray, min_words: int, min_bits: int, block_luts: int,
    found: np.ndarray,
) -> int:  # fmt: skip
    """Adds the features of one design's parts (nba.machine.parts) to found int64 [53], by FEATURES. Returns what else
    there is of memories in LUTs, because they are worth it: bits of their words times 64-word stretches."""
    deep = 0
    banks, code_bits, address = host[H_BANKS], host[H_CODE_BITS], host[H_ADDRESS]
    for k in range(len(chunks)):
        c = chunks[k]
        if c[C_JOBS] == 0:
            continue
        pp = c[C_PP]
        pm, pn, pq, acc, act, weight = c[C_PM], c[C_PN], c[C_PQ], c[C_ACC], c[C_ACT], c[C_WEIGHT]
        lanes, degree = input_word(c[C_MIXES] == 1, pm, pn), c[C_DEGREE]
        kind = products(c[C_MIXES] == 1, act, weight, acc, c[C_PACKING])
        product = min(act + weight, acc)
        # Bits of the products of one lane, of all columns of a group; a column behind the first has a field's.
        fields = min(product if degree == 1 else 2 * PAIR_BITS, acc)
        for i in range(1, degree):
            fields += PAIR_BITS if i == 1 else PAIR_BITS // 2
        found[0] += pm * pp * degree * acc
        if c[C_CHAINS] == 1 and chains(kind, degree, pn):
            found[1] += pm * pp * ((pn + 1) // 2 - 1) * (fields + 2)
        else:
            found[1] += pm * pp * (pn - 1) * (fields + degree)
        if kind == IN_LUTS:
            found[2] += pm * pn * pp * product
            found[3] += pm * pn * pp * (act + 1) * weight
        if kind == SINGLE:
            found[4] += pm * pn * pp * product
        if degree > 1:
            found[5] += pm * pn * pp * fields
        found[6] += pp * degree * lanes * (act + 1)
        found[7] += banks * lanes * code_bits * bits_below(banks)
        found[8] += c[C_NEST_ACT] * pp * degree * lanes * (act + 1)
        if c[C_PACKING] > 1:
            found[9] += pp * lanes * (act + 1 if degree == 1 else 11 + degree)
        found[10] += pm * pn * weight
        found[11] += c[C_NEST_WEIGHT] * pm * pn * weight
        found[12] += pq * pp
        found[13] += pq * pp * acc
        found[14] += min(1, c[C_RES]) * pq * pp
        found[15] += pq
        apart = c[C_SHIFT_MOST] - c[C_SHIFT_LEAST]
        found[46] += pq * pp * (apart // 8)
        found[47] += pq * pp * min(apart, 7)
        found[16] += 1
        found[17] += pm * pp * degree * acc
        found[18] += pm * pp * degree * acc if pm * degree > pq else 0
        found[19] += pq * pp * acc
        found[43] += pp * degree * lanes * code_bits * (banks - 1)
        if c[C_STORE_ROWS] > 0:
            # A store is a memory that is written, as those of the edges.
            found[45] += c[C_STORE_WIDTH]
            if c[C_STORE_ULTRA] == 0 and not is_block(c[C_STORE_WIDTH], c[C_STORE_ROWS], min_words, min_bits):
                found[33] += c[C_STORE_WIDTH]
                found[34] += c[C_STORE_WIDTH] * ((c[C_STORE_ROWS] + 31) // 32)
        for rom in range(1 if c[C_STORE_ROWS] > 0 else 0, 3 if c[C_PAD_WORDS] > 0 else 2):
            width = pm * pn * c[C_STORE] if rom == 0 else pq * (acc + MULT_BITS + c[C_SHIFT])
            words = rom_words(c[C_WEIGHT_WORDS] if rom == 0 else c[C_PARAM_WORDS])
            if rom == 2:
                width, words = lanes * code_bits, rom_words(c[C_PAD_WORDS])
            found[44] += width
            if not is_block(width, words, min_words, min_bits):
                found[20] += width
                found[21] += width * ((words + 63) // 64)
        if c[C_JOBS] > 1:
            found[22] += 1
        found[23] += bits_below(c[C_PROGRAM_WORDS])
        found[24] += (c[C_JOBS] + 31) // 32
        found[25] += 1
        found[26] += c[C_MIXES]
        found[27] += banks
        found[48] += address
        found[49] += banks * address
        found[28] += (c[C_SRC] - 1) * banks * lanes * code_bits
        found[29] += c[C_RES] * banks * pq * code_bits
        found[30] += c[C_DST]
        found[42] += 1
    for e in range(len(edges)):
        edge = edges[e]
        if edge[E_RINGS] == 0:
            continue
        bits = banks * edge[E_LANES] * code_bits
        found[31] += 1
        found[32] += edge[E_RINGS]
        found[50] += edge[E_RINGS] * address
        found[45] += bits
        block = is_block(edge[E_LANES] * code_bits, edge[E_DEPTH], min_words, min_bits)
        if edge[E_ULTRA] == 1:
            block = True
        elif block_luts > 0:
            width, sub = edge[E_LANES] * code_bits, edge[E_WRITE] * code_bits
            stretches = (edge[E_DEPTH] + 63) // 64
            block = 2 * width * stretches > block_luts * compiled_bram18(width, edge[E_DEPTH], sub)
            if not block and stretches > 1:
                deep += bits * stretches
        if not block:
            found[33] += bits
            found[34] += bits * ((edge[E_DEPTH] + 31) // 32)
        found[35] += 1
        found[36] += banks
        found[51] += address
        found[52] += banks * address
        found[37] += banks * edge[E_WRITE] * code_bits
        found[38] += edge[E_LANES] // edge[E_WRITE]
    found[39] += 1
    found[40] += host[H_IN_COLS] * host[H_IN_LANES] * code_bits
    found[41] += host[H_OUT_COLS] * host[H_OUT_LANES] * code_bits
    return deep


# What shifts and pad codes per channel add besides bits of memory is not calibrated, but stated, in thousandths of a
# LUT and of a flip-flop, as yosys builds it (docs/decisions/0020-shifts-and-pad-codes-per-channel.md). Per requantised
# channel: the sum of shifts, and a rounding constant of its own; per chunk: the address of its pad codes; per bit of a
# word of codes: the choice between the two kinds of pad.
SHIFTED = (82_000, 55_000)
PADDED = (7_000, 22_000)
PADDED_BIT = (1_000, 1_000)
# So is what reads streamed weights (docs/decisions/0030-streamed-weights.md): the reader, per bit of its port, per
# store that it feeds, per 64 fetches of its list; a store besides its memory, and per bit of the port.
READER = (250_000, 345_000)
READER_BIT = (0, 1_000)
READER_STORE = (10_000, 10_000)
READER_LIST = (37_000, 0)
STORE = (55_000, 50_000)
STORE_BIT = (0, 1_000)


@compiled
def stated(chunks: np.ndarray, host: np.ndarray, which: int) -> int:
    """Thousandths of a LUT (which 0) or flip-flop (1) of shifts and pad codes per channel, and of what reads streamed
    weights."""
    milli, code_bits = 0, host[H_CODE_BITS]
    if host[H_STORES] > 0:
        milli += READER[which] + host[H_READ_BITS] * READER_BIT[which] + host[H_STORES] * READER_STORE[which]
        milli += (host[H_FETCHES] + 63) // 64 * READER_LIST[which]
    for k in range(len(chunks)):
        c = chunks[k]
        if c[C_JOBS] > 0 and c[C_SHIFT] > 0:
            milli += c[C_PQ] * SHIFTED[which]
        if c[C_JOBS] > 0 and c[C_PAD_WORDS] > 0:
            milli += PADDED[which] + input_word(c[C_MIXES] == 1, c[C_PM], c[C_PN]) * code_bits * PADDED_BIT[which]
        if c[C_JOBS] > 0 and c[C_STORE_ROWS] > 0:
            milli += STORE[which] + host[H_READ_BITS] * STORE_BIT[which]
    return milli


def features_of(found: Parts, platform: Platform) -> np.ndarray:
    """int64 [53]: the features of a design, or of some of its parts."""
    total = np.zeros(len(FEATURES), np.int64)
    features(found.chunks, found.edges, found.host, platform.min_block_words, platform.min_block_bits, 0, total)
    return total


def coefficients(table: LogicTable) -> np.ndarray:
    """int64 [53, 2]: thousandths of a LUT and of a flip-flop per feature."""
    assert tuple((c.part, c.feature) for c in table.coefficients) == FEATURES
    return np.array([(c.lut_milli, c.ff_milli) for c in table.coefficients], np.int64)


def _milli(found: Parts, platform: Platform, block_luts: int) -> np.ndarray:
    """int64 [2]: thousandths of LUTs and of flip-flops with all multipliers in DSP blocks."""
    counts = np.zeros(len(FEATURES), np.int64)
    limits = platform.min_block_words, platform.min_block_bits
    deep = features(found.chunks, found.edges, found.host, *limits, block_luts, counts)
    total: np.ndarray = counts @ coefficients(platform.logic)
    return total + np.array([platform.logic.deep_ram_lut_milli * deep, 0])


def logic(program: Program, platform: Platform) -> tuple[int, int]:
    """Estimated (LUTs, flip-flops) of `program`; the error of the estimate stands in `platform.logic`."""
    found = parts(program)
    total = _milli(found, platform, program.block_luts)
    adders = chosen_milli(found.chunks, found.host, multiplier_table(platform.logic))
    channels = [stated(found.chunks, found.host, which) for which in range(2)]
    lut, ff = ((int(t) + a + c + 999) // 1000 for t, a, c in zip(total, adders, channels, strict=True))
    return lut, ff


def with_multipliers(
    network: Network, accelerator: Accelerator, platform: Platform, limits: PlaceLimits, modes: tuple[Network, ...] = ()
) -> Accelerator:  # fmt: skip
    """`accelerator` with its multipliers where they meet `limits` with the fewest LUTs (nba.machine.placement)."""
    found = parts(lower(network, accelerator, modes))
    total = _milli(found, platform, accelerator.block_luts)
    place_multipliers(
        found.chunks, found.host, multiplier_table(platform.logic), int(total[0]), *limits, platform.family.wide_bits
    )
    names: tuple[Place, Place] = ("dsp", "lut")
    chunks = tuple(
        replace(chunk, requant=names[row[C_REQUANT_LUT]], products=names[row[C_PRODUCT_LUT]])
        for chunk, row in zip(accelerator.chunks, found.chunks.tolist(), strict=True)
    )
    return replace(accelerator, chunks=chunks)


# One compiled kernel: its arguments are the arrays of `Designs` and scratch.
@compiled
def _many(
    layers: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray, out_rows: np.ndarray,
    mixes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray, table: np.ndarray, adders: np.ndarray,
    max_dsp: int, max_lut: int, wide_bits: int, min_words: int, min_bits: int, block_luts: int, deep_milli: int,
    chunks: np.ndarray, edges: np.ndarray, host: np.ndarray, total: np.ndarray, found: np.ndarray,
) -> None:  # fmt: skip
    """found [B, 3]: LUTs and flip-flops of every design, and the DSP blocks that it does not take, with multipliers
    placed by max_dsp and max_lut (both negative: all in DSP blocks); the four arguments before it are scratch."""
    for b in range(pp.size):
        fill(
            layers, pp[b], in_lanes[b], out_lanes[b], out_rows[b], mixes[b], pm[b], pn[b], pq[b], chunk[b],
            main_rows[b], res_rows[b], chunks, edges, host,
        )  # fmt: skip
        total[:] = 0
        lut = deep_milli * features(chunks, edges, host, min_words, min_bits, block_luts, total)
        lut += stated(chunks, host, 0)
        ff = stated(chunks, host, 1)
        for f in range(len(total)):
            lut += total[f] * table[f, 0]
            ff += total[f] * table[f, 1]
        found[b, 2] = 0
        if max_dsp >= 0:
            found[b, 2] = place_multipliers(chunks, host, adders, lut, max_dsp, max_lut, wide_bits)
            more = chosen_milli(chunks, host, adders)
            lut += more[0]
            ff += more[1]
        found[b, 0] = (lut + 999) // 1000
        found[b, 1] = (ff + 999) // 1000


def logic_counts(layers: np.ndarray, designs: Designs, platform: Platform) -> np.ndarray:
    """int64 [B, 2]: estimated LUTs and flip-flops of every design with its multipliers in DSP blocks, equal to `logic`
    of the lowered designs."""
    return placed_counts(layers, designs, platform, None)[:, :2]


def placed_counts(
    layers: np.ndarray, designs: Designs, platform: Platform, limits: PlaceLimits | None, block_luts: int = 0
) -> np.ndarray:  # fmt: skip
    """int64 [B, 3]: estimated LUTs and flip-flops, and the DSP blocks that are freed, of every design with its
    multipliers where they meet `limits` with the fewest LUTs; equal to `logic` of the designs of `with_multipliers`.
    None: all in DSP blocks."""
    b, n_chunks = designs.pm.shape
    found = np.zeros((b, 3), np.int64)
    _many(
        layers, *designs.arrays(), coefficients(platform.logic), multiplier_table(platform.logic),
        *(limits or (-1, -1)), platform.family.wide_bits, platform.min_block_words, platform.min_block_bits, block_luts,
        platform.logic.deep_ram_lut_milli,
        np.zeros((n_chunks, CHUNK_COLUMNS), np.int64), np.zeros((n_edge_slots(n_chunks), EDGE_COLUMNS), np.int64),
        np.zeros(HOST_COLUMNS, np.int64), np.zeros(len(FEATURES), np.int64), found,
    )  # fmt: skip
    return found
