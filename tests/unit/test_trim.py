# SPDX-License-Identifier: Apache-2.0
"""Engines are no larger than their work, for every objective: shown by exact evaluation of every smaller neighbour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, find_accelerator
from nba.explore.finalise import UNLIMITED, Candidate, judged
from nba.explore.modulo import make_rings
from nba.explore.options import sizes_up_to
from nba.explore.rings import speed
from nba.explore.space import AcceleratorSpace
from nba.explore.trim import trim
from nba.ir.accelerator import Accelerator
from nba.ir.design import Cost
from nba.ir.network import Network
from nba.learn.space.config import StageSpace
from nba.learn.space.network import widest_map
from nba.machine.accelerator_rules import PARALLEL_COLUMNS
from nba.machine.check import check_accelerator
from nba.machine.program import lower
from nba.machine.total import exact_cost
from nba.machine.usage import OBJECTIVES, Objective, value_of
from tests.spaces import DIGITS_SPACE
from tests.strategies import random_pair
from tests.unit.hw_networks import SMALL

pytestmark = pytest.mark.slow

BOARD = get("zc706")
ANY = Budgets(dsp=UNLIMITED, bram=UNLIMITED)
QUICK = Effort(scout_steps=10, climb_steps=30, finalists=2, reorder_steps=20, refine_steps=10)


def random_candidate(seed: int) -> tuple[Network, Candidate]:
    """A random network on a random accelerator, its rings placed as the mapper places them."""
    pair = random_pair(np.random.default_rng([seed, 77]))
    rows = {(r.tensor, r.consumer, r.port): r.rows for r in pair.accelerator.rings}
    accelerator = replace(pair.accelerator, rings=make_rings(pair.network, pair.accelerator, rows))
    return pair.network, judged(pair.network, accelerator, speed(pair.network, accelerator), BOARD)


def smaller_neighbours(network: Network, accelerator: Accelerator) -> Iterator[Accelerator]:
    """`accelerator` with one dimension at its next smaller legal value, for every dimension that has one."""

    def next_legal(dimension: list[Accelerator]) -> list[Accelerator]:
        return [a for a in dimension if not check_accelerator(network, a)][:1]

    yield from next_legal([replace(accelerator, pp=pp) for pp in PARALLEL_COLUMNS[::-1] if pp < accelerator.pp])
    yield from next_legal([replace(accelerator, out_lanes=n) for n in range(accelerator.out_lanes - 1, 0, -1)])
    for k, chunk in enumerate(accelerator.chunks):
        before, after = accelerator.chunks[:k], accelerator.chunks[k + 1 :]
        for name in ("pm", "pn", "pq"):
            smaller = [replace(chunk, **{name: v}) for v in range(getattr(chunk, name) - 1, 0, -1)]
            yield from next_legal([replace(accelerator, chunks=(*before, c, *after)) for c in smaller])


def value(objective: Objective, cost: Cost) -> float:
    return value_of(objective, cost.interval_cycles, cost.first_output_latency_cycles, cost.energy_pj)


def resources(cost: Cost) -> tuple[float, ...]:
    return cost.dsp, cost.bram, cost.lut, cost.ff


def grows(one: Cost, two: Cost) -> bool:
    """Whether `two` takes more of some resource."""
    return any(b > a for a, b in zip(resources(one), resources(two), strict=True))


def assert_minimal(network: Network, accelerator: Accelerator, cost: Cost, objective: Objective) -> None:
    assert exact_cost((lower(network, accelerator),), BOARD) == cost
    for smaller in smaller_neighbours(network, accelerator):
        try:
            found = exact_cost((lower(network, smaller),), BOARD)
        except DeadlockError:
            continue
        assert value(objective, found) > value(objective, cost) or grows(cost, found), (accelerator, smaller)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_no_dimension_can_be_lowered_for_nothing(objective: Objective) -> None:
    trimmed = 0
    for seed in range(25):
        network, start = random_candidate(seed)
        found = trim(network, start, BOARD, ANY, objective)
        assert not check_accelerator(network, found.accelerator)
        assert found.value(objective) <= start.value(objective)
        assert not grows(start.cost, found.cost)
        assert [c.jobs for c in found.accelerator.chunks] == [c.jobs for c in start.accelerator.chunks]
        assert found.accelerator.rings == start.accelerator.rings
        assert_minimal(network, found.accelerator, found.cost, objective)
        assert trim(network, found, BOARD, ANY, objective) == found
        trimmed += found != start
    assert trimmed > 5


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_what_the_mapper_returns_is_minimal(objective: Objective) -> None:
    for seed in range(3):
        network = random_pair(np.random.default_rng([seed, 78])).network
        accelerator, cost = find_accelerator(
            network, BOARD, Budgets(dsp=300, bram=100), objective=objective, seed=seed, min_chunks=1, effort=QUICK
        )
        assert_minimal(network, accelerator, cost, objective)


def test_useless_lanes_are_taken_away() -> None:
    """Twelve times as many input lanes as the layers of a chunk have channels."""
    accelerator, cost = find_accelerator(SMALL, BOARD, Budgets(dsp=60, bram=20), seed=1, effort=QUICK)
    place = accelerator.place()
    wide = next(k for k, c in enumerate(accelerator.chunks) if c.kind == "dense" and place[0] != k)
    jobs = accelerator.chunks[wide].jobs
    channels = max(SMALL.source(SMALL.layers[job.layer]).channels for job in jobs)
    pn = -(-channels // accelerator.chunks[wide].pn) * accelerator.chunks[wide].pn * 12
    chunks = (*accelerator.chunks[:wide], replace(accelerator.chunks[wide], pn=pn), *accelerator.chunks[wide + 1 :])
    wasteful = replace(accelerator, chunks=chunks)
    start = judged(SMALL, wasteful, speed(SMALL, wasteful), BOARD)
    found = trim(SMALL, start, BOARD, ANY, "interval")
    assert found.accelerator.chunks[wide].pn <= channels
    assert found.speed.interval_cycles <= cost.interval_cycles
    assert found.cost.lut < 0.7 * start.cost.lut


def test_the_latency_budget_is_kept() -> None:
    """Of the interval alone, engines beside the busiest one may take longer; not so where that exceeds a budget."""
    seen = 0
    for network, start in map(random_candidate, range(25)):
        latency = start.speed.first_output_latency_cycles
        if trim(network, start, BOARD, ANY, "interval").speed.first_output_latency_cycles <= latency:
            continue
        limits = ANY.but(latency_cycles=latency)
        assert trim(network, start, BOARD, limits, "interval").fits(limits)
        seen += 1
    assert seen


def test_sizes_that_nothing_fills_are_not_searched() -> None:
    assert sizes_up_to(8, (1, 2, 4, 6, 8, 12)) == (1, 2, 4, 6, 8)
    assert sizes_up_to(7, (1, 2, 4, 6, 8, 12)) == (1, 2, 4, 6, 8)
    assert sizes_up_to(99, (1, 2)) == (1, 2)
    macro = DIGITS_SPACE.but(
        name="thin", stem_channels=4, head_channels=10, operators=("k3_e1", "k3_e3"),
        stages=(StageSpace(channels=3, blocks=2, stride=1),),
    )  # fmt: skip
    assert widest_map(macro) == 12
    space = AcceleratorSpace(slots=(True, False)).within(widest_map(macro))
    assert space.sizes_m == space.sizes_n == (1, 2, 4, 8, 12)
