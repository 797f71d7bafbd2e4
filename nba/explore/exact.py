# SPDX-License-Identifier: Apache-2.0
"""The shortest interval of a network under a DSP budget, with a certificate (docs/decisions/0009-exact-accelerator-
search.md has the proof and what was measured).

Layers that mix channels and the others share nothing but the DSP budget. For either kind, every tuple of engines whose
bound is below a goal is listed (nba.explore.bounds.tuples); pairs of tuples are taken best bound first, their layers
assigned by branch and bound, and complete designs judged by the caller, until no open bound is below the best design.
The goal starts near the area-time bound and grows until a design is found below it. Limits are counts, never
seconds.

Under a budget of LUTs, where multipliers may be made of either, the one resource that is counted is a weighted sum of
both (nba.explore.weights): the bound then holds for designs within both budgets, and whether a plan is within both is
for the caller to judge.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import gcd

import numpy as np

from nba.boards import Platform
from nba.core.compiled import compiled
from nba.explore.bounds import FORBIDDEN, SLACK, makespan, tuples, undominated
from nba.explore.weights import PRICES, Budget, engine_weights
from nba.ir.network import Network
from nba.machine.designs import (
    ACC_BITS,
    ACT_BITS,
    HEIGHT_IN,
    INPUT,
    MIXES,
    PACKED,
    PACKING,
    RESIDUAL,
    ROWS,
    WEIGHT_BITS,
    WIDTH_IN,
    M,
    N,
    layer_table,
    row_work,
)
from nba.machine.geometry import ceil_div, input_word, row_beats, stream_columns
from nba.machine.kernels import chunk_dsp, mac_dsp, products
from nba.machine.logic import PlaceLimits
from nba.machine.timing import job_cycles, row_cycles

GOAL_STEP = 1.03
"""Factor between one goal and the next."""
MAX_ROUNDS = 240
"""Goals that are tried: up to about a thousand times the area-time bound, which small budgets leave far behind."""
MAX_NODES = 6_000_000
"""Tuples visited per kind, number of chunks and columns, and goal."""
TOTAL_NODES = 4_000_000
"""Tuples visited altogether. Narrow products take no DSP: engines for these are many and equal under the budget."""
MAX_TUPLES = 60_000
"""Tuples kept per kind, number of chunks and columns, and goal: of more, the bound of the rest limits the proof."""
MAX_BRANCHES = 200_000
"""Nodes of the branch and bound of one tuple's makespan."""
MAX_PAIRS = 3_000
"""Pairs of tuples whose makespans are solved."""
AHEAD = 4
"""Partners of a tuple that are queued at once; one more follows for every one that is taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Menu:
    """Engines that may be chosen: values of pp, pm, pn (of those that mix channels) and pq (divisors of pm), and how
    many chunks; `packing` is that of the designs."""

    packing: int
    columns: tuple[int, ...]
    sizes_m: tuple[int, ...]
    sizes_n: tuple[int, ...]
    drains: tuple[int, ...]
    min_chunks: int
    max_chunks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A partition of the layers and an engine (mixes?, pm, pn, pq) for every part; `interval` is the busiest one's or
    that of the input stream."""

    interval: int
    packing: int
    pp: int
    owner: tuple[int, ...]
    engines: tuple[tuple[bool, int, int, int], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What is proved about an interval: no design of the menu within the DSP budget has one below
    `lower_bound_cycles`; `optimal` says that the design has it."""

    lower_bound_cycles: int
    interval_cycles: int
    optimal: bool
    note: str

    @property
    def gap(self) -> float:
        """Share of the interval that better designs could save at most."""
        return 1.0 - self.lower_bound_cycles / self.interval_cycles


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Options:
    """Engines of one kind at one pp, descending dsp [n]: sizes [n, 3] (pm, pn, pq), lanes [n] of their input words,
    work [n, L of the kind]."""

    sizes: np.ndarray
    lanes: np.ndarray
    dsp: np.ndarray
    work: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Tuple:
    """One multiset of engines for the layers of a kind, and its lower bound."""

    options: tuple[int, ...]
    dsp: int
    lower: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Side:
    """All tuples of one kind, number of chunks and pp with bounds below the goal, ascending; `left` bounds those not
    listed. dsp [n]: of the tuples. alone [n]: proved bound of the layers of this kind by themselves, 0 until solved."""

    options: _Options | None
    layers: np.ndarray
    tuples: list[_Tuple]
    left: float
    dsp: np.ndarray
    alone: np.ndarray


@dataclass(kw_only=True, slots=True, eq=False)
class _Row:
    """Tuple number `a` of the side that mixes channels, and all of the other side's that fit beside it; those before
    `next` are queued."""

    pp: int
    one: _Side
    two: _Side
    a: int
    next: int = 0


def _side_of(options: _Options | None, layers: np.ndarray, listed: list[_Tuple], left: float) -> _Side:
    dsp = np.array([t.dsp for t in listed], np.int64)
    return _Side(options=options, layers=layers, tuples=listed, left=left, dsp=dsp, alone=np.zeros(len(listed)))


@compiled
def _partner(dsp: np.ndarray, alone: np.ndarray, first: int, room: int, ceiling: float) -> int:
    """The first tuple from `first` on that takes at most `room` and is not known to be too slow; their number if none
    is."""
    for n in range(first, len(dsp)):
        if dsp[n] <= room and alone[n] < ceiling:
            return n
    return len(dsp)


@compiled
def engine_work(layers: np.ndarray, pp: int, sizes: np.ndarray) -> np.ndarray:
    """float64 [n, L]: cycles per frame of every layer of the table on engines of sizes [n, 3]."""
    found = np.empty((sizes.shape[0], layers.shape[0]))
    for o in range(sizes.shape[0]):
        for i in range(layers.shape[0]):
            work = row_work(layers[i], pp, sizes[o, 0], sizes[o, 1], sizes[o, 2])
            found[o, i] = job_cycles(layers[i, ROWS], row_cycles(work))
    return found


def _needs(layer: list[int]) -> tuple[int, int, int]:
    """What a layer asks of a chunk's DSP blocks: how it multiplies (nba.machine.kernels.products, where more is never
    cheaper), blocks per requantised value, and per residual value."""
    mixes, bits = layer[MIXES] == 1, (layer[ACT_BITS], layer[WEIGHT_BITS], layer[ACC_BITS])

    def requant(residual: bool) -> int:
        return chunk_dsp(mixes, 0, 1, 1, 1, *bits, residual, layer[PACKED])

    return (
        products(mixes, *bits, layer[PACKED]),
        requant(False),
        (requant(True) - requant(False)) if layer[RESIDUAL] >= 0 else 0,
    )


def _useful(values: tuple[int, ...], most: int, drains: tuple[int, ...]) -> list[int]:
    """Lanes worth having for at most `most` channels: more than needed only where more drains divide them."""
    found: list[int] = []
    for value in sorted(values):
        divides = {d for drain in drains for d in range(1, drain + 1) if drain % d == 0 and value % d == 0}
        if not any(f >= most and all(f % d == 0 for d in divides) for f in found):
            found.append(value)
    return found


def sizes_of_menu(table: np.ndarray, mixes: bool, menu: Menu) -> np.ndarray:
    """int64 [n, 3]: (pm, pn, pq) of the engines of `menu` that are worth having for the layers `table` of one kind."""
    most_m, most_n = int(table[:, M].max()), int(table[:, N].max())
    sizes_m = _useful(menu.sizes_m, most_m, menu.drains)
    sizes_n = _useful(menu.sizes_n, most_n, menu.drains) if mixes else [1]
    sizes = [
        (pm, pn, pq) for pm, pn in product(sizes_m, sizes_n)
        for pq in (d for d in range(1, pm + 1) if pm % d == 0 and any(drain % d == 0 for drain in menu.drains))
    ]  # fmt: skip
    return np.array(sizes, np.int64)


def _options(
    table: np.ndarray, mixes: bool, pp: int, menu: Menu, max_dsp: int, budget: Budget | None = None
) -> _Options:  # fmt: skip
    """Engines for the layers `table` of one kind, dominated ones removed. An engine comes in several profiles: which
    layers it may get (wide products, long accumulators, residuals), and what DSPs these take: no more than the chunk
    will, whose widths are the largest of its layers'. With a `budget`, DSPs are what they weigh under it."""
    needs = [_needs(layer) for layer in table.tolist()]
    every = sizes_of_menu(table, mixes, menu)
    work = engine_work(table, pp, every)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for kind, scale, res in product(*(sorted({u[f] for u in needs}) for f in range(3))):
        allowed = np.array([u[0] <= kind and u[1] <= scale and u[2] <= res for u in needs])
        given = [u for u, may in zip(needs, allowed, strict=True) if may]
        # A profile that no set of layers has is another one with the same layers.
        if not given or any(max(u[f] for u in given) < most for f, most in enumerate((kind, scale, res))):
            continue
        macs = np.array([mac_dsp(pm, pn, pp, kind) for pm, pn, _ in every.tolist()], np.int64)
        dsp = macs + every[:, 2] * pp * (scale + res)
        if budget is not None:
            dsp = engine_weights(table, allowed, (kind, scale, res), mixes, every, pp, budget)
        fits = dsp <= max_dsp
        found.append((every[fits], dsp[fits], np.where(allowed, work, FORBIDDEN)[fits]))
    all_sizes, all_dsp, all_work = (np.concatenate([f[i] for f in found]) for i in range(3))
    order = np.lexsort((all_work.sum(1), all_dsp))
    all_sizes, all_dsp, all_work = all_sizes[order], all_dsp[order], all_work[order]
    lanes = all_sizes[:, 1 if mixes else 0]
    kept = np.flatnonzero(undominated(all_work, lanes, all_sizes[:, 2]))[::-1]
    return _Options(
        sizes=all_sizes[kept],
        lanes=lanes[kept],
        dsp=all_dsp[kept].astype(np.float64),
        work=np.ascontiguousarray(all_work[kept]),
    )


