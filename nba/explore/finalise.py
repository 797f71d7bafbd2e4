# SPDX-License-Identifier: Apache-2.0
"""From engines and a partition to a complete accelerator: program order, stages, rings; judged by the exact models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from nba.boards import Platform
from nba.core.errors import DeadlockError
from nba.explore.budgets import Budgets
from nba.explore.modulo import make_rings, ring_rows, timetable, with_order, work_bound
from nba.explore.rings import RingMemory, RingSearch, Speed
from nba.explore.turns import phases, serial_rows, with_turns
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job
from nba.ir.design import Cost
from nba.ir.network import Network
from nba.ir.operators import engine_kind
from nba.machine.geometry import ceil_div
from nba.machine.logic import PlaceLimits, logic, with_multipliers
from nba.machine.program import Program, lower
from nba.machine.resources import predict
from nba.machine.total import cost_at
from nba.machine.usage import Objective, value_of
from nba.machine.windows import Use, fewest_rows

BLOCK_PRICES = (8, 16, 32, 64, 128, 256, 512)
"""LUTs that a block RAM may be worth: with the first almost all buffers are in block RAM, with the last almost none."""
MAX_PRICE = BLOCK_PRICES[-1]
"""The highest price that is tried."""
PRICE_STEPS = 16
"""The search for a price ends once it is known to one part in so many."""
SLACKS = (Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(5, 2), Fraction(4))
"""Rows that the layers of a row program wait beyond those that they need (nba.explore.turns)."""
TYPICAL_SLACK = SLACKS[1]
"""What the search for engines takes their rings for."""
BURSTS = (1, 2, 4)
"""Rows that they compute at a time."""
SPARE_ROWS = 2
"""Rows that rings have at first beyond those of a serial execution."""
UNLIMITED = 1 << 30
"""A limit that no design reaches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A complete accelerator and its exact cost."""

    accelerator: Accelerator
    speed: Speed
    cost: Cost

    @property
    def dsp(self) -> int:
        """DSP blocks."""
        return self.cost.dsp

    @property
    def bram18(self) -> int:
        """18-Kbit memory blocks."""
        return int(2 * self.cost.bram)

    def key(self, objective: Objective) -> tuple[float, ...]:
        """What is minimised: the objective, LUTs, energy, speed, then other resources; ties are broken by the rings, so
        that results are reproducible."""
        rows = sum(r.rows for r in self.accelerator.rings)
        cost = self.cost
        return (
            self.value(objective), cost.lut, cost.energy_pj, *self.speed.key(objective), self.dsp, self.bram18, rows
        )  # fmt: skip

    def value(self, objective: Objective) -> float:
        """What `objective` minimises."""
        speed = self.speed
        return value_of(objective, speed.interval_cycles, speed.first_output_latency_cycles, self.cost.energy_pj)

    def excess(self, budgets: Budgets) -> tuple[int, float]:
        """How many of the budgets are exceeded, and the worst use over limit: (0, 0) if all are met."""
        over = [x for x in budgets.excess_of(self.cost).values() if x > 1.0]
        return len(over), max(over, default=0.0)

    def fits(self, budgets: Budgets) -> bool:
        """Whether all budgets are met."""
        return self.excess(budgets) == (0, 0.0)


def judged(
    network: Network, accelerator: Accelerator, speed: Speed, platform: Platform, modes: tuple[Network, ...] = (),
    limits: PlaceLimits | None = None,
) -> Candidate:  # fmt: skip
    """A complete accelerator of known exact speed, with its cost if it is to execute `modes` as well. limits: its
    multipliers are placed anew, by these."""
    if limits is not None:
        accelerator = with_multipliers(network, accelerator, platform, limits, modes)
    cost = cost_at(
        lower(network, accelerator, modes), platform,
        interval_cycles=speed.interval_cycles, latency_cycles=speed.first_output_latency_cycles,
    )  # fmt: skip
    return Candidate(accelerator=accelerator, speed=speed, cost=cost)


def build(
    network: Network, packing: int, pp: int, owner: tuple[int, ...],
    engines: tuple[tuple[bool, int, int, int], ...],
) -> Accelerator:  # fmt: skip
    """Chunks that execute their layers in network order, without stages or rings yet.

    The output stream is as wide as the last engine's drain, or wider where it would be the bottleneck.
    """
    chunks = []
    for k, (mixes, pm, pn, pq) in enumerate(engines):
        jobs = tuple(Job(layer=i) for i, o in enumerate(owner) if o == k)
        chunks.append(Chunk(kind=engine_kind(mixes), pm=pm, pn=pn, pq=pq, jobs=jobs))
    pq = engines[owner[-1]][3]
    base = Accelerator(packing=packing, pp=pp, chunks=tuple(chunks), rings=(), out_lanes=pq)
    last = network.tensors[-1]
    bound = work_bound(network, replace(base, out_lanes=pq * ceil_div(last.channels, pq)))
    while work_bound(network, base) > bound:
        base = replace(base, out_lanes=base.out_lanes + pq)
    return base


def pipelined(network: Network, accelerator: Accelerator) -> tuple[RingSearch, dict[Use, int]]:
    """Program order, stages and rings for the shortest interval: a stall-free timetable."""
    table = timetable(network, accelerator, work_bound(network, accelerator))
    search = RingSearch(network, with_order(accelerator, table))
    rows = ring_rows(network, table)
    return search, {use: max(rows[use], search.low[use]) for use in search.uses}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Problem:
    """What all programs of some engines share: see `finalise`."""

    network: Network
    platform: Platform
    max_bram18: int
    objective: Objective
    ceiling: int | None
    budgets: Budgets | None
    modes: tuple[Network, ...]

    @property
    def limits(self) -> PlaceLimits | None:
        """DSP blocks and LUTs between which multipliers are placed; with them block RAM has a price."""
        return None if self.budgets is None else self.budgets.limits

    def lowered(self, accelerator: Accelerator) -> Program:
        """The program of a complete accelerator, with all modes."""
        return lower(self.network, accelerator, self.modes)

    def blocks(self, accelerator: Accelerator, price: int) -> int:
        """Block RAMs of 18 Kbit of a complete accelerator at a price of block RAM (0: none)."""
        return predict(self.lowered(replace(accelerator, block_luts=price)), self.platform).bram18

    def holds(self, accelerator: Accelerator) -> bool:
        """Whether the memories of a complete accelerator fit, at some price of block RAM if there may be one."""
        prices = (0,) if self.limits is None else (0, MAX_PRICE)
        return any(self.blocks(accelerator, price) <= self.max_bram18 for price in prices)

    def judged(self, accelerator: Accelerator, speed: Speed) -> Candidate:
        """A complete accelerator of this speed, with its cost."""
        return judged(self.network, accelerator, speed, self.platform, self.modes, self.limits)

    def rank(self, c: Candidate) -> tuple[tuple[int, float], tuple[float, ...]]:
        """What is minimised."""
        return (0, 0.0) if self.budgets is None else c.excess(self.budgets), c.key(self.objective)

    def placed(self, c: Candidate | None) -> bool:
        """Whether there is a design, and it meets the budgets of DSP blocks and LUTs, if there is one of LUTs."""
        return c is not None and (self.limits is None or (c.dsp <= self.limits[0] and c.cost.lut <= self.limits[1]))

    def logic_holds(self, accelerator: Accelerator) -> bool:
        """Whether a complete accelerator meets the budgets of DSP blocks and LUTs, if there is one of LUTs, with as
        much of its memories in block RAM as can be."""
        limits = self.limits
        if limits is None:
            return True
        cheap = replace(accelerator, block_luts=BLOCK_PRICES[0])
        program = self.lowered(with_multipliers(self.network, cheap, self.platform, limits, self.modes))
        return predict(program, self.platform).dsp <= limits[0] and logic(program, self.platform)[0] <= limits[1]

    def settled(self, best: Candidate | None) -> int | None:
        """The interval that another design has to keep to be better than `best`, which meets all budgets; None: any."""
        fits = best is not None and (self.budgets is None or best.fits(self.budgets))
        return best.speed.interval_cycles if best is not None and fits and self.objective == "interval" else None


def finalise(
    network: Network,
    accelerator: Accelerator,
    platform: Platform,
    max_bram18: int,
    objective: Objective,
    ceiling: int | None = None,
    budgets: Budgets | None = None,
    modes: tuple[Network, ...] = (),
) -> Candidate | None:
    """The best complete design on these engines: stall-free with stages, or in network order with stage 0; with row
    programs where neither is within `max_bram18` at full speed; of these one that meets all `budgets`, if there is one.

    None if no rings meet `max_bram18` with an interval below `ceiling`. Rings are shrunk as far as speed allows,
    further only if the budget asks.
    """
    problem = _Problem(
        network=network, platform=platform, max_bram18=max_bram18, objective=objective, ceiling=ceiling,
        budgets=budgets, modes=modes,
    )  # fmt: skip
    least = make_rings(network, accelerator, fewest_rows(network))
    if not problem.holds(replace(accelerator, rings=least)):
        return None
    best: Candidate | None = None
    tight: list[tuple[RingSearch, dict[Use, int]]] = []
    for search, ample in _whole_jobs(network, accelerator):
        goal = search.measured(ample) if problem.holds(search.with_rows(search.low)) else None
        if goal is None:
            continue
        rows = search.shrink(ample, goal)
        whole = _whole(problem, search, rows, goal)
        best = _better(problem, best, whole)
        if not problem.placed(whole):
            tight.append((search, rows))
    fastest = work_bound(network, accelerator)
    if best is None or not problem.placed(best) or (objective == "interval" and best.speed.interval_cycles > fastest):
        for search, ample in turned(network, accelerator):
            best = _better(problem, best, _turned(problem, search, ample, best))
    for search, rows in tight:
        best = _better(problem, best, _squeezed(problem, search, rows, best))
    return best


def _better(problem: _Problem, best: Candidate | None, other: Candidate | None) -> Candidate | None:
    """The better of two, the first of equal ones."""
    if best is None or other is None:
        return other if best is None else best
    return other if problem.rank(other) < problem.rank(best) else best


def _turned(
    problem: _Problem, search: RingSearch, ample: dict[Use, int], best: Candidate | None
) -> Candidate | None:  # fmt: skip
    """A row program with the smallest rings that are as fast as `ample`, or else with ones that fit; None if it cannot
    be better than `best`, or no rings fit."""
    goal, settled = search.measured(ample), problem.settled(best)
    if goal is None or (settled is not None and goal.interval_cycles > settled):
        return None
    rows = search.shrink(ample, goal)
    whole = _whole(problem, search, rows, goal)
    if problem.placed(whole):
        return whole
    return _better(problem, whole, _squeezed(problem, search, rows, best))


def _whole(
    problem: _Problem, search: RingSearch, rows: dict[Use, int], goal: Speed, high: int = MAX_PRICE
) -> Candidate | None:  # fmt: skip
    """A program with rings of exactly `rows`, without a price of block RAM if that meets the budgets, or else at the
    lowest one, up to `high`, at which the memories fit; None if there is none. Where any memories fit, at the price
    that comes closest to the budgets."""
    plain = search.with_rows(rows)
    if problem.budgets is not None and problem.limits is not None and problem.max_bram18 > problem.budgets.bram18:
        trials = [problem.judged(replace(plain, block_luts=price), goal) for price in (0, *BLOCK_PRICES)]
        return min(trials, key=problem.rank)
    if problem.blocks(plain, 0) <= problem.max_bram18:
        found = problem.judged(plain, goal)
        if problem.limits is None or problem.placed(found):
            return found
    price = _least_price(problem, plain, high)
    return None if price is None else problem.judged(replace(plain, block_luts=price), goal)


def _squeezed(
    problem: _Problem, search: RingSearch, rows: dict[Use, int], best: Candidate | None
) -> Candidate | None:  # fmt: skip
    """A program with rings smaller than `rows` that meet the budgets; None if they are too slow, or rings are not what
    exceeds the budgets.

    The lower the price of block RAM, the more of it and the fewer LUTs a design takes, and the smaller its rings have
    to be. Of the prices at which LUTs meet their budget, the highest costs least speed: it is found by bisection.
    """
    settled = problem.settled(best)
    ceiling = problem.ceiling
    if settled is not None:
        ceiling = settled + 1 if ceiling is None else min(ceiling, settled + 1)

    def at(price: int, ceiling: int | None) -> Candidate | None:
        least = problem.lowered(replace(search.with_rows(search.low), block_luts=price))
        found = search.fit(rows, RingMemory(least, problem.platform), problem.max_bram18, ceiling)
        return None if found is None else _whole(problem, search, found, search.exact(found), price)

    if problem.limits is None:
        return at(0, ceiling)
    low, high = 1, _least_price(problem, search.with_rows(rows)) or MAX_PRICE
    if high == low:
        return None
    kept = at(high, ceiling)
    if kept is None or problem.placed(kept) or not problem.logic_holds(search.with_rows(search.low)):
        return kept
    while high - low > high // PRICE_STEPS:
        middle = (low + high) // 2
        trial = at(middle, ceiling)
        kept = _better(problem, kept, trial)
        if trial is not None and not problem.placed(trial):
            high = middle
            continue
        low = middle
        if trial is not None and problem.objective == "interval":
            ceiling = trial.speed.interval_cycles
    return kept


def _least_price(problem: _Problem, accelerator: Accelerator, high: int = MAX_PRICE) -> int | None:
    """The lowest price of block RAM, from 1 to `high`, at which the memories of a complete accelerator fit: that with
    the fewest LUTs. None if there is none."""
    program = problem.lowered(accelerator)

    def fits(price: int) -> bool:
        return predict(replace(program, block_luts=price), problem.platform).bram18 <= problem.max_bram18

    if problem.limits is None or not fits(high):
        return None
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _whole_jobs(network: Network, accelerator: Accelerator) -> Iterator[tuple[RingSearch, dict[Use, int]]]:
    """Programs that compute one job after another, each with rings that let it go fast."""
    yield pipelined(network, accelerator)
    in_order = RingSearch(network, accelerator)
    yield in_order, in_order.high


def turned(network: Network, accelerator: Accelerator) -> Iterator[tuple[RingSearch, dict[Use, int]]]:
    """The fastest row program of every burst, with rings of SPARE_ROWS more than it needs."""
    for burst in BURSTS:
        found: list[tuple[int, int, RingSearch, dict[Use, int]]] = []
        for n, slack in enumerate(SLACKS):
            trial, least = with_turns(network, accelerator, slack, burst)
            search = RingSearch(network, trial)
            rows = {use: max(least[use] + SPARE_ROWS, search.low[use]) for use in search.uses}
            interval = search.interval(rows)
            assert interval is not None, "rings of a serial execution never deadlock"
            found.append((interval, n, search, rows))
        _, _, search, rows = min(found, key=lambda f: f[:2])
        yield search, rows


def turned_shares(network: Network) -> np.ndarray:
    """Part of a map that the rings of row programs hold, float [layers, 2, 1] (input, residual)."""
    found = np.zeros((len(network.layers), 2, 1))
    for (tensor, consumer, port), rows in serial_rows(network, phases(network, TYPICAL_SLACK)).items():
        if consumer != HOST:
            found[consumer, int(port == "residual"), 0] = rows / network.tensors[tensor].height
    return found


def reorder(
    network: Network, start: Candidate, platform: Platform, budgets: Budgets, objective: Objective, steps: int,
    rng: np.random.Generator, modes: tuple[Network, ...] = (),
) -> Candidate:  # fmt: skip
    """Local search over program order and stages, everything else kept: lower latency at no longer an interval. Row
    programs stay as they are."""
    if any(chunk.turns for chunk in start.accelerator.chunks):
        return start
    goal = start.speed
    here = RingSearch(network, start.accelerator)
    improved = False
    for _ in range(steps):
        try:
            trial = RingSearch(network, replace(here.accelerator, chunks=_neighbour(here.accelerator.chunks, rng)))
            found = trial.measured(trial.high)
        except DeadlockError:
            continue
        if found is not None and found.key(objective) <= goal.key(objective):
            improved = improved or found != goal
            here, goal = trial, found
    if not improved:
        return start
    goal = here.exact(here.high)
    if goal.key(objective) >= start.speed.key(objective):
        return start
    rows = here.shrink(here.high, goal)
    better = judged(network, here.with_rows(rows), goal, platform, modes, budgets.limits)
    return better if better.fits(budgets) and better.value(objective) <= start.value(objective) else start


def _neighbour(chunks: tuple[Chunk, ...], rng: np.random.Generator) -> tuple[Chunk, ...]:
    """Move one job elsewhere in its program, or change the stage of a run of jobs."""
    k = int(rng.integers(len(chunks)))
    jobs = list(chunks[k].jobs)
    n = len(jobs)
    i = int(rng.integers(n))
    if rng.random() < 0.5 and n > 1:
        jobs.insert(int(rng.integers(n)), jobs.pop(i))
    if rng.random() < 0.7:
        change = -1 if rng.random() < 0.7 else 1
        last = n if rng.random() < 0.5 else i + 1
        jobs[i:last] = [replace(j, stage=j.stage + change) for j in jobs[i:last]]
    least = min(j.stage for j in jobs)
    changed = replace(chunks[k], jobs=tuple(replace(j, stage=j.stage - least) for j in jobs))
    return (*chunks[:k], changed, *chunks[k + 1 :])
