# SPDX-License-Identifier: Apache-2.0
"""A slow, cycle-by-cycle simulator of the token machine, written from docs/template.md alone.

It shares nothing with nba.machine.program and nba.machine.schedule: sizes are derived anew from network and
accelerator, the four counters of a ring are 16-bit registers, and every sequencer is a state machine that advances one
cycle at a time. It settles disputes between the schedule and the RTL.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, gcd

from nba.ir.accelerator import HOST, Accelerator, Job, Ring, Turn
from nba.ir.network import Network

FETCH = 5


def signed16(value: int) -> int:
    """A 16-bit difference read as a signed number."""
    return (value + 0x8000) % 0x10000 - 0x8000


@dataclass(slots=True)
class Counters:
    """The registers of one ring."""

    ring: Ring
    started: int = 0
    written: int = 0
    held: int = 0
    released: int = 0
    turn: bool = False
    freed: int = 0
    heir: Counters | None = None


@dataclass(slots=True)
class Store:
    """The counters of the slices of weights that a chunk has room for."""

    taken: int = 0
    loaded: int = 0
    held: int = 0
    freed: int = 0


@dataclass(slots=True)
class Work:
    """One job: what it reads and writes, and how long its rows take. layer is HOST for the streams. Of the rows of a
    frame, `rows` are those of a slice."""

    layer: int
    stage: int
    rows: int
    slices: int
    row_cycles: int
    written_after: int
    residual_after: int
    source: Counters | None
    residual: Counters | None
    sinks: list[Counters]
    windows: list[tuple[int, int]] = field(default_factory=list)
    store: Store | None = None
    slice_words: int = 0
    starts: dict[tuple[int, int], int] = field(default_factory=dict)


class Machine:
    """The whole accelerator. `run` returns False if it stands still before its end."""

    def __init__(self, network: Network, accelerator: Accelerator, n_frames: int):
        self.network, self.accelerator, self.n_frames = network, accelerator, n_frames
        self.rings = [Counters(ring) for ring in accelerator.rings]
        self.share_memory()
        self.events: dict[int, list[tuple[Counters | Store, str, int]]] = defaultdict(list)
        self.chunks = [
            Sequencer(self, [self.layer_work(k, job) for job in chunk.jobs], FETCH, chunk.turns)
            for k, chunk in enumerate(accelerator.chunks)
        ]
        self.reader = Reader(self)
        self.input = Sequencer(self, [self.input_work()], 0)
        self.output = Sequencer(self, [self.output_work()], 0)

    def share_memory(self) -> None:
        """Rules of "Shared memory": rings of one edge and share have a turn in the order of the list."""
        place, groups = self.accelerator.place(), defaultdict[object, list[Counters]](list)
        for c in self.rings:
            ring = c.ring
            if ring.share:
                key = place[ring.tensor - 1], place[ring.consumer], ring.port, ring.lane, ring.share
                groups[key].append(c)
        for group in groups.values():
            group[0].turn = True
            for c, heir in zip(group, group[1:] + group[:1], strict=True):
                c.heir = heir

    def release(self, counters: Counters, rows: int, cycle: int) -> None:
        """Rows of a shared ring are given back, seen from `cycle` on; the next ring's turn comes a cycle later."""
        if counters.heir is not None:
            counters.freed += rows
            if counters.freed == self.network.tensors[counters.ring.tensor].height * counters.ring.parts:
                counters.freed = 0
                self.events[cycle + 1].append((counters.heir, "turn", 1))

    def ring(self, tensor: int, consumer: int, port: str) -> Counters:
        """The ring of one use."""
        return next(c for c in self.rings if (c.ring.tensor, c.ring.consumer, c.ring.port) == (tensor, consumer, port))

    def sinks(self, tensor: int) -> list[Counters]:
        """All rings that `tensor` is written to."""
        return [c for c in self.rings if c.ring.tensor == tensor]

    def layer_work(self, k: int, job: Job) -> Work:
        """Rules of "Engine", "Row tokens", "Slices" and "Cycles" for `job` on chunk `k`."""
        i = job.layer
        chunk, layer = self.accelerator.chunks[k], self.network.layers[i]
        src, out = self.network.tensors[layer.input], self.network.tensors[i + 1]
        words = ceil(src.channels / chunk.pn) if chunk.kind == "dense" else 1
        if layer.groups == 2:
            ends = (src.channels / 2 / chunk.pn, out.channels / 2 / chunk.pm, layer.rotate / chunk.pm)
            if all(end == int(end) for end in ends):
                words //= 2
        steps = words * layer.kernel_h * layer.kernel_w
        drain = chunk.pm // chunk.pq
        slots = ceil(out.width / (chunk.columns or self.accelerator.pp)) * (ceil(out.channels / chunk.pm) // job.slices)
        busy = slots * max(steps, drain)
        levels = (chunk.pn - 1).bit_length()
        windows = []
        for y in range(out.height):
            top = y * layer.stride_h - layer.pad_top
            first = max(0, top)
            last = y == out.height - 1
            release = (src.height if last else max(0, top + layer.stride_h)) - first
            windows.append((min(src.height, top + layer.kernel_h) - first, release))
        residual = None if layer.residual is None else self.ring(layer.residual, i, "residual")
        return Work(
            i, job.stage, out.height, job.slices, max(busy, 2), busy + drain + levels + 20, busy + drain + levels + 9,
            self.ring(layer.input, i, "main"), residual, self.sinks(i + 1), windows,
            slice_words=ceil(out.channels / chunk.pm) // job.slices * steps,
        )  # fmt: skip

    def store_bits(self, k: int) -> int:
        """Bits of a stored weight of chunk `k`."""
        layers = [self.network.layers[job.layer] for job in self.accelerator.chunks[k].jobs]
        return max([2 if "pool" in layer.op else layer.weight_store_bits for layer in layers])

    def input_work(self) -> Work:
        """The input stream."""
        first, lanes = self.network.tensors[0], 0
        for chunk in self.accelerator.chunks:
            for job in chunk.jobs:
                layer = self.network.layers[job.layer]
                if layer.input == 0:
                    lanes = gcd(lanes, chunk.pn if chunk.kind == "dense" else chunk.pm)
                if layer.residual == 0:
                    lanes = gcd(lanes, chunk.pq)
        beats = ceil(first.width / self.accelerator.pp) * ceil(first.channels / lanes)
        return Work(HOST, 0, first.height, 1, max(beats, 2), beats + 2, 0, None, None, self.sinks(0))

    def output_work(self) -> Work:
        """The output stream."""
        last = self.network.tensors[-1]
        self.out_beats = ceil(last.width / self.accelerator.pp) * ceil(last.channels / self.accelerator.out_lanes)
        ring = self.ring(len(self.network.layers), HOST, "main")
        return Work(HOST, 0, last.height, 1, max(self.out_beats, 2), 0, 0, ring, None, [], [(1, 1)] * last.height)

    def run(self) -> bool:
        """Advance cycle by cycle until every frame has left."""
        machines = [*self.chunks, self.input, self.output]
        cycle = 0
        while any(m.state != "idle" for m in machines):
            for counters, name, amount in self.events.pop(cycle, []):
                setattr(counters, name, (getattr(counters, name) + amount) % 0x10000)
                if name == "released" and isinstance(counters, Counters):
                    self.release(counters, amount, cycle)
            before = [(m.state, m.left) for m in machines]
            for m in machines:
                m.clock(cycle)
            self.reader.clock(cycle)
            still = all(m.state in ("decide", "idle") for m in machines) and not self.reader.moving
            if still and before == [(m.state, m.left) for m in machines] and not self.events:
                return False
            cycle += 1
        return True

    def output_cycle(self, frame: int) -> int:
        """Cycle in which the last beat of `frame` is handed over."""
        work = self.output.works[0]
        beats = [work.starts[frame, y] + beat + 5 for y in range(work.rows) for beat in range(self.out_beats)]
        return max(beats)


class Reader:
    """Reads slices of weights from external memory, in the order of its list, round after round."""

    def __init__(self, machine: Machine):
        self.machine, self.at, self.round, self.ready, self.beat = machine, 0, 0, 3, -1
        self.moving = False
        memory, self.list = machine.accelerator.memory, []
        if memory is None:
            return
        queues: list[list[tuple[Store, int, int]]] = []
        for chunk, sequencer in zip(machine.accelerator.chunks, machine.chunks, strict=True):
            store, queue = Store(), []
            seen = [0] * len(chunk.jobs)
            for late in (0, 1):
                for number, turn in enumerate(sequencer.turns):
                    job, work = chunk.jobs[turn.job], sequencer.works[turn.job]
                    if job.streamed and turn.late == late:
                        work.store = store
                        if seen[turn.job] % work.rows == 0:
                            queue.append((number, turn.job, job.stage + late))
                        seen[turn.job] += turn.rows
            queues.append([(store, j, stage) for _, j, stage in sorted(queue)])
        shares = [(ceil_half(i, len(q)), k) for k, q in enumerate(queues) for i in range(len(q))]
        for k in memory.order or [k for _, k in sorted(shares)]:
            store, j, stage = queues[k].pop(0)
            chunk, words = machine.accelerator.chunks[k], machine.chunks[k].works[j].slice_words
            width, per = chunk.pm * chunk.pn * machine.store_bits(k), 1
            while 2 * per * width <= memory.bus_bits:
                per *= 2
            beats = ceil(words / per) * ceil(per * width / memory.bus_bits)
            self.list.append((store, stage, ceil(beats / memory.burst), beats))
        self.last = max(stage for _, stage, _, _ in self.list)

    def clock(self, cycle: int) -> None:
        """One cycle."""
        self.moving = bool(self.list) and self.round < self.machine.n_frames + self.last and cycle < self.ready
        if not self.list or self.round == self.machine.n_frames + self.last or cycle < self.ready:
            return
        store, stage, bursts, beats = self.list[self.at]
        memory = self.machine.accelerator.memory
        assert memory is not None
        if 0 <= self.round - stage < self.machine.n_frames:
            if store.taken - store.freed >= memory.slots:
                return
            store.taken += 1
            self.beat = max(cycle + 1 + memory.latency, self.beat + 1) + beats - 1
            self.machine.events[self.beat + 3].append((store, "loaded", 1))
            self.ready = cycle + max(bursts, 4)
        else:
            self.ready = cycle + 4
        self.moving = True
        self.at = (self.at + 1) % len(self.list)
        self.round += self.at == 0


def ceil_half(i: int, n: int) -> Fraction:
    """The middle of part i of n."""
    return Fraction(2 * i + 1, 2 * n)


class Sequencer:
    """Fetches turns and starts rows. `left`: cycles left in the states fetch and row. Every job has its next row."""

    def __init__(self, machine: Machine, works: list[Work], fetch: int, turns: tuple[Turn, ...] = ()):
        self.machine, self.works, self.fetch = machine, works, fetch
        self.turns = turns or tuple(
            Turn(job=j, rows=work.rows) for j, work in enumerate(works) for _ in range(work.slices)
        )
        self.rounds = machine.n_frames + max(works[turn.job].stage + turn.late for turn in self.turns)
        self.round = self.turn = self.done = 0
        self.rows = [0] * len(works)
        self.state, self.left = ("fetch", fetch) if fetch else ("decide", 0)

    @property
    def work(self) -> Work:
        """The job of the present turn."""
        return self.works[self.turns[self.turn].job]

    @property
    def frame(self) -> int:
        """The frame that the present turn is of."""
        return self.round - self.work.stage - self.turns[self.turn].late

    def next_turn(self) -> None:
        """On to the next turn of the program, or to idle after the last round."""
        self.done = 0
        self.turn += 1
        if self.turn == len(self.turns):
            self.turn = 0
            self.round += 1
        self.state, self.left = ("fetch", self.fetch) if self.fetch else ("decide", 0)
        if self.round == self.rounds:
            self.state = "idle"

    def clock(self, cycle: int) -> None:
        """One cycle."""
        if self.state == "fetch":
            self.left -= 1
            if self.left == 0:
                if 0 <= self.frame < self.machine.n_frames:
                    self.state = "decide"
                else:
                    self.next_turn()
        elif self.state == "decide":
            self.decide(cycle)
        elif self.state == "row":
            self.left -= 1
            if self.left == 0:
                j = self.turns[self.turn].job
                self.rows[j] = (self.rows[j] + 1) % (self.work.rows * self.work.slices)
                self.done += 1
                self.state = "decide"
                if self.done == self.turns[self.turn].rows:
                    self.next_turn()
                if self.state == "decide":
                    self.decide(cycle)

    def decide(self, cycle: int) -> None:
        """Start the row if all tokens are there; the counters change with the next cycle."""
        work, row = self.work, self.rows[self.turns[self.turn].job]
        piece, y = divmod(row, work.rows)
        first, last = piece == 0, piece == work.slices - 1
        need, release = work.windows[y] if work.windows else (0, 0)
        source, residual, sinks = work.source, work.residual, work.sinks
        one = 1
        whole = source is not None and source.ring.parts == 1
        if not last:
            one = work.rows
        if not last and whole and source:
            need, release = self.machine.network.tensors[source.ring.tensor].height, 0
        if source and signed16(source.written - source.held) < need:
            return
        if residual and signed16(residual.written - residual.held) < one:
            return
        if work.store and work.store.loaded <= work.store.held:
            return
        claimed = [sink for sink in sinks if first or sink.ring.parts > 1]
        if any(signed16(sink.started - sink.released) >= sink.ring.rows for sink in claimed):
            return
        if row == 0 and any(sink.heir is not None and not sink.turn for sink in sinks):
            return
        start = cycle + 1
        end = start + work.row_cycles - 1
        events = self.machine.events
        work.starts[self.frame, row] = start
        if source:
            events[cycle + 1].append((source, "held", release))
            events[end + 2].append((source, "released", release))
        if residual and last:
            events[cycle + 1].append((residual, "held", 1))
            events[start + work.residual_after].append((residual, "released", 1))
        if work.store and y == work.rows - 1:
            events[cycle + 1].append((work.store, "held", 1))
            events[end + 6].append((work.store, "freed", 1))
        for sink in sinks:
            if row == 0:
                sink.turn = False
            if first or sink.ring.parts > 1:
                events[cycle + 1].append((sink, "started", 1))
            if last or sink.ring.parts > 1:
                events[start + work.written_after].append((sink, "written", 1))
        self.state, self.left = "row", work.row_cycles
