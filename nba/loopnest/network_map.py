# SPDX-License-Identifier: Apache-2.0
"""AutoMapper for layers and whole networks.

The EDP of a network is (sum of energy) x (sum of latency), so the best mappings of the layers are not those of the
least EDP each: at the optimum every layer minimises energy + price * latency for one common price. Each distinct layer
keeps the pairs of energy and latency that no other pair beats; all prices at which a choice changes are gone through,
which gives the best product over all choices of these pairs (a quasi-concave function has its least value at a corner
of the sums' hull). The layers are searched again at that price, and the choice is made anew.

Execution: *multi-cycle*, one layer after the other on everything, or *pipeline*, groups of consecutive layers on parts
of the array, the buffer and its wires, each working on another frame. A mapping on a part is one on everything, as
fast or faster, so a pipeline can only shorten the interval between frames: it is looked at for the objective fps, by
dynamic programming over groups and parts, which is exact for the layers' latencies that it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from nba.core.errors import NbaError
from nba.loopnest.cost import NestCost, cost
from nba.loopnest.dataflows import DATAFLOWS
from nba.loopnest.evolve import EVALUATIONS, Evolved, evolve
from nba.loopnest.exact import solve
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import NestLayer
from nba.loopnest.mapping import Mapping
from nba.loopnest.model import access_counts
from nba.loopnest.objective import Found, weights_of, worth
from nba.loopnest.shapes import distinct

FLOW_PARTS = 12
"""Each fixed dataflow gets one of so many parts of the effort for a layer."""
_PARTS = 4
"""Equal parts of the array that a pipeline's groups share."""
IDLE = 0.5
"""Occupancy of the array below which a layer is warned of."""
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerMapping:
    """A layer and its mapping. front: (energy [pJ], latency [cycles]) that no other pair found beats in both."""

    layer: NestLayer
    mapping: Mapping
    cost: NestCost
    front: tuple[tuple[float, int], ...]
    evaluations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Layers first .. last that run one after the other on `parts` of `of` parts of the array."""

    first: int
    last: int
    parts: int
    of: int
    cycles: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkMapping:
    """A network on a hierarchy. latency_cycles: of one frame. interval_cycles: between frames.

    execution: multi-cycle or pipeline. lower: proved lower bound of the objective over mappings of the space executed
    multi-cycle, or None if none was proved; in pJ x cycles, pJ or cycles. warnings: layers that leave most of the
    array idle.
    """

    hierarchy: str
    clock_mhz: float
    objective: str
    seed: int
    execution: str
    layers: tuple[LayerMapping, ...]
    groups: tuple[Group, ...]
    energy_pj: float
    latency_cycles: int
    interval_cycles: int
    lower: float | None
    evaluations: int
    warnings: tuple[str, ...]

    @property
    def edp_pj_cycles(self) -> float:
        """(sum of energy) x (sum of latency)."""
        return self.energy_pj * self.latency_cycles

    @property
    def frames_per_second(self) -> float:
        """Clock over interval."""
        return self.clock_mhz * 1e6 / self.interval_cycles

    @property
    def value(self) -> float:
        """What the objective minimises."""
        values = {"edp": self.edp_pj_cycles, "energy": self.energy_pj, "latency": float(self.latency_cycles)}
        return values.get(self.objective, float(self.interval_cycles))

    @property
    def gap(self) -> float | None:
        """How far the value may be above the optimum, as a part of it."""
        return None if not self.lower else self.value / self.lower - 1.0


def search_mapping(
    layer: NestLayer,
    hierarchy: Hierarchy,
    *,
    objective: str = "edp",
    seed: int = 0,
    evaluations: int = EVALUATIONS,
) -> Evolved:
    """The evolutionary search, and beside it one within each fixed dataflow: `evaluations` in all, a third of them for
    the dataflows. They do not take part in the free search, which they would lead to their own optima."""
    part = evaluations // FLOW_PARTS
    found = [
        evolve(layer, hierarchy, objective=objective, seed=seed, evaluations=part, flow=flow) for flow in DATAFLOWS
    ]
    rest = max(1, evaluations - sum(one.evaluations for one in found))
    found.append(evolve(layer, hierarchy, objective=objective, seed=seed, evaluations=rest))
    weights = np.array(weights_of(objective))
    return Evolved(
        best=min((one.best for one in found), key=lambda best: float(worth(weights, best.energy_pj, best.cycles))),
        front=tuple(pareto_front([member for one in found for member in one.front])),
        evaluations=sum(one.evaluations for one in found),
        seconds=sum(one.seconds for one in found),
    )


def map_layer(
    layer: NestLayer,
    hierarchy: Hierarchy,
    *,
    objective: str = "edp",
    seed: int = 0,
    evaluations: int = EVALUATIONS,
) -> LayerMapping:
    """The best mapping that the evolutionary search finds. Raises NbaError if none fits."""
    found = search_mapping(layer, hierarchy, objective=objective, seed=seed, evaluations=evaluations)
    return _complete(layer, hierarchy, found.best, found.front, found.evaluations)


def _complete(
    layer: NestLayer, hierarchy: Hierarchy, found: Found, front: tuple[Found, ...], evaluations: int
) -> LayerMapping:
    return LayerMapping(
        layer=layer,
        mapping=found.mapping,
        cost=cost(layer, hierarchy, found.mapping, access_counts(layer, hierarchy, found.mapping)),
        front=tuple((f.energy_pj, f.cycles) for f in front),
        evaluations=evaluations,
    )


def pareto_front(found: list[Found]) -> list[Found]:
    """By latency, those that no other beats in energy and latency."""
    kept: list[Found] = []
    for f in sorted(found, key=lambda f: (f.cycles, f.energy_pj)):
        if not kept or f.energy_pj < kept[-1].energy_pj:
            kept.append(f)
    return kept


def _prices(fronts: list[list[Found]]) -> list[float]:
    """All prices of a cycle [pJ] at which the cheapest member of some front changes, and one between each two."""
    changes = {0.0}
    for front in fronts:
        for i, slow in enumerate(front):
            for fast in front[:i]:
                changes.add((fast.energy_pj - slow.energy_pj) / (slow.cycles - fast.cycles))
    ordered = sorted(changes)
    between = [math.sqrt(a * b) if a > 0 else b / 2 for a, b in pairwise(ordered)]
    return sorted({*ordered, *between, ordered[-1] * 2 + 1.0})


def choose(fronts: list[list[Found]], times: Sequence[float]) -> tuple[list[Found], float]:
    """The members, one of each front, of the least (sum of energy) x (sum of latency), the fronts counted `times`; and
    the price of a cycle [pJ] there."""
    best: tuple[float, list[Found]] | None = None
    for price in _prices(fronts):
        chosen = [min(front, key=lambda f: (f.energy_pj + price * f.cycles, f.cycles)) for front in fronts]
        energy = sum(n * f.energy_pj for n, f in zip(times, chosen, strict=True))
        cycles = sum(n * f.cycles for n, f in zip(times, chosen, strict=True))
        if best is None or energy * cycles < best[0]:
            best = (energy * cycles, chosen)
    assert best is not None
    energy = sum(n * f.energy_pj for n, f in zip(times, best[1], strict=True))
    cycles = sum(n * f.cycles for n, f in zip(times, best[1], strict=True))
    return best[1], energy / cycles


def _each_alone(
    layers: list[NestLayer],
    hierarchy: Hierarchy,
    *,
    objective: str,
    seed: int,
    evaluations: int,
    prove_seconds: float,
    progress: Callable[[str, int, int], None] | None,
) -> tuple[list[list[Found]], list[int], list[float]]:
    """Search every layer by itself: the fronts, the evaluations spent, and what exact search, if any, proves to be a
    lower bound."""
    fronts: list[list[Found]] = []
    spent: list[int] = []
    lowers: list[float] = []
    for number, layer in enumerate(layers):
        found = search_mapping(layer, hierarchy, objective=objective, seed=seed, evaluations=evaluations)
        members = [*found.front, found.best]
        if prove_seconds > 0:
            proof = solve(
                layer, hierarchy, objective=objective, incumbent=found.best.mapping, seconds=prove_seconds
            )  # fmt: skip
            members.append(proof.best)
            lowers.append(proof.lower)
        fronts.append(pareto_front(members))
        spent.append(found.evaluations)
        if progress is not None:
            progress(layer.name, number + 1, len(layers))
    return fronts, spent, lowers


def _at_one_price(
    layers: list[NestLayer], hierarchy: Hierarchy, chosen: tuple[list[Found], float], *, seed: int, evaluations: int
) -> list[Evolved]:
    """Search every layer again, from the mapping chosen for it, at the price of a cycle of the whole network."""
    found, price = chosen
    return [
        evolve(layer, hierarchy, weights=(1.0, price), seed=seed, evaluations=evaluations, seeds=(one.mapping,))
        for layer, one in zip(layers, found, strict=True)
    ]


def _cheapest(fronts: list[list[Found]], objective: str) -> list[Found]:
    """The member of every front of the least weighted sum of energy and latency."""
    energy, latency = weights_of(objective)
    return [
        min(front, key=lambda f: (energy * f.energy_pj + latency * f.cycles, f.energy_pj * f.cycles))
        for front in fronts
    ]


def _in_turn(
    hierarchy: Hierarchy, mapped: tuple[LayerMapping, ...], *, objective: str, seed: int, lower: float | None,
    evaluations: int,
) -> NetworkMapping:  # fmt: skip
    """All layers one after the other on the whole array."""
    total = sum(m.cost.cycles for m in mapped)
    return NetworkMapping(
        hierarchy=hierarchy.name,
        clock_mhz=hierarchy.clock_mhz,
        objective=objective,
        seed=seed,
        execution="multi-cycle",
        layers=mapped,
        groups=(Group(first=0, last=len(mapped) - 1, parts=_PARTS, of=_PARTS, cycles=total),),
        energy_pj=sum(m.cost.energy_pj for m in mapped),
        latency_cycles=total,
        interval_cycles=total,
        lower=lower,
        evaluations=evaluations,
        warnings=_warnings(mapped),
    )


def map_loop_nests(
    layers: tuple[NestLayer, ...],
    hierarchy: Hierarchy,
    *,
    objective: str = "edp",
    seed: int = 0,
    effort: int = EVALUATIONS,
    prove_seconds: float = 0.0,
    progress: Callable[[str, int, int], None] | None = None,
) -> NetworkMapping:
    """Map every distinct layer once and choose among what was found for the whole network.

    effort: evaluations per distinct layer, or a little more. prove_seconds: time limit of the exact search for each
    distinct layer, whose results take part and give `lower`; 0: none. progress: called with a layer's name, how many
    distinct layers are done, and how many there are. Raises NbaError if a layer does not fit, or there is none.
    """
    if not layers:
        raise NbaError("the network has no layer to map: none has multiply-accumulates")
    weights_of(objective)
    shapes = distinct(layers)
    alone = list(shapes.values())
    times = [sum(layer.shape == shape for layer in layers) for shape in shapes]
    first = effort if objective != "edp" else effort * 3 // 4
    fronts, spent, lowers = _each_alone(
        alone, hierarchy, objective=objective, seed=seed, evaluations=first, prove_seconds=prove_seconds,
        progress=progress,
    )  # fmt: skip
    if objective == "edp":
        again = _at_one_price(alone, hierarchy, choose(fronts, times), seed=seed + 1, evaluations=effort - first)
        fronts = [pareto_front([*front, *one.front, one.best]) for front, one in zip(fronts, again, strict=True)]
        spent = [n + one.evaluations for n, one in zip(spent, again, strict=True)]
        chosen, _ = choose(fronts, times)
    else:
        chosen = _cheapest(fronts, objective)
    by_shape = {
        shape: _complete(layer, hierarchy, f, tuple(front), n)
        for (shape, layer), f, front, n in zip(shapes.items(), chosen, fronts, spent, strict=True)
    }
    mapped = tuple(replace(by_shape[layer.shape], layer=layer) for layer in layers)
    lower = _lower(objective, times, lowers) if lowers else None
    result = _in_turn(hierarchy, mapped, objective=objective, seed=seed, lower=lower, evaluations=sum(spent))
    if objective == "fps":
        pipelined = _pipeline(layers, hierarchy, result, seed=seed, effort=max(1, effort // 3))
        if pipelined is not None and pipelined.interval_cycles < result.interval_cycles:
            return pipelined
    return result


def _lower(objective: str, times: list[int], lowers: list[float]) -> float:
    """What no mapping of the network is below, of the bounds of its distinct layers and how often each occurs."""
    if objective == "edp":
        # (sum E) (sum C) >= (sum sqrt(E C))**2, by Cauchy and Schwarz.
        bound: float = sum(n * math.sqrt(b) for n, b in zip(times, lowers, strict=True)) ** 2
        return bound
    return sum(n * b for n, b in zip(times, lowers, strict=True))


def _warnings(mapped: tuple[LayerMapping, ...]) -> tuple[str, ...]:
    return tuple(
        f"layer {m.layer.name}: it occupies {m.cost.occupancy:.0%} of the array, and the rest is idle"
        for m in mapped
        if m.cost.occupancy < IDLE
    )


def portion(hierarchy: Hierarchy, parts: int, of: int) -> Hierarchy | None:
    """`parts` of `of` parts of a hierarchy: the last axis of its innermost array, and the memories and wires of level
    1; None if nothing is left of one of them."""
    levels = list(hierarchy.levels)
    arrays = [i for i, level in enumerate(levels) if level.axes]
    if not arrays or len(levels) < 3:
        return None
    inner = arrays[-1]
    axis = levels[inner].axes[-1]
    size = axis.size * parts // of
    links = tuple(
        replace(
            link,
            fill_bits_per_cycle=link.fill_bits_per_cycle * parts // of,
            drain_bits_per_cycle=link.drain_bits_per_cycle * parts // of,
        )
        for link in levels[1].links
    )
    memories = tuple(
        m if m.size_bits is None else replace(m, size_bits=m.size_bits // m.word_bits * parts // of * m.word_bits)
        for m in levels[1].memories
    )
    if size == 0 or any(min(link.fill_bits_per_cycle, link.drain_bits_per_cycle) == 0 for link in links):
        return None
    levels[inner] = replace(levels[inner], axes=(*levels[inner].axes[:-1], replace(axis, size=size)))
    levels[1] = replace(levels[1], memories=memories, links=links)
    return replace(hierarchy, name=f"{parts}/{of} of {hierarchy.name}", levels=tuple(levels))


def _pipeline(
    layers: tuple[NestLayer, ...], hierarchy: Hierarchy, whole: NetworkMapping, *, seed: int, effort: int
) -> NetworkMapping | None:
    """Groups and parts of the shortest interval, or None if no split fits."""
    mapped = _on_parts(layers, hierarchy, seed=seed, effort=effort)
    split = _split(layers, mapped)
    if not split:
        return None
    groups: list[Group] = []
    chosen: list[LayerMapping] = []
    for first, last, parts in split:
        members = [replace(mapped[parts][layer.shape], layer=layer) for layer in layers[first : last + 1]]
        groups.append(Group(first=first, last=last, parts=parts, of=_PARTS, cycles=sum(m.cost.cycles for m in members)))
        chosen += members
    return replace(
        whole,
        execution="pipeline",
        layers=tuple(chosen),
        groups=tuple(groups),
        energy_pj=sum(m.cost.energy_pj for m in chosen),
        latency_cycles=sum(group.cycles for group in groups),
        interval_cycles=max(group.cycles for group in groups),
        lower=None,
        evaluations=whole.evaluations + sum(m.evaluations for found in mapped.values() for m in found.values()),
        warnings=_warnings(tuple(chosen)),
    )


def _on_parts(
    layers: tuple[NestLayer, ...], hierarchy: Hierarchy, *, seed: int, effort: int
) -> dict[int, dict[Shape, LayerMapping]]:
    """Every distinct layer on every number of parts on which all of them fit."""
    mapped: dict[int, dict[Shape, LayerMapping]] = {}
    for parts in range(1, _PARTS):
        part = portion(hierarchy, parts, _PARTS)
        if part is None:
            continue
        found: dict[Shape, LayerMapping] = {}
        for shape, layer in distinct(layers).items():
            try:
                found[shape] = map_layer(layer, part, objective="latency", seed=seed, evaluations=effort)
            except NbaError:
                break
        else:
            mapped[parts] = found
    return mapped


def _split(
    layers: tuple[NestLayer, ...], mapped: dict[int, dict[Shape, LayerMapping]]
) -> list[tuple[int, int, int]]:  # fmt: skip
    """(first layer, last layer, parts) of every group of the shortest interval, then latency; none if none fits."""
    # least[k][i]: interval, and then latency, of the first i layers on k parts; origin: (first layer, parts) of the
    # last group.
    n = len(layers)
    least = [[(math.inf, math.inf)] * (n + 1) for _ in range(_PARTS + 1)]
    origin = [[(0, 0)] * (n + 1) for _ in range(_PARTS + 1)]
    for k in range(_PARTS + 1):
        least[k][0] = (0.0, 0.0)
    for k in range(1, _PARTS + 1):
        for i in range(1, n + 1):
            for parts, found in mapped.items():
                if parts > k:
                    continue
                cycles = 0
                for j in range(i - 1, -1, -1):
                    cycles += found[layers[j].shape].cost.cycles
                    before = least[k - parts][j]
                    value = (max(before[0], cycles), before[1] + cycles)
                    if value < least[k][i]:
                        least[k][i], origin[k][i] = value, (j, parts)
    if least[_PARTS][n][0] == math.inf:
        return []
    groups: list[tuple[int, int, int]] = []
    i, k = n, _PARTS
    while i > 0:
        j, parts = origin[k][i]
        groups.append((j, i - 1, parts))
        i, k = j, k - parts
    return groups[::-1]
