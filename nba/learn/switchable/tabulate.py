# SPDX-License-Identifier: Apache-2.0
"""The table of what operators cost, from the search over mappings of their layers on a hierarchy of memories.

The EDP of a network is (sum of energies) * (sum of cycles), so its layers do not minimise an EDP each, but energy plus
price times cycles at one common price (`nba.loopnest.network_map`). The table has the mappings that are best for the
mean network of the space, in which all operators of a block are equally likely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

from nba.core.progress import Progress, Silent
from nba.ir.network import MASTER_BITS
from nba.learn.space.layers import PARTS, before_blocks
from nba.learn.space.network import SKIP, Architecture, Macro, blocks, choices, skeleton, slot_of_layer, slots
from nba.learn.switchable.config import Cascade
from nba.learn.switchable.efficiency import EfficiencyObjective, EfficiencyTable, OperatorCost
from nba.learn.switchable.supernet import macro_at
from nba.loopnest.evolve import EVALUATIONS, Found, weights_of
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import NestLayer
from nba.loopnest.network import layers_of
from nba.loopnest.network_map import choose, pareto_front, search_mapping

MappedFor = Literal["edp", "latency", "energy"]
LAYERS_PER_BLOCK = len(PARTS)
"""Slots of a block."""

_FIXED = (-1, "")
"""Stands for the layers that every network has."""


def efficiency_table(
    macro: Macro,
    bits: int,
    hierarchy: Hierarchy,
    objective: EfficiencyObjective = "edp",
    seed: int = 0,
    effort: int = EVALUATIONS,
    progress: Progress | None = None,
    *,
    stem_bits: int | None = None,
    classifier_bits: int | None = None,
) -> EfficiencyTable:
    """Costs of all operators of all blocks of `macro` at `bits` bits, each layer with a mapping out of those that a
    search of `effort` evaluations finds for it; layers of equal shapes are mapped once.

    stem_bits, classifier_bits: as `nba.learn.switchable.config.Cascade` has them. Raises NbaError where a layer fits
    nowhere, or the hierarchy has no MAC of these bits.
    """

    def front(layer: NestLayer) -> tuple[Found, ...]:
        found = search_mapping(layer, hierarchy, objective=_mapped_for(objective), seed=seed, evaluations=effort)
        return (*found.front, found.best)

    config = Cascade(bitwidths=(bits,), stem_bits=stem_bits, classifier_bits=classifier_bits)
    return tabulated(macro, config, hierarchy.name, objective, front, progress)


def tabulated(
    macro: Macro,
    config: Cascade,
    hierarchy: str,
    objective: EfficiencyObjective,
    front_of: Callable[[NestLayer], tuple[Found, ...]],
    progress: Progress | None = None,
) -> EfficiencyTable:
    """The table at the lowest bitwidth of `config`. front_of: mappings to choose from for a layer; it is asked
    once for every shape."""
    bits = min(config.bitwidths)
    places = [choices(block) for block in blocks(macro)]
    layers = dict(_layers(macro, bits, config))
    distinct = {layer.shape: layer for found in layers.values() for layer in found}
    # How often a shape is met in the mean network.
    times = dict.fromkeys(distinct, 0.0)
    for (b, _), found in layers.items():
        for layer in found:
            times[layer.shape] += 1.0 if b < 0 else 1.0 / len(places[b])
    progress = progress or Silent()
    progress.start("costs of operators", len(distinct))
    fronts = []
    for layer in distinct.values():
        fronts.append(pareto_front(list(front_of(layer))))
        progress.advance(1, layer.name)
    progress.finish()
    known = dict(zip(distinct, _chosen(fronts, list(times.values()), objective), strict=True))

    def total(operator: str, found: tuple[NestLayer, ...]) -> OperatorCost:
        costs = [known[layer.shape] for layer in found]
        return OperatorCost(
            operator=operator, energy_pj=math.fsum(cost.energy_pj for cost in costs),
            cycles=sum(cost.cycles for cost in costs), macs=sum(layer.macs for layer in found),
            bit_operations=sum(layer.macs * layer.weight_bits * layer.act_bits for layer in found),
        )  # fmt: skip

    fixed = total("fixed", layers[_FIXED])
    rows = [tuple(total(op, layers.get((b, op), ())) for op in operators) for b, operators in enumerate(places)]
    return EfficiencyTable(
        hierarchy=hierarchy, objective=objective, bits=bits, fixed_energy_pj=fixed.energy_pj,
        fixed_cycles=fixed.cycles, fixed_macs=fixed.macs, fixed_bit_operations=fixed.bit_operations,
        blocks=tuple(rows), n_layers=sum(len(found) for found in layers.values()), n_shapes=len(distinct),
    )  # fmt: skip


def _mapped_for(objective: EfficiencyObjective) -> MappedFor:
    """What the mappings of the table minimise: operations do not depend on them, so there it is EDP."""
    return "edp" if objective in ("macs", "bit_operations") else objective  # type: ignore[return-value]


def _chosen(fronts: list[list[Found]], times: list[float], objective: EfficiencyObjective) -> list[Found]:
    mapped_for = _mapped_for(objective)
    if mapped_for == "edp":
        return choose(fronts, times)[0]
    energy, cycles = weights_of(mapped_for)
    return [
        min(front, key=lambda f: (energy * f.energy_pj + cycles * f.cycles, f.energy_pj * f.cycles)) for front in fronts
    ]


def _layers(macro: Macro, bits: int, config: Cascade) -> Iterator[tuple[tuple[int, str], tuple[NestLayer, ...]]]:
    """((block, operator), its layers at `bits` bits), and, as _FIXED, the layers that every network has."""
    macro = macro_at(macro, MASTER_BITS, config)
    places = [choices(block) for block in blocks(macro)]
    names = [slot.name for slot in slots(macro)]
    first, block_slots = len(before_blocks(macro)), len(places) * LAYERS_PER_BLOCK
    for number, operator in enumerate(op for op in macro.all_operators if op != SKIP):
        ops = tuple(operator if operator in place else next(op for op in place if op != SKIP) for place in places)
        architecture = Architecture(macro=macro, ops=ops, bits=(MASTER_BITS,) * len(ops))
        network = skeleton(architecture)
        assert [layer.name for layer in network.layers] == [names[slot] for slot in slot_of_layer(architecture)]
        found: dict[int, list[NestLayer]] = {}
        for layer in layers_of(network, bits=bits, stem_bits=config.stem_bits, classifier_bits=config.classifier_bits):
            slot = names.index(layer.name)
            inside = first <= slot < first + block_slots
            found.setdefault((slot - first) // LAYERS_PER_BLOCK if inside else _FIXED[0], []).append(layer)
        if number == 0:
            yield _FIXED, tuple(found[_FIXED[0]])
        for b, place in enumerate(places):
            if operator in place:
                yield (b, operator), tuple(found[b])
