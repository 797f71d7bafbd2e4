# SPDX-License-Identifier: Apache-2.0
"""Dynamic energy of a frame: exact counts of events, times a platform's table of energies.

The counts are facts of the RTL, equal to those of a simulation. The energies are a relative model: nothing here was
measured on a board (nba.boards.energy, docs/decisions/0010-energy-and-logic-models.md). What is not in it: clock
tree, control, multiplexers, leakage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nba.boards import Platform
from nba.core.compiled import compiled
from nba.ir.network import MULT_BITS
from nba.machine.designs import Designs
from nba.machine.geometry import input_word
from nba.machine.parts import (
    C_ACC,
    C_ACT,
    C_DRAINS,
    C_JOBS,
    C_MIXES,
    C_PAD_STEPS,
    C_PAD_WORDS,
    C_PARAM_WORDS,
    C_PM,
    C_PN,
    C_PP,
    C_PQ,
    C_RES_DRAINS,
    C_SHIFT,
    C_STEPS,
    C_STORE,
    C_STORE_BEATS,
    C_STORE_ROWS,
    C_STORE_WIDTH,
    C_WEIGHT,
    C_WEIGHT_WORDS,
    CHUNK_COLUMNS,
    E_DEPTH,
    E_LANES,
    E_READS,
    E_RINGS,
    E_WRITE,
    E_WRITES,
    EDGE_COLUMNS,
    H_BANKS,
    H_CODE_BITS,
    H_IN_BEATS,
    H_IN_COLS,
    H_IN_LANES,
    H_OUT_BEATS,
    H_OUT_COLS,
    H_OUT_LANES,
    H_READ_BITS,
    HOST_COLUMNS,
    fill,
    n_edge_slots,
    parts,
)  # fmt: skip
from nba.machine.program import Program

Quantity = TypeVar("Quantity", float, np.ndarray)

EVENTS = (
    "macs", "weight_reads", "param_reads", "requants", "residuals", "edge_reads", "edge_writes", "host_in_words",
    "host_out_words", "weight_beats",
)  # fmt: skip
"""The columns of `event_counts`, as the fields of `FrameEvents`."""

SHARES = ("macs", "weights", "requant", "params", "maps", "host")
"""What energy is spent on, in the order of `shares_aj`: array, weight memories, requantisers, parameter memories,
edge buffers, streams and reads of external memory. Pad codes are parameters."""

TOTAL_BITS = 48
"""Bits of the requantiser's sum, of accumulators of up to 30 bits; of longer ones it has 18 bits more than they."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameEvents:
    """Events of one frame.

    macs: steps of all lanes of the arrays, a product and a sum each (of packed columns, several); by_widths: the same
    as (act_bits, weight_bits, steps). weight_reads, param_reads: words read from the chunks' memories. requants:
    values; residuals: those among them with a residual operand. edge_reads, edge_writes: words read from, sub-words
    written to, single banks. host_in_words, host_out_words: beats of the streams. weight_beats: beats of streamed
    weights, read from external memory and written into stores.
    """

    macs: int
    by_widths: tuple[tuple[int, int, int], ...]
    weight_reads: int
    param_reads: int
    requants: int
    residuals: int
    edge_reads: int
    edge_writes: int
    host_in_words: int
    host_out_words: int
    weight_beats: int


def frame_events(program: Program) -> FrameEvents:
    """Events of one frame of `program`."""
    found = parts(program)
    total = np.zeros(len(EVENTS), np.int64)
    _events(found.chunks, found.edges, found.host, total)
    widths: dict[tuple[int, int], int] = {}
    for row in found.chunks.tolist():
        key = row[C_ACT], row[C_WEIGHT]
        widths[key] = widths.get(key, 0) + row[C_STEPS] * row[C_PM] * row[C_PN] * row[C_PP]
    return FrameEvents(
        **dict(zip(EVENTS, total.tolist(), strict=True)),
        by_widths=tuple((a, w, n) for (a, w), n in sorted(widths.items())),
    )


def energy_aj(program: Program, platform: Platform) -> dict[str, int]:
    """Attojoules of one frame of `program`, by SHARES."""
    found = parts(program)
    shares = np.zeros(len(SHARES), np.int64)
    shares_aj(found.chunks, found.edges, found.host, np.array(platform.energy.scaled()), shares)
    return dict(zip(SHARES, shares.tolist(), strict=True))


def energy_pj(program: Program, platform: Platform) -> float:
    """Picojoules of one frame of `program`."""
    return sum(energy_aj(program, platform).values()) / 1e6


def power_w(energy: Quantity, interval_cycles: Quantity, platform: Platform) -> Quantity:
    """Dynamic watts at one frame of `energy` pJ per `interval_cycles`."""
    return energy * 1e-6 * platform.clock_mhz / interval_cycles


@compiled
def _events(chunks: np.ndarray, edges: np.ndarray, host: np.ndarray, found: np.ndarray) -> None:
    """Adds the events of one design to found [10]."""
    for k in range(len(chunks)):
        row = chunks[k]
        pp = row[C_PP]
        found[0] += row[C_STEPS] * row[C_PM] * row[C_PN] * pp
        found[1] += row[C_STEPS]
        found[2] += row[C_DRAINS]
        found[3] += row[C_DRAINS] * row[C_PQ] * pp
        found[4] += row[C_RES_DRAINS] * row[C_PQ] * pp
        found[9] += row[C_STORE_BEATS]
    for e in range(len(edges)):
        found[5] += edges[e, E_READS] * host[H_BANKS]
        found[6] += edges[e, E_WRITES]
    found[7] += host[H_IN_BEATS]
    found[8] += host[H_OUT_BEATS]


