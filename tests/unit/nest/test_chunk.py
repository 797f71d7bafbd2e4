# SPDX-License-Identifier: Apache-2.0
"""The chunk template as a mapping: its counts are those of nba.machine.energy, which are those of the RTL
(tests/eda/test_events.py; tests/eda/test_nest.py compares with a simulation directly)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.loopnest import model
from nba.loopnest.chunk import engine_layer, engine_mapping
from nba.loopnest.description import load_hierarchy
from nba.loopnest.layer import INPUTS, OUTPUTS, WEIGHTS
from nba.loopnest.reference import execute
from nba.machine.energy import frame_events
from nba.machine.program import lower
from tests.strategies import NetworkLimits, Pair, random_pair
from tests.unit.hw_networks import TINY
from tests.unit.nest.engine import has_single_steps, nest_events, other_reads

pytestmark = pytest.mark.slow

LIMITS = (NetworkLimits(), NetworkLimits(max_channels=24, max_map=12), NetworkLimits(bits=16))


def pair_of(seed: int) -> Pair:
    return random_pair(np.random.default_rng([44, seed]), LIMITS[seed % len(LIMITS)])


@pytest.mark.parametrize("seed", range(90))
def test_events_of_random_designs(seed: int) -> None:
    pair = pair_of(seed)
    found = nest_events(pair.network, pair.accelerator)
    want = frame_events(pair.program)
    reads = want.edge_reads - other_reads(pair.network, pair.accelerator, pair.program)
    assert found.macs == want.macs
    assert found.outputs == want.requants
    if has_single_steps(pair.program):
        assert found.weight_words <= want.weight_reads
        assert found.activation_words <= reads
    else:
        assert found.weight_words == want.weight_reads
        assert found.activation_words == reads


def test_draws_cover_the_engines() -> None:
    pairs = [pair_of(seed) for seed in range(90)]
    exact = [pair for pair in pairs if not has_single_steps(pair.program)]
    layers = [(layer, pair) for pair in exact for layer in pair.network.layers]
    assert len(exact) >= 30
    assert {layer.op for layer, _ in layers} == {"dense", "depthwise", "avgpool", "maxpool"}
    assert {(layer.stride_h, layer.stride_w) for layer, _ in layers} == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert {layer.groups for layer, _ in layers} == {1, 2}
    assert {pair.accelerator.pp for pair in exact} == {1, 2, 4, 8}


def test_cycles_are_those_of_the_rows() -> None:
    """Engines that requantise as many channels as they compute: a step a cycle, as in the RTL, between one cycle to
    fetch the first operands and one to drain the last outputs; before and after that, the streams of the host."""
    hierarchy, checked = load_hierarchy("chunk-generic-xc7"), 0
    for seed in range(90):
        pair = pair_of(seed)
        for chunk, tables in zip(pair.accelerator.chunks, pair.program.chunks, strict=True):
            for job in tables.jobs:
                layer = engine_layer(pair.network, job.layer, chunk, pair.accelerator.pp)
                if chunk.pq != chunk.pm or job.row_cycles != job.col_groups * job.m_groups * job.steps:
                    continue
                found = model.access_counts(layer, hierarchy, engine_mapping(layer, chunk, pair.accelerator.pp)).cycles
                bits = layer.elements(WEIGHTS) * layer.weight_bits + layer.elements(INPUTS) * layer.act_bits
                streams = -(-bits // 64) + -(-layer.elements(OUTPUTS) * layer.act_bits // 64)
                assert found == streams + 1 + job.rows_out * job.row_cycles + 1
                checked += 1
    assert checked > 50


def test_a_layer_by_hand() -> None:
    """The stem of TINY: 5 x 5 x 6 outputs of 3 x 3 taps of one channel, on an engine of 4 x 2 x 2 MACs with pq 2."""
    network = replace(TINY, tensors=TINY.tensors[:2], layers=TINY.layers[:1])
    chunk = Chunk(kind="dense", pm=4, pn=2, pq=2, jobs=(Job(layer=0),))
    rings = (Ring(tensor=0, consumer=0, rows=3), Ring(tensor=1, consumer=HOST, rows=1))
    accelerator = Accelerator(pp=2, chunks=(chunk,), rings=rings, out_lanes=4)
    layer = engine_layer(network, 0, chunk, 2)
    # Channels filled up to 8 and 2, columns to 6.
    assert layer.extents == (1, 1, 8, 2, 5, 6, 3, 3)
    found = execute(layer, load_hierarchy("chunk-generic-xc7"), engine_mapping(layer, chunk, 2))
    # 5 rows, 3 column groups, 2 channel groups, 9 steps; in each, 4 x 2 weights, and 2 columns of 2 channels.
    steps = 5 * 3 * 2 * 9
    assert found.outer[2] == (steps * 8, steps * 4, 5 * 6 * 8)
    # Each of 16 multipliers has a weight, an activation of its own; the sums of two lanes are one output.
    assert found.inner[2] == (steps * 16, steps * 16, 2 * 5 * 6 * 8)
    events = nest_events(network, accelerator)
    assert (events.macs, events.weight_words, events.activation_words) == (steps * 16, steps, steps * 2)
    program = lower(network, accelerator)
    assert events.weight_words == frame_events(program).weight_reads
    assert events.outputs == frame_events(program).requants == 240
