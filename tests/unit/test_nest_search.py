# SPDX-License-Identifier: Apache-2.0
"""Search over mappings: layers, space, orders, evolution, dataflows, whole networks."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import asdict, replace

import numpy as np
import pytest

from nba.core.errors import NbaError
from nba.loopnest import shapes
from nba.loopnest.dataflows import DATAFLOWS
from nba.loopnest.evolve import evolve
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import C, M, N, NestLayer, P, Q, R, S
from nba.loopnest.mapping import fanout, problems
from nba.loopnest.model import evaluate, machine, scratch
from nba.loopnest.network import extract, layers_of
from nba.loopnest.network_map import choose, map_layer, map_loop_nests, portion
from nba.loopnest.objective import Found
from nba.loopnest.space import as_mapping, canonical_orders, level_orders, random_member, room
from tests.unit.hw_networks import SMALL
from tests.unit.nest_hierarchies import random_hierarchy, random_layer, row_stationary_array

pytestmark = pytest.mark.slow

ARRAY = row_stationary_array()
LAYER = NestLayer(name="conv", m=12, c=8, p=14, q=14, r=3, s=3)
EFFORT = 6_000


def test_published_networks_have_the_known_numbers_of_macs() -> None:
    totals = {name: sum(layer.macs for layer in shapes.published(name)) for name in shapes.NETWORKS}
    assert totals == {
        "alexnet": 724_406_816, "vgg16": 15_470_264_320, "resnet18": 1_814_073_344, "mobilenet_v2": 300_774_272,
    }  # fmt: skip
    weights = {name: sum(layer.elements(0) for layer in shapes.published(name)) for name in shapes.NETWORKS}
    assert weights == {
        "alexnet": 60_954_656, "vgg16": 138_344_128, "resnet18": 11_678_912, "mobilenet_v2": 3_469_760,
    }  # fmt: skip
    with pytest.raises(NbaError, match="there are alexnet"):
        shapes.published("lenet")


def test_layers_of_a_network_of_the_product() -> None:
    found = extract(SMALL)
    assert sum(layer.macs for layer in found.layers) == sum(
        SMALL.macs(i) for i, layer in enumerate(SMALL.layers) if layer.op != "avgpool"
    )
    depthwise = [layer for layer in found.layers if layer.g > 1]
    assert all(layer.m == layer.c == 1 for layer in depthwise)
    assert len(depthwise) == sum(layer.op == "depthwise" for layer in SMALL.layers)
    assert found.layers[-1].extents == (1, 1, 10, 20, 1, 1, 1, 1)
    assert any("average pooling" in text for text in found.unmapped)
    assert {layer.weight_bits for layer in layers_of(SMALL, bits=4)} == {4}
    odd = replace(SMALL, layers=(replace(SMALL.layers[0], op="maxpool"), *SMALL.layers[1:]))
    with pytest.raises(NbaError, match="maxpool from 1 to 8 channels; the mapping model covers one output channel"):
        extract(odd)


def _members(seed: int, count: int) -> list[tuple[NestLayer, Hierarchy, np.ndarray, np.ndarray]]:
    """Layers, hierarchies and random members of the space: plans and axes."""
    rng, state, found = random.Random(seed), np.array([seed], np.uint64), []
    while len(found) < count:
        depth = rng.choice((2, 3, 3, 4))
        hierarchy, layer = random_hierarchy(rng, depth), random_layer(rng, 5)
        try:
            space = room(layer, hierarchy)
        except NbaError:
            continue
        plan, axes = np.ones((3, depth, 8), np.int64), np.zeros((depth, 8), np.int64)
        plan[2] = np.arange(8)
        random_member(space, level_orders(hierarchy), plan[0], plan[1], axes, plan[2], state)
        found.append((layer, hierarchy, plan, axes))
    return found


def test_random_members_are_legal() -> None:
    for layer, hierarchy, plan, axes in _members(1, 400):
        assert problems(layer, hierarchy, as_mapping(plan[0], plan[1], axes, plan[2, :-1])) == []


def test_no_order_moves_less_than_the_best_canonical_one() -> None:
    """All orders of the loops with several blocks (which are all 8! as far as the model sees): energy at every
    level."""
    seen = 0
    for layer, hierarchy, plan, _ in _members(2, 300):
        facts, work = machine(layer, hierarchy), scratch(plan.shape[1])
        for level in range(plan.shape[1] - 1):
            busy = [d for d in range(8) if plan[1, level, d] > plan[0, level + 1, d]]
            if not 2 <= len(busy) <= 5:
                continue
            idle = [d for d in range(8) if d not in busy]
            energies = []
            forced = hierarchy.levels[level].innermost
            every = [(*idle, *order) for order in itertools.permutations(busy)]
            for orders in (every, canonical_orders(forced)):
                least = float("inf")
                for order in orders:
                    inner = [d for d in order if d in busy]
                    outside = [d for d in inner if d not in forced]
                    if inner[: len(outside)] != outside:
                        continue
                    trial = plan.copy()
                    trial[2, level] = order
                    least = min(least, evaluate(*facts, trial, *work)[0])
                energies.append(least)
            assert energies[0] == energies[1]
            seen += 1
    assert seen > 100


def test_same_seed_and_effort_give_the_same_mapping() -> None:
    first, second = (map_layer(LAYER, ARRAY, seed=3, evaluations=EFFORT) for _ in range(2))
    assert first == second
    assert problems(LAYER, ARRAY, first.mapping) == []


@pytest.mark.parametrize("objective", ["edp", "energy", "latency"])
def test_more_effort_is_never_worse_and_objectives_differ(objective: str) -> None:
    def value(energy: float, cycles: int) -> float:
        return {"edp": energy * cycles, "energy": energy, "latency": float(cycles)}[objective]

    tries = [evolve(LAYER, ARRAY, objective=objective, evaluations=n) for n in (2_000, 10_000, 45_000)]
    values = [value(found.best.energy_pj, found.best.cycles) for found in tries]
    assert values == sorted(values, reverse=True)
    found = tries[-1]
    assert value(found.best.energy_pj, found.best.cycles) <= min(value(f.energy_pj, f.cycles) for f in found.front)


def test_front_is_undominated() -> None:
    front = evolve(LAYER, ARRAY, evaluations=EFFORT).front
    for a, b in itertools.permutations(front, 2):
        assert not (a.energy_pj <= b.energy_pj and a.cycles <= b.cycles)


@pytest.mark.parametrize("flow", DATAFLOWS, ids=lambda flow: flow.name)
def test_dataflows_keep_their_rules(flow) -> None:  # type: ignore[no-untyped-def]
    found = evolve(LAYER, ARRAY, flow=flow, evaluations=EFFORT).best.mapping
    assert problems(LAYER, ARRAY, found) == []
    assert all(found.tiles[-1][d] == 1 for d in flow.single)
    used = fanout(found.arrays[-1], found.tiles[-1])
    assert all(used[d] == 1 for d in range(8) if d not in flow.unrolled)
    innermost = {"RS": {Q}, "WS": {N, P, Q}, "OS": {C, R, S}, "IS": {M}}[flow.name]
    busy = [d for d in found.orders[-1] if found.tiles[-2][d] > found.arrays[-1][d]]
    inside = [d for d in busy if d in innermost]
    assert busy[len(busy) - len(inside) :] == inside


def test_unknown_names_are_refused() -> None:
    with pytest.raises(NbaError, match="edp, energy, latency, fps"):
        map_loop_nests((LAYER,), ARRAY, objective="area")
    with pytest.raises(NbaError, match="no layer to map"):
        map_loop_nests((), ARRAY)


def test_no_mapping_fits_says_what_is_short() -> None:
    place = ARRAY.levels[2]
    small = replace(place, memories=(replace(place.memories[0], size_bits=0), *place.memories[1:]))
    with pytest.raises(NbaError, match=r"level place, memory w: 2 bytes of weights, but it has 0 bytes: 2 bytes short"):
        map_layer(LAYER, replace(ARRAY, levels=(*ARRAY.levels[:2], small)))


def _found(energy: float, cycles: int) -> Found:
    mapping = as_mapping(*(np.ones((1, 8), np.int64) for _ in range(4)))
    return Found(mapping=mapping, energy_pj=energy, cycles=cycles)


def test_choice_for_the_network_is_the_best_of_all_combinations() -> None:
    rng = random.Random(4)
    for _ in range(200):
        fronts = []
        for _ in range(rng.randint(1, 4)):
            cycles = sorted(rng.sample(range(1, 60), rng.randint(1, 5)))
            energies = sorted((rng.randint(1, 60) for _ in cycles), reverse=True)
            fronts.append([_found(float(e), c) for e, c in zip(energies, cycles, strict=True)])
        times = [rng.randint(1, 3) for _ in fronts]

        def product(chosen: tuple[Found, ...], times: list[int] = times) -> float:
            energy = sum(n * f.energy_pj for n, f in zip(times, chosen, strict=True))
            return energy * sum(n * f.cycles for n, f in zip(times, chosen, strict=True))

        chosen, _ = choose(fronts, times)
        assert product(tuple(chosen)) == min(product(c) for c in itertools.product(*fronts))


LAYERS = (
    NestLayer(name="a", m=8, c=3, p=12, q=12, r=3, s=3),
    NestLayer(name="b", g=8, m=1, c=1, p=12, q=12, r=3, s=3),
    NestLayer(name="c", m=16, c=8, p=12, q=12),
    NestLayer(name="d", m=8, c=3, p=12, q=12, r=3, s=3),
)


def test_network_is_mapped_with_a_bound() -> None:
    array = row_stationary_array(rows=3, columns=4, buffer_bytes=4096)
    found = map_loop_nests(LAYERS, array, effort=EFFORT, prove_seconds=3600.0)  # it is done long before
    assert found.execution == "multi-cycle"
    assert found.layers[0].cost == found.layers[3].cost
    assert [m.layer.name for m in found.layers] == ["a", "b", "c", "d"]
    assert found.edp_pj_cycles == sum(m.cost.energy_pj for m in found.layers) * sum(m.cost.cycles for m in found.layers)
    assert found.lower is not None
    assert found.lower <= found.edp_pj_cycles
    assert found.gap is not None
    assert found.gap < 0.1
    each = [map_layer(layer, array, evaluations=EFFORT).cost for layer in LAYERS]
    assert found.edp_pj_cycles <= sum(c.energy_pj for c in each) * sum(c.cycles for c in each)
    json.dumps(asdict(found))


def test_idle_array_is_warned_of() -> None:
    found = map_loop_nests((NestLayer(name="thin", m=2, c=1, p=2),), ARRAY, effort=EFFORT)
    assert [text.split(":")[0] for text in found.warnings] == ["layer thin"]


def test_pipeline_shortens_the_interval_or_is_not_taken() -> None:
    layers = tuple(NestLayer(name=f"l{i}", m=5, c=1, p=5, q=5, r=3, s=3) for i in range(4))
    found = map_loop_nests(layers, ARRAY, objective="fps", effort=EFFORT)
    assert found.interval_cycles <= found.latency_cycles
    assert found.interval_cycles == max(group.cycles for group in found.groups)
    assert sum(group.parts for group in found.groups) <= found.groups[0].of
    assert [g.first for g in found.groups] == [0, *(g.last + 1 for g in found.groups[:-1])]
    assert found.execution == "pipeline"
    half = portion(ARRAY, 2, 4)
    assert half is not None
    assert half.levels[2].axes[1].size == 7
    assert half.levels[1].memories[0].size_bits == 54 * 1024 * 8
