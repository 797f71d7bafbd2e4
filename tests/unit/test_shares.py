# SPDX-License-Identifier: Apache-2.0
"""Rings that share memory, in every model of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.emit.predicted import predicted_cycles, recurrence_tables
from nba.explore.shares import Life, shared
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.ir.network import Layer, Network, Tensor
from nba.machine import recurrence
from nba.machine.check import check_accelerator
from nba.machine.design_file import load_design, save_design
from nba.machine.program import lower
from nba.machine.resources import predict
from nba.machine.schedule import schedule
from nba.machine.settled import long_run
from nba.machine.steady import steady_interval
from tests import strategies
from tests.strategies import NetworkLimits, cut, random_accelerator, random_network, sliced
from tests.tiny import tiny_design
from tests.token_machine import Machine
from tests.unit.test_pipeline import assert_equal

DEEP = NetworkLimits(min_layers=4, max_layers=9, max_map=12)
"""Enough layers for edges of several rings."""


def apart(accelerator: Accelerator) -> Accelerator:
    """The same with memory of its own for every ring."""
    return replace(accelerator, rings=tuple([replace(ring, share=0) for ring in accelerator.rings]))


def drawn(*seed: int, tightness: float = 0.0) -> tuple[Network, Accelerator]:
    """A random network on a random accelerator with shared memory; of every three, one has slices, one slices and turns
    of a few rows, late ones among them. It may deadlock."""
    rng = np.random.default_rng([*seed, 41])
    while True:
        network, _ = random_network(rng, DEEP)
        accelerator = random_accelerator(rng, network, max_chunks=2, tightness=tightness)
        if seed[-1] % 3:
            accelerator = sliced(rng, network, accelerator, 0.3)
        if seed[-1] % 3 == 2:
            chunks = tuple([cut(rng, network, chunk, late=bool(rng.integers(2))) for chunk in accelerator.chunks])
            accelerator = replace(accelerator, chunks=chunks)
        accelerator = strategies.shared(rng, network, accelerator)
        if all(ring.share == 0 for ring in accelerator.rings):
            continue
        assert check_accelerator(network, accelerator) == ()
        return network, accelerator


def running(*seed: int, tightness: float = 0.0, frames: int = 8) -> tuple[Network, Accelerator]:
    """One that does not deadlock."""
    for attempt in range(1000):
        network, accelerator = drawn(*seed[:-1], attempt, seed[-1], tightness=tightness)
        try:
            schedule(lower(network, accelerator), frames)
            steady_interval(lower(network, accelerator))
        except DeadlockError:
            continue
        return network, accelerator
    pytest.fail(f"seed {seed}: all designs deadlock")


@pytest.mark.parametrize("group", range(20))
def test_equals_the_token_machine(group: int) -> None:
    """Row by row, deadlocked designs among them: both sides agree on every row start, and on who stands still."""
    found: Counter[str] = Counter()
    for seed in range(12):
        tightness = (0.0, 0.5)[seed // 3 % 2]
        make = drawn if seed % 4 == 3 else running
        network, accelerator = make(group, seed, tightness=tightness)
        n_frames = 1 + seed % 5
        machine = Machine(network, accelerator, n_frames)
        if machine.run():
            exact = schedule(lower(network, accelerator), n_frames)
            assert_equal(exact, machine)
            found["runs"] += 1
            try:
                other = schedule(lower(network, apart(accelerator)), n_frames)
            except DeadlockError:
                continue
            found["slower"] += bool((exact.output_cycle > other.output_cycle).any())
            assert (exact.output_cycle >= other.output_cycle).all()
        else:
            with pytest.raises(DeadlockError):
                schedule(lower(network, accelerator), n_frames)
            found["deadlocks"] += 1
    assert found["runs"] >= 9, found
    assert found["slower"], found


@pytest.mark.parametrize("seed", range(21))
def test_exact_rate_is_that_of_a_long_run(seed: int) -> None:
    program = lower(*running(seed))
    run = long_run(program)
    assert run.settled
    assert run.state.interval_cycles == steady_interval(program)
