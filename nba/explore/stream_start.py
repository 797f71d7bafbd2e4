# SPDX-License-Identifier: Apache-2.0
"""Start plans of machines that stream weights: engines, the cut and who executes what, from loads and estimates alone.

A local search over the sizes of a fixed number of engines, the layers that each executes and the cut, from a seeded
generator. What it minimises is the load of the busiest engine, or of the external memory, with a charge for what the
estimates of DSP blocks, LUTs and block RAM exceed of the budgets. The exact rate decides later (nba.explore.streaming).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import log

import numpy as np

from nba.boards import Platform
from nba.explore.budgets import Budgets
from nba.explore.stream_plan import (
    Costs,
    Engine,
    StreamPlan,
    in_parts,
    lanes_fit,
    menu_of,
    seams,
    window_loads,
    window_of,
)
from nba.explore.stream_sizes import PlanSizes
from nba.explore.turns import Pace, rings_at, virtual_times
from nba.ir.network import Network
from nba.machine.geometry import ceil_div
from nba.machine.timing import OVERHEAD_CYCLES, READER_CYCLES
from nba.machine.windows import Use

LANES_OUT = (2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 36, 40, 48, 56, 64)
"""Values of pm that are tried."""
LANES_IN = (1, 2, 3, 4, 6, 8, 16)
"""Values of pn."""
DRAIN_LANES = (1, 2, 3, 4, 6, 8, 16)
"""Values of pq, where they divide pm."""
COLUMNS = (14, 8, 7, 4)
"""Columns of a design, the widest first."""
POWER = 30.0
"""Loads count by the sum of their powers: the busiest engine decides, and the others show the way."""
START_HEAT = 0.008
"""Part of the score by which a neighbour may be worse at first."""
CHARGE = 4.0
"""Part of the load that is charged for each part by which a budget is exceeded."""
FIRM = 0.03
"""Part of it that is charged where the DSP blocks of a plan exceed the budget at all."""
APART = 4
"""Thousandths of a frame between rings that share memory, at first."""
WISH = 0.002
"""Part of it that is charged for the use of all of a budget: of equally fast plans, smaller ones come first."""
SLOWED = (0.004, 0.04)
"""Parts of it that are charged for each layer that goes row by row on an engine of the other side of the cut, and for
each that goes by slices on one of rows, whose turn it may have to wait for."""
TYPICAL_SLICES = 4
"""Slices of a layer in the estimate of rings."""
ROUGH_SLACK = Fraction(9, 8)
"""Rows that layers wait in the estimate of rings."""


def column_use(network: Network, pp: int) -> float:
    """Share of `pp` columns that work, by products of layers whose maps are wider than one column."""
    done = taken = 0
    for i in range(len(network.layers)):
        out = network.result(i)
        if out.width > 1:
            done += network.macs(i)
            taken += network.macs(i) * ceil_div(out.width, pp) * pp // out.width
    return done / max(1, taken)


def columns_tried(network: Network, most: int) -> tuple[int, ...]:
    """The columns that leave the fewest idle, at most `most` of them."""
    return tuple(sorted(COLUMNS, key=lambda pp: (-round(column_use(network, pp), 2), -pp))[:most])


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineCounts:
    """How many engines of each kind a plan has: mixing and other ones before the cut, and from it on. shared: whether
    rings share memory. windowed: whether, besides, layers before the cut follow each other by the heights of their
    maps."""

    pp: int
    front: int
    front_other: int
    late: int
    late_other: int
    shared: bool = False
    windowed: bool = False


class Rough:
    """Scores of plans by loads and estimates."""

    def __init__(self, costs: Costs, platform: Platform, budgets: Budgets):
        self.costs, self.budgets = costs, budgets
        self.sizes = PlanSizes(costs, platform, platform.uram if budgets.uram is None else budgets.uram)
        self._rows: dict[tuple[int, tuple[int, ...]], dict[Use, int]] = {}
        self._work: dict[tuple[int, Engine], list[int]] = {}
        self.heights = [costs.network.result(i).height for i in range(len(costs.network.layers))]

    def rows(self, cut: int, windows: tuple[int, ...]) -> dict[Use, int]:
        """Rows of rings by typical paces."""
        found = self._rows.get((cut, windows))
        if found is None:
            layers, paces = self.costs.network.layers, self._paces(cut, windows)
            parts: list[Use] = [(layers[i].input, i, "main") for i, pace in enumerate(paces) if pace.parted]
            found = rings_at(self.costs.network, virtual_times(self.costs.network, paces), parts)
            # Rows of all channels.
            found |= {use: ceil_div(found[use], TYPICAL_SLICES) for use in parts}
            self._rows[cut, windows] = found
        return found

    def _paces(self, cut: int, windows: tuple[int, ...]) -> list[Pace]:
        network = self.costs.network
        n = len(network.layers)
        total = sum(network.macs(i) for i in range(0 if windows else cut, n) if network.layers[i].operator.mixes)
        found = []
        for i in range(n):
            pieces = 0
            if self.costs.streams(i, cut, bool(windows)):
                pieces = TYPICAL_SLICES
            share, after = Fraction(1), None
            if i >= cut:
                share = Fraction(max(1, network.macs(i)), max(total, network.macs(i), 1))
            elif windows:
                first = window_of(windows, i)
                end = min((w for w in windows if w > i), default=cut)
                work = sum(network.macs(j) for j in range(first, end) if network.layers[j].operator.mixes)
                share = min(Fraction(1), Fraction(max(1, work), max(1, total)))
                after = window_of(windows, i - 1) if i == first > 0 else None
            chain = None if i < cut else int(pieces > 0)
            parted = pieces > 0 and self._takes_slices(i, cut)
            pieces = pieces if parted or network.layers[i].operator.mixes else min(1, pieces)
            found.append(
                Pace(slack=ROUGH_SLACK, slices=pieces, duration=share, chain=chain, after=after, parted=parted)
            )
        return found

    def _takes_slices(self, layer: int, cut: int) -> bool:
        """Whether a layer may take the slices of its producer one by one."""
        one = self.costs.network.layers[layer]
        return not one.operator.mixes and one.pad_codes is None and one.input > cut

    def work(self, pp: int, engine: Engine) -> list[int]:
        """Cycles of every layer on an engine."""
        found = self._work.get((pp, engine))
        if found is None:
            count = len(self.costs.network.layers)
            mixes = [layer.operator.mixes for layer in self.costs.network.layers]
            found = self._work[pp, engine] = [
                self.costs.load(i, pp, engine, 0)[0] if mixes[i] == engine.mixes else 0 for i in range(count)
            ]
        return found

    def loads(self, plan: StreamPlan) -> list[int]:
        """Cycles of a frame on every engine, and, last, of the external memory."""
        found = [0] * len(plan.engines)
        work = [self.work(plan.pp, engine) for engine in plan.engines]
        beats = 0
        for i, k in enumerate(plan.owner):
            engine = plan.engines[k]
            found[k] += work[k][i]
            pieces = plan.pieces[i]
            found[k] += OVERHEAD_CYCLES * (pieces or self.heights[i])
            if self.costs.streams(i, plan.cut, plan.all_streamed):
                beats += self.costs.beats(i, engine, pieces) + READER_CYCLES * pieces
        return [*found, beats]

    def serial(self, plan: StreamPlan) -> int:
        """Cycles of a frame whose windows, and then all layers from the cut on, follow each other."""
        late = [0] * len(plan.engines)
        for i in range(plan.cut, len(plan.owner)):
            late[plan.owner[i]] += self.work(plan.pp, plan.engines[plan.owner[i]])[i]
        return sum(window_loads(self.costs, plan).values()) + max(late)

    def score(self, plan: StreamPlan, ceiling: float = float("inf")) -> float:
        """What is minimised: about the cycles of a frame. Not known exactly where it is above `ceiling`."""
        loads = self.loads(plan)
        if plan.windows:
            loads.append(self.serial(plan))
        top = max(loads)
        value = top * sum((load / top) ** POWER for load in loads) ** (1 / POWER)
        value *= 1 + self._slowed(plan)
        if value > ceiling:
            return value
        parts = self._parts(plan)
        # DSP blocks are counted exactly: a plan that has too many is none.
        charge = CHARGE * sum(max(0.0, part - 1) for part in parts) + (FIRM if parts[0] > 1 else 0.0)
        return value * (1 + charge) + WISH * top * sum(parts)

    def fits(self, plan: StreamPlan) -> bool:
        """Whether the estimates of a plan are within the budgets."""
        return max(self._parts(plan)) <= 1

    def _parts(self, plan: StreamPlan) -> list[float]:
        """Parts of the budgets that a plan takes by the estimates, DSP blocks first."""
        used = self.sizes.of(plan, self.rows(plan.cut, plan.windows))
        limits = (self.budgets.dsp, self.budgets.bram18, self.budgets.lut)
        return [have / max(limit, 0.5) for have, limit in zip(used, limits, strict=True) if limit is not None]

    def _slowed(self, plan: StreamPlan) -> float:
        """What is charged for layers on engines of the other side of the cut, where this side has engines of their
        kind."""
        kinds = {(engine.mixes, engine.late) for engine in plan.engines}
        found = 0.0
        for i, k in enumerate(plan.owner):
            engine, late = plan.engines[k], i >= plan.cut
            if engine.late != late and (engine.mixes, late) in kinds:
                found += SLOWED[late]
        return found


def first_plan(costs: Costs, shape: EngineCounts, budgets: Budgets) -> StreamPlan:
    """A plan of equal engines to start from: layers in turn on those of their kind and side of the cut."""
    network = costs.network
    n = len(network.layers)
    cut = next((i for i in range(n) if network.result(i).height * 16 <= network.tensors[0].height), n)
    cut = cut if costs.bus_bits else n
    macs = max(1, (budgets.dsp * 2 * 3 // 4) // (4 * shape.pp * max(1, shape.front + shape.late)))
    pm = max((m for m in LANES_OUT if m <= macs), default=2)
    engines = [Engine(mixes=True, pm=pm, pn=4, pq=1) for _ in range(shape.front)]
    engines += [Engine(mixes=True, pm=pm, pn=4, pq=1, late=True) for _ in range(shape.late)]
    other = any(not layer.operator.mixes for layer in network.layers)
    if other:
        engines += [Engine(mixes=False, pm=8, pn=1, pq=1, products="lut") for _ in range(shape.front_other)]
        engines += [Engine(mixes=False, pm=8, pn=1, pq=1, products="lut", late=True) for _ in range(shape.late_other)]
    if narrow_layers(network):
        engines.append(Engine(mixes=True, pm=8, pn=1, pq=1, columns=1, late=True))
    owner = []
    turn: dict[tuple[bool, bool], int] = {}
    for i in range(n):
        mixes, late = network.layers[i].operator.mixes, i >= cut
        mine = [k for k, e in enumerate(engines) if e.mixes == mixes and e.late == late and not e.columns]
        mine = mine or [k for k, e in enumerate(engines) if e.mixes == mixes and not e.columns]
        if i in narrow_layers(network):
            mine = [len(engines) - 1]
        owner.append(mine[turn.get((mixes, late), 0) % len(mine)])
        turn[mixes, late] = turn.get((mixes, late), 0) + 1
    plan = StreamPlan(
        pp=shape.pp, engines=tuple(engines), owner=tuple(owner), cut=cut, pieces=(0,) * n, slack=(0,) * n, pace=1
    )
    if shape.shared:
        plan = replace(plan, apart=APART)
    if shape.windowed:
        plan = replace(plan, windows=windows_by_height(network, cut), all_streamed=True)
    return without_idle(plan)


def windows_by_height(network: Network, cut: int) -> tuple[int, ...]:
    """Windows that begin where maps become lower for the first time."""
    found, least = [], network.tensors[0].height
    for i in seams(network):
        height = network.source(network.layers[i]).height
        if i < cut and height * 2 <= least:
            found.append(i)
            least = height
    # What the first layers make of the largest maps is alive longest: one window for both heights.
    return tuple(found[1:])


def narrow_layers(network: Network) -> tuple[int, ...]:
    """Layers that mix channels of maps of a single column: most columns of a wide engine would idle."""
    return tuple(
        i for i, layer in enumerate(network.layers) if layer.operator.mixes and network.result(i).width == 1
    )  # fmt: skip


def without_idle(plan: StreamPlan) -> StreamPlan:
    """`plan` without the engines that execute nothing."""
    kept = sorted(set(plan.owner))
    number = {k: at for at, k in enumerate(kept)}
    return replace(
        plan, engines=tuple(plan.engines[k] for k in kept), owner=tuple(number[k] for k in plan.owner)
    )  # fmt: skip


def resized(engine: Engine, rng: np.random.Generator) -> Engine:
    """An engine with one of its sizes changed."""

    def near(values: Sequence[int], value: int) -> int:
        at = min(range(len(values)), key=lambda i: abs(values[i] - value))
        return values[int(np.clip(at + rng.choice((-2, -1, 1, 2)), 0, len(values) - 1))]

    draw = rng.random()
    if draw < 0.55:
        pm = near(LANES_OUT, engine.pm)
        return replace(engine, pm=pm, pq=engine.pq if pm % engine.pq == 0 else 1)
    if draw < 0.7 and engine.mixes:
        pn = near(LANES_IN, engine.pn)
        pm = min(LANES_OUT, key=lambda m: abs(m * pn - engine.pm * engine.pn))
        return replace(engine, pn=pn, pm=pm, pq=engine.pq if pm % engine.pq == 0 else 1)
    if draw < 0.9:
        return replace(engine, pq=int(rng.choice([q for q in DRAIN_LANES if engine.pm % q == 0])))
    return replace(engine, requant="dsp" if engine.requant == "lut" else "lut")


def changed_start(plan: StreamPlan, network: Network, rng: np.random.Generator) -> StreamPlan:
    """A neighbour: a layer elsewhere, two layers swapped, an engine of another size, another cut."""
    engines, owner = list(plan.engines), list(plan.owner)
    draw = rng.random()
    if draw < 0.45:
        k = int(rng.integers(len(engines)))
        engines[k] = resized(engines[k], rng)
        if rng.random() < 0.3:
            k = int(rng.integers(len(engines)))
            engines[k] = resized(engines[k], rng)
        return replace(plan, engines=tuple(engines))
    if draw < 0.5:
        step = int(rng.choice((-3, -2, -1, 1, 2, 3)))
        cut = int(np.clip(plan.cut + step, 1 + max(plan.windows, default=0), len(owner)))
        for i in range(min(cut, plan.cut), max(cut, plan.cut)):
            _move(owner, engines, network, i, i >= cut, rng)
        return replace(plan, cut=cut, owner=tuple(owner))
    i = int(rng.integers(len(owner)))
    before = owner[i]
    _move(owner, engines, network, i, (i >= plan.cut) if rng.random() < 0.95 else None, rng)
    if draw > 0.75:
        back = [j for j, k in enumerate(owner) if k == owner[i] and j != i]
        if back:
            owner[back[int(rng.integers(len(back)))]] = before
    return replace(plan, owner=tuple(owner))


def _move(
    owner: list[int], engines: Sequence[Engine], network: Network, i: int, late: bool | None, rng: np.random.Generator
) -> None:  # fmt: skip
    """Gives layer `i` to another engine that can execute it, one of this side of the cut if there is any."""
    mixes = network.layers[i].operator.mixes
    fit = [k for k, e in enumerate(engines) if e.mixes == mixes and (not e.columns or i in narrow_layers(network))]
    mine = [k for k in fit if late is None or engines[k].late == late] or fit
    others = [k for k in mine if k != owner[i]] or mine
    owner[i] = others[int(rng.integers(len(others)))]


def search_start(rough: Rough, plan: StreamPlan, steps: int, rng: np.random.Generator) -> tuple[float, StreamPlan]:
    """Annealing from `plan` over so many neighbours; the best plan whose lanes fit, and its score."""
    costs = rough.costs
    here, best = float("inf"), (float("inf"), plan)
    for step in range(steps):
        heat = START_HEAT * here * (1 - step / steps) ** 2 if here < float("inf") else 0.0
        trial = changed_start(plan, costs.network, rng)
        if len(set(trial.owner)) < len(trial.engines) or not lanes_fit(costs, trial.engines, trial.owner):
            continue
        finest = sliced_finest(costs, trial)
        if finest is None:
            continue
        trial = finest
        ceiling = here - heat * log(max(1e-12, rng.random()))
        value = rough.score(trial, ceiling)
        if value <= ceiling:
            plan, here = trial, value
            if value < best[0]:
                best = value, trial
    return best


def sliced_finest(costs: Costs, plan: StreamPlan) -> StreamPlan | None:
    """`plan` with the finest slices that are legal on its engines; None if some layer has none."""
    pieces = [0] * len(plan.owner)
    for i in range(plan.cut, len(plan.owner)):
        if costs.streams(i, plan.cut, plan.all_streamed):
            menu = menu_of(costs, plan, i)
            if not menu:
                return None
            pieces[i] = menu[-1]
    return in_parts(costs, replace(plan, pieces=tuple(pieces)))


PACES = (101, 102, 103, 104, 106, 110)
"""Cycles that a frame is taken to have, in hundredths of the load of the busiest engine: where a chunk executes slices
of several layers, these need some room to fit between each other."""
LATE_SLACKS = (0, 4)
FRONT_SLACK = 9
"""Slacks at first, in parts of a row (nba.explore.stream_plan.SLACK_UNIT)."""
ROOMS = (2, 4)
"""Slices that chunks have room for."""


def paced(rough: Rough, plan: StreamPlan) -> list[StreamPlan]:
    """A start plan with typical slacks, at some paces that its busiest engine can keep."""
    load = max(rough.loads(plan))
    return [
        replace(
            plan,
            slack=tuple(FRONT_SLACK if i < plan.cut else late for i in range(len(plan.owner))),
            pace=load * pace // 100,
            slots=slots,
        )
        for slots in ROOMS
        for late in LATE_SLACKS
        for pace in PACES
    ]
