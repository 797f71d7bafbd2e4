# SPDX-License-Identifier: Apache-2.0
"""The accelerator's final mapping: `map_certified` chooses chunks, engines, layer assignment, program order, stages and
rings so that the exact cost meets the budgets and the objective is as small as can be found.

Engines and partition come from `nba.explore.assign` under closed-form work per engine; a stall-free timetable attains
that bound, so that the exact schedule decides between few candidates (`nba.explore.finalise`). That finds short
intervals within DSP and memory. For other objectives, and for budgets on LUTs, speed or power, `nba.explore.refine`
goes on from there by all closed forms. What any design has beyond its work is taken away (`nba.explore.trim`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from nba.boards import Platform
from nba.core.errors import InfeasibleError
from nba.explore.assign import Assignment, EngineTable, Limits, climb
from nba.explore.budgets import Budgets
from nba.explore.exact import Certificate, ExactSearch, Menu, Plan
from nba.explore.finalise import UNLIMITED, Candidate, build, finalise, reorder, turned_shares
from nba.explore.options import COARSE_SIZES, DRAINS, FINE_LAYERS, SIZES, engine_table, layer_edges
from nba.explore.partitions import LONGEST, Partitions, few_layers
from nba.explore.refine import Engines, engines_of, engines_usage, refine
from nba.explore.trim import trim
from nba.ir.accelerator import Accelerator
from nba.ir.design import Cost
from nba.ir.network import Network
from nba.ir.operators import KINDS
from nba.machine.accelerator_rules import PACKINGS, columns_of
from nba.machine.check import check_accelerator
from nba.machine.geometry import ceil_div, stream_columns
from nba.machine.kernels import PAIR_BITS
from nba.machine.program import job_degree
from nba.machine.timing import row_cycles
from nba.machine.usage import Objective, value_of

SCOUT_STEPS = 300
"""Moves of the first local search from every start."""
CLIMB_STEPS = 4000
"""Moves of the second, from the best of the first."""
FINALISTS = 6
"""Assignments that are made complete and judged by the exact schedule."""
REORDER_STEPS = 600
"""Trials of program orders and stages on the winner."""
REFINE_STEPS = 80
"""Batches of variations that `nba.explore.refine` tries from every start."""
DSP_SHARES = (0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)
"""Parts of the DSP budget that are tried in turn while some other budget is exceeded: smaller engines need less of
everything."""
MAP_SHARES = (0.6, 0.3, 0.15, 0.0)
"""Parts of a map that rings between chunks are taken to hold in the search for engines, tried in turn after those of
maps and of row programs."""
SETTLED = 1.01
"""The search for engines ends once the interval is within this factor of what engines could do if rings took no
memory."""
SIFTED = 40
"""Times as many plans of the exact search are looked at under a budget of LUTs."""
SPARE = 25
"""Part of that budget by which a plan may exceed it until its rings are known."""
INTERVAL_STEPS = 100
"""Part of an interval by which the next one is longer at which partitions are looked for."""
GIVEN_UP = 1.2
"""Times the bound of the partitions up to which they are."""
CEILING = 50
"""A plan of the exact search is given up once memory costs it this part of its interval."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How hard `map_certified` tries. exact: whether the engines of the shortest interval are also searched exactly;
    without that there is no certificate."""

    scout_steps: int = SCOUT_STEPS
    climb_steps: int = CLIMB_STEPS
    finalists: int = FINALISTS
    reorder_steps: int = REORDER_STEPS
    refine_steps: int = REFINE_STEPS
    exact: bool = True


# Its arguments are the problem, how hard and from where it is solved, and who is told.
def find_accelerator(
    network: Network,
    platform: Platform,
    budgets: Budgets,
    *,
    objective: Objective = "interval",
    seed: int = 0,
    start: Accelerator | None = None,
    min_chunks: int = 2,
    max_chunks: int = 4,
    columns: tuple[int, ...] | None = None,
    effort: Effort = Effort(),
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[Accelerator, Cost]:
    """`map_certified` without the certificate."""
    found = map_certified(
        network, platform, budgets, objective=objective, seed=seed, start=start, min_chunks=min_chunks,
        max_chunks=max_chunks, columns=columns, effort=effort, progress=progress,
    )  # fmt: skip
    return found.accelerator, found.cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """An accelerator, its exact cost, and, where the interval is the objective, what is proved about it."""

    accelerator: Accelerator
    cost: Cost
    certificate: Certificate | None

    def value(self, objective: Objective) -> float:
        """What `objective` minimises."""
        cost = self.cost
        return value_of(objective, cost.interval_cycles, cost.first_output_latency_cycles, cost.energy_pj)


# Its arguments are the problem, how hard and from where it is solved, and who is told.
def map_certified(
    network: Network,
    platform: Platform,
    budgets: Budgets,
    *,
    objective: Objective = "interval",
    seed: int = 0,
    start: Accelerator | None = None,
    min_chunks: int = 2,
    max_chunks: int = 4,
    columns: tuple[int, ...] | None = None,
    effort: Effort = Effort(),
    progress: Callable[[int, int, str], None] | None = None,
) -> Mapped:
    """A legal, deadlock-free accelerator for `network` within `budgets`, its exact cost, and a certificate.

    Every packing from which some layer gains is tried; the best by the objective is taken. columns: the values of pp
    that are tried; None: PARALLEL_COLUMNS.

    `start`: an accelerator of the same layers (rings are ignored) to begin from, besides the built-in starts.
    `progress(done, total, note)` is called now and then. The same arguments give the same result.

    Raises InfeasibleError, naming the budget that cannot be met and the closest design found.
    """
    found: list[Mapped] = []
    refusals: list[InfeasibleError] = []
    lowers: list[int] = []
    for packing in useful_packings((network,)):
        if not columns_of(packing, columns):
            continue
        search = _Search(
            network, packing, platform, budgets, objective, seed, min_chunks, max_chunks, columns, effort, progress
        )  # fmt: skip
        if objective == "interval":
            search.ceiling = min((m.cost.interval_cycles for m in found), default=None)
        try:
            mapped = search.run(start, min_chunks, max_chunks)
            if mapped is not None:
                found.append(mapped)
        except InfeasibleError as error:
            refusals.append(error)
        lowers.append(search.lower)
    if not found:
        raise refusals[0]
    best = min(found, key=lambda m: m.value(objective))
    if best.certificate is None:
        return best
    luts = budgets.lut is not None
    return replace(best, certificate=certify(min(lowers), best.cost.interval_cycles, luts=luts))


# Its arguments are the problem, how hard and from where it is solved, and who is told.
def map_packed(
    network: Network,
    packing: int,
    platform: Platform,
    budgets: Budgets,
    *,
    objective: Objective = "interval",
    seed: int = 0,
    start: Accelerator | None = None,
    modes: tuple[Network, ...] = (),
    min_chunks: int = 2,
    max_chunks: int = 4,
    columns: tuple[int, ...] | None = None,
    effort: Effort = Effort(),
    progress: Callable[[int, int, str], None] | None = None,
) -> Mapped:
    """`map_certified` among designs of one packing, which its certificate names. modes: further networks that the
    design is to execute, with what they take of memory and logic."""
    search = _Search(
        network, packing, platform, budgets, objective, seed, min_chunks, max_chunks, columns, effort, progress, modes
    )  # fmt: skip
    found = search.run(start, min_chunks, max_chunks)
    assert found is not None, "there is no other packing that could be better"
    return found


def useful_packings(networks: tuple[Network, ...]) -> tuple[int, ...]:
    """The packings from which some layer of `networks` gains, and 1."""
    if networks[0].master_bits > PAIR_BITS:
        return PACKINGS[:1]
    most = max(job_degree(layer, PACKINGS[-1]) for network in networks for layer in network.layers)
    return tuple(packing for packing in PACKINGS if packing <= most)


class _Search:
    # The arguments of `map_packed`.
    def __init__(
        self, network: Network, packing: int, platform: Platform, budgets: Budgets, objective: Objective, seed: int,
        min_chunks: int, max_chunks: int, columns: tuple[int, ...] | None, effort: Effort,
        progress: Callable[[int, int, str], None] | None,
        modes: tuple[Network, ...] = (),
    ):  # fmt: skip
        self.modes = modes
        self.network, self.platform, self.budgets, self.objective = network, platform, budgets, objective
        self.packing = packing
        self.every_pp = columns_of(packing, columns)
        self.rng = np.random.default_rng(seed)
        self.effort = effort
        self.report = progress or (lambda done, total, note: None)
        self.edges = layer_edges(network)
        self.mixes = np.array([layer.operator.mixes for layer in network.layers])
        self.shapes = self._shapes(min_chunks, max_chunks)
        self.least_chunks = min(mixing + other for mixing, other in self.shapes)
        self.tables: dict[int, EngineTable] = {}
        self.share: float | np.ndarray = 1.0
        self.free = 0
        self.lower = 0
        self.ceiling: int | None = None
        self._optimistic: int | None = None
        self.best: Candidate | None = None
        self.closest: Candidate | None = None
        self.sizes = SIZES if len(network.layers) <= FINE_LAYERS else COARSE_SIZES

    def _shapes(self, min_chunks: int, max_chunks: int) -> list[tuple[int, int]]:
        """Numbers of chunks that mix channels, and of others, worth trying."""
        n_mixing, n_other = int(self.mixes.sum()), int((~self.mixes).sum())
        found = []
        for total in range(max(1, min_chunks), max_chunks + 1):
            for mixing in range(total + 1):
                other = total - mixing
                kinds_match = (mixing > 0) == (n_mixing > 0) and (other > 0) == (n_other > 0)
                if kinds_match and mixing <= n_mixing and other <= n_other:
                    found.append((mixing, other))
        if found:
            return found
        return [(int(n_mixing > 0), int(n_other > 0))]

    def table(self, pp: int) -> EngineTable:
        """Engine options at `pp`, computed once."""
        if pp not in self.tables:
            self.tables[pp] = engine_table(self.network, self.platform, pp, self.packing, self.budgets.dsp, self.sizes)
        return self.tables[pp]

    def columns(self) -> tuple[int, ...]:
        """Values of pp worth trying."""
        widest = max(t.width for t in self.network.tensors)
        return tuple(pp for pp in self.every_pp if pp <= max(1, 2 * widest - 1)) or (min(self.every_pp),)

    def floor(self, pp: int) -> int:
        """Cycles of the input stream: no interval is shorter."""
        first = self.network.tensors[0]
        return first.height * row_cycles(ceil_div(first.width, stream_columns(pp * self.packing)))

    def starts(self, shape: tuple[int, int]) -> list[np.ndarray]:
        """Partitions to begin with: contiguous parts of equal work, and layers dealt out in turn."""
        owners = []
        for style in ("contiguous", "dealt") if max(shape) > 1 else ("contiguous",):
            owner = np.zeros(len(self.mixes), np.int64)
            for kind, base, count in ((True, 0, shape[0]), (False, shape[0], shape[1])):
                mine = np.flatnonzero(self.mixes == kind)
                if not len(mine):
                    continue
                if style == "dealt":
                    part = np.arange(len(mine)) % count
                else:
                    work = np.array([self.network.products(int(i)) for i in mine], np.float64)
                    part = np.minimum((np.cumsum(work) - work / 2) * count // work.sum(), count - 1).astype(np.int64)
                    for k in range(count):
                        if not (part == k).any():
                            part = np.arange(len(mine)) * count // len(mine)
                            break
                owner[mine] = base + part
            owners.append(owner)
        return owners

    def assignments(
        self, limits: tuple[int, int], start: Accelerator | None, share: float | np.ndarray
    ) -> list[Assignment]:
        """The best assignments within `limits` (DSP, BRAM18), best first; rings are taken to hold `share` of a map (as
        `climb` has it)."""
        self.share = share
        jobs = [(pp, shape, owner) for pp in self.columns() for shape in self.shapes for owner in self.starts(shape)]
        if start is not None and start.pp in self.columns():
            kinds = tuple(c.mixes for c in start.chunks)
            order = sorted(range(len(kinds)), key=lambda k: not kinds[k])
            place = start.place()
            owner = np.array([order.index(place[i]) for i in range(len(place))], np.int64)
            jobs.insert(0, (start.pp, (sum(kinds), len(kinds) - sum(kinds)), owner))
        found = self._climb_all(jobs, limits, self.effort.scout_steps, 0)
        best: list[tuple[int, tuple[int, int], np.ndarray]] = []
        for a in found[: self.effort.finalists]:
            n_mixing = sum(e[0] for e in a.engines)
            best.append((a.pp, (n_mixing, len(a.engines) - n_mixing), np.array(a.owner, np.int64)))
        return _distinct(self._climb_all(best, limits, self.effort.climb_steps, len(jobs)) + found)

    def _climb_all(
        self, jobs: list[tuple[int, tuple[int, int], np.ndarray]], limits: tuple[int, int], steps: int, done: int
    ) -> list[Assignment]:
        found = []
        for n, (pp, shape, owner) in enumerate(jobs):
            self.report(done + n, done + len(jobs), f"pp {pp}, {shape[0]} {KINDS[0]} + {shape[1]} {KINDS[1]} chunks")
            kinds = np.array([True] * shape[0] + [False] * shape[1])
            bounds = Limits(dsp=limits[0], bram18=limits[1], floor=self.floor(pp), free=self.free)
            a = climb(self.table(pp), pp, owner, kinds, self.edges, bounds, (16, 1), self.share, steps, self.rng)
            if a is not None:
                found.append(a)
        return _distinct(found)

    def exact(self, min_chunks: int, max_chunks: int) -> int:
        """Judge the exact search's designs; its lower bound of the interval."""
        menu = Menu(
            packing=self.packing, columns=self.columns(), sizes_m=self.sizes, sizes_n=self.sizes, drains=DRAINS,
            min_chunks=min_chunks, max_chunks=max_chunks,
        )  # fmt: skip

        def judge(plan: Plan) -> int | None:
            return self._judged(plan) if self._may_fit(self._engines(plan)) else None

        self.report(0, 1, "exact search")
        limits, tries = self.budgets.limits, self.effort.finalists
        if limits is not None and few_layers(self.network):
            return self._partitioned(Partitions(self.network, menu, self.platform, limits))
        if limits is not None:
            # The search knows a weighted sum of DSP blocks and LUTs: many plans that keep it exceed one of them.
            tries *= SIFTED
        search = ExactSearch(self.network, menu, self.budgets.dsp, judge, limits, self.platform)
        return search.run(tries)[1]

    def _judged(self, plan: Plan) -> int | None:
        """The interval of a plan's complete design; None if memory forbids it or costs it too much."""
        self.report(0, 1, f"exact schedule at interval {plan.interval}")
        before = self.best
        ceiling = plan.interval + plan.interval // CEILING if before is None else before.speed.interval_cycles
        found = self._judge(self._engines(plan), ceiling)
        return None if found is None else found.speed.interval_cycles

    def _partitioned(self, partitions: Partitions) -> int:
        """Judge designs that the partitions of the layers do not rule out, at ever longer intervals; their lower bound
        of the interval."""
        most = LONGEST if self.ceiling is None else self.ceiling
        lower = interval = partitions.bound(most)
        seen: set[Plan] = set()
        tries = self.effort.finalists
        while tries > 0 and interval < min(most, lower * GIVEN_UP):
            for plan in partitions.plans(interval):
                if plan.interval >= most:
                    return lower
                if plan in seen or not self._may_fit(self._engines(plan), block_luts=1):
                    continue
                seen.add(plan)
                found = self._judged(plan)
                if found is not None:
                    most = min(most, found)
                    continue
                tries -= 1
                if tries == 0:
                    break
            interval += 1 + interval // INTERVAL_STEPS
        return lower

    def _may_fit(self, engines: Engines, block_luts: int = 0) -> bool:
        """Whether engines can meet the budgets of DSP blocks and LUTs, by the closed forms; rings of a map may take a
        little more than those that will be. block_luts: the LUTs that a block RAM is worth."""
        limits = self.budgets.limits
        if limits is None:
            return True
        limits = limits[0], limits[1] + limits[1] // SPARE
        used = engines_usage(self.network, self.platform, engines, limits, self.modes, block_luts)
        assert used.lut is not None
        return bool(used.dsp[0] <= limits[0] and used.lut[0] <= limits[1])

    def run(self, start: Accelerator | None, min_chunks: int, max_chunks: int) -> Mapped | None:
        """Search, judge, and polish; see `map_certified`. None if the engines that were found have no shorter interval
        than `ceiling`, that of designs of another packing."""
        proves = self.objective == "interval" and self.effort.exact
        if proves:
            self.lower = self.exact(min_chunks, max_chunks)
        if self.best is None or self.best.speed.interval_cycles > self.lower * SETTLED:
            self._fastest(start)
        if self.best is None and self.ceiling is not None:
            return None
        if self.objective != "interval" or self.budgets.names()[2:]:
            self._refined(start)
        if self.best is None:
            raise InfeasibleError(self._refusal(self.closest))
        best = reorder(
            self.network,
            self.best,
            self.platform,
            self.budgets,
            self.objective,
            self.effort.reorder_steps,
            self.rng,
            self.modes,
        )
        best = self._trimmed(best)
        problems = check_accelerator(self.network, best.accelerator, self.modes)
        assert not problems, problems
        self.report(1, 1, f"interval {best.speed.interval_cycles}")
        certificate = None
        if proves:
            certificate = certify(
                self.lower, best.speed.interval_cycles, self.packing, self.budgets.lut is not None
            )  # fmt: skip
        return Mapped(accelerator=best.accelerator, cost=best.cost, certificate=certificate)

    def _fastest(self, start: Accelerator | None) -> None:
        """Short intervals within DSP and memory; under a budget of LUTs also with multipliers in LUTs."""
        for free in (0,) if self.budgets.limits is None else (0, 1, 2):
            self.free, self._optimistic = free, None
            self._fastest_with(start)
        self.free = 0

    def _fastest_with(self, start: Accelerator | None) -> None:
        for share in (1.0, turned_shares(self.network), *MAP_SHARES):
            found = self.assignments((self.budgets.dsp, self.budgets.bram18), start, share)
            for n, a in enumerate(found[: self.effort.finalists]):
                ceiling = self.ceiling
                if self.best is not None and self.objective == "interval":
                    ceiling = min(self.best.speed.interval_cycles, UNLIMITED if ceiling is None else ceiling)
                if ceiling is not None and a.interval >= ceiling:
                    break
                if self.free and not self._may_fit(self._engines(a)):
                    continue
                self.report(n, self.effort.finalists, f"exact schedule at interval {a.interval}")
                self._judge(self._engines(a), ceiling)
            # Engines found for row programs say nothing of those that other shares lead to.
            if self.best is None or any(chunk.turns for chunk in self.best.accelerator.chunks):
                continue
            if self.best.speed.interval_cycles <= self.optimistic() * SETTLED:
                break

    def _refined(self, start: Accelerator | None) -> None:
        """Other objectives and budgets: variations of what is known, then ever smaller engines until one meets all."""
        starts = [] if start is None else [replace(engines_of(start), packing=self.packing)]
        starts += [engines_of(c.accelerator) for c in (self.best, self.closest) if c is not None]
        for n, engines in enumerate(starts):
            self.report(n, len(starts), f"variations for {self.objective} within the budgets")
            self._judge(engines, self._slowest())
            self._vary(engines)
        for share in DSP_SHARES:
            if self.best is not None:
                break
            limits = max(1, int(share * self.budgets.dsp)), self.budgets.bram18
            maps = self.assignments(limits, start, 1.0)
            for a in (maps or self.assignments(limits, start, turned_shares(self.network)))[:1]:
                engines = self._engines(a)
                self._judge(engines, None)
                self._vary(engines)

    def _engines(self, found: Plan | Assignment) -> Engines:
        return Engines(packing=self.packing, pp=found.pp, owner=found.owner, engines=found.engines)

    def _vary(self, engines: Engines) -> None:
        found = refine(
            self.network,
            self.platform,
            self.budgets,
            self.objective,
            engines,
            self.effort.refine_steps,
            self.rng,
            self.every_pp,
            self.modes,
        )
        if found != engines:
            self._judge(found, self._slowest())

    def _slowest(self) -> int | None:
        """An interval that is too long for a design to be the best; None: there is none."""
        if self.best is None or self.objective != "interval":
            return None
        return self.best.speed.interval_cycles + 1

    def _judge(self, engines: Engines, ceiling: int | None) -> Candidate | None:
        """Make a design complete; keep it if it is the best, or the closest to the budgets while none meets them. None
        unless it meets them, faster than `ceiling`."""
        if len(set(engines.owner)) < self.least_chunks:
            return None
        base = build(self.network, engines.packing, engines.pp, engines.owner, engines.engines)
        args = self.network, base, self.platform
        found = finalise(*args, self.budgets.bram18, self.objective, ceiling, self.budgets, self.modes)
        if found is None and self.best is None and self.closest is None:
            found = finalise(*args, UNLIMITED, self.objective, None, self.budgets, self.modes)
        if found is None:
            return None
        if check_accelerator(self.network, found.accelerator, self.modes):
            return None  # a memory of more words than its addresses reach: a small engine with many weights
        found = self._trimmed(found)
        if not found.fits(self.budgets):
            if self.closest is None or found.excess(self.budgets) < self.closest.excess(self.budgets):
                self.closest = found
            return None
        if self.best is None or found.key(self.objective) < self.best.key(self.objective):
            self.best = found
        return found

    def _trimmed(self, design: Candidate) -> Candidate:
        return trim(self.network, design, self.platform, self.budgets, self.objective, self.modes, self.every_pp)

    def optimistic(self) -> int:
        """Interval of the best engines found if rings took no memory."""
        if self._optimistic is None:
            found = self.assignments((self.budgets.dsp, self.budgets.bram18), None, 0.0)
            self._optimistic = found[0].interval if found else 0
        return self._optimistic

    def _refusal(self, closest: Candidate | None) -> str:
        if closest is None:
            for limits in ((UNLIMITED, self.budgets.bram18), (self.budgets.dsp, UNLIMITED), (UNLIMITED, UNLIMITED)):
                closest = self._smallest(limits)
                if closest is not None:
                    break
        assert closest is not None
        illegal = check_accelerator(self.network, closest.accelerator, self.modes)
        if illegal:
            return (
                f"network {self.network.name!r}: no accelerator within {self.budgets.field('dsp')} and "
                f"{self.budgets.field('bram')} on {self.platform.name} holds it; of the smallest one, {illegal[0]}. "
                "Relax the budget, or allow a smaller network (fewer channels, fewer bits)"
            )
        over = tuple(name for name, x in self.budgets.excess_of(closest.cost).items() if x > 1.0)
        shown = tuple(dict.fromkeys(("dsp", "bram", *over)))
        return (
            f"network {self.network.name!r}: no accelerator meets {' and '.join(map(self.budgets.field, over))} on "
            f"{self.platform.name}; the closest design found needs {self.budgets.describe(closest.cost, shown)}, "
            f"with an interval of {closest.speed.interval_cycles} cycles. "
            "Relax the budget, or allow a smaller network (fewer channels, fewer bits)"
        )

    def _smallest(self, limits: tuple[int, int]) -> Candidate | None:
        """The cheapest design of the smallest engines within `limits`."""
        found: list[Candidate] = []
        pp = min(self.columns())
        for shape in self.shapes[:1]:
            for owner in self.starts(shape):
                kinds = np.array([True] * shape[0] + [False] * shape[1])
                loose = Limits(dsp=limits[0], bram18=limits[1], floor=UNLIMITED)
                a = climb(self.table(pp), pp, owner, kinds, self.edges, loose, (16, 1), 1.0, 0, self.rng)
                if a is not None:
                    base = build(self.network, self.packing, pp, a.owner, a.engines)
                    c = finalise(self.network, base, self.platform, UNLIMITED, "latency")
                    if c is not None:
                        found.append(c)
        return min(found, key=lambda c: c.excess(self.budgets), default=None)


