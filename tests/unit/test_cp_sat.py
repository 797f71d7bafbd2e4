# SPDX-License-Identifier: Apache-2.0
"""The exact search against CP-SAT on networks of at most five layers: two formulations, one optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nba.boards import get
from nba.explore.exact import ExactSearch, Menu, Plan
from nba.explore.partitions import Partitions
from nba.explore.refine import Engines, engines_usage
from nba.ir.check import check_network
from nba.ir.network import Network
from nba.machine.usage import Usage
from tests.unit.accelerator_cp import Optimum, solve
from tests.unit.hw_networks import blocks_network, mixed_bits

pytestmark = pytest.mark.slow

BOARD = get("pynq-z2")
UNLIMITED = 1 << 40


def random_network(rng: np.random.Generator) -> Network:
    """The first four or five layers of a network with one block, at one or mixed bitwidths."""
    block = (int(rng.integers(3, 9)), int(rng.integers(1, 3)), int(rng.choice([3, 5])), int(rng.integers(1, 3)))
    stem = block[0] if rng.random() < 0.5 else int(rng.integers(3, 9))
    whole = blocks_network((block,), size=int(rng.integers(4, 9)), stem=stem, head=int(rng.integers(5, 12)))
    n = int(rng.integers(4, 6))
    found = replace(whole, tensors=whole.tensors[: n + 1], layers=whole.layers[:n])
    if rng.random() < 0.5:
        found = mixed_bits(found, tuple(int(b) for b in rng.choice([2, 3, 4, 8], n)))
    assert not check_network(found)
    return found


def random_menu(rng: np.random.Generator) -> Menu:
    def some(values: tuple[int, ...], n: int) -> tuple[int, ...]:
        return tuple(sorted(int(v) for v in rng.choice(values, n, replace=False)))

    return Menu(
        packing=1, columns=some((1, 2, 4), 2), sizes_m=some((1, 2, 3, 4, 6, 8), 2), sizes_n=some((1, 2, 4, 6), 2),
        drains=(1, 2), min_chunks=1, max_chunks=3,
    )  # fmt: skip


def random_engines(network: Network, menu: Menu, rng: np.random.Generator) -> Engines:
    """Two engines of each kind at most."""
    owner, engines = [], []
    for i, layer in enumerate(network.layers):
        mine = [k for k, engine in enumerate(engines) if engine[0] == layer.operator.mixes]
        if not mine or (len(engines) < menu.max_chunks and rng.random() < 0.3):
            pm, pn = int(rng.choice(menu.sizes_m)), int(rng.choice(menu.sizes_n)) if layer.operator.mixes else 1
            engines.append((layer.operator.mixes, pm, pn, int(rng.choice([q for q in (1, 2) if pm % q == 0]))))
            mine = [len(engines) - 1]
        owner.append(int(rng.choice(mine)))
        assert i < len(owner)
    return Engines(packing=1, pp=int(rng.choice(menu.columns)), owner=tuple(owner), engines=tuple(engines))


def optimum(network: Network, menu: Menu, dsp: int, lut: int | None, blocks: int | None) -> Optimum | None:
    found = [solve(network, BOARD, menu, pp, dsp, lut, blocks) for pp in menu.columns]
    return min((f for f in found if f is not None), key=lambda f: f.interval, default=None)


def used_by(network: Network, found: Optimum, dsp: int, lut: int) -> Usage:
    """The closed forms of a design that CP-SAT found."""
    owner = [next(k for k, c in enumerate(found.columns) if i in c.layers) for i in range(len(network.layers))]
    engines = Engines(packing=1, pp=found.pp, owner=tuple(owner), engines=tuple(c.engine for c in found.columns))
    return engines_usage(network, BOARD, engines, (dsp, lut))


@pytest.mark.parametrize("seed", range(10))
def test_the_optimum_under_a_budget_of_dsp_blocks(seed: int) -> None:
    rng = np.random.default_rng([60, seed])
    network, menu = random_network(rng), random_menu(rng)
    costs = [int(engines_usage(network, BOARD, random_engines(network, menu, rng), (UNLIMITED, UNLIMITED)).dsp[0])
             for _ in range(12)]  # fmt: skip
    dsp = int(np.quantile(costs, rng.uniform(0.0, 0.8)))
    found = optimum(network, menu, dsp, None, None)
    search = ExactSearch(network, menu, dsp, lambda p: p.interval)
    plan, lower = search.run(1)
    assert found is not None
    assert plan is not None
    assert lower == plan.interval == found.interval
    assert search.root(found.pp) <= found.interval
    used = used_by(network, found, UNLIMITED, UNLIMITED)
    assert (int(used.interval[0]), int(used.bram18[0])) == (found.interval, found.bram18)
    assert used.dsp[0] == sum(c.dsp for c in found.columns) <= dsp


@pytest.mark.parametrize("seed", range(10))
def test_bound_and_design_under_all_budgets(seed: int) -> None:
    """Under budgets of DSP blocks, LUTs and block RAM at once the optimum lies between the bound and the design of the
    exact search, and where that says optimal, it is. CP-SAT's design is within the budgets by the closed forms."""
    rng = np.random.default_rng([61, seed])
    network, menu = random_network(rng), random_menu(rng)
    costs = [engines_usage(network, BOARD, random_engines(network, menu, rng), (UNLIMITED, UNLIMITED))
             for _ in range(12)]  # fmt: skip
    dsp, blocks, lut = (
        int(np.quantile([int(getattr(c, name)[0]) for c in costs], rng.uniform(0.2, 0.8)))
        for name in ("dsp", "bram18", "lut")
    )
    found = optimum(network, menu, dsp, lut, blocks)

    def judge(plan: Plan) -> int | None:
        engines = Engines(packing=1, pp=plan.pp, owner=plan.owner, engines=plan.engines)
        used = engines_usage(network, BOARD, engines, (dsp, lut))
        assert used.lut is not None
        fits = used.dsp[0] <= dsp and used.lut[0] <= lut and used.bram18[0] <= blocks
        return plan.interval if fits else None

    plan, lower = ExactSearch(network, menu, dsp, judge, (dsp, lut), BOARD).run(400)
    shortest = Partitions(network, menu, BOARD, (dsp, lut)).bound()
    if found is None:
        assert plan is None
        return
    assert lower <= found.interval
    assert shortest <= found.interval
    if plan is not None:
        assert found.interval <= plan.interval
    used = used_by(network, found, dsp, lut)
    assert used.lut is not None
    assert int(used.interval[0]) == found.interval
    assert used.dsp[0] <= dsp
    assert used.lut[0] <= lut
    assert used.bram18[0] == found.bram18 <= blocks
