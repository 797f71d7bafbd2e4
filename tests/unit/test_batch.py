# SPDX-License-Identifier: Apache-2.0
"""The schedule of many designs against lowering, tables and schedule of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nba.core.errors import DeadlockError
from nba.explore.modulo import make_rings
from nba.explore.space import AcceleratorSpace, accelerator_of
from nba.ir.network import Network
from nba.machine.accelerator_rules import columns_of
from nba.machine.batch import output_cycles, schedule_tables
from nba.machine.designs import designs_of, layer_table
from nba.machine.program import lower
from nba.machine.schedule import schedule, tables
from tests.strategies import NetworkLimits, random_pair
from tests.unit.hw_networks import DIGITS, NARROW, SMALL, TINY

FIELDS = ("jobs", "turns", "agents", "dests", "ring_rows", "ring_height")


@pytest.mark.parametrize(
    ("network", "packing"),
    [(DIGITS, 1), (SMALL, 1), (TINY, 1), (NARROW, 2), (NARROW, 4)],
    ids=["digits", "small", "tiny", "packed-2", "packed-4"],
)
def test_tables_and_outputs_of_sampled_designs(network: Network, packing: int) -> None:
    kinds = tuple(layer.operator.mixes for layer in network.layers)
    space = AcceleratorSpace(slots=kinds, n_chunks=5, packing=packing, columns=columns_of(packing))
    layers = layer_table(network, packing)
    choice = space.sample(np.random.default_rng(4), 60)
    designs = space.decode(choice, layers, tuple(range(len(network.layers))))
    outputs = output_cycles(layers, designs, 3)
    stuck = 0
    for b in range(len(choice)):
        program = lower(network, accelerator_of(network, designs, b, packing))
        expected, found = tables(program), schedule_tables(layers, designs, b)
        for field in FIELDS:
            assert np.array_equal(getattr(found, field), getattr(expected, field)), (b, field)
        try:
            assert np.array_equal(outputs[b], schedule(program, 3).output_cycle)
        except DeadlockError:
            stuck += 1
            assert (outputs[b] == -1).all()
    assert 0 < stuck < 50


@pytest.mark.parametrize("any_columns", [False, True])
@pytest.mark.parametrize("narrow", [False, True])
def test_tables_of_random_pairs(narrow: bool, any_columns: bool) -> None:
    """Programs in any order, residuals, tensors with several uses in one chunk. Designs know sizes of rings, not their
    order and lanes, which are those of `make_rings`."""
    degrees: set[int] = set()
    for seed in range(40):
        limits = NetworkLimits(narrow=narrow, any_columns=any_columns, max_map=30 if any_columns else 9)
        pair = random_pair(np.random.default_rng(seed), limits)
        rows = {(r.tensor, r.consumer, r.port): r.rows for r in pair.accelerator.rings}
        accelerator = replace(pair.accelerator, rings=make_rings(pair.network, pair.accelerator, rows))
        program, layers = lower(pair.network, accelerator), layer_table(pair.network, accelerator.packing)
        degrees |= {job.degree for chunk in program.chunks for job in chunk.jobs}
        designs = designs_of(pair.network, [accelerator])
        expected, found = tables(program), schedule_tables(layers, designs, 0)
        for field in FIELDS:
            assert np.array_equal(getattr(found, field), getattr(expected, field)), (seed, field)
        assert np.array_equal(output_cycles(layers, designs, 4)[0], schedule(program, 4).output_cycle)
    assert degrees == ({1, 2, 4} if narrow else {1})
