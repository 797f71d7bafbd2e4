# SPDX-License-Identifier: Apache-2.0
"""Rings whose rows hold the channels of a slice, in every model of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nba.core.errors import DeadlockError
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.ir.network import Layer, Network, Tensor
from nba.machine.check import check_accelerator
from nba.machine.design_file import load_design, save_design
from nba.machine.energy import frame_events
from nba.machine.program import lower
from nba.machine.schedule import schedule
from nba.machine.settled import long_run
from nba.machine.steady import steady_interval
from nba.zoo.weights import random_weights
from tests.hls.bench import design_of
from tests.strategies import NetworkLimits, cut, parted, random_accelerator, random_network, shared, sliced
from tests.tiny import tiny_design
from tests.token_machine import Machine
from tests.unit.test_pipeline import assert_bundle_predicts, assert_equal

LARGE = NetworkLimits(max_channels=24)
"""Enough channels for several groups."""


def drawn(seed: int) -> tuple[Network, Accelerator]:
    """A random network on a random accelerator with such rings; of every three, one has turns of a few rows, and one
    also late ones; every second shares memory. It may deadlock."""
    rng = np.random.default_rng([seed, 37])
    while True:
        network, _ = random_network(rng, LARGE)
        accelerator = parted(rng, network, sliced(rng, network, random_accelerator(rng, network, tightness=0.0)), 1.0)
        if not any(ring.parts > 1 for ring in accelerator.rings):
            continue
        if seed % 3:
            chunks = tuple([cut(rng, network, chunk, late=seed % 3 == 2) for chunk in accelerator.chunks])
            accelerator = replace(accelerator, chunks=chunks)
        if seed % 2:
            accelerator = shared(rng, network, accelerator)
        assert check_accelerator(network, accelerator) == ()
        return network, accelerator


@pytest.mark.parametrize("group", range(10))
def test_equals_the_token_machine(group: int) -> None:
    """Row by row, deadlocked designs among them; of those that run on, the exact rate is that of a long run, and a
    bundle's own recurrence predicts the same."""
    found: Counter[str] = Counter()
    for seed in range(12 * group, 12 * group + 12):
        network, accelerator = drawn(seed)
        n_frames = 1 + seed % 4
        machine = Machine(network, accelerator, n_frames)
        program = lower(network, accelerator)
        if not machine.run():
            with pytest.raises(DeadlockError):
                schedule(program, n_frames)
            found["deadlocks"] += 1
            continue
        assert_equal(schedule(program, n_frames), machine)
        found["runs"] += 1
        try:
            run = long_run(program)
        except DeadlockError:
            continue
        assert run.settled
        assert run.state.interval_cycles == steady_interval(program)
        assert_bundle_predicts(network, accelerator)
    assert found["runs"] >= 3, found


