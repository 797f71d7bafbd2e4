# SPDX-License-Identifier: Apache-2.0
"""LUTs and flip-flops of a design: an estimate, linear in features of its parts.

The coefficients are fitted to complete syntheses of small designs (benchmarks/calibrate_logic.py), part by part, and
stand with their error in nba.boards.logic. DSP and block RAM are exact; these two numbers are not.
"""

from __future__ import annotations

import numpy as np

from nba.boards import LogicTable, Platform
from nba.core.compiled import compiled
from nba.ir.network import MULT_BITS
from nba.machine.designs import Designs
from nba.machine.geometry import input_word
from nba.machine.kernels import is_block, product_dsp
from nba.machine.parts import (
    C_ACC,
    C_ACT,
    C_DST,
    C_JOBS,
    C_MIXES,
    C_NEST_ACT,
    C_NEST_WEIGHT,
    C_PARAM_WORDS,
    C_PM,
    C_PN,
    C_PQ,
    C_PROGRAM_WORDS,
    C_RES,
    C_SRC,
    C_STORE,
    C_WEIGHT,
    C_WEIGHT_WORDS,
    CHUNK_COLUMNS,
    E_DEPTH,
    E_LANES,
    E_RINGS,
    E_WRITE,
    EDGE_COLUMNS,
    H_CODE_BITS,
    H_IN_LANES,
    H_OUT_COLS,
    H_OUT_LANES,
    H_PP,
    HOST_COLUMNS,
    Parts,
    fill,
    n_edge_slots,
    parts,
)  # fmt: skip
from nba.machine.program import Program
from nba.machine.resources import rom_words

FEATURES: tuple[tuple[str, str], ...] = (
    ("array", "accumulator bits"),
    ("array", "adder bits of the lane sums"),
    ("array", "bits of products too small for a DSP block"),
    ("array", "operand bits times operand bits of these"),
    ("align", "operand bits"),
    ("align", "bits per stage of the rotator"),
    ("align", "operand bits that are nested"),
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
    ("control", "columns"),
    ("control", "bits of input words from further edges"),
    ("control", "bits of residual words"),
    ("control", "output edges"),
    ("rings", "one"),
    ("rings", "rings"),
    ("ram", "bits of distributed words"),
    ("ram", "bits of distributed words times 32-word stretches"),
    ("writer", "one"),
    ("writer", "columns"),
    ("writer", "bits per cycle"),
    ("writer", "places in a word"),
    ("host", "one"),
    ("host", "input bits"),
    ("host", "output bits"),
    ("host", "chunks"),
)
"""(part, what is counted): the columns of `features`."""


@compiled
def _bits(n: int) -> int:
    """Bits of a number below n."""
    found = 0
    while (1 << found) < n:
        found += 1
    return found


