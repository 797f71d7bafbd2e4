# SPDX-License-Identifier: Apache-2.0
"""The shortest interval under budgets of DSP blocks and LUTs, from all partitions of a network of few layers.

Few layers of a kind have few sets. A chunk that executes a set within an interval weighs at least what the lightest
engine does that is fast enough (nba.explore.layer_sets); which sets make up all layers with the least weight, a dynamic
programme says. What is then within the budgets at every price of a DSP block is enumerated, with drains that fit the
words that they fill and the buffers that the chunks have between them. An interval at which nothing is left is proved
too short; what is left at longer ones are designs to try (docs/decisions/0035-partitions.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.boards import Platform
from nba.core.compiled import compiled
from nba.explore.exact import Menu, Plan, chunk_counts, engine_work, input_floor, plan_of, sizes_of_menu
from nba.explore.layer_sets import Near, Side, sets_of
from nba.explore.weights import PRICES, Budget, fixed_milli
from nba.ir.network import Network
from nba.machine.designs import INPUT, MIXES, RESIDUAL, layer_table
from nba.machine.logic import PlaceLimits

MOST_LAYERS = 12
"""Layers of a kind whose sets are looked at one by one."""
MAX_STEPS = 40_000_000
"""Chunks that an enumeration looks at."""
MOST_DESIGNS = 400
"""Designs that are listed of one number of chunks and columns."""
LONGEST = 1 << 40
"""More cycles than any interval takes."""
_NOTHING = 1 << 60
"""More than any weight."""

_Shape = tuple[int, int]
"""Numbers of chunks that mix channels, and of others."""


@compiled
def _parts(least: np.ndarray, total: np.ndarray) -> None:
    """total [K + 1, S]: the least weight of that many chunks with all layers of a set; least [S]: of one."""
    nothing = np.int64(1) << 60
    total[:] = nothing
    total[0, 0] = 0
    for k in range(1, total.shape[0]):
        for s in range(1, least.size):
            first = s & -s
            sub = s
            while sub > 0:
                if sub & first and least[sub] < nothing and total[k - 1, s ^ sub] < nothing:
                    total[k, s] = min(total[k, s], least[sub] + total[k - 1, s ^ sub])
                sub = (sub - 1) & s


@compiled
def _fits(a: int, b: int, rows: np.ndarray) -> bool:
    """Whether the drain of the chunk of row `a` fits the words of that of row `b` that it fills."""
    if rows[a, 1] & rows[b, 0] and rows[b, 3] % rows[a, 4] != 0:
        return False
    return not (rows[a, 2] & rows[b, 0] and rows[b, 4] % rows[a, 4] != 0)


@compiled
def _further(chosen: np.ndarray, n_mixing: int, rows: np.ndarray, output_edge: int) -> int:
    """LUTs of the buffers between chosen chunks beyond the first one from, and to, others of the same kind."""
    lut = 0
    for c in chosen:
        for port in range(2):
            for kind in range(2):
                reads = 0
                writes = 0
                for n in range(chosen.size):
                    k = chosen[n]
                    if k != c and (n < n_mixing) == (kind == 0):
                        reads += 1 if rows[k, 1 + port] & rows[c, 0] else 0
                        writes += 1 if rows[c, 1 + port] & rows[k, 0] else 0
                lut += max(0, reads - 1) * rows[c, 5 + port] + max(0, writes - 1) * output_edge
    return lut


@compiled
def _placed(chosen: np.ndarray, rows: np.ndarray, further: int, max_dsp: int, max_milli: int) -> bool:
    """Whether some choice of multipliers made of adders keeps chosen chunks within both limits."""
    dsp = 0
    milli = further
    for c in chosen:
        dsp += rows[c, 8] + rows[c, 10]
        milli += rows[c, 7]
    for choice in range(1 << (2 * chosen.size)):
        blocks, lut = dsp, milli
        for n in range(chosen.size):
            c = chosen[n]
            if (choice >> 2 * n) & 1:
                if rows[c, 9] < 0:
                    lut = max_milli + 1
                    break
                blocks -= rows[c, 8]
                lut += rows[c, 9]
            if (choice >> 2 * n) & 2:
                blocks -= rows[c, 10]
                lut += rows[c, 11]
        if blocks <= max_dsp and lut <= max_milli:
            return True
    return False


# One compiled loop: an enumeration whose state lives in local arrays.
@compiled
def _designs(
    n_mixing: int, n_other: int, begin: np.ndarray, sets: np.ndarray, weights: np.ndarray, rows: np.ndarray,
    output_edge: int, rest_mixing: np.ndarray, rest_other: np.ndarray, budget: np.ndarray, max_dsp: int,
    max_milli: int, max_steps: int, found: np.ndarray,
) -> tuple[int, int]:  # fmt: skip
    """Fills found [N, n_mixing + n_other] with the designs of so many chunks that are within max_dsp DSP blocks and
    max_milli thousandths of a LUT, and so weigh no more than `budget` [P], with drains that fit. Returns how many, and
    the steps taken: more than max_steps where it gave up.

    The chunks are rows: sets, weights [., P], and rows [., 12]: layers, those that read on either port what they write
    (as bits), lanes, drain, LUTs of a further buffer on either port, LUTs, DSP blocks of the products, LUTs of these
    as adders (-1: they cannot be), the same of the requantisers. begin [2, L + 1]: the first row of either kind whose
    set begins with a layer. rest [P, K + 1, S]: the least weight of so many chunks with the layers of a set."""
    n_chunks, n_prices = n_mixing + n_other, budget.size
    chosen = np.zeros(n_chunks, np.int64)
    last = np.zeros(n_chunks, np.int64)
    rest = np.zeros((n_chunks + 1, 2), np.int64)
    rest[0, 0] = rest_mixing.shape[2] - 1
    rest[0, 1] = rest_other.shape[2] - 1
    used = np.zeros((n_chunks + 1, n_prices), np.int64)
    count = 0
    steps = 0
    depth = 0
    enters = True
    while depth >= 0:
        side = 0 if depth < n_mixing else 1
        here = rest[depth, side]
        if enters:
            low = 0
            while here and not (here >> low) & 1:
                low += 1
            # Nothing is left for this chunk: no row.
            chosen[depth] = begin[side, low] - 1 if here else 0
            last[depth] = begin[side, low + 1] - 1 if here else 0
            enters = False
        chosen[depth] += 1
        steps += 1
        n = chosen[depth]
        if n > last[depth] or steps > max_steps or count == found.shape[0]:
            depth -= 1
            continue
        s = sets[n]
        if s & ~here:
            continue
        rest[depth + 1] = rest[depth]
        rest[depth + 1, side] = here ^ s
        mixing, other = max(0, n_mixing - depth - 1), min(n_other, n_chunks - depth - 1)
        fits = True
        for p in range(n_prices):
            used[depth + 1, p] = used[depth, p] + weights[n, p]
            to_go = rest_mixing[p, mixing, rest[depth + 1, 0]] + rest_other[p, other, rest[depth + 1, 1]]
            if used[depth + 1, p] + to_go > budget[p]:
                fits = False
                break
        for c in range(depth):
            fits = fits and _fits(chosen[c], n, rows) and _fits(n, chosen[c], rows)
        if not fits:
            continue
        if depth + 1 < n_chunks:
            depth += 1
            enters = True
            continue
        further = _further(chosen, n_mixing, rows, output_edge)
        if _placed(chosen, rows, further, max_dsp, max_milli):
            found[count] = chosen
            count += 1
    return count, steps


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Rest:
    """What the bounds say of an interval at one pp: of either kind the least weight [P, S] of one chunk, and [P, K + 1,
    S] of several; how many chunks are not ruled out."""

    one: dict[int, np.ndarray]
    several: tuple[np.ndarray, np.ndarray]
    shapes: list[_Shape]


class Partitions:
    """Bound and designs of `network` on engines of `menu` within the limits of `platform` on DSP blocks and LUTs."""

    def __init__(self, network: Network, menu: Menu, platform: Platform, limits: PlaceLimits):
        self.menu, self.platform, self.limits = menu, platform, limits
        self.table = layer_table(network, menu.packing)
        self.kinds = [kind for kind in (0, 1) if (self.table[:, MIXES] == 1 - kind).any()]
        sets = {kind: sets_of(self.table, kind) for kind in self.kinds}
        counts = [len(sets[kind].layers) if kind in sets else 0 for kind in (0, 1)]
        self.shapes = chunk_counts((counts[0], counts[1]), menu)
        self.sides: dict[tuple[int, int], Side] = {}
        self.totals: dict[int, np.ndarray] = {}
        for pp in menu.columns:
            budgets = [Budget(platform=platform, limits=limits, price=price) for price in PRICES]
            self.totals[pp] = np.array([budget.total(self.table, pp) for budget in budgets])
            for kind in self.kinds:
                mine = np.ascontiguousarray(self.table[sets[kind].layers])
                sizes = sizes_of_menu(mine, kind == 0, menu)
                work = engine_work(mine, pp, sizes)
                self.sides[kind, pp] = Side(self.table, kind, sets[kind], sizes, work, pp, platform)

    def _rest(self, pp: int, interval: int) -> _Rest:
        one: dict[int, np.ndarray] = {}
        several = []
        for kind in (0, 1):
            most = max(shape[kind] for shape in self.shapes)
            if kind not in self.kinds:
                several.append(np.zeros((len(PRICES), 1, 1), np.int64))
                continue
            one[kind] = self.sides[kind, pp].lightest(interval)
            total = np.empty((len(PRICES), most + 1, one[kind].shape[1]), np.int64)
            for p in range(len(PRICES)):
                _parts(one[kind][p], total[p])
            several.append(total)
        within = [] if interval < input_floor(self.table, pp) else self.shapes
        whole = several[0][:, :, -1], several[1][:, :, -1]
        fits = [s for s in within if (whole[0][:, s[0]] + whole[1][:, s[1]] <= self.totals[pp]).all()]
        return _Rest(one=one, several=(several[0], several[1]), shapes=fits)

    def _designs(self, pp: int, interval: int) -> tuple[list[Plan], bool]:
        """(designs at `pp` that `interval` does not rule out, whether these are all)."""
        rest = self._rest(pp, interval)
        found: list[Plan] = []
        complete = True
        for shape in rest.shapes:
            whole = rest.several[0][:, shape[0], -1] + rest.several[1][:, shape[1], -1]
            slack = self.totals[pp] - whole
            near: dict[int, Near] = {}
            for kind in self.kinds:
                listed = self.sides[kind, pp].near(interval, self._most(rest, kind, shape[kind], slack))
                if listed is None:
                    break
                near[kind] = listed
            if len(near) < len(self.kinds):
                complete = False
                continue
            designs, whole_list = self._enumerated(pp, shape, rest, near)
            complete = complete and whole_list
            found += designs
        return found, complete

    def _most(self, rest: _Rest, kind: int, n_chunks: int, slack: np.ndarray) -> np.ndarray:
        """int64 [P, S]: what a chunk with a set may weigh beside n_chunks - 1 others with the rest of them, if all
        are heavier than the lightest by `slack` [P] at most."""
        several = rest.several[kind]
        beside = several[:, n_chunks - 1, ::-1]
        most: np.ndarray = several[:, n_chunks, -1:] + slack[:, None] - beside
        return np.where(beside < _NOTHING, most, -1)

    def _enumerated(self, pp: int, shape: _Shape, rest: _Rest, near: dict[int, Near]) -> tuple[list[Plan], bool]:
        rows = [self.sides[kind, pp].rows(near[kind], _masks(self.table, self.sides[kind, pp])) for kind in self.kinds]
        begin, before = np.zeros((2, MOST_LAYERS + 1), np.int64), 0
        for kind in self.kinds:
            lowest = near[kind].sets & -near[kind].sets
            begin[kind] = before + np.searchsorted(lowest, 1 << np.arange(MOST_LAYERS + 1))
            before += len(lowest)
        found = np.zeros((MOST_DESIGNS, sum(shape)), np.int64)
        dsp, lut = self.limits
        max_milli = 1000 * lut - fixed_milli(self.table, pp, self.platform)
        count, steps = _designs(
            *shape, begin, np.concatenate([near[kind].sets for kind in self.kinds]),
            np.concatenate([near[kind].weights for kind in self.kinds]), np.concatenate(rows),
            self.sides[self.kinds[0], pp].output_edge, *rest.several, self.totals[pp], dsp, max_milli, MAX_STEPS, found,
        )  # fmt: skip
        plans = [self._plan(pp, chosen, near) for chosen in found[:count].tolist()]
        return plans, count < MOST_DESIGNS and steps <= MAX_STEPS

    def _plan(self, pp: int, chosen: list[int], near: dict[int, Near]) -> Plan:
        owner = np.zeros(len(self.table), np.int64)
        engines: list[tuple[bool, int, int, int]] = []
        first_other = len(near[0].sets) if 0 in near else 0
        for n in chosen:
            kind = 0 if n < first_other else 1
            side, row = self.sides[kind, pp], n if kind == 0 else n - first_other
            number = int(near[kind].sets[row])
            mine = [int(i) for bit, i in enumerate(side.sets.layers) if number >> bit & 1]
            owner[mine] = len(engines)
            pm, pn, pq = side.sizes[near[kind].engines[row]].tolist()
            engines.append((kind == 0, pm, pn, pq))
        return plan_of(self.table, pp, owner, engines)

    def _possible(self, pp: int, interval: int, *, listed: bool) -> bool:
        """Whether `interval` is not ruled out at `pp`: by the bounds alone, or by the enumeration (`listed`)."""
        if not listed:
            return bool(self._rest(pp, interval).shapes)
        designs, complete = self._designs(pp, interval)
        return bool(designs) or not complete

    def bound(self, most: int = LONGEST) -> int:
        """No design of the menu within both budgets has a shorter interval; `most` if that may be said of it."""
        best = most
        for listed in (False, True):
            low, best = (0, best) if not listed else (best - 1, most)
            for pp in self.menu.columns:
                best = self._first(pp, low, best, listed)
        return best

    def _first(self, pp: int, low: int, most: int, listed: bool) -> int:
        """The shortest interval above `low` that is not ruled out at `pp`, or `most`."""
        if not self._possible(pp, most - 1, listed=listed):
            return most
        high, step = most - 1, max(1, low // 32) if listed else input_floor(self.table, pp)
        while low + step < high and not self._possible(pp, low + step, listed=listed):
            low, step = low + step, step if listed else 2 * step
        high = min(high, low + step)
        while high - low > 1:
            middle = (low + high) // 2
            if self._possible(pp, middle, listed=listed):
                high = middle
            else:
                low = middle
        return high

    def plans(self, interval: int) -> list[Plan]:
        """Designs that `interval` does not rule out, by their own intervals."""
        found = {plan for pp in self.menu.columns for plan in self._designs(pp, interval)[0]}
        return sorted(found, key=lambda plan: (plan.interval, plan.pp, plan.owner, plan.engines))


def _masks(table: np.ndarray, side: Side) -> np.ndarray:
    """int64 [S, 3] of every set of layers of a side: these, and those that read on either port what they write, as
    bits."""
    layers = side.sets.layers
    single = np.zeros((len(layers), 3), np.int64)
    for n, i in enumerate(layers.tolist()):
        single[n, 0] = 1 << i
        for port, column in enumerate((INPUT, RESIDUAL)):
            single[n, 1 + port] = sum(1 << int(k) for k in np.flatnonzero(table[:, column] == i + 1))
    found = np.zeros((1 << len(layers), 3), np.int64)
    for s in range(1, len(found)):
        found[s] = found[s & (s - 1)] | single[(s & -s).bit_length() - 1]
    return found


def few_layers(network: Network) -> bool:
    """Whether the sets of the layers of either kind are few enough."""
    mixes = [layer.operator.mixes for layer in network.layers]
    return max(mixes.count(True), mixes.count(False)) <= MOST_LAYERS
