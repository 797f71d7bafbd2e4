# SPDX-License-Identifier: Apache-2.0
"""Which weights a design reads from external memory, in which order, and where they lie there (docs/template.md).

A *fetch* is the weights of one slice of a streamed job: contiguous words of its chunk's weight memory. Every chunk with
streamed jobs has a *store* with room for a few slices; stores are numbered in the order of their chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from nba.ir.accelerator import WeightMemory
from nba.machine.geometry import ceil_div


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetch:
    """The weights of slice number `slice` of job number `job` of chunk number `chunk`: in round r those of frame
    r - `stage`. first_burst: where they begin in the image, in bursts; beats: how long they are."""

    chunk: int
    job: int
    slice: int
    stage: int
    store: int
    first_burst: int
    beats: int

    def bursts(self, memory: WeightMemory) -> int:
        """Bursts that read it."""
        return ceil_div(self.beats, memory.burst)


def words_per_row(width: int, bus_bits: int) -> int:
    """Weight words of `width` bits that lie side by side in a row of a store: a power of two, so that the row is a beat
    at most."""
    per = 1
    while 2 * per * width <= bus_bits:
        per *= 2
    return per


def store_row_beats(width: int, bus_bits: int) -> int:
    """Beats of such a row."""
    return ceil_div(width * words_per_row(width, bus_bits), bus_bits)


def slice_beats(words: int, width: int, bus_bits: int) -> int:
    """Beats of a slice of `words` weight words."""
    return ceil_div(words, words_per_row(width, bus_bits)) * store_row_beats(width, bus_bits)


def in_turns(counts: Sequence[int]) -> tuple[int, ...]:
    """Numbers of the chunks that read counts[k] slices in a round, in an order in which each is spread over it."""
    places = [(Fraction(2 * i + 1, 2 * n), k) for k, n in enumerate(counts) for i in range(n)]
    return tuple(k for _, k in sorted(places))


def fetches(
    uses: Sequence[Sequence[tuple[int, int, int]]], beats: Sequence[Sequence[int]], memory: WeightMemory
) -> tuple[Fetch, ...]:
    """The fetches of a round. uses[k]: (job, slice, stage) of the slices of chunk k in the order in which it uses them;
    beats[k]: beats of each."""
    counts = [len(mine) for mine in uses]
    store = {k: number for number, k in enumerate(k for k, n in enumerate(counts) if n)}
    at, burst = [0] * len(counts), 0
    found = []
    for k in memory.order or in_turns(counts):
        job, piece, stage = uses[k][at[k]]
        size = beats[k][at[k]]
        found.append(Fetch(chunk=k, job=job, slice=piece, stage=stage, store=store[k], first_burst=burst, beats=size))
        at[k] += 1
        burst += found[-1].bursts(memory)
    return tuple(found)