@compiled
def _whole(value: float) -> int:
    return int(np.floor(value + 0.5))


@compiled
def _access(bits: int, memory_bits: int, per_bit: float) -> int:
    """Attojoules of an access to `bits` bits of a memory."""
    return _whole(bits * np.sqrt(memory_bits) * per_bit)


@compiled
def shares_aj(
    chunks: np.ndarray, edges: np.ndarray, host: np.ndarray, table: np.ndarray, found: np.ndarray
) -> None:  # fmt: skip
    """Adds the attojoules of one design's frame to found int64 [6] (SHARES). table: float [5], EnergyTable.scaled.

    Every kind of event costs a whole number of attojoules, so that sums do not depend on their order.
    """
    product, plus, plus_bit, memory, stream = table[0], table[1], table[2], table[3], table[4]
    code_bits = host[H_CODE_BITS]
    for k in range(len(chunks)):
        row = chunks[k]
        if row[C_JOBS] == 0:
            continue
        acc, pp = row[C_ACC], row[C_PP]
        mac = _whole(row[C_ACT] * row[C_WEIGHT] * product + plus + acc * plus_bit)
        found[0] += row[C_STEPS] * row[C_PM] * row[C_PN] * pp * mac
        width = row[C_PM] * row[C_PN] * row[C_STORE]
        if row[C_STORE_ROWS] > 0:
            width, beat = row[C_STORE_WIDTH], min(host[H_READ_BITS], row[C_STORE_WIDTH])
            bits = row[C_STORE_ROWS] * width
            found[1] += row[C_STEPS] * _access(width, bits, memory) + row[C_STORE_BEATS] * _access(beat, bits, memory)
            found[5] += row[C_STORE_BEATS] * _whole(host[H_READ_BITS] * stream)
        else:
            found[1] += row[C_STEPS] * _access(width, width * row[C_WEIGHT_WORDS], memory)
        total = max(TOTAL_BITS, acc + 18)
        scale = _whole((acc + 1) * (MULT_BITS + 1) * product + 2 * plus + (acc + 1 + total) * plus_bit)
        residual = _whole((code_bits + 1) * (MULT_BITS + 1) * product + plus + total * plus_bit)
        found[2] += row[C_PQ] * pp * (row[C_DRAINS] * scale + row[C_RES_DRAINS] * residual)
        width = row[C_PQ] * (acc + MULT_BITS + row[C_SHIFT])
        found[3] += row[C_DRAINS] * _access(width, width * row[C_PARAM_WORDS], memory)
        if row[C_PAD_WORDS] > 0:
            width = input_word(row[C_MIXES] == 1, row[C_PM], row[C_PN]) * code_bits
            found[3] += row[C_PAD_STEPS] * _access(width, width * row[C_PAD_WORDS], memory)
    for e in range(len(edges)):
        row = edges[e]
        if row[E_RINGS] == 0:
            continue
        bits = row[E_LANES] * code_bits * row[E_DEPTH]
        reads = row[E_READS] * _access(row[E_LANES] * code_bits, bits, memory)
        found[4] += host[H_BANKS] * reads + row[E_WRITES] * _access(row[E_WRITE] * code_bits, bits, memory)
    found[5] += host[H_IN_BEATS] * _whole(host[H_IN_COLS] * host[H_IN_LANES] * code_bits * stream)
    found[5] += host[H_OUT_BEATS] * _whole(host[H_OUT_COLS] * host[H_OUT_LANES] * code_bits * stream)


# One compiled kernel: its arguments are the arrays of `Designs` and scratch.
@compiled
def _many(
    layers: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray, out_rows: np.ndarray,
    mixes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray, table: np.ndarray, chunks: np.ndarray,
    edges: np.ndarray, host: np.ndarray, events: np.ndarray, shares: np.ndarray,
) -> None:  # fmt: skip
    """Adds events [B, 10] and shares [B, 6] of every design; the arguments before them are scratch."""
    for b in range(pp.size):
        fill(
            layers, pp[b], in_lanes[b], out_lanes[b], out_rows[b], mixes[b], pm[b], pn[b], pq[b], chunk[b],
            main_rows[b], res_rows[b], chunks, edges, host,
        )  # fmt: skip
        _events(chunks, edges, host, events[b])
        shares_aj(chunks, edges, host, table, shares[b])


def event_counts(layers: np.ndarray, designs: Designs, platform: Platform) -> tuple[np.ndarray, np.ndarray]:
    """Events int64 [B, 10] (EVENTS) and attojoules int64 [B, 6] (SHARES) of one frame of every design.

    Equal to `frame_events` and `energy_aj` of the lowered designs. layers: nba.machine.designs.layer_table.
    """
    b, n_chunks = designs.pm.shape
    events, shares = np.zeros((b, len(EVENTS)), np.int64), np.zeros((b, len(SHARES)), np.int64)
    _many(
        layers, *designs.arrays(), np.array(platform.energy.scaled()), np.zeros((n_chunks, CHUNK_COLUMNS), np.int64),
        np.zeros((n_edge_slots(n_chunks), EDGE_COLUMNS), np.int64), np.zeros(HOST_COLUMNS, np.int64), events, shares,
    )  # fmt: skip
    return events, shares
