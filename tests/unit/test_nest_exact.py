# SPDX-License-Identifier: Apache-2.0
"""The exact search over mappings: against plain enumeration, and with a bound that is wrong on purpose."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import pytest

from nba.core.errors import NbaError
from nba.loopnest import exact
from nba.loopnest.evolve import evolve
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import NestLayer
from nba.loopnest.mapping import Mapping, fanout, mac_bits, problems
from nba.loopnest.model import CONSTANT, Machine, encoded, evaluate, machine, scratch
from nba.loopnest.objective import weights_of, worth
from nba.loopnest.tree import Tree
from tests.unit.nest_hierarchies import random_hierarchy

pytestmark = pytest.mark.slow

MOST = 6_000
"""Cases with more sizes than this are too large for enumeration here."""


def chains(hierarchy: Hierarchy, layer: NestLayer, d: int) -> Iterator[tuple[tuple[int, int, int], ...]]:
    """All (array, tile, axis) of loop d, level by level from level 1."""

    def inside(level: int, extent: int) -> Iterator[tuple[tuple[int, int, int], ...]]:
        if level == len(hierarchy.levels):
            yield ()
            return
        sizes = hierarchy.axis_sizes(level, mac_bits(layer))
        for array in {-(-extent // n) for n in range(1, extent + 1)}:
            for tile in {-(-array // n) for n in range(1, array + 1)}:
                fan = -(-array // tile)
                axes = [0] if fan == 1 else [
                    a for a, size in enumerate(sizes) if fan <= size and d in hierarchy.levels[level].axes[a].dims
                ]  # fmt: skip
                if d in hierarchy.levels[level].unit_tiles and tile > 1:
                    continue
                for axis in axes:
                    for rest in inside(level + 1, tile):
                        yield ((array, tile, axis), *rest)

    return inside(1, layer.extents[d])


def orders(hierarchy: Hierarchy, mapping: Mapping, level: int) -> list[tuple[int, ...]]:
    """All orders of the loops with several blocks, the others outside, as the rules of the level have it."""
    forced = hierarchy.levels[level].innermost
    busy = [d for d in range(8) if mapping.tiles[level][d] > mapping.arrays[level + 1][d]]
    idle = [d for d in range(8) if d not in busy]
    found = []
    for outer in itertools.permutations([d for d in busy if d not in forced]):
        for inner in itertools.permutations([d for d in busy if d in forced]):
            outside = [d for d in idle if d not in forced]
            found.append((*outside, *outer, *(d for d in idle if d in forced), *inner))
    return found


def enumerated(layer: NestLayer, hierarchy: Hierarchy, objective: str) -> float | None:
    """The least value by looking at everything; None if there is too much."""
    depth = len(hierarchy.levels)
    facts, work = machine(layer, hierarchy), scratch(depth)
    per_loop = [list(chains(hierarchy, layer, d)) for d in range(8)]
    if np.prod([float(len(options)) for options in per_loop]) > MOST:
        return None
    weights = np.array(weights_of(objective))
    best = float("inf")
    plain = tuple(range(8))
    for choice in itertools.product(*per_loop):
        tables = [tuple(tuple(choice[d][level][i] for d in range(8)) for level in range(depth - 1)) for i in range(3)]
        mapping = Mapping(
            arrays=(layer.extents, *tables[0]),
            tiles=(layer.extents, *tables[1]),
            axes=((0,) * 8, *tables[2]),
            orders=(plain,) * (depth - 1),
        )
        used = [fanout(a, t) for a, t in zip(tables[0], tables[1], strict=True)]
        if any(
            np.prod([n for n, a in zip(used[level - 1], mapping.axes[level], strict=True) if a == axis]) > size
            for level in range(1, depth)
            for axis, size in enumerate(hierarchy.axis_sizes(level, mac_bits(layer)))
        ):
            continue
        if any("level" in p and "must be inside" not in p for p in problems(layer, hierarchy, mapping)):
            continue
        plan = encoded(mapping)
        for combination in itertools.product(*(orders(hierarchy, mapping, level) for level in range(depth - 1))):
            plan[2, :-1] = combination
            energy, cycles = evaluate(*facts, plan, *work)
            best = min(best, worth(weights, energy, cycles))
    return best


def tiny_layer(rng: random.Random) -> NestLayer:
    """Three or four loops of several steps."""
    extents = [1] * 8
    for d in rng.sample(range(8), rng.randint(3, 4)):
        extents[d] = rng.randint(2, 4)
    n, g, m, c, p, q, r, s = extents
    return NestLayer(
        name="layer", n=n, g=g, m=m, c=c, p=p, q=q, r=r, s=s, stride_h=rng.randint(1, 2), stride_w=rng.randint(1, 2)
    )


def tiny_cases(seed: int, count: int) -> Iterator[tuple[NestLayer, Hierarchy, str, float]]:
    """Layers and hierarchies of two or three levels small enough to be enumerated, with the least value."""
    rng = random.Random(seed)
    while count:
        hierarchy = random_hierarchy(rng, rng.choice((2, 3, 3)))
        layer = tiny_layer(rng)
        objective = rng.choice(("edp", "edp", "energy", "latency"))
        try:
            least = enumerated(layer, hierarchy, objective)
        except NbaError:
            continue
        if least is None or least == float("inf"):
            continue
        count -= 1
        yield layer, hierarchy, objective, least


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_that_of_plain_enumeration(seed: int) -> None:
    for layer, hierarchy, objective, least in tiny_cases(seed, 40):
        found = exact.solve(layer, hierarchy, objective=objective)
        assert found.status == "optimal"
        assert found.value == least, (layer, hierarchy, objective, found.value, least)
        assert problems(layer, hierarchy, found.best.mapping) == []


def test_a_wrong_bound_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    floors = exact.set_floors

    def too_high(facts: Machine, tree: Tree) -> None:
        floors(facts, tree)
        tree.floor[:] += 0.3 * facts.pj[0, CONSTANT]

    monkeypatch.setattr(exact, "set_floors", too_high)
    cases = tiny_cases(0, 40)
    assert any(
        exact.solve(layer, hierarchy, objective=objective).value != least
        for layer, hierarchy, objective, least in cases
    )


def test_evolution_finds_the_optimum_of_tiny_layers() -> None:
    for layer, hierarchy, objective, least in tiny_cases(5, 10):
        found = evolve(layer, hierarchy, objective=objective, evaluations=20_000).best
        value = worth(np.array(weights_of(objective)), found.energy_pj, found.cycles)
        assert value >= least * (1 - exact.ROUNDING)
        assert value <= least * 1.01


def test_time_limit_gives_a_bound() -> None:
    rng = random.Random(3)
    hierarchy = random_hierarchy(rng, 3)
    layer = NestLayer(name="large", m=64, c=32, p=28, q=28, r=3, s=3)
    start = evolve(layer, hierarchy, evaluations=2_000).best
    found = exact.solve(layer, hierarchy, incumbent=start.mapping, seconds=0.0)
    assert found.status == "bound"
    assert 0 < found.lower < found.value <= start.energy_pj * start.cycles
    assert found.gap == found.value / found.lower - 1
