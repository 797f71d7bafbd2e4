# SPDX-License-Identifier: Apache-2.0
"""Ring sizes for a fixed program: as small as the exact schedule allows, or as the memory budget demands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from nba.boards import Platform
from nba.core.errors import DeadlockError
from nba.explore.modulo import make_rings, uses_of
from nba.ir.accelerator import Accelerator, Port
from nba.ir.network import Network
from nba.machine.kernels import BLOCK_BITS
from nba.machine.program import Program, lower, min_ring_rows, with_rings
from nba.machine.resources import edge_bram18, predict
from nba.machine.schedule import Tables, run_tables, tables
from nba.machine.steady import steady_interval

Use = tuple[int, int, Port]
"""(tensor, consuming layer or HOST, port): what one ring is for."""

_MAX_FRAMES = 256
"""Frames after which a trial gives up waiting for equal intervals and takes the mean of the last half."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """Exact schedule of a design in steady state: cycles between frames, and from start to the first frame's output."""

    interval_cycles: int
    first_output_latency_cycles: int

    def key(self, objective: str) -> tuple[int, int]:
        """What is minimised, the most important first."""
        pair = (self.interval_cycles, self.first_output_latency_cycles)
        return pair[::-1] if objective == "latency" else pair


def frames_in_flight(accelerator: Accelerator) -> int:
    """Frames that may be inside the machine at once, by stage offsets and by the number of chunks."""
    return max(chunk.last_stage for chunk in accelerator.chunks) + len(accelerator.chunks) + 1


