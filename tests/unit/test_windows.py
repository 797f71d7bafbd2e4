# SPDX-License-Identifier: Apache-2.0
"""How few rows rings may have, and that what the closed forms believe of row programs are lower bounds of what is
emitted."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.explore.budgets import Budgets
from nba.explore.finalise import finalise
from nba.explore.gamma import GammaSearch
from nba.explore.rings import speed
from nba.explore.space import AcceleratorSpace, accelerator_of
from nba.explore.turns import phases, serial_rows, with_rows, with_turns
from nba.ir.accelerator import Accelerator, Job
from nba.ir.network import Network
from nba.machine.blocks import block_counts
from nba.machine.closed_form import speed_bounds
from nba.machine.designs import as_row_programs, designs_of, layer_table
from nba.machine.program import lower, min_ring_rows
from nba.machine.resources import predict
from nba.machine.schedule import schedule
from nba.machine.usage import usage, usage_within
from nba.machine.windows import fewest_rows, uses_of
from tests.strategies import random_accelerator, random_network
from tests.unit.hw_networks import DIGITS, SMALL, blocks_network

BOARD = get("zc706")


def in_order(accelerator: Accelerator) -> Accelerator:
    """`accelerator` with its jobs in network order, without stages."""
    jobs = [tuple(Job(layer=n) for n in sorted(job.layer for job in chunk.jobs)) for chunk in accelerator.chunks]
    chunks = tuple(replace(chunk, jobs=mine) for chunk, mine in zip(accelerator.chunks, jobs, strict=True))
    return replace(accelerator, chunks=chunks)


@pytest.mark.parametrize("seed", range(30))
def test_no_program_runs_with_fewer_rows(seed: int) -> None:
    """All other rings hold several maps, so that it is this one that stops the machine: with whole jobs and with turns
    of one row."""
    rng = np.random.default_rng([seed, 51])
    network, _ = random_network(rng)
    accelerator = in_order(random_accelerator(rng, network))
    fewest = fewest_rows(network)
    ample = {use: 3 * network.tensors[use[0]].height for use in fewest}
    for plain in (accelerator, with_turns(network, accelerator)[0]):
        assert schedule(lower(network, with_rows(plain, ample)), 1)
        for use in uses_of(network):
            least = min_ring_rows(network, use[1], use[2])
            assert fewest[use] >= least
            if fewest[use] == least:
                continue
            program = lower(network, with_rows(plain, {**ample, use: fewest[use] - 1}))
            with pytest.raises(DeadlockError):
                schedule(program, 1)


def test_a_residual_ring_waits_for_the_windows_between() -> None:
    """A block of expand (1 x 1), depthwise (5 x 5, padding 2) and project: row 0 needs rows 0, 1 and 2 of its operand.
    Of two windows one after another, both count."""
    network = blocks_network(((16, 3, 5, 1),))
    (use,) = [use for use in uses_of(network) if use[2] == "residual"]
    assert fewest_rows(network)[use] == 3
    layers = list(network.layers)
    project = next(i for i, layer in enumerate(layers) if layer.residual is not None)
    layers[project - 2] = replace(layers[project - 2], kernel_h=3, kernel_w=3, pad_top=1, pad_left=1)
    assert fewest_rows(replace(network, layers=tuple(layers)))[use] == 4


@pytest.mark.parametrize("seed", range(30))
def test_serial_execution_needs_no_fewer(seed: int) -> None:
    network, _ = random_network(np.random.default_rng([seed, 52]))
    fewest = fewest_rows(network)
    for slack in (Fraction(0), Fraction(1, 2), Fraction(2)):
        for burst in (1, 3):
            serial = serial_rows(network, phases(network, slack, burst), burst)
            assert all(fewest[use] <= rows for use, rows in serial.items())


@pytest.mark.parametrize("seed", range(60))
def test_bounds_of_row_programs_hold(seed: int) -> None:
    """Speed and resources of random row programs, with rings between the fewest rows and more than enough."""
    rng = np.random.default_rng([seed, 53])
    network, _ = random_network(rng)
    accelerator = random_accelerator(rng, network)
    layers = layer_table(network, accelerator.packing)
    row_program, serial = with_turns(
        network, accelerator, Fraction(int(rng.integers(0, 5)), 2), int(rng.integers(1, 4))
    )
    fewest = fewest_rows(network)
    for rows in (serial, {use: int(rng.integers(fewest[use], n + 3)) for use, n in serial.items()}):
        done = with_rows(row_program, rows)
        designs = designs_of(network, [done])
        assert designs.turned
        bounds, _ = speed_bounds(layers, as_row_programs(layers, designs))
        assert (speed_bounds(layers, designs)[0] == bounds).all()
        used = block_counts(layers, as_row_programs(layers, designs), BOARD)[0]
        exact = predict(lower(network, done), BOARD)
        assert used[0] == exact.dsp
        assert used[1] <= exact.bram18
        try:
            found = speed(network, done)
        except DeadlockError:
            assert rows is not serial
            continue
        assert bounds[0, 0] <= found.interval_cycles
        assert bounds[0, 1] <= found.first_output_latency_cycles


def decoded(network: Network, n: int, seed: int) -> tuple[AcceleratorSpace, np.ndarray]:
    space = AcceleratorSpace(slots=tuple(layer.operator.mixes for layer in network.layers))
    return space, space.sample(np.random.default_rng(seed), n)


@pytest.mark.parametrize(("network", "share"), [(SMALL, 0.8), (DIGITS, 0.7)], ids=["small", "digits"])
def test_what_is_emitted_takes_no_less(network: Network, share: float) -> None:
    """Random engines, completed within less memory than their maps ask for: no ring, no memory and no interval is below
    what the search believes, and nothing that can be completed is refused."""
    n = 6
    space, choice = decoded(network, n, seed=8)
    layers, which = layer_table(network), tuple(range(len(network.layers)))
    choice[:, space.first_slot + 2 :: 3] = 1
    designs = space.decode(choice, layers, which)
    maps, fewest = usage(layers, designs, BOARD).bram18, usage(layers, as_row_programs(layers, designs), BOARD)
    assert (fewest.bram18 < maps).any()
    completed = 0
    for b in range(n):
        bram18 = int(fewest.bram18[b] + share * (maps[b] - fewest.bram18[b]))
        found = finalise(network, accelerator_of(network, designs, b), BOARD, bram18, "interval")
        if found is None:
            continue
        completed += 1
        believed = usage_within(layers, designs.at(np.array([b])), BOARD, found.bram18)
        assert fewest.bram18[b] <= found.bram18
        assert believed.bram18[0] <= found.bram18
        assert believed.interval[0] <= found.speed.interval_cycles
        for ring in found.accelerator.rings:
            assert ring.rows >= fewest_rows(network)[ring.tensor, ring.consumer, ring.port]
    assert completed > n // 2


def test_a_network_of_more_maps_than_block_ram_is_feasible() -> None:
    """22 blocks on images of 32 x 32, as in examples/cifar10.yaml: rings of maps take more than a ZC706 has, those of
    row programs do not, and the search knows."""
    blocks = [(16, 1, 3, 1)]
    for channels, stride in ((24, 1), (32, 2), (64, 2), (112, 1), (184, 2)):
        blocks += [(channels, 3, 3, stride), *[(channels, 3, 3, 1)] * 3]
    network = blocks_network((*blocks, (352, 3, 3, 1)), size=32, head=1504)
    slots = tuple(layer.operator.mixes for layer in network.layers)
    budgets = Budgets(dsp=900, bram=545, lut=218_600)
    search = GammaSearch(space=AcceleratorSpace(slots=slots, n_chunks=6), platform=BOARD, budgets=budgets, seed=0)
    which = tuple(range(len(network.layers)))
    for _ in range(10):
        search.step(network, which, 64)
    cost = search.cost(network, which)
    assert cost.feasible
    layers = layer_table(network)
    held = usage(layers, search.space.decode(search.best_choice()[None], layers, which), BOARD)
    assert held.bram18[0] > budgets.bram18 >= cost.bram18
