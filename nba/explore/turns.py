# SPDX-License-Identifier: Apache-2.0
"""Row programs: all layers of a chunk advance together over the frame, so that rings hold rows and not maps.

Every row has a virtual time, counted in ticks: a frame takes a fixed number of them. How a layer moves over a frame is
its `Pace`: its rows follow each other over its duration, or some of them at once (a burst), or it computes one slice of
its output channels after the other, each with all its rows at one time. A layer begins as soon as the rows that its
windows need are there, plus a slack (`virtual_times`). The rows of all layers in the order of their virtual times,
those of a layer before those of later ones, are a serial execution of the machine: what every ring holds in it is
enough (`ring_rows`), and since every chunk keeps to that order, and weights are read in it (`fetch_order`), a machine
with such rings never stands still.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from math import lcm

import numpy as np

from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Port, Turn
from nba.ir.network import Network
from nba.machine.program import min_ring_rows
from nba.machine.windows import Use, Window, uses_of, window

FINE = 1 << 12
"""Parts of a row's share of a frame in which the times of slices and of layers of other durations are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How a layer moves over a frame.

    slack: rows of its main input, or of a residual operand, that it waits beyond those that it needs. burst: rows that
    it computes at a time. slices: parts of its output channels, each computed at one time with all rows of the map; 0:
    its rows follow each other. duration: part of a frame's time over which its rows or slices are spread, at most 1.
    chain: layers of the same number share a chunk: their rows, or slices, are computed one after the other, each in its
    share of the duration, as early as what they need and the others, of all frames, allow; None: the layer keeps to its
    inputs alone. lasts: part of a frame's time from the time of a row, or of a slice, until its
    readers take it for written (the serial order allows all of them at once; a machine takes its time). after: a layer
    whose time is over before this one begins; None: there is none. parted: its slices take those of its main input one
    by one (`Ring.parts`).
    """

    slack: Fraction = Fraction(1)
    burst: int = 1
    slices: int = 0
    duration: Fraction = Fraction(1)
    chain: int | None = None
    lasts: Fraction = Fraction(0)
    after: int | None = None
    parted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Times:
    """Virtual times of a frame that enters at 0 and takes `ticks`. rows[t]: int64 [slices, height], when the rows of
    tensor t are computed in every slice; those of the input of the network enter one by one."""

    ticks: int
    rows: tuple[np.ndarray, ...]

    def begin(self, layer: int) -> int:
        """When a layer begins."""
        return int(self.rows[layer + 1][0, 0])


def ticks_of(network: Network, paces: Sequence[Pace]) -> int:
    """Ticks of a frame, so that rows, bursts and slacks of layers that take a whole frame are whole numbers of them."""
    ticks = lcm(*(t.height for t in network.tensors))
    ticks *= lcm(*(pace.slack.denominator for pace in paces))
    return ticks if all(pace.slices == 0 and pace.duration == 1 for pace in paces) else ticks * FINE


def offsets(pace: Pace, rows: int, ticks: int) -> np.ndarray:
    """int64 [slices, rows]: when a layer of `rows` rows computes them, counted from its beginning."""
    span = int(pace.duration * ticks)
    if pace.slices:
        return np.repeat(np.arange(pace.slices, dtype=np.int64)[:, None] * span // pace.slices, rows, axis=1)
    y = np.arange(rows, dtype=np.int64)
    return ((y - y % pace.burst) * span // rows)[None]


@lru_cache(maxsize=4096)
def needed_rows(seen: Window) -> np.ndarray:
    """int64 [rows]: index of the last input row that every row of the reader needs."""
    return np.array([seen.needed(y) - 1 for y in range(seen.rows)], np.int64)


@lru_cache(maxsize=4096)
def releasing_rows(seen: Window) -> np.ndarray:
    """int64 [height]: the row of the reader after which nobody needs an input row."""
    passed = np.array([seen.passed(y) for y in range(seen.rows)], np.int64)
    return np.searchsorted(passed, np.arange(seen.height), side="right")


@lru_cache(maxsize=256)
def _windows(network: Network) -> tuple[tuple[tuple[int, Port, Window], ...], ...]:
    """Per layer: (tensor, port, window) of what it reads."""
    found = []
    for i, layer in enumerate(network.layers):
        uses: list[tuple[int, Port]] = [(layer.input, "main")]
        if layer.residual is not None:
            uses.append((layer.residual, "residual"))
        found.append(tuple((tensor, port, window(network, i, port, tensor)) for tensor, port in uses))
    return tuple(found)


def virtual_times(network: Network, paces: Sequence[Pace]) -> Times:
    """The virtual times of layers that move at `paces`: all that a row needs is there when it is computed, and a layer
    waits its slack longer (as long as its producer takes for so many rows). Slices before the last need the whole map,
    and a row is there when the last slice of its producer has it, unless slices are taken one by one."""
    ticks = ticks_of(network, paces)
    rows = [offsets(Pace(duration=paces[0].duration), network.tensors[0].height, ticks)]
    lines: dict[int, _Line] = {}
    for i, (pace, uses) in enumerate(zip(paces, _windows(network), strict=True)):
        mine = offsets(pace, network.result(i).height, ticks)
        ready = np.zeros_like(mine)
        for tensor, _, seen in uses:
            there = rows[tensor][-1]
            span, lasts = ticks, 0
            if tensor:
                span, lasts = int(paces[tensor - 1].duration * ticks), int(paces[tensor - 1].lasts * ticks)
            wait = lasts + int(pace.slack * span) // network.tensors[tensor].height
            if pace.parted:
                ready = np.maximum(ready, rows[tensor][:, needed_rows(seen)] + wait)
                continue
            ready[:-1] = np.maximum(ready[:-1], there[-1] + wait)
            ready[-1] = np.maximum(ready[-1], there[needed_rows(seen)] + wait)
        if pace.after is not None:
            over = rows[pace.after + 1][0, 0] + int(paces[pace.after].duration * ticks)
            ready = np.maximum(ready, over)
        packed = None
        if pace.chain is not None:
            packed = _packed(lines.setdefault(pace.chain, _Line(ticks)), pace, mine, ready)
        rows.append(max(0, int((ready - mine).max())) + mine if packed is None else packed)
    return Times(ticks=ticks, rows=tuple(rows))


class _Line:
    """What a chunk does over a frame, as sorted intervals of its ticks that are taken."""

    def __init__(self, ticks: int):
        self.ticks = ticks
        self._taken: list[tuple[int, int]] = []

    def earliest(self, ready: int, length: int) -> int | None:
        """The first time from `ready` on at which the chunk is free for `length` ticks, frame after frame; None if it
        never is."""
        at = ready
        while at < ready + self.ticks:
            place = at % self.ticks
            hit = self._hit(place, place + length)
            if hit is None:
                return at
            at += hit - place
        return None

    def _hit(self, begin: int, end: int) -> int | None:
        """The end of an interval that one of [begin, end) meets, here or a frame later."""
        for shift in (0, self.ticks):
            number = bisect_right(self._taken, (begin - shift, self.ticks))
            for first, last in self._taken[max(0, number - 1) : number + 1]:
                if first + shift < end and begin < last + shift:
                    return last + shift
        return None

    def take(self, at: int, length: int) -> None:
        """The chunk is not free for `length` ticks from `at` on."""
        begin = at % self.ticks
        parts = [(begin, min(begin + length, self.ticks)), (0, begin + length - self.ticks)]
        for first, last in parts:
            if last <= first:
                continue
            number = bisect_right(self._taken, (first, last))
            if number and self._taken[number - 1][1] >= first:
                number -= 1
                first, last = self._taken[number][0], max(last, self._taken[number][1])
                del self._taken[number]
            if number < len(self._taken) and self._taken[number][0] == last:
                last = self._taken[number][1]
                del self._taken[number]
            self._taken.insert(number, (first, last))


def _packed(line: _Line, pace: Pace, mine: np.ndarray, ready: np.ndarray) -> np.ndarray | None:
    """When a chunk that does what `line` says computes the slices, or rows, of a layer: int64 as `mine`, and `line` is
    told; None if they do not follow each other within a frame. Where there is no room at all, they take some that is
    taken."""
    whole = pace.slices > 0
    units = ready.max(axis=1) if whole else ready[0]
    starts = mine[:, 0] if whole else mine[0]
    total = int(pace.duration * line.ticks)
    lengths = np.diff(np.append(starts, total)).tolist()
    found: list[int] = []
    at = 0
    for wanted, length in zip(units.tolist(), lengths, strict=True):
        place = line.earliest(max(at, wanted), length)
        if place is None:
            place = max(at, wanted)
        if found and place - found[0] >= line.ticks - length:
            return None
        found.append(place)
        at = place + length
    for place, length in zip(found, lengths, strict=True):
        line.take(place, length)
    times = np.array(found, np.int64)
    return np.repeat(times[:, None], mine.shape[1], axis=1) if whole else times[None]


def times_at(network: Network, begins: Sequence[Fraction], burst: int) -> Times:
    """The virtual times of layers that begin at `begins` [frames] and compute `burst` rows at a time."""
    ticks = lcm(*(t.height for t in network.tensors), *(b.denominator for b in begins))
    rows = [offsets(Pace(), network.tensors[0].height, ticks)]
    for i, begin in enumerate(begins):
        rows.append(int(begin * ticks) + offsets(Pace(burst=burst), network.result(i).height, ticks))
    return Times(ticks=ticks, rows=tuple(rows))


@lru_cache
def phases(network: Network, slack: Fraction, burst: int = 1) -> tuple[Fraction, ...]:
    """The virtual time [frames] at which every layer begins, if all take a whole frame, compute `burst` rows at a time
    and wait `slack` rows."""
    times = virtual_times(network, [Pace(slack=slack, burst=burst)] * len(network.layers))
    return tuple([Fraction(times.begin(i), times.ticks) for i in range(len(network.layers))])


def first_stage(times: Times, layers: Sequence[int]) -> int:
    """The round in which the first of `layers` begins a frame that enters in round 0."""
    return min(times.begin(i) for i in layers) // times.ticks


def turns_at(times: Times, chunk: Chunk, first: int | None = None) -> Chunk:
    """`chunk` with its jobs' rows in the order of their virtual times, and the stages that these have, counted from
    round `first` (None: that of its first layer)."""
    if first is None:
        first = first_stage(times, [job.layer for job in chunk.jobs])
    jobs: list[Job] = []
    order: list[tuple[int, int, int, int, int]] = []
    for j, job in enumerate(chunk.jobs):
        mine = times.rows[job.layer + 1]
        base = times.begin(job.layer) // times.ticks
        jobs.append(replace(job, stage=base - first, slices=len(mine)))
        late, at = np.divmod(mine - base * times.ticks, times.ticks)
        for piece in range(len(mine)):
            for time, round_ in zip(at[piece].tolist(), late[piece].tolist(), strict=True):
                order.append((time, job.layer, piece, j, round_))
    turns = [
        Turn(job=j, rows=len(list(same)), late=late)
        for (_, j, late), same in groupby(sorted(order), key=lambda row: (row[2], row[3], row[4]))
    ]
    return replace(chunk, jobs=tuple(jobs), turns=tuple(turns))


def turns_of(network: Network, chunk: Chunk, begins: Sequence[Fraction], burst: int = 1) -> Chunk:
    """`turns_at` the times of layers that begin at `begins` [frames] and compute `burst` rows at a time."""
    return turns_at(times_at(network, begins, burst), chunk)


def fetch_order(times: Times, chunks: Sequence[Chunk]) -> tuple[int, ...]:
    """The chunk of every slice of streamed weights of a round in the order of virtual times (`WeightMemory.order`)."""
    found = []
    for k, chunk in enumerate(chunks):
        for job in chunk.jobs:
            if job.streamed:
                at = times.rows[job.layer + 1][:, 0] % times.ticks
                found += [(time, job.layer, piece, k) for piece, time in enumerate(at.tolist())]
    return tuple(k for *_, k in sorted(found))


def most_held(seen: Window, started: np.ndarray, read: np.ndarray, ticks: int) -> int:
    """The most rows that a ring holds in a serial execution, the one that is being written among them. started: int64
    [parts, height], when each row of a frame is first written; read: int64 [parts, rows], when each row of its reader
    is computed for the last time."""
    released, begun = read[:, releasing_rows(seen)].ravel(), started.ravel()
    # Rows are released in order: those of earlier frames, and of this one those that are read before now.
    frames = -((released[0] - begun) // ticks) - 1
    gone = frames * begun.size + np.searchsorted(released, begun - frames * ticks, side="left")
    return max(1, int((np.arange(begun.size) + 1 - gone).max()))


def rings_at(network: Network, times: Times, parts: Collection[Use] = ()) -> dict[Use, int]:
    """The rows of every ring that the serial execution in the order of virtual times needs. Slices write, and read, a
    whole map, but where a row holds the channels of one slice (`parts`)."""
    found: dict[Use, int] = {}
    for tensor, consumer, port in _uses(network):
        seen, written = _window(network, tensor, consumer, port), times.rows[tensor]
        read = written if consumer == HOST else times.rows[consumer + 1]
        whole = (tensor, consumer, port) not in parts
        held = most_held(seen, written[:1] if whole else written, read[-1:] if whole else read, times.ticks)
        if whole and (len(written) > 1 or len(read) > 1):
            held = max(held, seen.height)
        found[tensor, consumer, port] = max(held, min_ring_rows(network, consumer, port))
    return found


@lru_cache(maxsize=256)
def _uses(network: Network) -> tuple[Use, ...]:
    return tuple(uses_of(network))


def _window(network: Network, tensor: int, consumer: int, port: Port) -> Window:
    if consumer == HOST:
        return window(network, consumer, port, tensor)
    return next(seen for _, p, seen in _windows(network)[consumer] if p == port)


@lru_cache
def serial_rows(network: Network, begins: tuple[Fraction, ...], burst: int = 1) -> Mapping[Use, int]:
    """`rings_at` the times of layers that begin at `begins` [frames] and compute `burst` rows at a time."""
    return rings_at(network, times_at(network, begins, burst))


def with_turns(
    network: Network, accelerator: Accelerator, slack: Fraction = Fraction(1), burst: int = 1
) -> tuple[Accelerator, Mapping[Use, int]]:
    """`accelerator` with a row program in every chunk, in which layers compute `burst` rows at a time, `slack` [rows of
    the input] later than they could; and the rows that its rings need at least (those of the result are the old
    ones)."""
    begins = phases(network, slack, burst)
    chunks = tuple([turns_of(network, chunk, begins, burst) for chunk in accelerator.chunks])
    return replace(accelerator, chunks=chunks), serial_rows(network, begins, burst)


def with_rows(accelerator: Accelerator, rows: Mapping[Use, int], spare: int = 0) -> Accelerator:
    """`accelerator` with rings of `rows`, and `spare` rows more."""
    rings = [replace(r, rows=rows[r.tensor, r.consumer, r.port] + spare) for r in accelerator.rings]
    return replace(accelerator, rings=tuple(rings))
