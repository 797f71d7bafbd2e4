# SPDX-License-Identifier: Apache-2.0
"""Ring sizes for a fixed program: as small as the exact schedule allows, or as the memory budget demands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from nba.boards import Platform
from nba.core.errors import DeadlockError
from nba.explore.modulo import make_rings
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.machine.kernels import BLOCK_BITS
from nba.machine.program import Program, lower, with_rings
from nba.machine.resources import edge_bram18, predict
from nba.machine.schedule import beat_cycles, run_tables, tables
from nba.machine.steady import Rate, steady_interval
from nba.machine.windows import Use, fewest_rows, uses_of

PRICE_OF_A_CUT = 0.001
"""Part of the interval that making a ring smaller counts as, so that few large cuts come before many small ones."""


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
        assert all(ring.waits_for < 0 for edge in program.edges for ring in edge.rings), "all have memory of their own"
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
    """The rings of one accelerator whose program is fixed; the exact rate is found anew for every trial.

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
        fewest = fewest_rows(network)
        problems = []
        for tensor, consumer, port in self.uses:
            height = network.tensors[tensor].height
            low, high = fewest[tensor, consumer, port], height * (spread + 1)
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
        self._rate = Rate(self._tables)
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
        found = self.measured(rows)
        if found is not None:
            return found
        return speed_of(with_rings(self._program, self.network, self.with_rows(rows)), self._in_flight)

    def measured(self, rows: dict[Use, int]) -> Speed | None:
        """Exact speed with rings of these sizes; None if they deadlock."""
        interval = self.interval(rows)
        latency = None if interval is None else self._latency(self._ring_rows(rows))
        if interval is None or latency is None:
            return None
        return Speed(interval_cycles=interval, first_output_latency_cycles=latency)

    def interval(self, rows: dict[Use, int], least: int = 0) -> int | None:
        """Exact interval with rings of these sizes, or `least` if that is longer; None if they deadlock."""
        return self._rate.interval(self._ring_rows(rows), least)

    def meets(self, rows: dict[Use, int], goal: Speed) -> bool:
        """Whether rings of these sizes are as fast as `goal`."""
        sizes = self._ring_rows(rows)
        if not self._rate.within(sizes, goal.interval_cycles):
            return False
        latency = self._latency(sizes)
        return latency is not None and latency <= goal.first_output_latency_cycles

    def _ring_rows(self, rows: dict[Use, int]) -> np.ndarray:
        return np.array([rows[use] for use in self._index], np.int64)

    def _latency(self, ring_rows: np.ndarray) -> int | None:
        output = beat_cycles(self._program, replace(self._tables, ring_rows=ring_rows), self._in_flight + 1)
        return None if output is None else int(output[0]) + 1

    def shrink(self, rows: dict[Use, int], goal: Speed) -> dict[Use, int]:
        """Smaller rings that are exactly as fast as `goal`: one ring after another, the largest memory first."""
        rows = dict(rows)
        for use in sorted(self.uses, key=lambda u: (-self._words(u) * rows[u], u)):
            low, high = self.low[use], rows[use]
            while low < high:
                middle = (low + high) // 2
                if self.meets({**rows, use: middle}, goal):
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
        cost = self.interval(rows)
        while memory.bram18(rows) > max_bram18:
            if cost is None or (ceiling is not None and cost >= ceiling):
                return None
            found = self._cut(rows, memory, cost)
            if found is None:
                return None
            use, target, cost = found
            rows[use] = target
        return rows

    def _cut(self, rows: dict[Use, int], memory: RingMemory, cost: int) -> tuple[Use, int, int] | None:
        """The ring of `rows` to make smaller, its new rows, and the interval then, `cost` being the present one: the
        first by cycles lost per memory saved, with a small price of every cut. None if there is nothing to cut.

        Those that save most come first; the others are not tried once they could not be cheaper if they cost nothing.
        """
        before = memory.size(rows)
        trials: list[tuple[int, Use, int]] = []
        for use in self.uses:
            for target in {self.low[use], (self.low[use] + rows[use]) // 2}:
                saved = before - memory.size({**rows, use: target}) if target < rows[use] else 0
                if saved > 0:
                    trials.append((saved, use, target))
        best: tuple[float, Use, int] | None = None
        interval = cost
        for saved, use, target in sorted(trials, key=lambda t: (-t[0], *t[1:])):
            if best is not None and (PRICE_OF_A_CUT * cost / saved, use, target) > best:
                if PRICE_OF_A_CUT * cost / saved > best[0]:
                    break
                continue
            now = self.interval({**rows, use: target}, cost)
            if now is None:
                continue
            price = (now - cost + PRICE_OF_A_CUT * cost) / saved
            if best is None or (price, use, target) < best:
                best, interval = (price, use, target), now
        return None if best is None else (best[1], best[2], interval)
