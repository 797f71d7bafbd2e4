# SPDX-License-Identifier: Apache-2.0
"""Closed forms against the exact models: speed is bounded from below, resources are equal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.explore.modulo import ring_rows, timetable, with_order, work_bound
from nba.explore.rings import RingSearch, speed
from nba.explore.space import AcceleratorSpace, accelerator_of
from nba.ir.network import Network
from nba.machine.accelerator_rules import columns_of
from nba.machine.blocks import block_counts
from nba.machine.check import check_accelerator
from nba.machine.closed_form import speed_bounds
from nba.machine.designs import designs_of, layer_table
from nba.machine.kernels import bram18
from nba.machine.program import lower
from nba.machine.resources import predict
from tests.strategies import NetworkLimits, random_pair
from tests.unit.hw_networks import DIGITS, NARROW, SMALL, TINY, WIDE
from tests.unit.plain_bounds import plain_bounds
from tests.unit.test_energy import with_canonical_lanes

BOARD = get("pynq-z2")


def space_of(network: Network, n_chunks: int = 5, packing: int = 1) -> AcceleratorSpace:
    slots = tuple(layer.operator.mixes for layer in network.layers)
    return AcceleratorSpace(slots=slots, n_chunks=n_chunks, packing=packing, columns=columns_of(packing))


@pytest.mark.parametrize(
    ("network", "packing"),
    [(DIGITS, 1), (SMALL, 1), (TINY, 1), (WIDE, 1), (NARROW, 2), (NARROW, 4)],
    ids=["digits", "small", "tiny", "wide", "packed-2", "packed-4"],
)
def test_bounds_and_resources_of_sampled_designs(network: Network, packing: int) -> None:
    space, layers, slots = (
        space_of(network, 5, packing),
        layer_table(network, packing),
        tuple(range(len(network.layers))),
    )
    rng = np.random.default_rng(11)
    choice = space.sample(rng, 120)
    minimal = rng.random((120, 1)) < 0.3
    policy = choice[:, space.first_slot + 2 :: 3]
    policy[:] = np.where(minimal, policy, np.maximum(policy, 1))
    designs = space.decode(choice, layers, slots)
    bounds, busy = speed_bounds(layers, designs)
    used = block_counts(layers, designs, BOARD)
    finished = 0
    for b in range(len(choice)):
        accelerator = accelerator_of(network, designs, b, packing)
        check_accelerator(network, accelerator)
        exact = predict(lower(network, accelerator), BOARD)
        assert (exact.dsp, exact.bram18) == tuple(used[b])
        try:
            found = speed(network, accelerator)
        except DeadlockError:
            assert minimal[b, 0], "rings of whole maps never deadlock"
            continue
        finished += 1
        assert bounds[b, 0] <= found.interval_cycles
        assert bounds[b, 1] <= found.first_output_latency_cycles
    assert finished > 60
    load = np.zeros((len(choice), space.n_chunks), np.int64)
    for i in range(len(network.layers)):
        np.add.at(load, (np.arange(len(choice)), designs.chunk[:, i]), busy[:, i])
    assert (load.max(1) <= bounds[:, 0]).all()


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_random_pairs_of_any_columns(seed: int, narrow: bool) -> None:
    """Strides up to 4, any number of columns: compiled bounds, plain formulas, exact schedule, resources."""
    limits = NetworkLimits(any_columns=True, max_map=30, narrow=narrow)
    pair = random_pair(np.random.default_rng([34, seed]), limits)
    accelerator = with_canonical_lanes(pair.accelerator)
    designs, layers = designs_of(pair.network, [accelerator]), layer_table(pair.network, accelerator.packing)
    bounds, busy = speed_bounds(layers, designs)
    assert (*bounds[0].tolist(), busy[0].tolist()) == plain_bounds(layers, designs, 0)
    found = speed(pair.network, accelerator)
    assert bounds[0, 0] <= found.interval_cycles
    assert bounds[0, 1] <= found.first_output_latency_cycles
    exact = predict(lower(pair.network, accelerator), BOARD)
    assert (exact.dsp, exact.bram18) == tuple(block_counts(layers, designs, BOARD)[0])


@pytest.mark.parametrize(("network", "packing"), [(SMALL, 1), (NARROW, 4)], ids=["small", "packed-4"])
def test_bounds_hold_for_cut_rings_and_rotated_programs(network: Network, packing: int) -> None:
    layers = layer_table(network, packing)
    rng = np.random.default_rng(2)
    space = space_of(network, 4, packing)
    designs = space.decode(space.sample(rng, 40), layers, tuple(range(len(network.layers))))
    checked = tight = 0
    for b in range(40):
        accelerator = accelerator_of(network, designs, b, packing)
        table = timetable(network, accelerator, work_bound(network, accelerator) + int(rng.integers(0, 500)))
        search = RingSearch(network, with_order(accelerator, table))
        rows = {use: max(search.low[use], n) for use, n in ring_rows(network, table).items()}
        for use in rows:
            if rng.random() < 0.3:
                rows[use] = int(rng.integers(search.low[use], rows[use] + 1))
        try:
            exact = search.exact(rows)
        except DeadlockError:
            continue
        bounds, _ = speed_bounds(layers, designs_of(network, [search.with_rows(rows)]))
        assert bounds[0, 0] <= exact.interval_cycles
        assert bounds[0, 1] <= exact.first_output_latency_cycles
        checked += 1
        tight += int(bounds[0, 0] == exact.interval_cycles)
    assert checked > 15
    assert tight > 0


@pytest.mark.parametrize(
    ("network", "packing"),
    [(DIGITS, 1), (SMALL, 1), (TINY, 1), (NARROW, 2), (NARROW, 4)],
    ids=["digits", "small", "tiny", "packed-2", "packed-4"],
)
@pytest.mark.parametrize("n_chunks", [2, 10])
def test_compiled_bounds_are_the_plain_formulas(network: Network, packing: int, n_chunks: int) -> None:
    layers = layer_table(network, packing)
    space = replace(
        space_of(network, n_chunks, packing), sizes_m=(1, 2, 3, 5, 6, 8, 12, 48), sizes_n=(1, 3, 4, 7, 16, 40)
    )
    designs = space.decode(space.sample(np.random.default_rng(8), 703), layers, tuple(range(len(network.layers))))
    bounds, busy = speed_bounds(layers, designs)
    for b in range(703):  # not a multiple of the number of designs that are worked through side by side
        assert (*bounds[b].tolist(), busy[b].tolist()) == plain_bounds(layers, designs, b)


def test_divisions_by_reciprocals_are_exact() -> None:
    rng = np.random.default_rng(0)
    for top in (70, 5_000, 1 << 40):
        a, b = rng.integers(1, top, 20_000), rng.integers(1, 4096, 20_000)
        assert (np.floor((a - 0.5) * (1.0 / b)) + 1 == -(-a // b)).all()
    every = np.arange(1, 2000)
    assert (np.floor((every[:, None] - 0.5) * (1.0 / every)) + 1 == -(-every[:, None] // every)).all()


def test_block_rams_do_not_depend_on_words_within_a_step() -> None:
    rng = np.random.default_rng(1)
    for _ in range(3000):
        lanes, words = int(rng.integers(1, 40)), int(rng.integers(1, 65536))
        sub = int(rng.choice([0, *(8 * d for d in range(1, lanes + 1) if lanes % d == 0)]))
        assert bram18(8 * lanes, words, sub) == bram18(8 * lanes, -(-words // 512) * 512, sub)
