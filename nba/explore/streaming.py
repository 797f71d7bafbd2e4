# SPDX-License-Identifier: Apache-2.0
"""The mapper of machines that stream weights from external memory: `map_streamed` (docs/streaming.md).

Start plans come from loads and estimates (nba.explore.stream_start). The best of them are annealed: every neighbour is
built, lowered and costed, and its interval is the exact one. All draws are from seeded generators, and all limits are
counts, so that the same arguments give the same design.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from math import log as natural_log

import numpy as np

from nba.boards import ExternalMemory, Platform
from nba.core.errors import InfeasibleError
from nba.explore.budgets import Budgets
from nba.explore.choose import Mapped
from nba.explore.exact import Certificate
from nba.explore.stream_bound import bound_note, lower_bound
from nba.explore.stream_moves import changed_plan, legal_pieces
from nba.explore.stream_plan import Costs, StreamPlan, build_plan, bus_of, lanes_fit
from nba.explore.stream_start import EngineCounts, Rough, columns_tried, first_plan, paced, search_start
from nba.explore.ultra import ultra_memories
from nba.ir.accelerator import Accelerator, WeightMemory
from nba.ir.network import Network
from nba.machine.accelerator_rules import MAX_STAGE, MAX_TURNS, MAX_WORDS
from nba.machine.check import check_accelerator
from nba.machine.logic import logic
from nba.machine.program import Program, lower, with_ultra
from nba.machine.resources import predict
from nba.machine.schedule import tables
from nba.machine.steady import Rate
from nba.machine.total import exact_cost

log = logging.getLogger(__name__)

BURST = 16
"""Beats of a burst of the reader of weights."""
OVERSPENT = 4.0
"""Part of the interval that is charged for each part by which a budget is exceeded."""
WANTED = 0.003
"""Part of it that is charged for the use of all of a budget: of equally fast designs, smaller ones come first."""
HEAT = 0.008
"""Part of the interval by which a neighbour may be worse at first."""


SMALL_DSP = 400
"""DSP blocks of a board so small that few engines share them."""
PLAIN, SHARED, WINDOWED = (False, False), (True, False), (True, True)
"""Ways to hold maps: whether rings share memory, and whether layers before the cut follow each other in windows."""
SHAPES_KEPT = 2
"""Numbers of engines that start plans are searched for at length."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamEffort:
    """How hard `map_streamed` tries. columns: how many values of pp. sift_steps: neighbours of a start plan, by loads
    alone, for every number of engines; start_steps: for the best of these, from each of `starts` seeds. rounds: (plans
    that are kept, neighbours of each that are judged by the exact rate), one round after the other."""

    columns: int = 1
    sift_steps: int = 5_000
    start_steps: int = 25_000
    starts: int = 6
    rounds: tuple[tuple[int, int], ...] = ((4, 200), (2, 400), (1, 1500))


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A plan with what it stands for. value: what is minimised; fits: within all budgets; critical: the layers whose
    rows set the interval."""

    plan: StreamPlan
    accelerator: Accelerator
    value: float
    interval: int
    fits: bool
    critical: tuple[int, ...]
    rate: Rate


def streaming_memory(platform: Platform, share: float = 1.0, ports: int = 1) -> WeightMemory | None:
    """The external memory of a board as a design reads weights from it: the widest legal port of at most `share` of the
    bytes per cycle of the design's clock that `ports` of the board's ports move; None where the board has none."""
    memory = platform.memory
    if memory is None:
        return None
    bits = bus_of(int(8 * bytes_per_cycle(platform, min(ports, memory.ports)) * Fraction(str(share))))
    latency = ceil(memory.latency_cycles * max(Fraction(1), 1 / _pace(platform, memory)))
    return WeightMemory(bus_bits=bits, latency=latency, burst=BURST) if bits else None


def bytes_per_cycle(platform: Platform, ports: int) -> Fraction:
    """Bytes that so many ports of the board's external memory move in a cycle of the design's clock: those of the
    board's figures, which are the width of the ports, or as many fewer as that clock is faster than theirs."""
    memory = platform.memory
    assert memory is not None
    return memory.bytes_per_cycle * ports * min(Fraction(1), _pace(platform, memory))


def _pace(platform: Platform, memory: ExternalMemory) -> Fraction:
    """Cycles of the clock of the memory's figures in one of the design's."""
    return Fraction(memory.at_clock_mhz) / Fraction(platform.clock_mhz)