def chunk_counts(counts: tuple[int, int], menu: Menu) -> list[tuple[int, int]]:
    """Numbers of chunks that mix channels, and of others, for so many layers of either kind."""
    found = [
        (a, b) for a, b in product(range(menu.max_chunks + 1), repeat=2)
        if menu.min_chunks <= a + b <= menu.max_chunks
        and all((n > 0) == (c > 0) and n <= c for n, c in zip((a, b), counts, strict=True))
    ]  # fmt: skip
    return found or [(int(counts[0] > 0), int(counts[1] > 0))]


def input_floor(table: np.ndarray, pp: int) -> int:
    """Cycles of the input stream at its widest, for the network of the layer table."""
    columns = stream_columns(pp * int(table[0, PACKING]))
    return int(table[0, HEIGHT_IN]) * row_cycles(ceil_div(int(table[0, WIDTH_IN]), columns))


class ExactSearch:
    """Shortest interval of `network` on engines of `menu` within `max_dsp` DSP blocks, or within the limits of
    `platform` on DSP blocks and LUTs.

    `judge(plan)` makes a plan complete and returns its interval, or None if something else (memory) forbids it.
    """

    def __init__(
        self, network: Network, menu: Menu, max_dsp: int, judge: Callable[[Plan], int | None],
        limits: PlaceLimits | None = None, platform: Platform | None = None,
    ):  # fmt: skip
        self.network, self.menu, self.max_dsp, self.judge = network, menu, max_dsp, judge
        self.table = layer_table(network, menu.packing)
        self.kinds = [np.flatnonzero(self.table[:, MIXES] == kind) for kind in (1, 0)]
        self.parent = np.maximum(self.table[:, INPUT] - 1, -1)
        self.other = np.maximum(self.table[:, RESIDUAL] - 1, -1)
        self._options: dict[tuple[int, int], _Options] = {}
        self.pairs = 0
        self.nodes = 0
        self.rejected = 0
        self.best: Plan | None = None
        self.best_interval: int | None = None
        self.budget: Budget | None = None
        self._totals: dict[int, int] = {}
        self._floors = {pp: self.floor(pp) for pp in menu.columns}
        if limits is not None and platform is not None:
            self._choose_price(limits, platform)

    def _choose_price(self, limits: PlaceLimits, platform: Platform) -> None:
        """The price of the best bound."""
        found: list[tuple[float, Budget]] = []
        for price in PRICES:
            budget = Budget(platform=platform, limits=limits, price=price)
            self._take(budget)
            found.append((min(self.root(pp) for pp in self.menu.columns), budget))
        self._take(max(found, key=lambda f: f[0])[1])

    def _take(self, budget: Budget) -> None:
        self.budget = budget
        self._options.clear()
        self._totals = {pp: budget.total(self.table, pp) for pp in self.menu.columns}

    def total(self, pp: int) -> int:
        """What the engines of a design at `pp` may take together: DSP blocks, or what they weigh."""
        return self._totals.get(pp, self.max_dsp)

    def options(self, kind: int, pp: int) -> _Options:
        """Engines for the layers that mix channels (kind 0), or for the others (1), at `pp`."""
        if (kind, pp) not in self._options:
            table = np.ascontiguousarray(self.table[self.kinds[kind]])
            self._options[(kind, pp)] = _options(table, kind == 0, pp, self.menu, self.total(pp), self.budget)
        return self._options[(kind, pp)]

    def floor(self, pp: int) -> int:
        """Cycles of the input stream at its widest."""
        return input_floor(self.table, pp)

    def root(self, pp: int) -> float:
        """Area-time bound: DSP blocks times cycles that the layers take at least, over the DSP blocks."""
        area = 0.0
        slowest = float(self.floor(pp))
        for kind in (0, 1):
            if len(self.kinds[kind]):
                o = self.options(kind, pp)
                if not len(o.dsp):
                    return FORBIDDEN
                area += (o.dsp[:, None] * o.work).min(0).sum()
                slowest = max(slowest, o.work.min(0).max())
        return max(slowest, area / self.total(pp)) if self.total(pp) > 0 else FORBIDDEN

    def run(self, max_rejected: int) -> tuple[Plan | None, int]:
        """(best plan that was judged possible, proved lower bound); gives up after `max_rejected` plans that were not
        possible."""
        roots = {pp: self.root(pp) for pp in self.menu.columns}
        goal = min(roots.values())
        if goal >= FORBIDDEN:
            return None, int(FORBIDDEN)
        proved = goal
        for _ in range(MAX_ROUNDS):
            goal = float(np.ceil(goal * GOAL_STEP))
            open_bound, finished = self._round(goal, roots, max_rejected)
            proved = max(proved, min(goal, open_bound))
            exhausted = self.pairs >= MAX_PAIRS or self.nodes >= TOTAL_NODES
            if finished or self.rejected >= max_rejected or exhausted:
                break
        lower = int(np.ceil(proved * (1 - SLACK) - SLACK))
        if self.best_interval is not None:
            lower = min(lower, self.best_interval)
        return self.best, lower

    def _round(self, goal: float, roots: dict[int, float], max_rejected: int) -> tuple[float, bool]:
        """Everything below `goal`: (least bound left open, whether a design was found that meets it)."""
        rows: list[_Row] = []
        left = goal
        for pp in (pp for pp, root in roots.items() if root < goal):
            least = [self.options(k, pp).dsp.min(initial=0.0) if len(self.kinds[k]) else 0.0 for k in (0, 1)]
            counts = len(self.kinds[0]), len(self.kinds[1])
            fitting = [
                s for s in chunk_counts(counts, self.menu) if s[0] * least[0] + s[1] * least[1] <= self.total(pp)
            ]
            small: dict[int, _Side] = {}
            for n in sorted({s[1] for s in fitting}):
                beside = min(s[0] for s in fitting if s[1] == n) * least[0]
                small[n] = self._side(1, n, pp, self.total(pp) - beside, goal)
            # Beside every number of mixing chunks the other side takes at least what the goal asks of it.
            for n in sorted({s[0] for s in fitting}):
                partners = [small[s[1]] for s in fitting if s[0] == n]
                left = min([left, *(side.left for side in partners)])
                others = min((t.dsp for side in partners for t in side.tuples), default=None)
                if others is None:
                    continue
                large = self._side(0, n, pp, self.total(pp) - others, goal)
                left = min(left, large.left)
                rows.extend(
                    _Row(pp=pp, one=large, two=side, a=a) for side in partners for a in range(len(large.tuples))
                )
        return self._best_first(rows, left, goal, max_rejected)

    def _side(self, kind: int, n_chunks: int, pp: int, budget: float, goal: float) -> _Side:
        if n_chunks == 0:
            nothing = _Tuple(options=(), dsp=0, lower=0)
            return _side_of(None, self.kinds[kind], [nothing], goal)
        o = self.options(kind, pp)
        found = np.zeros((MAX_TUPLES, n_chunks), np.int64)
        bound = np.zeros(MAX_TUPLES)
        number = np.full(len(self.table) + 1, -1)
        number[self.kinds[kind]] = np.arange(len(self.kinds[kind]))
        parent = number[self.parent[self.kinds[kind]]]
        max_nodes = min(MAX_NODES, max(0, TOTAL_NODES - self.nodes))
        count, visited, left = tuples(
            o.work, o.dsp, o.lanes, o.sizes[:, 2].copy(), parent, n_chunks, budget, goal, max_nodes, found, bound
        )  # fmt: skip
        self.nodes += visited
        which = found[:count]
        dsp = o.dsp[which].sum(1).astype(np.int64)
        lower = np.ceil(bound[:count] * (1 - SLACK) - SLACK).astype(np.int64)
        order = np.lexsort((*which.T[::-1], dsp, lower))
        columns = (which[order].tolist(), dsp[order].tolist(), lower[order].tolist())
        listed = [_Tuple(options=tuple(w), dsp=d, lower=b) for w, d, b in zip(*columns, strict=True)]
        return _side_of(o, self.kinds[kind], listed, left)

    def _queue(
        self, row: int, rows: list[_Row], count: int, heap: list[tuple[int, int, int, int, int]], ceiling: float
    ) -> None:
        """Put the next `count` partners of a row into the heap of (lower bound, DSPs, pp, row, partner), but for those
        that are known to be too slow by themselves."""
        now = rows[row]
        a, two = now.one.tuples[now.a], now.two
        room, floor = self.total(now.pp) - a.dsp, self._floors[now.pp]
        for _ in range(count):
            n = _partner(two.dsp, two.alone, now.next, room, ceiling)
            now.next = n + 1
            if n == len(two.tuples):
                return
            b = two.tuples[n]
            heapq.heappush(heap, (max(a.lower, b.lower, floor), a.dsp + b.dsp, now.pp, row, n))

    def _alone(self, side: _Side, n: int, ceiling: float) -> float:
        """Proved bound of tuple `n` of a side for the layers of its kind by themselves."""
        if side.alone[n] == 0 and side.options is not None:
            number = np.full(len(self.table) + 1, -1)
            number[side.layers] = np.arange(len(side.layers))
            parent, other = number[self.parent[side.layers]], number[self.other[side.layers]]
            o = list(side.tuples[n].options)
            lanes, pq, dsp = side.options.lanes[o], side.options.sizes[o, 2], side.options.dsp[o]
            side.alone[n] = makespan(
                side.options.work[o], parent, other, lanes[None, :] % pq[:, None] == 0,
                pq[None, :] % pq[:, None] == 0, dsp / dsp.sum(), ceiling, MAX_BRANCHES, np.zeros(len(parent), np.int64),
            )[0]  # fmt: skip
        return float(side.alone[n])

    def _best_first(self, rows: list[_Row], left: float, goal: float, max_rejected: int) -> tuple[float, bool]:
        """Solve pairs, lowest bound first, until none is below the best design."""
        heap: list[tuple[int, int, int, int, int]] = []
        for row in range(len(rows)):
            self._queue(row, rows, AHEAD, heap, goal)
        stuck = goal
        while heap:
            lower, _, pp, row, n = heap[0]
            ceiling = min(goal, self.best_interval if self.best_interval is not None else goal)
            if lower >= ceiling:
                break
            if self.pairs >= MAX_PAIRS or self.rejected >= max_rejected:
                stuck = min(stuck, lower)
                break
            heapq.heappop(heap)
            one, two, a = rows[row].one, rows[row].two, rows[row].a
            # A tuple that is too slow by itself is so beside every other.
            if self._alone(one, a, ceiling) >= ceiling:
                continue
            self._queue(row, rows, 1, heap, ceiling)
            if self._alone(two, n, ceiling) >= ceiling:
                continue
            self.pairs += 1
            now, plan = self._solve(pp, one, two, one.tuples[a], two.tuples[n], ceiling)
            now = max(lower, now)
            if plan is None:
                stuck = min(stuck, now)
                continue
            if self.best_interval is not None and plan.interval >= self.best_interval:
                if now < self.best_interval:
                    stuck = min(stuck, now)
                continue
            interval = self.judge(plan)
            if interval is None:
                self.rejected += 1
                stuck = min(stuck, now)
                continue
            if self.best_interval is None or interval < self.best_interval:
                self.best, self.best_interval = plan, interval
            if interval > now:
                stuck = min(stuck, now)
        open_bound = min(stuck, left)
        if self.best_interval is not None:
            open_bound = min(open_bound, self.best_interval)
        return open_bound, self.best_interval is not None and self.best_interval <= goal

    def _solve(self, pp: int, one: _Side, two: _Side, a: _Tuple, b: _Tuple, limit: float) -> tuple[int, Plan | None]:
        """Assign all layers to the engines of both tuples: (proved lower bound, plan found, if any below `limit`)."""
        n_chunks = len(a.options) + len(b.options)
        work = np.full((n_chunks, len(self.table)), FORBIDDEN)
        engines: list[tuple[bool, int, int, int]] = []
        lanes, dsp = [], []
        for side, t in ((one, a), (two, b)):
            for o in t.options:
                assert side.options is not None
                work[len(engines), side.layers] = side.options.work[o]
                pm, pn, pq = side.options.sizes[o].tolist()
                engines.append((side is one, pm, pn, pq))
                lanes.append(int(side.options.lanes[o]))
                dsp.append(float(side.options.dsp[o]))
        pq = np.array([e[3] for e in engines])
        legal = np.array(lanes)[None, :] % pq[:, None] == 0
        together = pq[None, :] % pq[:, None] == 0
        owner = np.zeros(len(self.table), np.int64)
        lower, upper, _ = makespan(
            work, self.parent, self.other, legal, together, np.array(dsp) / sum(dsp), float(limit), MAX_BRANCHES, owner
        )  # fmt: skip
        if upper >= limit:
            return int(min(lower, FORBIDDEN)), None
        used = sorted(set(owner.tolist()))
        numbers = np.array([used.index(int(k)) for k in owner])
        return int(lower), plan_of(self.table, pp, numbers, [engines[k] for k in used])


