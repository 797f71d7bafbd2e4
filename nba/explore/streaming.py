# SPDX-License-Identifier: Apache-2.0
"""The mapper of machines that stream weights from external memory: `map_streamed` (docs/streaming.md).

Start plans come from loads and estimates (nba.explore.stream_start). The best of them are annealed: every neighbour is
built, lowered and costed, and its interval is the exact one. All draws are from seeded generators, and all limits are
counts, so that the same arguments give the same design.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np

from nba.boards import Platform
from nba.explore.budgets import Budgets
from nba.explore.stream_moves import changed_plan, legal_pieces
from nba.explore.stream_plan import Costs, Plan, build_plan, bus_of, lanes_fit
from nba.explore.stream_start import Rough
from nba.ir.accelerator import Accelerator, WeightMemory
from nba.machine.logic import logic
from nba.machine.program import Program, lower
from nba.machine.resources import predict
from nba.machine.schedule import tables
from nba.machine.steady import Rate

BURST = 16
"""Beats of a burst of the reader of weights."""
CHARGE = 4.0
"""Part of the interval that is charged for each part by which a budget is exceeded."""
WISH = 0.003
"""Part of it that is charged for the use of all of a budget: of equally fast designs, smaller ones come first."""
HEAT = 0.008
"""Part of the interval by which a neighbour may be worse at first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamEffort:
    """How hard `map_streamed` tries. columns: how many values of pp; start_steps: neighbours of a start plan, by loads
    alone, for every number of engines; finalists: start plans that are annealed by the exact rate; scout_steps: their
    neighbours; steps: those of the best of them."""

    columns: int = 1
    start_steps: int = 30_000
    finalists: int = 3
    scout_steps: int = 250
    steps: int = 2500


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A plan with what it stands for. value: what is minimised; fits: within all budgets; critical: the layers whose
    rows set the interval."""

    plan: Plan
    accelerator: Accelerator
    value: float
    interval: int
    fits: bool
    critical: tuple[int, ...]
    rate: Rate


def streaming_memory(platform: Platform, share: float = 1.0, ports: int = 1) -> WeightMemory | None:
    """The external memory of a board as a design reads weights from it: the widest legal port of at most `share` of the
    bytes per cycle that `ports` of the board's ports move; None where the board has none."""
    memory = platform.memory
    if memory is None:
        return None
    bits = bus_of(int(8 * memory.bytes_per_cycle * min(ports, memory.ports) * share))
    return WeightMemory(bus_bits=bits, latency=memory.latency_cycles, burst=BURST) if bits else None


class Exact:
    """The exact judgement of plans."""

    def __init__(self, costs: Costs, rough: Rough, platform: Platform, budgets: Budgets, memory: WeightMemory | None):
        self.costs, self.rough, self.platform, self.budgets, self.memory = costs, rough, platform, budgets, memory
        self.judged = 0

    def judge(self, plan: Plan, ceiling: float, like: Rate | None) -> Judged | None:
        """`plan`, if its value is at most `ceiling`. like: the rate of a neighbour."""
        costs = self.costs
        if len(set(plan.owner)) < len(plan.engines) or not lanes_fit(costs, plan.engines, plan.owner):
            return None
        least = max(self.rough.loads(plan)) // 2
        if 2 * least > ceiling or not legal_pieces(costs, plan):
            return None
        self.judged += 1
        latency, burst = (self.memory.latency, self.memory.burst) if self.memory else (1, 1)
        accelerator = build_plan(costs, plan, latency, burst)
        program = lower(costs.network, accelerator)
        over, used = self._use(program)
        factor = 1 + CHARGE * over + WISH * used
        flat = tables(program)
        rate = Rate(flat, like)
        if ceiling < 1e18 and not rate.within(flat.ring_rows, int(ceiling / factor)):
            return None
        interval = rate.interval(flat.ring_rows, least)
        if interval is None or interval * factor > ceiling:
            return None
        layers = [job.layer for chunk in accelerator.chunks for job in chunk.jobs]
        jobs = {rate.job_of(int(event)) for event in rate.critical}
        critical = tuple(sorted(layers[j] for j in jobs if j is not None and j < len(layers)))
        return Judged(
            plan=plan, accelerator=accelerator, value=interval * factor, interval=interval, fits=over == 0.0,
            critical=critical, rate=rate,
        )  # fmt: skip

    def _use(self, program: Program) -> tuple[float, float]:
        """Parts by which budgets are exceeded, and the parts of them that are used, summed."""
        found, budgets = predict(program, self.platform), self.budgets
        shares = [found.dsp / max(budgets.dsp, 0.5), found.bram18 / max(budgets.bram18, 0.5)]
        if budgets.lut is not None:
            shares.append(logic(program, self.platform)[0] / budgets.lut)
        return sum(max(0.0, share - 1) for share in shares), sum(shares)


def anneal(
    exact: Exact, start: Judged, steps: int, rng: np.random.Generator, heard: Callable[[int, Judged], None]
) -> Judged:  # fmt: skip
    """The best design met in so many neighbours, one that fits before any that does not."""
    here = best = start
    for step in range(steps):
        heard(step, best)
        heat = HEAT * here.value * (1 - step / steps) ** 2
        ceiling = here.value - heat * log(max(1e-12, rng.random()))
        trial = exact.judge(changed_plan(exact.costs, here.plan, here.critical, rng), ceiling, here.rate)
        if trial is not None:
            here = trial
            if (not here.fits, here.value) < (not best.fits, best.value):
                best = here
    return best