class Exact:
    """The exact judgement of plans."""

    def __init__(self, costs: Costs, rough: Rough, platform: Platform, budgets: Budgets, memory: WeightMemory | None):
        self.costs, self.rough, self.platform, self.budgets, self.memory = costs, rough, platform, budgets, memory
        self.judged = 0

    def judge(self, plan: StreamPlan, ceiling: float, like: Rate | None) -> Judged | None:
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
        ultra = ultra_memories(program, self.platform, self.budgets.bram18, self.rough.sizes.uram)
        if ultra:
            accelerator, program = replace(accelerator, ultra=ultra), with_ultra(program, ultra)
        if not _addressable(program):
            return None
        over, used = self._use(program)
        factor = 1 + OVERSPENT * over + WANTED * used
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


def _addressable(program: Program) -> bool:
    """Whether all memories have so few words, and all programs so few turns and stages, that their fields hold them."""
    return all(edge.depth_words <= MAX_WORDS for edge in program.edges) and all(
        max(chunk.weight_depth + chunk.slots * chunk.slot_words, chunk.param_depth) <= MAX_WORDS
        and len(chunk.turns) <= MAX_TURNS
        and chunk.last_stage < MAX_STAGE
        for chunk in program.chunks
    )


def anneal(
    exact: Exact, start: Judged, steps: int, rng: np.random.Generator, heard: Callable[[int, Judged], None]
) -> Judged:  # fmt: skip
    """The best design met in so many neighbours, one that fits before any that does not."""
    here = best = start
    for step in range(steps):
        heard(step, best)
        heat = HEAT * here.value * (1 - step / steps) ** 2
        ceiling = here.value - heat * natural_log(max(1e-12, rng.random()))
        trial = exact.judge(changed_plan(exact.costs, here.plan, here.critical, rng), ceiling, here.rate)
        if trial is not None:
            here = trial
            if (not here.fits, here.value) < (not best.fits, best.value):
                best = here
    return best


def shapes(
    network: Network, pp: int, budgets: Budgets, streams: bool, memory: tuple[bool, bool] = PLAIN
) -> tuple[EngineCounts, ...]:
    """The numbers of engines that are tried. memory: PLAIN, SHARED or WINDOWED."""
    others = sum(not layer.operator.mixes for layer in network.layers)
    small = budgets.dsp < SMALL_DSP
    pairs: tuple[tuple[int, int], ...] = ((1, 0), (1, 1), (2, 1)) if small else ((1, 1), (2, 1), (3, 1), (2, 2))
    if not streams:
        pairs = ((1, 0), (2, 0)) if small else ((2, 0), (3, 0), (4, 0))
    other = min(others, 1 if small else 2)
    return tuple(
        EngineCounts(
            pp=pp, front=front, front_other=max(1, other), late=late, late_other=min(late, 1),
            shared=memory[0], windowed=memory[1],
        )
        for front, late in pairs
    )  # fmt: skip


@dataclass(slots=True)
class _Told:
    """Progress of all stages together, in units of a neighbour that is judged by the exact rate."""

    progress: Callable[[int, int, str], None] | None
    total: int
    done: int = 0

    def step(self, note: str, units: int = 1) -> None:
        self.done += units
        if self.progress is not None:
            self.progress(min(self.done, self.total), self.total, note)

    def finish(self) -> None:
        """Nothing is left to do, whatever was not tried."""
        if self.done < self.total:
            self.step("done", self.total - self.done)


START_UNIT = 100
"""Neighbours of a start plan that take as long as one that is judged by the exact rate."""


