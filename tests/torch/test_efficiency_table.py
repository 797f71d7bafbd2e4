# SPDX-License-Identifier: Apache-2.0
"""The table of what operators cost: its sums are the costs of the networks that are emitted, layer by layer."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from nba.core.errors import NbaError
from nba.ir.network import FLOAT_BITS
from nba.learn.space.network import SKIP, Architecture, Macro, blocks, choices, macs, skeleton
from nba.learn.switchable.config import Cascade
from nba.learn.switchable.efficiency import EfficiencyTable, check_table
from nba.learn.switchable.network import network_at_bits
from nba.learn.switchable.tabulate import efficiency_table, tabulated
from nba.loopnest.description import load_hierarchy
from nba.loopnest.evolve import Found
from nba.loopnest.layer import NestLayer
from nba.loopnest.mapping import Mapping
from nba.loopnest.network import layers_of
from nba.loopnest.network_map import map_loop_nests
from tests.torch.small import MACRO, POOLED

pytestmark = pytest.mark.torch
GROUPED = MACRO.but(
    operators=("k3_e1", "k3_e2_g2", "k5_e2", SKIP),
    expand_at_one=True,
    stages=(MACRO.stages[0].but(operators=("k3_e1", "k5_e4", SKIP), bitwidths=(4, 16)), MACRO.stages[1]),
    stem_stride=2,
    bits_per="stage",
)


def _found(energy_pj: float, cycles: int) -> Found:
    return Found(mapping=Mapping(arrays=(), tiles=(), axes=(), orders=()), energy_pj=energy_pj, cycles=cycles)


def _front(layer: NestLayer) -> tuple[Found, ...]:
    """Numbers that depend on everything a layer is, and on nothing else."""
    rng = np.random.default_rng(layer.shape)
    cycles = np.sort(rng.integers(10, 1000, 3))
    energies = np.sort(rng.uniform(1, 100, 3))[::-1]
    return tuple(_found(float(e), int(c)) for e, c in zip(energies, cycles, strict=True))


@pytest.mark.parametrize("macro", [MACRO, GROUPED, POOLED])
@pytest.mark.parametrize(
    "config",
    [
        Cascade(bitwidths=(4, 8)),
        Cascade(bitwidths=(2, 16), stem_bits=8, classifier_bits=4),
        Cascade(bitwidths=(16, 32), stem_bits=8),
        Cascade(bitwidths=(32,)),
    ],
)
def test_sums_are_the_costs_of_the_networks(macro: Macro, config: Cascade) -> None:
    asked: list[tuple[int, ...]] = []

    def one(layer: NestLayer) -> tuple[Found, ...]:
        asked.append(layer.shape)
        return _front(layer)[:1]

    bits = config.bitwidths[0]
    table = tabulated(macro, config, "by hand", "edp", one)
    check_table(table, macro, bits)
    assert len(asked) == len(set(asked)) == table.n_shapes < table.n_layers
    seen: set[tuple[int, ...]] = set()
    plain = macro.but(bitwidths=(8,), stages=tuple(s.but(bitwidths=None) for s in macro.stages))
    for ops in itertools.product(*(choices(block) for block in blocks(macro))):
        network = skeleton(Architecture(macro=plain, ops=ops, bits=(8,) * len(ops)))
        layers = layers_of(network, bits=bits, stem_bits=config.stem_bits, classifier_bits=config.classifier_bits)
        if bits != FLOAT_BITS:
            emitted = network_at_bits(network, bits, stem_bits=config.stem_bits, classifier_bits=config.classifier_bits)
            assert layers == layers_of(emitted)
        assert table.operations(ops) == (
            sum(layer.macs for layer in layers),
            sum(layer.macs * layer.weight_bits * layer.act_bits for layer in layers),
        )
        (pool,) = (i for i, layer in enumerate(network.layers) if layer.op == "avgpool")
        assert table.operations(ops)[0] == macs(network) - network.macs(pool)
        found = [_front(layer)[0] for layer in layers]
        energy = math.fsum(f.energy_pj for f in found)
        assert table.totals(ops) == (pytest.approx(energy, rel=1e-12), sum(f.cycles for f in found))
        seen.update(layer.shape for layer in layers)
    assert seen == set(asked)


def test_a_skipped_block_costs_nothing_and_every_layer_counts() -> None:
    table = tabulated(MACRO, Cascade(bitwidths=(4, 8)), "ones", "latency", lambda _: (_found(1.0, 1),))
    assert table.totals(("skip", "k3_e1", "skip")) == (5.0, 5)
    assert table.totals(("k3_e2", "k3_e1", "k5_e2")) == (11.0, 11)


def test_mappings_are_those_of_the_mean_network() -> None:
    """Of 3 mappings per shape, those of the least (mean energy) * (mean cycles), whatever other prices would give."""
    config = Cascade(bitwidths=(4, 8))
    macro = MACRO.but(operators=("k3_e1", "k5_e1"), stages=MACRO.stages[:1])
    table = tabulated(macro, config, "by hand", "edp", _front)

    def mean(found: EfficiencyTable) -> float:
        energy = found.fixed_energy_pj + math.fsum(p.energy_pj for p in found.blocks[0]) / 2
        return energy * (found.fixed_cycles + sum(p.cycles for p in found.blocks[0]) / 2)

    shapes: list[tuple[int, ...]] = []

    def asked(layer: NestLayer) -> tuple[Found, ...]:
        shapes.append(layer.shape)
        return _front(layer)

    assert tabulated(macro, config, "by hand", "edp", asked) == table
    every = []
    for choice in itertools.product(range(3), repeat=len(shapes)):
        one = dict(zip(shapes, choice, strict=True))
        alone = tabulated(macro, config, "", "edp", lambda layer, one=one: (_front(layer)[one[layer.shape]],))  # type: ignore[misc]
        every.append(mean(alone))
    assert len(shapes) >= 4
    assert mean(table) == pytest.approx(min(every))
    latency, energy = (tabulated(macro, config, "by hand", o, _front) for o in ("latency", "energy"))
    assert latency.fixed_cycles <= table.fixed_cycles <= energy.fixed_cycles
    assert latency.fixed_energy_pj >= table.fixed_energy_pj >= energy.fixed_energy_pj
    assert latency.fixed_cycles < energy.fixed_cycles


def test_costs_are_those_of_the_mapping_search() -> None:
    """The same seed gives the same table. A network costs what it costs when it is mapped: its latency to the cycle,
    its EDP, whose mappings depend on all layers, nearly."""
    hierarchy = load_hierarchy("eyeriss-like")
    macro = MACRO.but(operators=("k3_e1", "k5_e2"))
    config = Cascade(bitwidths=(2, 8), stem_bits=8)
    table, again = (
        efficiency_table(macro, 2, hierarchy, "latency", 3, 2000, stem_bits=config.stem_bits) for _ in range(2)
    )
    assert table == again
    assert (table.hierarchy, table.bits, table.objective) == ("eyeriss-like", 2, "latency")
    check_table(table, macro, 2)
    ops = ("k5_e2", "k3_e1", "k5_e2")
    network = network_at_bits(skeleton(Architecture(macro=macro, ops=ops, bits=(8, 8, 8))), 2, stem_bits=8)
    mapped = map_loop_nests(layers_of(network), hierarchy, objective="latency", seed=3, effort=2000)
    assert table.cost(ops) == mapped.latency_cycles
    assert table.totals(ops)[0] == pytest.approx(mapped.energy_pj)
    edp = efficiency_table(macro, 2, hierarchy, "edp", 3, 20_000, stem_bits=8)
    mapped = map_loop_nests(layers_of(network), hierarchy, objective="edp", seed=3, effort=20_000)
    assert edp.cost(ops) == pytest.approx(mapped.edp_pj_cycles, rel=0.01)
    assert edp.cost(ops) < math.prod(table.totals(ops))


def test_bits_without_a_mac_are_refused() -> None:
    with pytest.raises(NbaError, match="no MAC of 12 bits"):
        efficiency_table(MACRO, 12, load_hierarchy("chunk-zc706"))
