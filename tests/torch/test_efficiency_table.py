# SPDX-License-Identifier: Apache-2.0
"""The table of what operators cost: its sums are the costs of the networks that are emitted, layer by layer."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from nba.nest.layer import NestLayer
from nba.nest.network import layers_of
from nba.space.network import SKIP, Architecture, Macro, blocks, choices, skeleton
from nba.switchable.config import SwitchableConfig
from nba.switchable.efficiency import check_table
from nba.switchable.network import at_bits
from nba.switchable.tabulate import tabulated
from tests.torch.small import MACRO

pytestmark = pytest.mark.torch
GROUPED = replace(
    MACRO,
    operators=("k3_e1", "k3_e2_g2", "k5_e2", SKIP),
    expand_at_one=True,
    stages=(replace(MACRO.stages[0], operators=("k3_e1", "k5_e4", SKIP), bitwidths=(4, 16)), MACRO.stages[1]),
    stem_stride=2,
    bits_per="stage",
)


def _cost(layer: NestLayer) -> tuple[float, int]:
    """Numbers that depend on everything a layer is, and on nothing else."""
    rng = np.random.default_rng(layer.shape)
    return float(rng.uniform(1, 100)), int(rng.integers(10, 1000))


@pytest.mark.parametrize("macro", [MACRO, GROUPED])
@pytest.mark.parametrize(
    "config",
    [
        SwitchableConfig(bitwidths=(4, 8)),
        SwitchableConfig(bitwidths=(2, 16), stem_bits=8, classifier_bits=4),
        SwitchableConfig(bitwidths=(16, 32), stem_bits=8),
        SwitchableConfig(bitwidths=(32,)),
    ],
)
def test_sums_are_the_costs_of_the_networks(macro: Macro, config: SwitchableConfig) -> None:
    asked: list[tuple[int, ...]] = []

    def cost(layer: NestLayer) -> tuple[float, int]:
        asked.append(layer.shape)
        return _cost(layer)

    bits = config.bitwidths[0]
    table = tabulated(macro, config, "by hand", "edp", cost)
    check_table(table, macro, bits)
    assert len(asked) == len(set(asked)) == table.n_shapes < table.n_layers
    seen: set[tuple[int, ...]] = set()
    plain = replace(macro, bitwidths=(8,), stages=tuple(replace(s, bitwidths=None) for s in macro.stages))
    for ops in itertools.product(*(choices(block) for block in blocks(macro))):
        network = skeleton(Architecture(macro=plain, ops=ops, bits=(8,) * len(ops)))
        layers = layers_of(at_bits(network, bits, stem_bits=config.stem_bits, classifier_bits=config.classifier_bits))
        energies, cycles = zip(*(_cost(layer) for layer in layers), strict=True)
        assert table.totals(ops) == (pytest.approx(math.fsum(energies), rel=1e-12), sum(cycles))
        seen.update(layer.shape for layer in layers)
    assert seen == set(asked)


def test_a_skipped_block_costs_nothing_and_every_layer_counts() -> None:
    table = tabulated(MACRO, SwitchableConfig(bitwidths=(4, 8)), "ones", "latency", lambda _: (1.0, 1))
    assert table.totals(("skip", "k3_e1", "skip")) == (5.0, 5)
    assert table.totals(("k3_e2", "k3_e1", "k5_e2")) == (11.0, 11)
