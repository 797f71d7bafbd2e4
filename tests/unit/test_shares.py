# SPDX-License-Identifier: Apache-2.0
"""Rings that share memory, in every model of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.explore.overlays import Life, sharing_rings
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.ir.network import Layer, Network, Tensor
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
from tests.unit.test_pipeline import assert_bundle_predicts, assert_equal

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
            assert_equal(schedule(lower(network, accelerator), n_frames), machine)
            found["runs"] += 1
        else:
            with pytest.raises(DeadlockError):
                schedule(lower(network, accelerator), n_frames)
            found["deadlocks"] += 1
    assert found["runs"] >= 9, found


@pytest.mark.parametrize("seed", range(21))
def test_exact_rate_is_that_of_a_long_run(seed: int) -> None:
    program = lower(*running(seed))
    run = long_run(program)
    assert run.settled
    assert run.state.interval_cycles == steady_interval(program)


def test_waiting_for_memory_never_makes_faster_and_sometimes_slower() -> None:
    slower = 0
    for seed in range(40):
        network, accelerator = running(60 + seed, seed)
        exact, other = schedule(lower(network, accelerator), 4), schedule(lower(network, apart(accelerator)), 4)
        assert (exact.output_cycle >= other.output_cycle).all()
        slower += bool((exact.output_cycle > other.output_cycle).any())
    assert slower >= 10


@pytest.mark.parametrize("seed", range(12))
def test_a_bundle_predicts_the_same_cycles(seed: int) -> None:
    assert_bundle_predicts(*running(120 + seed, seed))


def chain(n: int, height: int = 4) -> Network:
    """Layers of 1 x 1 windows, one behind the other."""
    layer = Layer(name="l", op="dense", input=0, kernel_h=1, kernel_w=1, shift=1, q_min=0, q_max=1)
    return Network(
        name="chain",
        tensors=tuple([Tensor(name=f"t{i}", height=height, width=3, channels=2, signed=False) for i in range(n + 1)]),
        layers=tuple([replace(layer, name=f"l{i}", input=i) for i in range(n)]),
    )


def alternating(network: Network, shares: tuple[int, ...], rows: int = 4) -> Accelerator:
    """Two chunks that execute the layers of a chain in turn."""
    n = len(network.layers)
    return Accelerator(
        pp=1,
        chunks=tuple(
            [Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=tuple([Job(layer=i) for i in range(k, n, 2)])) for k in (0, 1)]
        ),
        rings=tuple(
            [
                Ring(tensor=i, consumer=i if i < n else HOST, rows=rows, share=shares[i] if i < n else 0)
                for i in range(n + 1)
            ]
        ),
        out_lanes=1,
    )


def test_rings_lie_on_top_of_each_other() -> None:
    """Tensors 1, 3 and 5 go from chunk 0 to chunk 1: two of them take turns."""
    network = chain(6)
    program = lower(network, alternating(network, (0, 1, 0, 0, 0, 1)))
    edge = next(e for e in program.edges if (e.producer, e.consumer) == (0, 1))
    by_tensor = {ring.tensor: ring for ring in edge.rings}
    assert edge.depth_words == by_tensor[1].ring_words + by_tensor[3].ring_words
    assert by_tensor[1].base == by_tensor[5].base != by_tensor[3].base
    places = {ring.tensor: number for number, ring in enumerate(edge.rings)}
    assert by_tensor[1].waits_for == places[5]
    assert by_tensor[5].waits_for == places[1]
    assert by_tensor[3].waits_for == -1


def test_cycles_by_hand() -> None:
    """Layer 2 writes into the memory of layer 0's rows: its first row is decided when the last of them was seen
    released, and a cycle later."""
    network = chain(4, height=1)
    alone, both = alternating(network, (0,) * 4, 1), alternating(network, (0, 1, 0, 1), 1)
    before, after = schedule(lower(network, alone), 2), schedule(lower(network, both), 2)
    # Frame 0: the row of tensor 1 is released long before that of tensor 3 is computed from it.
    assert after.row_start[0][1][0, 0] == before.row_start[0][1][0, 0]
    # Frame 1: layer 0 waits until layer 3 has released the row of frame 0, which takes twelve cycles: three columns,
    # two groups and two words. Then a cycle until its release is seen, one for the turn, one from decision to start.
    begun, taken = after.row_start[1][1][0, 0], after.row_start[0][0][1, 0]
    assert before.row_start[0][0][1, 0] < taken == begun + 12 + 1 + 1 + 1


def test_deadlocks_are_named() -> None:
    """A frame that needs rows of two tensors which share memory at once stands still, and the message says why."""
    network = chain(4)
    accelerator = alternating(network, (0, 1, 0, 1))
    rings = (accelerator.rings[0], accelerator.rings[3], accelerator.rings[2], accelerator.rings[1])
    with pytest.raises(DeadlockError, match=r"waits for its memory until ring . of edge . .* has released 4 row"):
        schedule(lower(network, replace(accelerator, rings=(*rings, accelerator.rings[4]))), 2)


def test_a_design_file_keeps_them(tmp_path: Path) -> None:
    design, weights = tiny_design()
    network, accelerator = running(170, 0)
    rings = [ring.share for ring in accelerator.rings]
    document = replace(design, network=network, accelerator=accelerator).document()
    assert [ring.get("share", 0) for ring in document["accelerator"]["rings"]] == rings
    assert all("share" not in ring for ring in design.document()["accelerator"]["rings"])
    save_design(design, weights, tmp_path)
    assert load_design(tmp_path / "design.json")[0] == design


@pytest.mark.parametrize("seed", range(6))
def test_memory_is_counted_once(seed: int) -> None:
    network, accelerator = running(180 + seed, seed)
    inside, outside = lower(network, accelerator), lower(network, apart(accelerator))
    words = [edge.depth_words for edge in inside.edges]
    assert all(a <= b.depth_words for a, b in zip(words, outside.edges, strict=True))
    assert sum(words) < sum(edge.depth_words for edge in outside.edges)
    platform = get("zc706")
    assert predict(inside, platform).bram18 <= predict(outside, platform).bram18


def test_lives_that_never_meet_share() -> None:
    """A frame of 100 ticks. Two rings that follow each other share; one that is there all the time does not, nor one
    that begins while another is read."""
    lives = [
        Life(use=(1, 1, "main"), words=10, begin=(0, 0), end=(20, 1)),
        Life(use=(3, 3, "main"), words=40, begin=(15, 2), end=(40, 3)),
        Life(use=(5, 5, "main"), words=30, begin=(45, 4), end=(90, 5)),
        Life(use=(7, 7, "main"), words=99, begin=(50, 6), end=(151, 7)),
    ]
    both = {(3, 3, "main"): 1, (5, 5, "main"): 1}
    assert sharing_rings([lives], 100, 0) == both
    assert sharing_rings([lives], 100, 6) == {(1, 1, "main"): 1, (5, 5, "main"): 1}
    assert sharing_rings([lives], 100, 26) == {}
    assert sharing_rings([lives[:3]], 100, 4) == both
    # The frame after begins while the last is read.
    assert sharing_rings([[lives[1], replace(lives[2], end=(116, 5))]], 100, 0) == {}
    assert sharing_rings([[lives[1], replace(lives[2], end=(115, 1))]], 100, 0) == {
        (3, 3, "main"): 1,
        (5, 5, "main"): 1,
    }
