# SPDX-License-Identifier: Apache-2.0
"""Layers of two groups: what an engine walks, what its memory holds, and what every cost function counts."""

from __future__ import annotations

import numpy as np
import pytest

from nba.emit.memories import block_diagonal, job_weights
from nba.explore.modulo import job_time
from nba.explore.options import work_table
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.ir.check import check_network
from nba.ir.network import Layer, LayerWeights, Network, Tensor
from nba.machine.check import check_accelerator
from nba.machine.designs import layer_table, row_work
from nba.machine.geometry import ceil_div, channel_words
from nba.machine.program import ChunkProgram, JobProgram, lower
from nba.machine.timing import job_cycles
from tests.token_machine import Machine

KERNEL = (2, 3)


def grouped(n: int, m: int, rotate: int) -> Network:
    """One layer of two groups."""
    first = Tensor(name="a", height=3, width=5, channels=n, signed=False)
    last = Tensor(name="b", height=2, width=3, channels=m, signed=True)
    layer = Layer(
        name="l", op="dense", input=0, kernel_h=KERNEL[0], kernel_w=KERNEL[1], groups=2, rotate=rotate, shift=9,
        q_min=-128, q_max=127,
    )  # fmt: skip
    return Network(name="n", tensors=(first, last), layers=(layer,))


def engine(pm: int, pn: int, pq: int) -> Accelerator:
    """One dense chunk for it."""
    return Accelerator(
        pp=2,
        chunks=(Chunk(kind="dense", pm=pm, pn=pn, pq=pq, jobs=(Job(layer=0),)),),
        rings=(Ring(tensor=0, consumer=0, rows=3), Ring(tensor=1, consumer=HOST, rows=1)),
        out_lanes=pq,
    )


def half_of(network: Network, m: int) -> int:
    """The half of the input channels that output channel `m` sees, from the docstring of nba.ir.network.Layer."""
    return (m + network.layers[0].rotate) // (network.tensors[1].channels // 2) % 2


def lowered(network: Network, accelerator: Accelerator) -> tuple[ChunkProgram, JobProgram]:
    """The chunk and the job of a legal design."""
    assert not check_network(network)
    assert not check_accelerator(network, accelerator)
    (chunk,) = lower(network, accelerator).chunks
    return chunk, chunk.jobs[0]


def first_word(job: JobProgram, g: int) -> int:
    """The input word at which channel group `g` begins."""
    turned = job.halves.turn_lo <= g < job.halves.turn_hi
    return job.halves.words * (job.halves.first ^ turned)