def _distinct(found: list[Assignment]) -> list[Assignment]:
    """Best first, every partition with its engines once."""
    unique = {(a.pp, a.owner, a.engines): a for a in found}
    return sorted(unique.values(), key=lambda a: (a.interval, a.price, a.pp, a.owner, a.engines))


def certify(lower: int, interval: int, packing: int | None = None, luts: bool = False) -> Certificate:
    """What a proved lower bound says about a design's interval. packing: the only one that it was proved for; luts:
    whether for designs within a budget of LUTs, with multipliers in either."""
    budgets = "the DSP and LUT budgets" if luts else "the DSP budget"
    relaxed = (
        "LUTs at the least that the estimate can be, BRAM budget relaxed" if luts else "LUT and BRAM budgets relaxed"
    )
    of = f" that pack {packing} columns" if packing is not None and packing > 1 else ""
    if lower > interval:
        note = (
            "no bound: the design has engine sizes that the exact search does not cover, and it is faster than every "
            "combination of the sizes that the search covers"
        )
        return Certificate(lower_bound_cycles=0, interval_cycles=interval, optimal=False, note=note)
    optimal = lower == interval
    gap = 0.0 if optimal else 1.0 - lower / interval
    note = (
        f"optimal: no combination of the searched engine sizes{of} within {budgets} has a shorter interval"
        if optimal
        else f"optimality gap at most {ceil(1000 * gap) / 10:g} %: lower bound {lower:,} cycles over all combinations "
        f"of the searched engine sizes{of} within {budgets} ({relaxed})"
    )
    return Certificate(lower_bound_cycles=lower, interval_cycles=interval, optimal=optimal, note=note)
