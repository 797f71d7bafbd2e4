# SPDX-License-Identifier: Apache-2.0
"""Modulo scheduling of layers on chunks: when each job runs in a period of `interval` cycles, without any stall.

Given what every chunk executes, a period T >= the busiest chunk's work always admits a stall-free periodic schedule:
a layer that cannot run in the round of its producer runs a round later (a stage offset), and rings hold what waits.
The machine itself is self-timed: with rings as large as the periodic schedule needs, no event comes later than in it.
The row times are those of docs/template.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Port, Ring
from nba.ir.network import Network
from nba.machine.geometry import PORTS, ceil_div, earlier_uses, row_beats, stream_columns, tap_words, use_lane
from nba.machine.program import input_lanes, job_degree, min_ring_rows
from nba.machine.timing import (
    OVERHEAD_CYCLES,
    drain_cycles,
    engine_packing,
    host_written_cycles,
    job_cycles,
    lane_cycles,
    released_cycles,
    residual_cycles,
    row_cycles,
    slot_cycles,
    work_cycles,
    written_cycles,
)
from nba.machine.windows import Use, uses_of


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTime:
    """Row timing of one layer on one engine, in cycles: rows start `row` apart if nothing stalls; a row started in
    cycle t is seen written in t + `written` and gives its residual row back in t + `residual`; `busy` is the
    engine time of the whole job, the fetch of the next one included."""

    rows: int
    row: int
    written: int
    residual: int
    busy: int


def job_time(network: Network, index: int, chunk: Chunk, accelerator: Accelerator) -> JobTime:
    """Timing of layer `index` on `chunk` of an accelerator."""
    layer, out = network.layers[index], network.result(index)
    n, m = network.source(layer).channels, out.channels
    words = tap_words(layer.operator.mixes, n, chunk.pn, m, chunk.pm, layer.groups, layer.rotate)
    packing, degree = engine_packing(chunk.mixes, accelerator.packing), job_degree(layer, accelerator.packing)
    drain = drain_cycles(chunk.pm, chunk.pq)
    slot = slot_cycles(words, layer.kernel_h * layer.kernel_w, drain, packing)
    work = work_cycles(ceil_div(out.width, degree * accelerator.pp), ceil_div(m, chunk.pm), slot)
    row, lanes = row_cycles(work), lane_cycles(chunk.pn, packing)
    drain *= degree
    return JobTime(
        rows=out.height,
        row=row,
        written=written_cycles(work, drain, lanes),
        residual=residual_cycles(work, drain, lanes),
        busy=job_cycles(out.height, row),
    )


def needs(network: Network, consumer: int, port: Port) -> tuple[np.ndarray, np.ndarray]:
    """(last input row needed, input rows released so far) of every output row of one use of a tensor; int64 [rows]."""
    if consumer == HOST:
        rows = np.arange(network.tensors[-1].height, dtype=np.int64)
        return rows, rows + 1
    rows = np.arange(network.result(consumer).height, dtype=np.int64)
    if port == "residual":
        return rows, rows + 1
    layer = network.layers[consumer]
    height = network.source(layer).height
    top = rows * layer.stride_h - layer.pad_top
    released = np.maximum(0, top + layer.stride_h)
    released[-1] = height
    return np.minimum(height, top + layer.kernel_h) - 1, released


def host_times(network: Network, accelerator: Accelerator) -> tuple[JobTime, JobTime]:
    """Timing of the input stream (as the producer of tensor 0) and of the output stream (as a consumer)."""
    first, last = network.tensors[0], network.tensors[-1]
    times = []
    for tensor, lanes in ((first, input_lanes(network, accelerator)), (last, accelerator.out_lanes)):
        beats = row_beats(tensor.width, tensor.channels, stream_columns(accelerator.banks), lanes)
        row = row_cycles(beats)
        times.append(
            JobTime(
                rows=tensor.height,
                row=row,
                written=host_written_cycles(beats),
                residual=0,
                busy=tensor.height * row,
            )
        )
    return times[0], times[1]


def work_bound(network: Network, accelerator: Accelerator) -> int:
    """Cycles per frame of the busiest chunk or host stream: no schedule has a shorter interval."""
    busy = [t.busy for t in host_times(network, accelerator)]
    for chunk in accelerator.chunks:
        busy.append(sum(job_time(network, j.layer, chunk, accelerator).busy for j in chunk.jobs))
    return max(busy)


@dataclass(frozen=True, kw_only=True, slots=True)
class Timetable:
    """A stall-free periodic schedule: the first row of layer i on frame f starts in cycle start[i] + f * interval."""

    interval: int
    start: tuple[int, ...]
    times: tuple[JobTime, ...]
    host_in: JobTime
    host_out: JobTime
    host_out_start: int


class _Calendar:
    """Busy intervals of one chunk, modulo the period."""

    def __init__(self, period: int, compact: bool):
        self.period = period
        self.compact = compact
        self.taken: list[tuple[int, int]] = []

    def gaps(self) -> list[tuple[int, int]]:
        """(start, length) of the free intervals; start in [0, period), an interval may run past the period's end."""
        if not self.taken:
            return [(0, self.period)]
        taken = sorted(self.taken)
        found = []
        for i, (start, length) in enumerate(taken):
            following = taken[i + 1][0] if i + 1 < len(taken) else taken[0][0] + self.period
            if following > start + length:
                found.append(((start + length) % self.period, following - start - length))
        return found

    def place(self, earliest: int, length: int, remaining: list[int]) -> int | None:
        """The earliest start >= `earliest` after which the `remaining` jobs of the chunk still fit; takes the time.

        A compact calendar only extends its one block, so that everything always fits; otherwise first-fit decreasing
        must show that the rest fits, which may fail: None.
        """
        period = self.period
        options: list[int] = []
        for gap_start, gap_length in self.gaps():
            if gap_length < length:
                continue
            if not self.taken:
                options.append(earliest)
                continue
            offset = (earliest - gap_start) % period
            if offset <= gap_length - length and not self.compact:
                options.append(earliest)
            options.append(earliest + (gap_start - earliest) % period)
            options.append(earliest + (gap_start + gap_length - length - earliest) % period)
        for start in sorted(set(options)):
            self.taken.append((start % period, length))
            if _fits(remaining, [g for _, g in self.gaps()]):
                return start
            self.taken.pop()
        return None