def start_plans(
    network: Network, rough: Rough, budgets: Budgets, effort: StreamEffort, seed: int, told: Callable[[str, int], None]
) -> list[StreamPlan]:
    """Start plans, the best by loads and estimates first."""
    streams = rough.costs.bus_bits > 0
    every: list[EngineCounts] = []
    sifted: list[tuple[float, int, StreamPlan]] = []
    # Without windows, maps need the room that UltraRAM has, shared memory or not.
    for memory in (PLAIN, SHARED, WINDOWED) if rough.sizes.uram else (PLAIN, WINDOWED):
        if any(rough.fits(plan) for _, _, plan in sifted):
            break  # rings have room
        for pp in columns_tried(network, effort.columns):
            every += shapes(network, pp, budgets, streams, memory)
        for n in range(len(sifted), len(every)):
            first = first_plan(rough.costs, every[n], budgets)
            value, plan = search_start(rough, first, effort.sift_steps, np.random.default_rng([seed, 1, n]))
            sifted.append((value, n, plan))
            told(f"engines: {value:,.0f}", effort.sift_steps // START_UNIT)
    found = list(sifted)
    for _, n, plan in sorted(sifted, key=lambda s: s[:2])[:SHAPES_KEPT]:
        for start in range(effort.starts):
            first = plan if start == 0 else first_plan(rough.costs, every[n], budgets)
            rng = np.random.default_rng([seed, 2, n, start])
            value, better = search_start(rough, first, effort.start_steps, rng)
            found.append((value, len(found), better))
            told(f"engines: {min(found, key=lambda f: f[:2])[0]:,.0f}", effort.start_steps // START_UNIT)
    return list(dict.fromkeys(plan for value, _, plan in sorted(found, key=lambda f: f[:2]) if value < float("inf")))


def opened(exact: Exact, start: StreamPlan) -> Judged | None:
    """The best of a start plan's paces, slacks and rooms for slices by the exact rate."""
    best: Judged | None = None
    for plan in paced(exact.rough, start):
        found = exact.judge(plan, float("inf") if best is None else best.value, None if best is None else best.rate)
        best = best if found is None else found
    return best


def annealed(
    exact: Exact, plans: list[StreamPlan], effort: StreamEffort, seed: int, heard: Callable[[int, Judged], None]
) -> list[Judged]:
    """What the rounds of annealing leave of start plans."""
    found: list[Judged] = []
    for plan in plans[: 2 * effort.rounds[0][0]]:
        judged = opened(exact, plan)
        found += [] if judged is None else [judged]
        log.info("opened %s of load %d", judged and judged.interval, max(exact.rough.loads(plan)))
    for n, (kept, steps) in enumerate(effort.rounds):
        found = sorted(found, key=lambda j: ((n > 0) * (not j.fits), j.value))[:kept]
        rngs = [np.random.default_rng([seed, 3, n, place]) for place in range(len(found))]
        found = [anneal(exact, start, steps, rng, heard) for start, rng in zip(found, rngs, strict=True)]
        log.info("round %d: %s", n, [(j.interval, max(exact.rough.loads(j.plan)), j.fits) for j in found])
    return found


# Its arguments are the problem, how hard and from where it is solved, and who is told.
def map_streamed(
    network: Network,
    platform: Platform,
    budgets: Budgets,
    *,
    memory: WeightMemory | None = None,
    seed: int = 0,
    effort: StreamEffort = StreamEffort(),
    progress: Callable[[int, int, str], None] | None = None,
) -> Mapped:
    """A legal, deadlock-free accelerator for `network` within `budgets` whose chunks advance row by row, or slice by
    slice with weights from `memory` (see `streaming_memory`; None: all weights are on chip), and its exact cost. The
    interval is what is made short.

    `progress(done, total, note)` is called now and then. The same arguments give the same result.

    Raises InfeasibleError, naming the budget that cannot be met and the closest design found.
    """
    costs = Costs(network, memory.bus_bits if memory is not None else 0)
    rough = Rough(costs, platform, budgets)
    exact = Exact(costs, rough, platform, budgets, memory)
    n_shapes = len(columns_tried(network, effort.columns)) * len(shapes(network, 1, budgets, costs.bus_bits > 0))
    tried = n_shapes * effort.sift_steps + min(SHAPES_KEPT, n_shapes) * effort.starts * effort.start_steps
    total = tried // START_UNIT + sum(kept * steps for kept, steps in effort.rounds)
    told = _Told(progress, total)
    plans = start_plans(network, rough, budgets, effort, seed, told.step)
    found = annealed(exact, plans, effort, seed, lambda _, best: told.step(f"{best.interval:,} cycles"))
    told.finish()
    if not found:
        raise InfeasibleError(f"network {network.name!r}: no engines within the budgets execute it")
    best = min(found, key=lambda j: (not j.fits, j.value))
    assert check_accelerator(network, best.accelerator) == (), "plans are legal"
    cost = exact_cost((lower(network, best.accelerator),), platform)
    over = tuple(name for name, part in budgets.excess_of(cost).items() if part > 1.0)
    if over:
        raise InfeasibleError(
            f"network {network.name!r}: the closest design found needs {budgets.describe(cost, over)}; the limits are "
            f"{', '.join(budgets.field(name) for name in over)}. Raise them, or allow a smaller network"
        )
    lower_cycles = lower_bound(network, platform, budgets, memory)
    certificate = Certificate(
        lower_bound_cycles=lower_cycles, interval_cycles=cost.interval_cycles,
        optimal=lower_cycles == cost.interval_cycles, note=bound_note(lower_cycles, cost.interval_cycles),
    )  # fmt: skip
    return Mapped(accelerator=best.accelerator, cost=cost, certificate=certificate)
