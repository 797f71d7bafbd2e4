# SPDX-License-Identifier: Apache-2.0
"""The cycles of one row, one job and one stream: the only place where they are written down (docs/template.md, Cycles).

Lowering, the exact schedule and rate, the closed forms, batches of designs, the mapper, its repair and the report all
call these kernels, from Python and from compiled loops, with integers or with whole numbers as floating point.

Of one output row on an engine: it is computed in groups of pp * degree columns times groups of pm channels. A group
takes a *slot*, as many cycles as the array has steps (words of input channels times taps) or as the drain may have
(pm / pq passes of an engine's packing), which empties the accumulators of the group before; slots times groups is the
*work* of the row.
"""

from __future__ import annotations

from functools import partial
from typing import TypeVar

from nba.core.compiled import kernel

Cycles = TypeVar("Cycles", int, float)

FETCH_CYCLES = 5
"""Cycles from the end of a job's last row (or of a skipped job) to the earliest start decision of the next one: its
word, what its first row needs, and whether these rows are there, each a register further
(templates/rtl/lib/nba_seq.v)."""
OVERHEAD_CYCLES = FETCH_CYCLES + 1
"""Engine time of a job besides its rows: the fetch, and the cycle between a start decision and the start."""
MIN_ROW_CYCLES = 2
"""Shortest distance between two starts of rows."""
WRITE_CYCLES = 20
"""From the end of a row's work, drain and sum over lanes until the row is seen written."""
RESIDUAL_CYCLES = 9
"""From the end of a row's work, drain and sum over lanes until the row of its residual operand is seen released."""
RELEASE_CYCLES = 1
"""From the end of a row (that of its last cycle) until the rows of its input are seen released."""
SHARE_CYCLES = 1
"""By how much later the last release of a frame is seen by the ring that has the memory next (nba_ring)."""
READER_START_CYCLES = 3
"""From the first cycle of a batch until the reader of weights may decide its first fetch (nba_fetch)."""
READER_CYCLES = 4
"""Shortest distance between two decisions of the reader; what a skipped fetch costs it."""
READ_CYCLES = 1
"""From a decision of the reader until the handshake of the first address."""
LOADED_CYCLES = 3
"""From the last beat of a slice until its weights are seen in their store (templates/rtl/lib/nba_store.v)."""
UNLOADED_CYCLES = 6
"""From the last cycle of the last row of a slice until the reader sees the room of its weights free."""
HOST_WRITE_CYCLES = 2
"""From the last beat of an input row until the row is seen written."""
HOST_OUT_CYCLES = 5
"""A beat issued in cycle i is handed over in cycle i + HOST_OUT_CYCLES."""


@kernel
def drain_cycles(pm: Cycles, pq: Cycles) -> Cycles:
    """Cycles in which a group of pm channels leaves the accumulators, pq of them at a time (pq divides pm)."""
    return pm // pq


@kernel
def engine_packing(mixes: bool, packing: int) -> int:
    """The packing of an engine: that of its design where it mixes channels."""
    return packing if mixes else 1


@kernel
def slot_cycles(words: Cycles, taps: Cycles, drain: Cycles, packing: Cycles) -> Cycles:
    """Cycles of one group of columns and channels: `words` input words times `taps` steps, or the longest drain of a
    group before it, which may be of another job: `drain` cycles for every one of up to `packing` passes."""
    return max(words * taps, drain * packing)


@kernel
def work_cycles(col_groups: Cycles, m_groups: Cycles, slot: Cycles) -> Cycles:
    """Engine cycles of one output row."""
    return col_groups * m_groups * slot


@kernel
def row_cycles(work: Cycles) -> Cycles:
    """Cycles from the start of a row to the next one's, of a row of so much work or so many beats of a stream."""
    return max(work, MIN_ROW_CYCLES)


@partial(kernel, inlined=False)
def lane_cycles(pn: Cycles, packing: Cycles) -> int:
    """Cycles of the sum over pn lanes: the levels of a tree of adders, ceil(log2(pn)); and one for the packing of
    operands, where an engine (`engine_packing`) does that."""
    levels, reach = 0, 1
    while reach < pn:
        reach *= 2
        levels += 1
    return levels + 1 if packing > 1 else levels


@kernel
def written_cycles(work: Cycles, drain: Cycles, lanes: Cycles) -> Cycles:
    """Cycles from the start of a row until it is seen written; drain: of all passes of a group; lanes: see
    `lane_cycles`."""
    return work + drain + lanes + WRITE_CYCLES


@kernel
def residual_cycles(work: Cycles, drain: Cycles, lanes: Cycles) -> Cycles:
    """Cycles from the start of a row until the row of its residual operand is seen released."""
    return work + drain + lanes + RESIDUAL_CYCLES


@kernel
def released_cycles(row: Cycles) -> Cycles:
    """Cycles from the start of a row of `row` cycles until the rows of its input are seen released."""
    return row + RELEASE_CYCLES


@kernel
def job_cycles(rows: Cycles, row: Cycles) -> Cycles:
    """Engine cycles of a job of `rows` rows of `row` cycles each, if nothing stalls it."""
    return rows * row + OVERHEAD_CYCLES


@kernel
def host_written_cycles(beats: Cycles) -> Cycles:
    """Cycles from the start of an input row of `beats` beats until it is seen written."""
    return beats + HOST_WRITE_CYCLES


@kernel
def last_beat_cycles(beats: Cycles) -> Cycles:
    """Cycles from the start of an output row of `beats` beats to the hand-over of its last one."""
    return beats - 1 + HOST_OUT_CYCLES