def test_some_share_memory_and_some_hold_less_than_a_map() -> None:
    """What the test above is about."""
    rings = [ring for seed in range(60) for edge in lower(*drawn(seed)).edges for ring in edge.rings if ring.parts > 1]
    assert sum(ring.rows < ring.map_rows // ring.parts for ring in rings) >= 5
    assert sum(ring.rows >= ring.map_rows for ring in rings) >= 5
    assert sum(ring.waits_for >= 0 for ring in rings) >= 5


@pytest.mark.parametrize("seed", range(6))
def test_work_is_that_of_whole_rows(seed: int) -> None:
    """A word of a buffer is a word of a buffer: events, weights and parameters are those of the job without slices."""
    network, accelerator = drawn(seed)
    plain = replace(
        accelerator,
        chunks=tuple(
            replace(c, jobs=tuple(replace(j, slices=1) for j in c.jobs), turns=()) for c in accelerator.chunks
        ),
        rings=tuple(replace(r, parts=1, rows=max(r.rows, network.tensors[r.tensor].height)) for r in accelerator.rings),
    )
    assert check_accelerator(network, plain) == ()
    first, second = (lower(network, one) for one in (accelerator, plain))
    assert frame_events(first) == frame_events(second)
    for a, b in zip(first.chunks, second.chunks, strict=True):
        assert (a.weight_depth, a.param_depth) == (b.weight_depth, b.param_depth)


def example() -> tuple[Network, Accelerator]:
    """The design of docs/template.md: a 1x1 layer to 4 channels, in two slices, and a depthwise one that takes them."""
    tensors = tuple(
        Tensor(name=name, height=2, width=1, channels=channels, signed=False)
        for name, channels in (("in", 1), ("middle", 4), ("out", 4))
    )
    kernel = {"kernel_h": 1, "kernel_w": 1, "shift": 1, "q_min": 0, "q_max": 255}
    layers = (
        Layer(name="first", op="dense", input=0, **kernel),  # type: ignore[arg-type]
        Layer(name="second", op="depthwise", input=1, **kernel),  # type: ignore[arg-type]
    )
    chunks = (
        Chunk(kind="dense", pm=2, pn=1, pq=1, jobs=(Job(layer=0, slices=2),)),
        Chunk(kind="depthwise", pm=2, pn=1, pq=1, jobs=(Job(layer=1, slices=2),)),
    )
    rings = (
        Ring(tensor=0, consumer=0, rows=2),
        Ring(tensor=1, consumer=1, rows=2, parts=2),
        Ring(tensor=2, consumer=HOST, rows=2),
    )
    network = Network(name="n", tensors=tensors, layers=layers)
    return network, Accelerator(pp=1, chunks=chunks, rings=rings, out_lanes=2)


def test_a_row_holds_the_words_of_a_slice() -> None:
    network, accelerator = example()
    assert check_accelerator(network, accelerator) == ()
    ring = next(r for edge in lower(network, accelerator).edges for r in edge.rings if r.parts > 1)
    # Of 4 channels in words of 2, a slice has one word; two rows of both slices are a frame of four rows.
    assert (ring.col_words, ring.row_words, ring.ring_words, ring.map_rows) == (1, 1, 2, 4)
    assert (ring.write_slices, ring.read_slices) == (1, 1)


def test_the_second_layer_starts_before_the_first_ends() -> None:
    """In whole rows the depthwise layer waits for the last slice of its producer."""
    network, accelerator = example()
    start, end = (getattr(schedule(lower(network, accelerator), 1), name) for name in ("job_start", "job_end"))
    assert start[1][0, 0] < end[0][0, 0]
    rings = tuple(replace(r, parts=1) for r in accelerator.rings)
    chunks = (accelerator.chunks[0], replace(accelerator.chunks[1], jobs=(Job(layer=1),)))
    plain = schedule(lower(network, replace(accelerator, rings=rings, chunks=chunks)), 1)
    assert plain.job_start[1][0, 0] > start[1][0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a: replace(a, rings=(a.rings[0], replace(a.rings[1], parts=1), a.rings[2])),
            "parts is 1, but layer 1 takes a slice of its channels; legal: 2",
        ),
        (
            lambda a: replace(a, rings=(replace(a.rings[0], parts=2), *a.rings[1:])),
            "parts is 2; legal: 1, but between two layers, on the main port of one that mixes no channels",
        ),
        (
            lambda a: replace(a, rings=(a.rings[0], replace(a.rings[1], parts=4), a.rings[2])),
            "parts is 4, but layers 0 and 1 have 2 and 2 slices; legal: as many parts as either has slices, or 1",
        ),
        (
            lambda a: replace(a, rings=(a.rings[0], replace(a.rings[1], parts=-2), a.rings[2])),
            "parts is -2; legal: 1..255",
        ),
        (
            lambda a: replace(a, chunks=(a.chunks[0], replace(a.chunks[1], jobs=(Job(layer=1, slices=3),)))),
            "slices of job 0 (layer 1) is 3; legal: divisors of its 2 groups of 2 channels",
        ),
    ],
    ids=["parts-missing", "from-host", "slices-differ", "negative", "no-divisor"],
)
def test_refused_by_name(change: object, message: str) -> None:
    network, accelerator = example()
    problems = check_accelerator(network, change(accelerator))  # type: ignore[operator]
    assert any(message in problem for problem in problems), problems


def test_channels_computed_must_be_as_many() -> None:
    """3 channels in groups of 2 are 4, in groups of 3 they are 3."""
    network, accelerator = example()
    tensors = (network.tensors[0], *(replace(t, channels=6) for t in network.tensors[1:]))
    chunks = (
        replace(accelerator.chunks[0], pm=4, jobs=(Job(layer=0, slices=2),)),
        replace(accelerator.chunks[1], pm=3, jobs=(Job(layer=1, slices=2),)),
    )
    problems = check_accelerator(replace(network, tensors=tensors), replace(accelerator, chunks=chunks))
    assert any("compute 8 and 6 channels, absent ones included; legal: as many" in p for p in problems), problems


def test_a_design_file_keeps_parts(tmp_path: Path) -> None:
    """A design with such rings comes back as it was; one without does not name them."""
    network, accelerator = drawn(3)
    network, weights = random_weights(np.random.default_rng(5), network)
    design = design_of("parts", network, weights, accelerator)
    save_design(design, weights, tmp_path)
    loaded = load_design(tmp_path / "design.json")[0]
    assert loaded == design
    assert max(ring.parts for ring in loaded.accelerator.rings) > 1
    assert '"parts"' not in tiny_design()[0].canonical_json()