def _fits(jobs: list[int], gaps: list[int]) -> bool:
    """Whether first-fit decreasing packs `jobs` into `gaps`."""
    free = sorted(gaps)
    for job in sorted(jobs, reverse=True):
        for i, gap in enumerate(free):
            if gap >= job:
                free[i] = gap - job
                break
        else:
            return False
    return True


def no_wait_start(network: Network, consumer: int, port: Port, producer: JobTime, start: int, row_cycles: int) -> int:
    """First cycle in which `consumer` may start so that none of its rows waits for a row of the producer."""
    last, _ = needs(network, consumer, port)
    seen = start + last * producer.row + producer.written
    return int((seen + 1 - np.arange(len(last)) * row_cycles).max())


def timetable(network: Network, accelerator: Accelerator, interval: int) -> Timetable:
    """List-schedule the layers in topological order with period `interval` >= `work_bound`.

    Only `kind`, sizes and layers of the chunks are read; order and stages of their jobs are results (`with_order`).
    """
    place = accelerator.place()
    times = tuple(job_time(network, i, accelerator.chunks[place[i]], accelerator) for i in range(len(network.layers)))
    host_in, host_out = host_times(network, accelerator)
    compact: set[int] = set()
    start: list[int] = []
    while len(start) < len(times):
        stuck = _place_all(network, accelerator, interval, times, host_in, compact, start)
        if stuck is not None:
            assert stuck not in compact, "a compact calendar has room for every job"
            compact.add(stuck)
            start.clear()
    out_start = no_wait_start(network, HOST, "main", times[-1], start[-1], host_out.row)
    return Timetable(
        interval=interval, start=tuple(start), times=times, host_in=host_in, host_out=host_out, host_out_start=out_start
    )