def draw(rng: np.random.Generator) -> tuple[Network, Accelerator]:
    """Half of the draws have channels and rotations that lanes divide."""
    pq, a, pn = (int(v) for v in rng.integers(1, 4, 3))
    pm = pq * a
    if rng.random() < 0.5:
        n, m = 2 * pn * int(rng.integers(1, 4)), 2 * pm * int(rng.integers(1, 4))
        rotate = pm * int(rng.integers(m // pm))
    else:
        n, m = 2 * int(rng.integers(1, 9)), 2 * int(rng.integers(1, 9))
        rotate = int(rng.integers(m))
    return grouped(n, m, rotate), engine(pm, pn, pq)


@pytest.mark.parametrize("seed", range(200))
def test_an_engine_walks_what_its_channels_see(seed: int) -> None:
    """Weights in the order of the walk are those of the whole matrix, and no walk that leaves more out would do."""
    rng = np.random.default_rng([seed, 60])
    network, accelerator = draw(rng)
    n, m = (t.channels for t in network.tensors)
    chunk, job = lowered(network, accelerator)
    weight = rng.integers(1, 128, (m, n // 2, *KERNEL)).astype(np.int8)
    words = job_weights(chunk, job, network.layers[0], LayerWeights(weight=weight, bias=np.zeros(m), mult=np.zeros(m)))
    assert words.shape == (job.m_groups * job.steps, chunk.pm * chunk.pn) == (job.weight_words, chunk.pm * chunk.pn)
    walked = np.zeros((job.m_groups * chunk.pm, 4 * n + 4 * chunk.pn, *KERNEL), np.int64)
    rows = iter(words)
    for g in range(job.m_groups):
        for ky in range(KERNEL[0]):
            for kx in range(KERNEL[1]):
                for word in range(first_word(job, g), first_word(job, g) + job.chan_words):
                    found = next(rows).reshape(chunk.pm, chunk.pn)
                    walked[g * chunk.pm : (g + 1) * chunk.pm, word * chunk.pn : (word + 1) * chunk.pn, ky, kx] = found
    wanted = np.zeros_like(walked)
    for k in range(m):
        begin = half_of(network, k) * n // 2
        wanted[k, begin : begin + n // 2] = weight[k]
    assert np.array_equal(walked, wanted)
    assert np.array_equal(block_diagonal(network.layers[0], weight), wanted[:m, :n])
    both = any(
        len({half_of(network, k) for k in range(g * chunk.pm, min(m, (g + 1) * chunk.pm))}) > 1
        for g in range(job.m_groups)
    )
    aligned = n % (2 * chunk.pn) == 0 and m % (2 * chunk.pm) == 0 and not both
    assert job.chan_words == (n // 2 // chunk.pn if aligned else ceil_div(n, chunk.pn))
    assert (job.halves.words > 0) == aligned


@pytest.mark.parametrize("seed", range(100))
def test_every_cost_counts_the_same_cycles(seed: int) -> None:
    network, accelerator = draw(np.random.default_rng([seed, 61]))
    _, job = lowered(network, accelerator)
    only = accelerator.chunks[0]
    pp = accelerator.pp
    row = max(row_work(layer_table(network)[0], pp, only.pm, only.pn, only.pq), 2)
    assert row == job.row_cycles
    assert job_time(network, 0, only, accelerator).row == job.row_cycles
    assert Machine(network, accelerator, 1).chunks[0].works[0].row_cycles == job.row_cycles
    sizes = np.array([[1, only.pm, only.pn, only.pq]], np.int64)
    work, weights, params = work_table(layer_table(network), sizes, pp)
    assert work[0, 0] == job_cycles(job.rows_out, job.row_cycles)
    assert (weights[0, 0], params[0, 0]) == (job.weight_words, job.param_words)


def test_halves_written_out() -> None:
    """16 outputs on 4 lanes: the groups that read the second half, for every rotation that the lanes divide."""
    second = {0: [2, 3], 4: [1, 2], 8: [0, 1], 12: [0, 3]}
    for rotate, groups in second.items():
        _, job = lowered(grouped(12, 16, rotate), engine(4, 2, 2))
        assert job.chan_words == 3
        assert [g for g in range(4) if first_word(job, g) == 3] == groups
        assert [g for g in range(4) if first_word(job, g) == 0] == sorted({0, 1, 2, 3} - set(groups))
    for rotate in (1, 2, 6, 15):
        _, job = lowered(grouped(12, 16, rotate), engine(4, 2, 2))
        assert (job.chan_words, job.halves.words) == (6, 0)
    assert channel_words(12, 4, 16, 4, 2, 0) == 3
    assert channel_words(12, 6, 16, 4, 2, 0) == 1
    assert channel_words(12, 2, 16, 4, 1, 0) == 6


def test_a_quarter_is_the_channel_shuffle() -> None:
    """A projection of two groups behind an expansion rotated by a quarter sees as many channels of either group: the
    connections are those of the shuffle of ShuffleNet, up to the order of channels."""
    for m in (4, 8, 20):
        network = grouped(6, m, m // 4)
        for half in range(2):
            seen = [half_of(network, k) for k in range(half * m // 2, (half + 1) * m // 2)]
            assert sorted(seen) == [0] * (m // 4) + [1] * (m // 4)