def plan_of(table: np.ndarray, pp: int, owner: np.ndarray, engines: list[tuple[bool, int, int, int]]) -> Plan:
    """A partition with drains that divide their consumers' lanes, and its interval."""
    pq = [e[3] for e in engines]
    lanes = [input_word(*e[:3]) for e in engines]
    changed = True
    while changed:
        changed = False
        for i, layer in enumerate(table.tolist()):
            for tensor, main in ((layer[INPUT], True), (layer[RESIDUAL], False)):
                if tensor > 0:
                    p, k = int(owner[tensor - 1]), int(owner[i])
                    legal = gcd(pq[p], lanes[k] if main else pq[k])
                    changed = changed or legal != pq[p]
                    pq[p] = legal
    legal_engines = tuple((e[0], e[1], e[2], pq[k]) for k, e in enumerate(engines))
    in_lanes = 0
    load = [0] * len(engines)
    for i, layer in enumerate(table.tolist()):
        k = int(owner[i])
        if layer[INPUT] == 0:
            in_lanes = gcd(in_lanes, lanes[k])
        if layer[RESIDUAL] == 0:
            in_lanes = gcd(in_lanes, pq[k])
        work = row_work(table[i], pp, engines[k][1], engines[k][2], pq[k])
        load[k] += job_cycles(layer[ROWS], row_cycles(int(work)))
    packing = int(table[0, PACKING])
    beats = row_beats(int(table[0, WIDTH_IN]), int(table[0, N]), stream_columns(pp * packing), in_lanes)
    host = int(table[0, HEIGHT_IN]) * row_cycles(beats)
    return Plan(
        interval=max(*load, host), packing=packing, pp=pp, owner=tuple(int(o) for o in owner), engines=legal_engines
    )