def _place_all(
    network: Network, accelerator: Accelerator, interval: int, times: tuple[JobTime, ...], host_in: JobTime,
    compact: set[int], start: list[int],
) -> int | None:  # fmt: skip
    """Append the start of every layer to `start`; returns a chunk whose remaining jobs do not fit any more, if any."""
    place = accelerator.place()
    calendars = [_Calendar(interval, k in compact) for k in range(len(accelerator.chunks))]
    left = [[times[j.layer].busy for j in chunk.jobs] for chunk in accelerator.chunks]
    for i, layer in enumerate(network.layers):
        uses: list[tuple[int, Port]] = [(layer.input, "main")]
        if layer.residual is not None:
            uses.append((layer.residual, "residual"))
        earliest = OVERHEAD_CYCLES
        for tensor, port in uses:
            producer, begun = (host_in, 1) if tensor == 0 else (times[tensor - 1], start[tensor - 1])
            earliest = max(earliest, no_wait_start(network, i, port, producer, begun, times[i].row))
        k = place[i]
        left[k].remove(times[i].busy)
        found = calendars[k].place(earliest, times[i].busy, left[k])
        if found is None:
            return k
        start.append(found)
    return None


def with_order(accelerator: Accelerator, table: Timetable) -> Accelerator:
    """`accelerator` with job order and stage offsets that execute `table`; each round of a chunk begins with the job
    that keeps its stages lowest."""
    chunks = []
    for chunk in accelerator.chunks:
        best: tuple[tuple[int, int, int], tuple[Job, ...]] | None = None
        for head in chunk.jobs:
            phase = table.start[head.layer] % table.interval
            placed = sorted((((table.start[j.layer] - phase) % table.interval), j.layer) for j in chunk.jobs)
            stages = [(table.start[layer] - phase) // table.interval for _, layer in placed]
            base = min(stages)
            jobs = tuple(Job(layer=layer, stage=s - base) for (_, layer), s in zip(placed, stages, strict=True))
            key = (max(j.stage for j in jobs), sum(j.stage for j in jobs), head.layer)
            if best is None or key < best[0]:
                best = (key, jobs)
        assert best is not None
        chunks.append(replace(chunk, jobs=best[1]))
    return replace(accelerator, chunks=tuple(chunks), rings=())


def make_rings(
    network: Network, accelerator: Accelerator, rows: dict[Use, int], shares: Mapping[Use, int] | None = None,
    parts: Mapping[Use, int] | None = None,
) -> tuple[Ring, ...]:  # fmt: skip
    """Rings of the given sizes, with lanes where one chunk uses a tensor more than once on a port. shares: of those
    that share memory (`Ring.share`); parts: of those whose rows hold the channels of a slice (`Ring.parts`)."""
    place = accelerator.place()
    chunk = [place[i] for i in range(len(network.layers))]
    earlier = {port: earlier_uses(network, port) for port in PORTS}
    return tuple(
        Ring(
            tensor=tensor, consumer=consumer, port=port, rows=rows[(tensor, consumer, port)],
            lane=0 if consumer == HOST else use_lane(earlier[port], chunk, consumer),
            share=0 if shares is None else shares.get((tensor, consumer, port), 0),
            parts=1 if parts is None else parts.get((tensor, consumer, port), 1),
        )
        for tensor, consumer, port in uses_of(network)
    )  # fmt: skip


def ring_rows(network: Network, table: Timetable) -> dict[Use, int]:
    """Smallest rings with which no producer of `table` ever waits for a free row."""
    found = {}
    for tensor, consumer, port in uses_of(network):
        producer, begun = (table.host_in, 1) if tensor == 0 else (table.times[tensor - 1], table.start[tensor - 1])
        _, released = needs(network, consumer, port)
        if consumer == HOST:
            row, start, delay = table.host_out.row, table.host_out_start, released_cycles(table.host_out.row)
        else:
            time = table.times[consumer]
            row, start = time.row, table.start[consumer]
            delay = released_cycles(time.row) if port == "main" else time.residual
        height = network.tensors[tensor].height
        # cycle in which the release of input row h of frame 0 is seen
        out_row = np.searchsorted(released, np.arange(1, height + 1))
        seen = start + out_row * row + delay
        frames = max(2, (int(seen[-1]) - begun) // table.interval + 2)
        all_seen = np.sort((seen[None, :] + np.arange(frames)[:, None] * table.interval).ravel())
        written = begun + (frames - 1) * table.interval + np.arange(height) * producer.row
        number = (frames - 1) * height + np.arange(height)
        free = np.searchsorted(all_seen, written - 1, side="right")
        found[(tensor, consumer, port)] = max(min_ring_rows(network, consumer, port), int((number - free).max()) + 1)
    return found
