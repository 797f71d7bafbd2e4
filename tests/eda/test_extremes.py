# SPDX-License-Identifier: Apache-2.0
"""Legal designs at the edges of the template, which random pairs are too small to reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.emit.bundle import emit_bundle
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.ir.check import check_network
from nba.ir.design import Design
from nba.ir.network import Layer, Network, Tensor, weights_digest
from nba.machine.check import check_accelerator
from nba.machine.program import lower
from nba.machine.total import exact_cost
from nba.verify.rtl import simulate_rtl
from nba.zoo.weights import random_codes, random_weights

pytestmark = [pytest.mark.eda, pytest.mark.usefixtures("simulated_here")]
PLATFORM = "zc706"


def _map(name: str, height: int, width: int, channels: int) -> Tensor:
    return Tensor(name=name, height=height, width=width, channels=channels, signed=False)


def _layer(index: int, op: str, kernel: tuple[int, int], stride: int = 1, pads: tuple[int, int] = (0, 0)) -> Layer:
    return Layer(
        name=f"layer {index}", op="depthwise" if op == "depthwise" else "dense", input=index, kernel_h=kernel[0],
        kernel_w=kernel[1], stride_h=stride, stride_w=stride, pad_top=pads[0], pad_left=pads[1], shift=8, q_min=0,
        q_max=255,
    )  # fmt: skip


def _wide_output() -> tuple[Network, Accelerator]:
    """8191 output channels, 8196 drained ones: more words a column than 13 bits count."""
    network = Network(
        name="n", tensors=(_map("a", 1, 1, 2), _map("b", 1, 1, 8191)), layers=(_layer(0, "dense", (1, 1)),)
    )
    chunk = Chunk(kind="dense", pm=6, pn=1, pq=1, jobs=(Job(layer=0),))
    rings = (Ring(tensor=0, consumer=0, rows=1), Ring(tensor=1, consumer=HOST, rows=1))
    return network, Accelerator(pp=1, chunks=(chunk,), rings=rings, out_lanes=1)


def _wide_inside() -> tuple[Network, Accelerator]:
    """The same between two chunks, with a consumer of one lane."""
    tensors = (_map("a", 1, 1, 2), _map("b", 1, 1, 8191), _map("c", 1, 1, 2))
    network = Network(name="n", tensors=tensors, layers=(_layer(0, "dense", (1, 1)), _layer(1, "dense", (1, 1))))
    chunks = (
        Chunk(kind="dense", pm=6, pn=1, pq=1, jobs=(Job(layer=0),)),
        Chunk(kind="dense", pm=2, pn=1, pq=2, jobs=(Job(layer=1),)),
    )
    rings = (
        Ring(tensor=0, consumer=0, rows=1),
        Ring(tensor=1, consumer=1, rows=1),
        Ring(tensor=2, consumer=HOST, rows=1),
    )
    return network, Accelerator(pp=1, chunks=chunks, rings=rings, out_lanes=2)


def _wide_map() -> tuple[Network, Accelerator]:
    """4095 columns, eight at a time, a kernel 128 columns wide with stride 2."""
    tensors = (_map("a", 1, 4095, 1), _map("b", 1, 2048, 1))
    network = Network(name="n", tensors=tensors, layers=(_layer(0, "depthwise", (1, 128), 2, (0, 63)),))
    chunk = Chunk(kind="depthwise", pm=1, pn=1, pq=1, jobs=(Job(layer=0),))
    rings = (Ring(tensor=0, consumer=0, rows=2), Ring(tensor=1, consumer=HOST, rows=1))
    return network, Accelerator(pp=8, chunks=(chunk,), rings=rings, out_lanes=1)


def _long_ring() -> tuple[Network, Accelerator]:
    """Rings of 32767 rows, the most whose 16-bit counters compare."""
    tensors = (_map("a", 5, 1, 1), _map("b", 5, 1, 1))
    network = Network(name="n", tensors=tensors, layers=(_layer(0, "dense", (3, 1), 1, (1, 0)),))
    chunk = Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=(Job(layer=0),))
    rings = (Ring(tensor=0, consumer=0, rows=32767), Ring(tensor=1, consumer=HOST, rows=32767))
    return network, Accelerator(pp=1, chunks=(chunk,), rings=rings, out_lanes=1)


def _wide_halves() -> tuple[Network, Accelerator]:
    """Two groups: 8190 channel groups that read halves of one word, then two that read halves of 4095 words."""
    tensors = (_map("a", 1, 1, 2), _map("b", 1, 1, 8190), _map("c", 1, 1, 2))
    layers = tuple(replace(_layer(i, "dense", (1, 1)), groups=2, rotate=1) for i in range(2))
    network = Network(name="n", tensors=tensors, layers=layers)
    chunk = Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=(Job(layer=0), Job(layer=1)))
    rings = (
        Ring(tensor=0, consumer=0, rows=1),
        Ring(tensor=1, consumer=1, rows=1),
        Ring(tensor=2, consumer=HOST, rows=1),
    )
    accelerator = Accelerator(pp=1, chunks=(chunk,), rings=rings, out_lanes=1)
    first, second = (job.halves for job in lower(network, accelerator).chunks[0].jobs)
    assert (first.words, first.first, first.turn_lo, first.turn_hi) == (1, 0, 4094, 8189)
    assert (second.words, second.first, second.turn_lo, second.turn_hi) == (4095, 1, 1, 2)
    return network, accelerator


@pytest.mark.parametrize("case", [_wide_output, _wide_inside, _wide_map, _long_ring, _wide_halves])
def test_bits_and_cycles(case: object, tmp_path: Path) -> None:
    assert callable(case)
    skeleton, accelerator = case()
    rng = np.random.default_rng(5)
    network, weights = random_weights(rng, skeleton)
    assert check_network(network) == ()
    assert check_accelerator(network, accelerator) == ()
    platform = get(PLATFORM)
    design = Design(
        name="extreme", network=network, accelerator=accelerator, platform=PLATFORM, clock_mhz=platform.clock_mhz,
        cost=exact_cost((lower(network, accelerator),), platform), weights_sha256=weights_digest(weights), seed=5,
        versions=(),
    )  # fmt: skip
    emit_bundle(design, weights, tmp_path / "bundle", random_codes(rng, network.tensors[0], 2))
    (batch,) = simulate_rtl(tmp_path / "bundle", "icarus", frames=(2,), work=tmp_path, tests=("cycles",)).batches
    assert batch.holds