def measure_speed(program: Program, flat: Tables, in_flight: int) -> Speed:
    """Speed by the schedule of some frames: exact latency, and the interval once it has not changed for `in_flight`
    frames, which large rings may yet lengthen when they are full (`speed` is exact). The last frames of a run leave
    early, because nothing follows them: they do not count. Raises DeadlockError."""
    n = 3 * in_flight + 4
    while True:
        schedule = run_tables(program, flat, n)
        steps = np.diff(schedule.output_cycle)[: n - 1 - in_flight]
        tail = steps[-in_flight - 1 :]
        latency = schedule.first_output_latency_cycles
        if (tail == tail[0]).all():
            return Speed(interval_cycles=int(tail[0]), first_output_latency_cycles=latency)
        if n >= _MAX_FRAMES:
            half = steps[len(steps) // 2 :]
            return Speed(interval_cycles=int(np.ceil(half.mean())), first_output_latency_cycles=latency)
        n *= 2


def speed(network: Network, accelerator: Accelerator) -> Speed:
    """Steady-state interval and first-output latency of a complete, legal design. Raises DeadlockError."""
    return speed_of(lower(network, accelerator), frames_in_flight(accelerator))


def speed_of(program: Program, in_flight: int) -> Speed:
    """`speed` of a lowered design with at most so many frames inside the machine at once."""
    latency = run_tables(program, tables(program), in_flight + 1).first_output_latency_cycles
    return Speed(interval_cycles=ceil(steady_interval(program)), first_output_latency_cycles=latency)


class RingMemory:
    """The block RAM of a design whose rings have any number of rows; all else of it is that of `program`."""

    def __init__(self, program: Program, platform: Platform):
        self._program, self._platform = program, platform
        self._rings = [
            [((ring.tensor, ring.consumer, edge.port), ring.row_words) for ring in edge.rings] for edge in program.edges
        ]
        found = predict(program, platform)
        self._fixed = found.bram18 - sum(edge.bram18 for edge in found.edges)
        self._blocks: dict[tuple[int, int], int] = {}

    def _depths(self, rows: Mapping[Use, int]) -> list[int]:
        return [sum(rows[use] * words for use, words in rings) for rings in self._rings]

    def _edge(self, number: int, depth: int) -> int:
        found = self._blocks.get((number, depth))
        if found is None:
            edge = replace(self._program.edges[number], depth_words=depth)
            found = edge_bram18(edge, self._program.banks, self._platform, self._program.block_luts)
            self._blocks[number, depth] = found
        return found

    def bram18(self, rows: Mapping[Use, int]) -> int:
        """18 Kib block RAMs of the design with rings of these sizes."""
        return self._fixed + sum(self._edge(number, depth) for number, depth in enumerate(self._depths(rows)))

    def size(self, rows: Mapping[Use, int]) -> int:
        """Memory in bits as it counts against the budget, with a share of the bits themselves, so that cutting a ring
        shows before it saves a whole block."""
        program, depths = self._program, self._depths(rows)
        bits = sum(
            depth * edge.lanes * edge.code_bits * program.banks
            for depth, edge in zip(depths, program.edges, strict=True)
        )
        return self.bram18(rows) * BLOCK_BITS + bits // 4


class RingSearch:
    """The rings of one accelerator whose program is fixed; the exact schedule is re-run for every trial.

    Rows of rings never slow anything down (the schedule is max-plus and monotone), so sizes are found by bisection.
    """

    def __init__(self, network: Network, accelerator: Accelerator):
        self.network = network
        self.accelerator = accelerator
        self.uses: list[Use] = uses_of(network)
        place = accelerator.place()
        stages = {job.layer: job.stage for chunk in accelerator.chunks for job in chunk.jobs}
        order = {job.layer: n for chunk in accelerator.chunks for n, job in enumerate(chunk.jobs)}
        spread = max(chunk.last_stage for chunk in accelerator.chunks) + 1
        self.low: dict[Use, int] = {}
        self.high: dict[Use, int] = {}
        problems = []
        for tensor, consumer, port in self.uses:
            height = network.tensors[tensor].height
            low, high = min_ring_rows(network, consumer, port), height * (spread + 1)
            producer = tensor - 1
            shared = producer >= 0 and consumer >= 0 and place[producer] == place[consumer]
            if shared and not accelerator.chunks[place[consumer]].turns:
                wait = stages[consumer] - stages[producer]
                frames = wait + (order[producer] < order[consumer])
                if frames <= 0:
                    problems.append(
                        f"chunk {place[consumer]} executes layer {consumer} (stage {stages[consumer]}) before layer "
                        f"{producer} (stage {stages[producer]}), which feeds it; put it later or raise its stage"
                    )
                low = high = max(low, height * frames)
            self.low[(tensor, consumer, port)] = low
            self.high[(tensor, consumer, port)] = max(low, high)
        if problems:
            raise DeadlockError("accelerator program", problems)
        self._in_flight = frames_in_flight(accelerator)
        self._program = lower(network, self.with_rows(self.high))
        self._tables = tables(self._program)
        self._index = self._ring_index()

    def with_rows(self, rows: dict[Use, int]) -> Accelerator:
        """The accelerator with rings of these sizes."""
        return replace(self.accelerator, rings=make_rings(self.network, self.accelerator, rows))

    def _ring_index(self) -> list[Use]:
        found: list[Use] = []
        for edge in self._program.edges:
            found.extend((ring.tensor, ring.consumer, edge.port) for ring in edge.rings)
        return found

    def exact(self, rows: dict[Use, int]) -> Speed:
        """Exact speed with rings of these sizes. Raises DeadlockError."""
        return speed_of(with_rings(self._program, self.network, self.with_rows(rows)), self._in_flight)

    def quick(self, rows: dict[Use, int]) -> Speed:
        """Speed with rings of these sizes by `measure_speed`, for trials. Raises DeadlockError."""
        flat = replace(self._tables, ring_rows=np.array([rows[use] for use in self._index], np.int64))
        return measure_speed(self._program, flat, self._in_flight)

    def meets(self, rows: dict[Use, int], goal: Speed, exactly: bool = True) -> bool:
        """Whether rings of these sizes are as fast as `goal`."""
        try:
            found = self.exact(rows) if exactly else self.quick(rows)
        except DeadlockError:
            return False
        return (
            found.interval_cycles <= goal.interval_cycles
            and found.first_output_latency_cycles <= goal.first_output_latency_cycles
        )

    def shrink(self, rows: dict[Use, int], goal: Speed) -> dict[Use, int]:
        """Smaller rings that are exactly as fast as `goal`: one ring after another, the largest memory first."""
        found = self._shrink(rows, goal, exactly=False)
        return found if self.meets(found, goal) else self._shrink(rows, goal, exactly=True)

    def _shrink(self, rows: dict[Use, int], goal: Speed, exactly: bool) -> dict[Use, int]:
        rows = dict(rows)
        for use in sorted(self.uses, key=lambda u: (-self._words(u) * rows[u], u)):
            low, high = self.low[use], rows[use]
            while low < high:
                middle = (low + high) // 2
                if self.meets({**rows, use: middle}, goal, exactly):
                    high = middle
                else:
                    low = middle + 1
            rows[use] = high
        return rows

    def _words(self, use: Use) -> int:
        tensor = self.network.tensors[use[0]]
        return tensor.width * tensor.channels

    def fit(
        self, rows: dict[Use, int], memory: RingMemory, max_bram18: int, ceiling: int | None = None
    ) -> dict[Use, int] | None:
        """Smaller rings until `memory` takes at most `max_bram18`: step by step the ring that saves most memory per
        cycle lost. None if even the smallest rings that work do not fit, or if the interval reaches `ceiling`."""
        rows = dict(rows)
        if memory.bram18(self.low) > max_bram18:
            return None
        while memory.bram18(rows) > max_bram18:
            before, cost = memory.size(rows), self.quick(rows).interval_cycles
            if ceiling is not None and cost >= ceiling:
                return None
            best: tuple[float, Use, int] | None = None
            for use in self.uses:
                for target in {self.low[use], (self.low[use] + rows[use]) // 2}:
                    trial = {**rows, use: target}
                    saved = before - memory.size(trial) if target < rows[use] else 0
                    if saved <= 0:
                        continue
                    try:
                        lost = self.quick(trial).interval_cycles - cost
                    except DeadlockError:
                        continue
                    price = (max(lost, 0) + 0.001 * cost) / saved
                    if best is None or (price, use, target) < best:
                        best = (price, use, target)
            if best is None:
                return None
            rows[best[1]] = best[2]
        return rows
