# SPDX-License-Identifier: Apache-2.0
"""The exact mapping against enumeration of whole spaces, and its bounds against every design of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nba.boards import get
from nba.explore.bounds import FORBIDDEN, makespan
from nba.explore.exact import ExactSearch, Menu, Plan, _needs, _options
from nba.explore.finalise import UNLIMITED, build, finalise
from nba.explore.layer_sets import Near
from nba.explore.partitions import Partitions
from nba.explore.refine import Engines, engines_usage
from nba.explore.space import AcceleratorSpace
from nba.explore.weights import Budget, engine_weights, fixed_milli
from nba.ir.check import check_network
from nba.ir.network import Network, widened
from nba.machine.accelerator_rules import columns_of
from nba.machine.designs import ACC_BITS, ACT_BITS, MIXES, WEIGHT_BITS, Designs, layer_table
from nba.machine.usage import usage
from tests.unit.hw_networks import DIGITS, blocks_network, mixed_bits

pytestmark = pytest.mark.slow

BOARD = get("pynq-z2")


def random_network(rng: np.random.Generator) -> Network:
    blocks = tuple(
        (int(rng.integers(3, 9)), int(rng.integers(1, 3)), int(rng.choice([3, 5])), int(rng.integers(1, 3)))
        for _ in range(int(rng.integers(1, 3)))
    )
    return blocks_network(
        blocks, size=int(rng.integers(4, 8)), stem=int(rng.integers(3, 9)), head=int(rng.integers(5, 12)),
        bits=int(rng.choice([4, 8])),
    )  # fmt: skip


def random_space(network: Network, rng: np.random.Generator, packing: int = 1) -> AcceleratorSpace:
    def some(values: tuple[int, ...], n: int) -> tuple[int, ...]:
        return tuple(sorted(int(v) for v in rng.choice(values, n, replace=False)))

    small = len(network.layers) > 8
    return AcceleratorSpace(
        slots=tuple(x.operator.mixes for x in network.layers),
        n_chunks=2 if small else 3,
        packing=packing,
        columns=some((1, 2, 4), 2) if packing == 1 else columns_of(packing)[:2],
        sizes_m=some((1, 2, 3, 4, 6, 8), 3 if small else 2),
        sizes_n=some((1, 2, 4, 6), 2),
        drains=(1, 2, 3) if small else (1, 2),
        offsets=(0,),
        policies=(1,),
    )


def menu_of(space: AcceleratorSpace) -> Menu:
    return Menu(
        packing=space.packing, columns=space.columns, sizes_m=space.sizes_m, sizes_n=space.sizes_n, drains=space.drains,
        min_chunks=1, max_chunks=space.n_chunks,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_exact_is_the_optimum_by_enumeration(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    optimum(network, random_space(network, rng), rng)


@pytest.mark.parametrize("seed", range(20))
def test_exact_is_the_optimum_of_packed_designs(seed: int) -> None:
    """Layers of one, two and four columns at once."""
    rng = np.random.default_rng([40, seed])
    network = mixed_bits(random_network(rng), tuple(int(b) for b in rng.choice([2, 3, 4, 8], 5)))
    space = random_space(network, rng, 2 + 2 * (seed % 2))
    optimum(network, space, rng)


def optimum(network: Network, space: AcceleratorSpace, rng: np.random.Generator) -> None:
    """Under a random budget of DSP blocks the exact search finds the best of the whole space."""
    if len(network.layers) > 8:
        space = replace(space, n_chunks=2)
    everything = space.enumerate()
    layers = layer_table(network, space.packing)
    used = usage(layers, space.decode(everything, layers, tuple(range(len(network.layers)))), BOARD)
    budget = int(rng.integers(used.dsp.min(), max(used.dsp.min() + 2, np.quantile(used.dsp, 0.6))))
    fits = used.dsp <= budget
    plan, lower = ExactSearch(network, menu_of(space), budget, lambda p: p.interval).run(1)
    assert plan is not None
    assert lower == plan.interval == used.interval[fits].min(), (network, space, budget)


@pytest.mark.parametrize("seed", range(24))
def test_two_groups_and_mixed_bits_on_few_blocks(seed: int) -> None:
    """Products in LUTs, codes of 16 bits, halved walks; the least DSPs, where the area-time bound is far off."""
    rng = np.random.default_rng(seed)
    plain = blocks_network(
        ((int(rng.choice([4, 8, 12])), 2, 3, int(rng.integers(1, 3))),), size=int(rng.integers(4, 8)), stem=8, head=12
    )
    layers = []
    for i, layer in enumerate(plain.layers):
        bits = 8 if layer.op == "avgpool" else int(rng.choice([2, 3, 4, 8, 16]))
        halved = layer.op == "dense" and layer.kernel_h == 1 and i < len(plain.layers) - 3
        layers.append(
            replace(
                layer, act_bits=bits, weight_bits=bits, weight_store_bits=bits, groups=2 if halved else 1,
                rotate=plain.result(i).channels // 4 if halved and rng.random() < 0.5 else 0,
            )
        )  # fmt: skip
    network = widened(replace(plain, layers=tuple(layers)))
    assert not check_network(network)
    space = replace(random_space(network, rng), n_chunks=2)
    used = usage(
        layer_table(network),
        space.decode(space.enumerate(), layer_table(network), tuple(range(len(network.layers)))), BOARD,
    )  # fmt: skip
    budget = int(used.dsp.min()) + seed % 4
    plan, lower = ExactSearch(network, menu_of(space), budget, lambda p: p.interval).run(1)
    assert plan is not None
    assert lower == plan.interval == used.interval[used.dsp <= budget].min()


@pytest.mark.parametrize("seed", range(12))
def test_bounds_under_budgets_of_dsp_blocks_and_luts(seed: int) -> None:
    """Multipliers in DSP blocks or LUTs: no design of the whole space within both budgets is faster than the bound,
    which ends at the interval of the best; and no design weighs less than its engines are said to."""
    rng = np.random.default_rng([50, seed])
    network = random_network(rng)
    packing = 1
    if seed % 3 == 2:
        packing = 2
        network = mixed_bits(network, tuple(int(b) for b in rng.choice([2, 3, 4, 8], 5)))
    space = replace(random_space(network, rng, packing), n_chunks=2)
    layers, where = layer_table(network, packing), tuple(range(len(network.layers)))
    designs = space.decode(space.enumerate(), layers, where)
    plain = usage(layers, designs, BOARD, frozenset({"lut"}))
    assert plain.lut is not None
    dsp = max(1, int(np.quantile(plain.dsp, rng.uniform(0.0, 0.3)) * rng.uniform(0.3, 1.0)))
    lut = int(np.quantile(plain.lut, rng.uniform(0.3, 0.9)))
    used = usage(layers, designs, BOARD, frozenset({"lut"}), (dsp, lut))
    assert used.lut is not None
    fits = (used.dsp <= dsp) & (used.lut <= lut)
    best = used.interval[fits].min() if fits.any() else None

    def judge(plan: Plan) -> int | None:
        engines = Engines(packing=packing, pp=plan.pp, owner=plan.owner, engines=plan.engines)
        found = engines_usage(network, BOARD, engines, (dsp, lut))
        assert found.lut is not None
        return plan.interval if found.dsp[0] <= dsp and found.lut[0] <= lut else None

    search = ExactSearch(network, menu_of(space), dsp, judge, (dsp, lut), BOARD)
    for pp in space.columns:
        allowed = designs.pp == pp
        total = sum(
            np.where((designs.chunk == k).any(1), weight_of(search, layers, designs, k), 0)
            for k in range(space.n_chunks)
        )
        price = search.budget.price  # type: ignore[union-attr]
        spent = price * used.dsp + 1000 * used.lut - fixed_milli(layers, pp, BOARD)
        assert (total <= spent)[allowed].all()
    plan, lower = search.run(400)
    partitions = Partitions(network, menu_of(space), BOARD, (dsp, lut))
    shortest = partitions.bound()
    if best is None:
        assert plan is None or plan.interval >= lower
        return
    assert lower <= best
    assert shortest <= best
    assert all(p.interval >= shortest for p in partitions.plans(best))
    if plan is not None:
        assert plan.interval >= best


@pytest.mark.parametrize("seed", range(8))
def test_no_design_takes_less_than_the_sets_of_its_layers(seed: int) -> None:
    """With all multipliers in DSP blocks: as many of these, and no fewer LUTs, with any shifts of the layers."""
    rng = np.random.default_rng([51, seed])
    network = random_network(rng)
    packing = 1 + seed % 2
    if seed % 4 > 1:
        network = mixed_bits(network, tuple(int(b) for b in rng.choice([2, 3, 4, 8], 5)))
    network = replace(network, layers=tuple(replace(x, shift=int(rng.integers(8, 26))) for x in network.layers))
    space = random_space(network, rng, packing)
    layers = layer_table(network, packing)
    designs = space.decode(space.sample(rng, 300), layers, tuple(range(len(network.layers))))
    used = usage(layers, designs, BOARD, frozenset({"lut"}))
    assert used.lut is not None
    partitions = Partitions(network, menu_of(space), BOARD, (1 << 20, 1 << 30))
    shares = []
    for b in range(len(designs.pp)):
        pp = int(designs.pp[b])
        dsp, milli = 0, fixed_milli(layers, pp, BOARD)
        for k in sorted(set(designs.chunk[b].tolist())):
            mine = set(np.flatnonzero(designs.chunk[b] == k).tolist())
            side = partitions.sides[int(not designs.mixes[b, k]), pp]
            number = sum(1 << n for n, i in enumerate(side.sets.layers.tolist()) if i in mine)
            size = [designs.pm[b, k], designs.pn[b, k] if designs.mixes[b, k] else 1, designs.pq[b, k]]
            (engine,) = np.flatnonzero((side.sizes == size).all(1)) if size in side.sizes.tolist() else (-1,)
            if engine < 0:
                break  # as good as a smaller one
            near = Near(sets=np.array([number]), engines=np.array([engine]), weights=np.zeros((1, 1), np.int64))
            row = side.rows(near, np.zeros((number + 1, 3), np.int64))[0]
            dsp, milli = dsp + int(row[8] + row[10]), milli + int(row[7])
        else:
            assert dsp == used.dsp[b]
            assert milli <= 1000 * used.lut[b]
            shares.append(milli / (1000 * used.lut[b]))
    assert len(shares) > 50
    assert max(shares) > 0.8


def test_profiles_that_no_layer_asks_for() -> None:
    """Layers of few bits with short accumulators beside wide ones with long accumulators: no engine multiplies in LUTs
    and has long accumulators."""
    layers = layer_table(DIGITS)
    table = layers[layers[:, MIXES] == 1].copy()
    table[:, [ACT_BITS, WEIGHT_BITS, ACC_BITS]] = (8, 8, 30)
    table[0, [ACT_BITS, WEIGHT_BITS, ACC_BITS]] = (4, 4, 20)
    menu = menu_of(AcceleratorSpace(slots=tuple(x.operator.mixes for x in DIGITS.layers)))
    found = _options(table, True, 2, menu, 1 << 40, Budget(platform=BOARD, limits=(100, 50_000), price=50_000))
    wide, narrow = (
        (found.work < FORBIDDEN).all(1),
        (found.work[:, 0] < FORBIDDEN) & (found.work[:, 1:] >= FORBIDDEN).all(1),
    )
    assert wide.any()
    assert narrow.any()


def weight_of(search: ExactSearch, layers: np.ndarray, designs: Designs, k: int) -> np.ndarray:
    """int64 [B]: what the engine of chunk k of every design weighs at least, for the layers that it gets."""
    assert search.budget is not None
    found = np.zeros(len(designs.pp), np.int64)
    for b in range(len(found)):
        mine = layers[designs.chunk[b] == k]
        if not len(mine):
            continue
        mixes = bool(designs.mixes[b, k])
        needs = [_needs(layer) for layer in mine.tolist()]
        most = tuple(max(n[i] for n in needs) for i in range(3))
        size = np.array([[designs.pm[b, k], designs.pn[b, k] if mixes else 1, designs.pq[b, k]]])
        every = np.ones(len(mine), np.bool_)
        found[b] = engine_weights(mine, every, most, mixes, size, int(designs.pp[b]), search.budget)[0]  # type: ignore[arg-type]
    return found


def test_every_partner_of_a_tuple_counts() -> None:
    """Dense engines need the depthwise engine that their drains may feed, not one of the first in the list."""
    blocks = ((21, 1, 5, 2), (17, 1, 3, 3), (13, 2, 3, 3))
    network = blocks_network(blocks, size=9, stem=16, head=33, bits=4)
    menu = Menu(
        packing=1, columns=(2,), sizes_m=(1, 4, 5, 7, 8, 12), sizes_n=(1, 5, 6, 7, 10), drains=(3, 6, 8, 9),
        min_chunks=1, max_chunks=3,
    )  # fmt: skip
    known = build(
        network, 1, 2, (0, 2, 1, 2, 1, 1, 2, 1, 0, 2, 0), ((True, 12, 1, 2), (True, 5, 6, 1), (False, 12, 1, 1))
    )
    done = finalise(network, known, BOARD, UNLIMITED, "interval")
    assert done is not None
    assert done.cost.dsp <= 68
    plan, lower = ExactSearch(network, menu, 68, lambda p: p.interval).run(1)
    assert plan is not None
    assert lower == plan.interval <= done.speed.interval_cycles


def test_nothing_fits() -> None:
    space = AcceleratorSpace(slots=tuple(x.operator.mixes for x in DIGITS.layers))
    plan, lower = ExactSearch(DIGITS, menu_of(space), 1, lambda p: p.interval).run(1)
    assert plan is None
    assert lower > 1 << 30


def test_rejected_plans_leave_the_bound_open() -> None:
    """What memory forbids is not proved impossible: the bound stays, the design is another."""
    space = AcceleratorSpace(slots=tuple(x.operator.mixes for x in DIGITS.layers))
    first, lower = ExactSearch(DIGITS, menu_of(space), 120, lambda p: p.interval).run(1)
    assert first is not None
    assert lower == first.interval
    seen: list[Plan] = []

    def judge(plan: Plan) -> int | None:
        seen.append(plan)
        return None if len(seen) < 4 else plan.interval

    plan, bound = ExactSearch(DIGITS, menu_of(space), 120, judge).run(10)
    assert plan in seen[3:]
    assert plan.interval == min(p.interval for p in seen[3:])
    assert plan.interval >= bound == lower


def test_makespan_against_all_assignments() -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        n_layers, k = int(rng.integers(2, 8)), int(rng.integers(1, 4))
        work = rng.integers(1, 60, (k, n_layers)).astype(float)
        work[rng.random((k, n_layers)) < 0.1] = FORBIDDEN
        parent = np.array([int(rng.integers(-1, i)) if i else -1 for i in range(n_layers)])
        other = np.array([int(rng.integers(-1, i)) if i and rng.random() < 0.4 else -1 for i in range(n_layers)])
        legal, together = rng.random((k, k)) < 0.8, rng.random((k, k)) < 0.9
        best = FORBIDDEN
        for code in range(k**n_layers):
            owner = [code // k**i % k for i in range(n_layers)]
            if any(p >= 0 and not legal[owner[p], owner[i]] for i, p in enumerate(parent)):
                continue
            if any(o >= 0 and not together[owner[o], owner[i]] for i, o in enumerate(other)):
                continue
            best = min(best, np.bincount(owner, work[owner, np.arange(n_layers)], k).max())
        found = np.zeros(n_layers, np.int64)
        lower, upper, _ = makespan(work, parent, other, legal, together, np.full(k, 1 / k), 1e9, 100_000, found)
        if best >= FORBIDDEN:
            assert upper >= 1e9
        else:
            assert lower == upper == best
            assert np.bincount(found, work[found, np.arange(n_layers)], k).max() == best
