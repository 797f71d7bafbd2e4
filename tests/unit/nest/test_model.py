# SPDX-License-Identifier: Apache-2.0
"""The compiled model against the reference: every count and every cycle of random triples (benchmarks/nest_property.py
draws more of them)."""

from __future__ import annotations

import math

import pytest

from nba.loopnest import model
from nba.loopnest.cost import cost
from nba.loopnest.reference import execute
from tests.unit.nest import draws

pytestmark = pytest.mark.slow

N_DRAWS = 3000


@pytest.mark.parametrize("share", range(10))
def test_model_counts_what_the_reference_executes(share: int) -> None:
    for seed in range(share * N_DRAWS // 10, (share + 1) * N_DRAWS // 10):
        triple = draws.numbered(seed)
        assert model.access_counts(*triple) == execute(*triple), f"draw {seed}\n{draws.describe(triple)}"


def test_larger_layers() -> None:
    for seed in range(100):
        triple = draws.numbered(seed, max_macs=2000)
        assert model.access_counts(*triple) == execute(*triple), f"draw {seed}\n{draws.describe(triple)}"


def test_energy_is_that_of_the_accesses() -> None:
    """The compiled sum takes its terms in another order than `cost`: the same but for the last bits of a float."""
    for seed in range(300):
        triple = layer, hierarchy, mapping = draws.numbered(seed)
        (facts, pj), (work, table) = model.machine(layer, hierarchy), model.scratch(len(hierarchy.levels))
        energy, cycles = model.evaluate(facts, pj, model.encoded(mapping), work, table)
        counts = execute(*triple)
        assert cycles == counts.cycles
        assert math.isclose(energy, cost(layer, hierarchy, mapping, counts).energy_pj, rel_tol=1e-12)