# One compiled loop: every part adds to the features in one pass.
@compiled
def features(
    chunks: np.ndarray, edges: np.ndarray, host: np.ndarray, min_words: int, min_bits: int, found: np.ndarray
) -> None:  # fmt: skip
    """Adds the features of one design's parts (nba.machine.parts) to found int64 [40], by FEATURES."""
    pp, code_bits = host[H_PP], host[H_CODE_BITS]
    for k in range(len(chunks)):
        c = chunks[k]
        if c[C_JOBS] == 0:
            continue
        pm, pn, pq, acc, act, weight = c[C_PM], c[C_PN], c[C_PQ], c[C_ACC], c[C_ACT], c[C_WEIGHT]
        lanes = input_word(c[C_MIXES] == 1, pm, pn)
        product = min(act + weight, acc)
        found[0] += pm * pp * acc
        found[1] += pm * pp * (pn - 1) * (product + 1)
        if product_dsp(act + 1, weight, product) == 0:
            found[2] += pm * pn * pp * product
            found[3] += pm * pn * pp * (act + 1) * weight
        found[4] += pp * lanes * (act + 1)
        found[5] += pp * lanes * code_bits * _bits(pp)
        found[6] += c[C_NEST_ACT] * pp * lanes * (act + 1)
        found[7] += pm * pn * weight
        found[8] += c[C_NEST_WEIGHT] * pm * pn * weight
        found[9] += pq * pp
        found[10] += pq * pp * acc
        found[11] += min(1, c[C_RES]) * pq * pp
        found[12] += pq
        found[13] += 1
        found[14] += pm * pp * acc
        found[15] += pm * pp * acc if pm > pq else 0
        found[16] += pq * pp * acc
        for rom in range(2):
            width = pm * pn * c[C_STORE] if rom == 0 else pq * (acc + MULT_BITS)
            words = rom_words(c[C_WEIGHT_WORDS] if rom == 0 else c[C_PARAM_WORDS])
            if not is_block(width, words, min_words, min_bits):
                found[17] += width
                found[18] += width * ((words + 63) // 64)
        if c[C_JOBS] > 1:
            found[19] += 1
        found[20] += _bits(c[C_PROGRAM_WORDS])
        found[21] += (c[C_JOBS] + 31) // 32
        found[22] += 1
        found[23] += c[C_MIXES]
        found[24] += pp
        found[25] += (c[C_SRC] - 1) * pp * lanes * code_bits
        found[26] += c[C_RES] * pp * pq * code_bits
        found[27] += c[C_DST]
        found[39] += 1
    for e in range(len(edges)):
        edge = edges[e]
        if edge[E_RINGS] == 0:
            continue
        bits = pp * edge[E_LANES] * code_bits
        found[28] += 1
        found[29] += edge[E_RINGS]
        if not is_block(edge[E_LANES] * code_bits, edge[E_DEPTH], min_words, min_bits):
            found[30] += bits
            found[31] += bits * ((edge[E_DEPTH] + 31) // 32)
        found[32] += 1
        found[33] += pp
        found[34] += pp * edge[E_WRITE] * code_bits
        found[35] += edge[E_LANES] // edge[E_WRITE]
    found[36] += 1
    found[37] += pp * host[H_IN_LANES] * code_bits
    found[38] += host[H_OUT_COLS] * host[H_OUT_LANES] * code_bits


def features_of(found: Parts, platform: Platform) -> np.ndarray:
    """int64 [40]: the features of a design, or of some of its parts."""
    total = np.zeros(len(FEATURES), np.int64)
    features(found.chunks, found.edges, found.host, platform.min_block_words, platform.min_block_bits, total)
    return total


def coefficients(table: LogicTable) -> np.ndarray:
    """int64 [40, 2]: thousandths of a LUT and of a flip-flop per feature."""
    assert tuple((c.part, c.feature) for c in table.coefficients) == FEATURES
    return np.array([(c.lut_milli, c.ff_milli) for c in table.coefficients], np.int64)


def logic(program: Program, platform: Platform) -> tuple[int, int]:
    """Estimated (LUTs, flip-flops) of `program`; the error of the estimate stands in `platform.logic`."""
    total = features_of(parts(program), platform) @ coefficients(platform.logic)
    lut, ff = ((int(t) + 999) // 1000 for t in total)
    return lut, ff


# One compiled kernel: its arguments are the arrays of `Designs` and scratch.
@compiled
def _many(
    layers: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray, out_rows: np.ndarray,
    mixes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray, table: np.ndarray, min_words: int,
    min_bits: int, chunks: np.ndarray, edges: np.ndarray, host: np.ndarray, total: np.ndarray, found: np.ndarray,
) -> None:  # fmt: skip
    """found [B, 2]: LUTs and flip-flops of every design; the four arguments before it are scratch."""
    for b in range(pp.size):
        fill(
            layers, pp[b], in_lanes[b], out_lanes[b], out_rows[b], mixes[b], pm[b], pn[b], pq[b], chunk[b],
            main_rows[b], res_rows[b], chunks, edges, host,
        )  # fmt: skip
        total[:] = 0
        features(chunks, edges, host, min_words, min_bits, total)
        for which in range(2):
            milli = 0
            for f in range(len(total)):
                milli += total[f] * table[f, which]
            found[b, which] = (milli + 999) // 1000


def logic_counts(layers: np.ndarray, designs: Designs, platform: Platform) -> np.ndarray:
    """int64 [B, 2]: estimated LUTs and flip-flops of every design, equal to `logic` of the lowered designs."""
    b, n_chunks = designs.pm.shape
    found = np.zeros((b, 2), np.int64)
    _many(
        layers, *designs.arrays(), coefficients(platform.logic), platform.min_block_words, platform.min_block_bits,
        np.zeros((n_chunks, CHUNK_COLUMNS), np.int64), np.zeros((n_edge_slots(n_chunks), EDGE_COLUMNS), np.int64),
        np.zeros(HOST_COLUMNS, np.int64), np.zeros(len(FEATURES), np.int64), found,
    )  # fmt: skip
    return found
