# SPDX-License-Identifier: Apache-2.0
"""Every rule of the legality tables is violated at least once, and the violation is found by that rule and named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nba.core.errors import DesignError
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring, Turn, UltraMemory, WeightMemory
from nba.ir.check import check_network, check_weights
from nba.ir.design import Cost, Design
from nba.ir.network import Layer, LayerWeights, Network, Tensor, Weights, weight_shape, weights_digest
from nba.ir.network_rules import NETWORK_RULES, WEIGHT_RULES, Weighted
from nba.ir.rules import apply_rules
from nba.machine.accelerator_rules import ACCELERATOR_RULES, MappedNetwork
from nba.machine.check import check_accelerator, check_design
from tests.strategies import random_accelerator, random_network

# A network of three layers with a residual, and a legal accelerator of two chunks.


def tensor(name: str, channels: int, signed: bool = False) -> Tensor:
    return Tensor(name=name, height=4, width=5, channels=channels, signed=signed)


NETWORK = Network(
    name="n",
    tensors=(tensor("in", 3), tensor("a", 4), tensor("b", 4), tensor("out", 4, signed=True)),
    layers=(
        Layer(
            name="first",
            op="dense",
            input=0,
            kernel_h=3,
            kernel_w=3,
            pad_top=1,
            pad_left=1,
            shift=8,
            q_min=0,
            q_max=255,
        ),
        Layer(
            name="middle",
            op="depthwise",
            input=1,
            kernel_h=3,
            kernel_w=3,
            pad_top=1,
            pad_left=1,
            shift=8,
            q_min=0,
            q_max=255,
        ),
        Layer(
            name="last",
            op="dense",
            input=2,
            residual=1,
            kernel_h=1,
            kernel_w=1,
            shift=8,
            res_mult=9,
            q_min=-128,
            q_max=127,
        ),
    ),
)
WEIGHTS: Weights = tuple(
    LayerWeights(
        weight=np.ones(weight_shape(NETWORK, i), np.int8),
        bias=np.zeros(NETWORK.result(i).channels, np.int32),
        mult=np.full(NETWORK.result(i).channels, 7, np.int32),
    )
    for i in range(3)
)
ACCELERATOR = Accelerator(
    pp=2,
    chunks=(
        Chunk(kind="dense", pm=4, pn=2, pq=2, jobs=(Job(layer=0), Job(layer=2))),
        Chunk(kind="depthwise", pm=2, pn=1, pq=2, jobs=(Job(layer=1),)),
    ),
    rings=(
        Ring(tensor=0, consumer=0, rows=3),
        Ring(tensor=1, consumer=1, rows=4),
        Ring(tensor=1, consumer=2, port="residual", rows=4),
        Ring(tensor=2, consumer=2, rows=4),
        Ring(tensor=3, consumer=HOST, rows=1),
    ),
    out_lanes=2,
)


def with_layer(index: int, **changes: Any) -> Network:
    layers = list(NETWORK.layers)
    layers[index] = replace(layers[index], **changes)
    return replace(NETWORK, layers=tuple(layers))


def with_tensor(index: int, network: Network = NETWORK, **changes: Any) -> Network:
    tensors = list(network.tensors)
    tensors[index] = replace(tensors[index], **changes)
    return replace(network, tensors=tuple(tensors))


def with_weights(index: int, **changes: Any) -> Weights:
    layers = list(WEIGHTS)
    fields = {"weight": layers[index].weight, "bias": layers[index].bias, "mult": layers[index].mult}
    layers[index] = LayerWeights(**{**fields, **changes})
    return tuple(layers)


def with_chunk(index: int, **changes: Any) -> Accelerator:
    chunks = list(ACCELERATOR.chunks)
    chunks[index] = replace(chunks[index], **changes)
    return replace(ACCELERATOR, chunks=tuple(chunks))


def with_ring(index: int, **changes: Any) -> Accelerator:
    rings = list(ACCELERATOR.rings)
    rings[index] = replace(rings[index], **changes)
    return replace(ACCELERATOR, rings=tuple(rings))


WIDE = replace(NETWORK, tensors=tuple(replace(t, bits=16) for t in NETWORK.tensors))
LONG = with_layer(0, kernel_h=63, kernel_w=63, act_bits=16, weight_bits=16, weight_store_bits=16)

NETWORK_CASES: list[tuple[str, Network, str]] = [
    ("counts", Network(name="n", tensors=NETWORK.tensors[:1], layers=()), "has no layers"),
    ("counts", replace(NETWORK, tensors=NETWORK.tensors[:3]), "3 tensors for 3 layers"),
    ("counts", Network(name="n", tensors=(), layers=NETWORK.layers), "0 tensors for 3 layers"),
    ("names", with_layer(1, name="n" * 201), "layer 1: its name has 201 characters; legal: at most 200"),
    ("names", with_tensor(0, name="n" * 1_000_000), "tensor 0: its name has 1000000 characters"),
    ("names", replace(NETWORK, name="n" * 201), "network: its name has 201 characters"),
    ("scale", with_tensor(0, scale=0.0), "tensor 0 ('in'): scale is 0.0; legal: 1e-30..1e+30"),
    ("scale", with_tensor(1, scale=float("inf")), "tensor 1 ('a'): scale is inf"),
    ("scale", with_tensor(2, scale=float("nan")), "tensor 2 ('b'): scale is nan"),
    ("scale", with_tensor(2, scale=-1.0), "tensor 2 ('b'): scale is -1.0"),
    ("topological", with_layer(1, input=2), "layer 1 ('middle'): input tensor is 2; legal: 0..1"),
    ("topological", with_layer(1, input=-1), "layer 1 ('middle'): input tensor is -1; legal: 0..1"),
    ("topological", with_layer(2, residual=3), "layer 2 ('last'): residual tensor is 3; legal: 0..2"),
    ("nested bits", with_layer(0, act_bits=1), "layer 0 ('first'): act_bits is 1; legal: 2..8"),
    ("nested bits", with_layer(0, act_bits=-3), "act_bits is -3"),
    ("nested bits", with_layer(0, act_bits=9), "act_bits is 9"),
    ("nested bits", with_layer(0, act_bits=16), "act_bits is 16; legal: 2..8"),
    ("nested bits", with_layer(0, weight_bits=9, weight_store_bits=9), "weight_store_bits is 9; legal: 2..8 or 16"),
    ("nested bits", with_layer(0, weight_bits=16), "weight_bits is 16; legal: 2..8"),
    ("nested bits", with_layer(0, weight_bits=12, weight_store_bits=16), "weight_bits is 12; legal: 2..8 or 16"),
    ("nested bits", replace(WIDE, layers=with_layer(1, act_bits=12).layers), "act_bits is 12; legal: 2..8 or 16"),
    ("master bits", with_tensor(0, bits=12), "tensor 0 ('in'): bits is 12; legal: 8 or 16"),
    ("master bits", with_tensor(1, bits=16), "tensor 1 ('a'): bits is 16; legal: 8, as of tensor 0"),
    ("zero point range", with_tensor(3, WIDE, zero_point=32768), "zero_point is 32768; legal: -32768..32767"),
    ("clamp", replace(WIDE, layers=with_layer(0, q_max=65536).layers), "q_max is 65536; legal: 0..65535"),
    ("nested bits", with_layer(0, weight_bits=6, weight_store_bits=4), "weight_bits is 6; legal: 2..4"),
    ("nested bits", with_layer(0, weight_bits=1), "weight_bits is 1; legal: 2..8"),
    ("dimensions", with_tensor(1, height=4096), "tensor 1 ('a'): height is 4096; legal: 1..4095"),
    ("dimensions", with_tensor(1, width=0), "tensor 1 ('a'): width is 0"),
    ("dimensions", with_tensor(1, channels=-1), "tensor 1 ('a'): channels is -1"),
    ("zero point range", with_tensor(3, zero_point=-129), "tensor 3 ('out'): zero_point is -129; legal: -128..127"),
    ("zero point range", with_tensor(2, zero_point=256), "tensor 2 ('b'): zero_point is 256; legal: 0..255"),
    ("consumed", with_layer(2, input=1), "tensor 2 ('b'): no layer reads it"),
    (
        "op known",
        with_layer(0, op="minpool"),
        "layer 0 ('first'): op is 'minpool'; legal: dense, depthwise, avgpool, maxpool",
    ),
    ("operator", with_tensor(0, with_layer(1, op="avgpool", input=0)), "layer 1 ('middle'): avgpool from 3 to 4"),
    ("kernel", with_layer(0, kernel_h=129), "layer 0 ('first'): kernel_h is 129; legal: 1..128"),
    ("kernel", with_layer(2, kernel_w=0), "layer 2 ('last'): kernel_w is 0; legal: 1..128"),
    ("groups", with_layer(0, groups=3), "layer 0 ('first'): groups is 3; legal: 1..2"),
    ("groups", with_layer(2, groups=0), "layer 2 ('last'): groups is 0; legal: 1..2"),
    ("operator", with_layer(2, rotate=1), "layer 2 ('last'): rotate is 1 with one group; legal: 0"),
    (
        "operator",
        with_layer(1, groups=2),
        "layer 1 ('middle'): depthwise with groups 2; legal: 1 (others for dense only)",
    ),
    (
        "operator",
        with_layer(1, rotate=2),
        "layer 1 ('middle'): depthwise with rotate 2; legal: 0 (others for dense only)",
    ),
    ("operator", with_layer(0, groups=2), "layer 0 ('first'): 3 input channels in 2 groups; legal: an even number"),
    ("operator", with_tensor(3, with_layer(2, groups=2), channels=5), "5 output channels in 2 groups"),
    ("operator", with_layer(2, groups=2, rotate=4), "layer 2 ('last'): rotate is 4; legal: 0..3"),
    ("operator", with_layer(2, groups=2, rotate=-1), "layer 2 ('last'): rotate is -1; legal: 0..3"),
    ("stride", with_layer(0, stride_h=5), "layer 0 ('first'): stride_h is 5; legal: 1..4"),
    ("stride", with_layer(0, stride_w=0), "layer 0 ('first'): stride_w is 0"),
    ("padding", with_layer(0, pad_top=3), "layer 0 ('first'): pad_top is 3; legal: 0..2"),
    ("padding", with_layer(0, pad_left=-1), "layer 0 ('first'): pad_left is -1; legal: 0..2"),
    ("windows", with_tensor(1, height=6), "layer 0 ('first'): the window of output row 5 begins at input row 4"),
    ("windows", with_tensor(1, width=7), "the window of output column 6 begins at input column 5; legal: at most 4"),
    ("requantisation", with_layer(1, shift=0), "layer 1 ('middle'): shift is 0; legal: 1..47"),
    ("requantisation", with_layer(1, shift=48), "layer 1 ('middle'): shift is 48"),
    ("requantisation", with_layer(2, res_mult=65536), "layer 2 ('last'): res_mult is 65536; legal: 0..65535"),
    ("requantisation", with_layer(1, res_mult=5), "layer 1 ('middle'): res_mult is 5 without a residual; legal: 0"),
    ("shifts", with_layer(0, shifts=(8, 9)), "layer 0 ('first'): 2 shifts; legal: 4, one for every output channel"),
    ("shifts", with_layer(0, shifts=()), "layer 0 ('first'): 0 shifts; legal: 4"),
    ("shifts", with_layer(0, shifts=(8, 9, 9, 48)), "layer 0 ('first'): largest of shifts is 48; legal: 1..47"),
    ("shifts", with_layer(0, shift=1, shifts=(0, 1, 1, 1)), "layer 0 ('first'): smallest of shifts is 0; legal: 1..47"),
    ("shifts", with_layer(0, shifts=(9, 9, 10, 11)), "layer 0 ('first'): shift is 8; legal: 9, the smallest of its"),
    (
        "shifts",
        with_layer(2, shifts=(8, 8, 9, 8)),
        "layer 2 ('last'): shifts 8..9 with a residual; legal: equal shifts (res_mult, which scales the residual",
    ),
    ("pad codes", with_layer(0, pad_codes=(1, 2)), "layer 0 ('first'): 2 pad_codes; legal: 3, one for every input"),
    ("pad codes", with_layer(0, pad_codes=(1, 2, 256)), "layer 0 ('first'): pad_codes 1..256; legal: 0..255"),
    ("pad codes", with_layer(0, pad_codes=(-1, 2, 3)), "layer 0 ('first'): pad_codes -1..3; legal: 0..255"),
    (
        "pad codes",
        with_layer(2, pad_codes=(1, 2, 3, 4)),
        "layer 2 ('last'): pad_codes of a layer whose windows lie in the map; legal: none",
    ),
    (
        "pad codes",
        with_layer(1, op="maxpool", pad_codes=(1, 2, 3, 4)),
        "layer 1 ('middle'): pad_codes of maxpool; legal: none (padding inserts the least code, which never wins)",
    ),
    ("clamp", with_layer(0, q_min=-1), "layer 0 ('first'): q_min is -1; legal: 0..255"),
    ("clamp", with_layer(2, q_max=128), "layer 2 ('last'): q_max is 128; legal: -128..127"),
    ("clamp", with_layer(0, q_min=9, q_max=8), "layer 0 ('first'): q_min 9 exceeds q_max 8"),
    (
        "zero point nests",
        with_tensor(0, with_layer(0, act_bits=4), zero_point=24),
        "tensor 0 ('in') has zero_point 24; legal with act_bits 4: multiples of 16",
    ),
    (
        "residual shape",
        with_layer(2, residual=0),
        "layer 2 ('last'): residual tensor 0 ('in') has shape (4, 5, 3); legal: the output's (4, 5, 4)",
    ),
    (
        "accumulator",
        with_tensor(0, replace(WIDE, layers=LONG.layers), channels=10),
        "layer 0 ('first'): accumulator of 48 bits (39690 products); legal: at most 46",
    ),
]

GROUPED = with_layer(2, groups=2, rotate=3)

WEIGHT_CASES: list[tuple[str, Network, Weights, str]] = [
    ("weight count", NETWORK, WEIGHTS[:2], "weights: of 2 layers; legal: 3"),
    ("weight count", NETWORK, (*WEIGHTS, WEIGHTS[0]), "weights: of 4 layers; legal: 3"),
    ("weight arrays", NETWORK, with_weights(0, weight=np.ones((4, 3, 3, 3), np.int16)), "weight is of dtype int16"),
    (
        "weight arrays",
        NETWORK,
        with_weights(1, weight=np.ones((4, 9), np.int8)),
        "weight has shape (4, 9); legal: (4, 3, 3)",
    ),
    ("weight arrays", with_layer(0, weight_store_bits=16), WEIGHTS, "weight is of dtype int8; legal: int16"),
    ("weight arrays", GROUPED, WEIGHTS, "layer 2 ('last'): weight has shape (4, 4, 1, 1); legal: (4, 2, 1, 1)"),
    ("weight arrays", NETWORK, with_weights(1, bias=np.zeros(3, np.int32)), "layer 1 ('middle'): bias has shape (3,)"),
    ("weight arrays", NETWORK, with_weights(1, mult=np.zeros(4, np.int64)), "mult is of dtype int64; legal: int32"),
    (
        "weight range",
        with_layer(0, weight_store_bits=4, weight_bits=4),
        with_weights(0, weight=np.full((4, 3, 3, 3), 8, np.int8)),
        "layer 0 ('first'): weight 8..8; legal: -8..7 (4 bits signed)",
    ),
    (
        "weight range",
        with_layer(0, weight_store_bits=4, weight_bits=2),
        with_weights(0, weight=np.full((4, 3, 3, 3), -9, np.int8)),
        "weight -9..-9; legal: -8..7",
    ),
    (
        "bias range",
        NETWORK,
        with_weights(2, bias=np.array([0, 1 << 17, 0, 0], np.int32)),
        "layer 2 ('last'): bias 0..131072; legal: -131072..131071 (18 bits signed)",
    ),
    ("bias range", NETWORK, with_weights(2, bias=np.array([0, 0, 0, -(1 << 17) - 1], np.int32)), "bias -131073..0"),
    (
        "mult range",
        NETWORK,
        with_weights(1, mult=np.array([0, 1, 2, 65536], np.int32)),
        "mult 0..65536; legal: 0..65535",
    ),
    ("mult range", NETWORK, with_weights(1, mult=np.array([0, 1, 2, -1], np.int32)), "mult -1..2"),
]

JOBS = ACCELERATOR.chunks[0].jobs
MANY = tuple(Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=(Job(layer=0),)) for _ in range(64))


def line(n_layers: int, height: int = 1, channels: int = 1) -> Network:
    """A chain of 1x1 layers."""
    layers = tuple(
        Layer(name=f"l{i}", op="dense", input=i, kernel_h=1, kernel_w=1, shift=1, q_min=0, q_max=1)
        for i in range(n_layers)
    )
    one = Tensor(name="t", height=height, width=1, channels=channels, signed=False)
    return Network(name="line", tensors=(one,) * (n_layers + 1), layers=layers)


def line_machine(network: Network, alternating: bool = False, **engine: int) -> Accelerator:
    """One chunk for a chain, or two that take turns."""
    owners = 2 if alternating else 1
    n = len(network.layers)
    sizes = {"pm": 1, "pn": 1, "pq": 1, **engine}
    return Accelerator(
        pp=1,
        chunks=tuple(
            Chunk(kind="dense", jobs=tuple(Job(layer=i) for i in range(k, n, owners)), **sizes) for k in range(owners)
        ),
        rings=tuple(Ring(tensor=i, consumer=i if i < n else HOST, rows=1) for i in range(n + 1)),
        out_lanes=1,
    )


def star(n_readers: int) -> tuple[Network, Accelerator]:
    """A tensor with many readers, all in one chunk: as many lanes, joined by residuals in a chain."""
    layers = [Layer(name="root", op="dense", input=0, kernel_h=1, kernel_w=1, shift=1, q_min=0, q_max=1)]
    for i in range(1, n_readers + 1):
        joined = i if i > 1 else None
        layers.append(
            Layer(name=f"l{i}", op="dense", input=1, residual=joined, kernel_h=1, kernel_w=1, shift=1, q_min=0, q_max=1)
        )
    one = Tensor(name="t", height=1, width=1, channels=1, signed=False)
    network = Network(name="star", tensors=(one,) * (len(layers) + 1), layers=tuple(layers))
    rings = []
    for t in range(len(network.tensors)):
        for c, p in network.consumers(t):
            rings.append(Ring(tensor=t, consumer=c, port=p, rows=1, lane=c - 1 if t == 1 and p == "main" else 0))  # type: ignore[arg-type]
    rings.append(Ring(tensor=len(layers), consumer=HOST, rows=1))
    chunks = (
        Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=(Job(layer=0),)),
        Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=tuple(Job(layer=i) for i in range(1, len(layers)))),
    )
    return network, Accelerator(pp=1, chunks=chunks, rings=tuple(rings), out_lanes=1)


def in_rings(accelerator: Accelerator, **changes: Any) -> Accelerator:
    return replace(accelerator, rings=tuple(replace(r, **changes) for r in accelerator.rings))


def in_slices_apart(network: Network, slices: int) -> Accelerator:
    """Two chunks that share a chain by turns, every job in slices."""
    accelerator = line_machine(network, alternating=True, pm=2)
    chunks = [replace(c, jobs=tuple([replace(job, slices=slices) for job in c.jobs])) for c in accelerator.chunks]
    return replace(accelerator, chunks=tuple(chunks))


def in_slices(network: Network, slices: int, *turns: int, rows: int = 4, **engine: int) -> Accelerator:
    """One chunk of two output channels for a chain, every job in slices. turns: rows of the turns of job 0; the other
    jobs have one turn a slice."""
    accelerator = in_rings(line_machine(network, **{"pm": 2, "pn": 2, **engine}), rows=rows)
    (chunk,) = accelerator.chunks
    jobs = tuple(replace(job, slices=slices) for job in chunk.jobs)
    own = [Turn(job=0, rows=n) for n in turns]
    own += [Turn(job=j, rows=4) for j in range(1, len(jobs)) for _ in range(slices) if turns]
    return replace(accelerator, chunks=(replace(chunk, jobs=jobs, turns=tuple(own)),))


def streamed(accelerator: Accelerator, *which: int, **memory: Any) -> Accelerator:
    """`accelerator` with the weights of all jobs of those chunks, or of all chunks, in external memory."""
    chunks = [
        replace(c, jobs=tuple([replace(job, streamed=True) for job in c.jobs])) if k in which or not which else c
        for k, c in enumerate(accelerator.chunks)
    ]
    port = WeightMemory(**{"bus_bits": 32, "latency": 9, "burst": 4, **memory})
    return replace(accelerator, chunks=tuple(chunks), memory=port)


def in_ultra(accelerator: Accelerator, *memories: UltraMemory) -> Accelerator:
    return replace(accelerator, ultra=memories)


def half_streamed() -> Accelerator:
    """The first of two jobs of chunk 0 has its weights in external memory."""
    jobs = ACCELERATOR.chunks[0].jobs
    one = with_chunk(0, jobs=(replace(jobs[0], streamed=True), *jobs[1:]))
    return replace(one, memory=WeightMemory(bus_bits=32, latency=9, burst=4))


def without_memory(accelerator: Accelerator) -> Accelerator:
    return replace(accelerator, memory=None)


def one_each(network: Network) -> Accelerator:
    """A chunk for every layer of a chain."""
    (chunk,) = line_machine(network).chunks
    chunks = tuple([replace(chunk, jobs=(job,)) for job in chunk.jobs])
    return replace(line_machine(network), chunks=chunks)


def in_order(accelerator: Accelerator, *turns: int) -> Accelerator:
    """`accelerator`, of one chunk, with turns of a row of these jobs."""
    (chunk,) = accelerator.chunks
    return replace(accelerator, chunks=(replace(chunk, turns=tuple([Turn(job=j, rows=1) for j in turns])),))


DEEP = line(300)
TWO_ROWS = line(2, height=2)
NESTED = with_layer(0, weight_bits=4)
FEW = line(32, channels=510)
LARGE = line(5, channels=4088)
LONG = line(130)
TALL = line(2, height=4095, channels=33)
WIDE = line(1, channels=4095)
SIX = line(2, height=4, channels=6)
FIVE = line(2, height=4, channels=5)
SKIPPING = line(2, height=4)
SKIPPING = replace(
    SKIPPING,
    tensors=(*SKIPPING.tensors[:2], replace(SKIPPING.tensors[2], height=2)),
    layers=(SKIPPING.layers[0], replace(SKIPPING.layers[1], stride_h=2)),
)
"""Its second layer reads every second row of four."""
ACCELERATOR_CASES: list[tuple[str, Network, Accelerator, str]] = [
    ("columns", NETWORK, replace(ACCELERATOR, pp=17), "accelerator: pp is 17; legal: 1..16"),
    ("columns", NETWORK, replace(ACCELERATOR, pp=9, packing=2), "accelerator: pp times packing is 18; legal: up to 16"),
    ("columns", NETWORK, replace(ACCELERATOR, pp=5, packing=3), "accelerator: packing is 3; legal: 1, 2, 4"),
    (
        "columns of a chunk",
        NETWORK,
        with_chunk(0, columns=3),
        "chunk 0 (dense pm=4 pn=2 pq=2): columns is 3; legal: 0, and divisors of pp, 2",
    ),
    ("columns of a chunk", NETWORK, with_chunk(1, columns=4), "columns is 4; legal: 0, and divisors of pp, 2"),
    ("columns of a chunk", NETWORK, with_chunk(1, columns=-1), "columns is -1; legal: 0, and divisors of pp, 2"),
    (
        "streamed weights",
        NETWORK,
        without_memory(streamed(ACCELERATOR, 0)),
        "job 1 (layer 2) is streamed, but the accelerator has no memory; legal: a memory, or weights on chip",
    ),
    (
        "streamed weights",
        with_layer(1, op="maxpool"),
        streamed(ACCELERATOR),
        "chunk 1 (depthwise pm=2 pn=1 pq=2): job 0 (layer 1) is streamed, but maxpool has no weights; legal: not "
        "streamed",
    ),
    (
        "streamed weights",
        NETWORK,
        streamed(ACCELERATOR, 7),
        "accelerator: has a memory, but no job is streamed; legal: no memory",
    ),
    (
        "streamed weights",
        NETWORK,
        streamed(ACCELERATOR, 0, bus_bits=48),
        "memory.bus_bits is 48; legal: 32, 64, 128, 256, 512",
    ),
    ("streamed weights", NETWORK, streamed(ACCELERATOR, 0, latency=0), "memory.latency is 0; legal: 1..4095"),
    ("streamed weights", NETWORK, streamed(ACCELERATOR, 0, latency=4096), "memory.latency is 4096"),
    ("streamed weights", NETWORK, streamed(ACCELERATOR, 0, slots=1), "memory.slots is 1; legal: 2..8"),
    ("streamed weights", NETWORK, streamed(ACCELERATOR, 0, slots=9), "memory.slots is 9"),
    ("streamed weights", NETWORK, streamed(ACCELERATOR, 0, burst=0), "memory.burst is 0; legal: 1..256"),
    (
        "streamed weights",
        NETWORK,
        streamed(ACCELERATOR, 0, burst=3),
        "memory.burst is 3 beats of 32 bits; legal: powers of two, up to 4096 bytes",
    ),
    (
        "streamed weights",
        NETWORK,
        streamed(ACCELERATOR, 0, burst=128, bus_bits=512),
        "memory.burst is 128 beats of 512 bits; legal: powers of two, up to 4096 bytes",
    ),
    (
        "fetches",
        TWO_ROWS,
        in_order(streamed(in_rings(line_machine(TWO_ROWS), rows=2)), 0, 1, 0, 1),
        "slice 0 of job 1 is computed before the slice of another turn ends; "
        "legal: streamed slices one after the other",
    ),
    (
        "fetches",
        WIDE,
        streamed(line_machine(WIDE), slots=8),
        "weight words with 8 slots is 134152200; legal: 1..65535",
    ),
    (
        "fetches",
        WIDE,
        streamed(line_machine(WIDE, pm=64, pn=512), bus_bits=32),
        "beats of a slice is 4194304; legal: 1..65535",
    ),
    (
        "fetches",
        NESTED,
        streamed(ACCELERATOR, 0),
        "streams weights that it rounds and multiplies in pairs; legal: weights as stored",
    ),
    (
        "fetches",
        NESTED,
        replace(streamed(ACCELERATOR, 0, bus_bits=128), packing=2),
        "streams weights that it rounds, in words of half a beat of 128 bits or less; legal: a narrower port",
    ),
    (
        "fetches",
        line(16),
        streamed(one_each(line(16))),
        "accelerator: chunks that stream weights is 16; legal: 1..15",
    ),
    (
        "fetches",
        FEW,
        streamed(in_slices_apart(FEW, 255)),
        "accelerator: slices of weights in a round is 8160; legal: 1..4096",
    ),
    (
        "fetches",
        LARGE,
        streamed(in_slices(LARGE, 73, rows=1, pm=8, pn=8), burst=1),
        "accelerator: bursts of 1 beats of the image of weights is 20889680; legal: 1..16777216",
    ),
    *(
        (
            "fetches",
            NETWORK,
            streamed(ACCELERATOR, 0, order=order),
            "accelerator: memory.order does not name every slice of a round; legal: chunk 0 2 times",
        )
        for order in ((0,), (0, 0, 0), (0, 1), (0, 9), (-1, 0))
    ),
    (
        "UltraRAM",
        NETWORK,
        in_ultra(ACCELERATOR, UltraMemory(producer=0, consumer=1, port="main", lane=3)),
        "accelerator: ultra[0] (edge chunk 0 -> chunk 1 main lane 3): there is no such buffer; legal: buffers that",
    ),
    (
        "UltraRAM",
        NETWORK,
        in_ultra(ACCELERATOR, *(UltraMemory(producer=0, consumer=1, port="main"),) * 2),
        "accelerator: ultra[1] (edge chunk 0 -> chunk 1 main lane 0) is named twice; legal: once",
    ),
    *(
        (
            "UltraRAM",
            NETWORK,
            in_ultra(streamed(ACCELERATOR, 0), UltraMemory(producer=producer, consumer=k, port="weights", lane=lane)),
            "there is no such store; legal: from the host, lane 0, to a chunk that streams (0)",
        )
        for producer, k, lane in ((HOST, 1, 0), (HOST, -1, 0), (HOST, 9, 0), (0, 0, 0), (HOST, 0, 1))
    ),
    (
        "UltraRAM",
        NETWORK,
        in_ultra(ACCELERATOR, UltraMemory(producer=HOST, consumer=0, port="weights")),
        "accelerator: ultra[0] (weights of chunk 0): there is no such store; legal: from the host, lane 0, to a chunk "
        "that streams (none)",
    ),
    (
        "UltraRAM",
        NETWORK,
        in_ultra(half_streamed(), UltraMemory(producer=HOST, consumer=0, port="weights")),
        "accelerator: ultra[0] (weights of chunk 0): 2 of its words are always there, and nothing fills UltraRAM with",
    ),
    ("price of block RAM", NETWORK, replace(ACCELERATOR, block_luts=-1), "block_luts is -1; legal: 0..4095"),
    ("chunk count", NETWORK, replace(ACCELERATOR, chunks=()), "accelerator: number of chunks is 0; legal: 1..48"),
    ("chunk count", NETWORK, replace(ACCELERATOR, chunks=MANY), "number of chunks is 64"),
    ("engine", NETWORK, with_chunk(0, kind="sparse"), "chunk 0: kind is 'sparse'; legal: dense, depthwise"),
    ("engine", NETWORK, with_chunk(0, pm=0), "chunk 0 (dense pm=0 pn=2 pq=2): pm is 0; legal: 1..4095"),
    ("engine", NETWORK, with_chunk(0, pq=0), "pq is 0"),
    ("engine", NETWORK, with_chunk(1, pn=4096), "pn is 4096"),
    ("engine", NETWORK, replace(ACCELERATOR, out_lanes=0), "accelerator: out_lanes is 0"),
    (
        "job layers",
        NETWORK,
        with_chunk(1, jobs=(Job(layer=3),)),
        "chunk 1 (depthwise pm=2 pn=1 pq=2): layer of job 0 is 3; legal: 0..2",
    ),
    ("job layers", NETWORK, with_chunk(1, jobs=(Job(layer=-1),)), "layer of job 0 is -1"),
    ("job count", NETWORK, with_chunk(1, jobs=()), "number of jobs is 0; legal: 1..128"),
    ("job count", DEEP, line_machine(DEEP), "number of jobs is 300; legal: 1..128"),
    (
        "placed once",
        NETWORK,
        with_chunk(0, jobs=JOBS[:1]),
        "layer 2 ('last'): placed 0 times (nowhere); legal: exactly once",
    ),
    (
        "placed once",
        NETWORK,
        with_chunk(1, jobs=(Job(layer=1), Job(layer=0))),
        "layer 0 ('first'): placed 2 times (chunk 0 job 0, chunk 1 job 1)",
    ),
    (
        "ring uses",
        NETWORK,
        replace(ACCELERATOR, rings=ACCELERATOR.rings[1:]),
        "tensor 0 ('in'): no ring towards layer 0 ('first') port main",
    ),
    (
        "ring uses",
        NETWORK,
        replace(ACCELERATOR, rings=ACCELERATOR.rings[:-1]),
        "tensor 3 ('out'): no ring towards the host",
    ),
    (
        "ring uses",
        NETWORK,
        replace(ACCELERATOR, rings=(*ACCELERATOR.rings, ACCELERATOR.rings[1])),
        "ring 5 (tensor 1 -> layer 1, main): ring 1 serves this use already",
    ),
    (
        "ring uses",
        NETWORK,
        replace(ACCELERATOR, rings=(*ACCELERATOR.rings, Ring(tensor=2, consumer=HOST, rows=1))),
        "ring 5 (tensor 2 -> host, main): the network has no such use",
    ),
    (
        "ring uses",
        NETWORK,
        with_ring(0, consumer=99),
        "ring 0 (tensor 0 -> layer 99, main): the network has no such use",
    ),
    (
        "kinds",
        NETWORK,
        with_chunk(1, kind="dense"),
        "chunk 1 (dense pm=2 pn=1 pq=2): executes layer 1 ('middle') of op depthwise",
    ),
    ("kinds", NETWORK, with_chunk(0, kind="depthwise", pn=1), "executes layer 0 ('first') of op dense"),
    (
        "pn without mixing",
        NETWORK,
        with_chunk(1, pn=2),
        "chunk 1 (depthwise pm=2 pn=2 pq=2): pn is 2; legal for depthwise: 1",
    ),
    ("drain", NETWORK, with_chunk(0, pm=5), "chunk 0 (dense pm=5 pn=2 pq=2): pq 2 does not divide pm 5"),
    (
        "stages",
        NETWORK,
        with_chunk(1, jobs=(Job(layer=1, stage=256),)),
        "stage of job 0 (layer 1) is 256; legal: 0..255",
    ),
    ("stages", NETWORK, with_chunk(1, jobs=(Job(layer=1, stage=-1),)), "stage of job 0 (layer 1) is -1"),
    (
        "turns",
        NETWORK,
        with_chunk(1, turns=(Turn(job=1, rows=1),)),
        "chunk 1 (depthwise pm=2 pn=1 pq=2): turn 0: job is 1; legal: 0..0",
    ),
    ("turns", SIX, in_slices(SIX, 3, 4, 4), "turns of job 0 (layer 0) have 8 rows; legal: 12, 4 of every slice"),
    (
        "turns",
        SIX,
        in_slices(SIX, 3, 4, 3, 2, 3),
        "turn 2 has 2 rows of job 0; legal: at most 1, to the end of its slice",
    ),
    ("turns", line(60), in_slices(line(60), 255), "number of turns is 15300; legal: 0..4096"),
    (
        "slices",
        NETWORK,
        with_chunk(1, jobs=(Job(layer=1, slices=3),)),
        "slices of job 0 (layer 1) is 3; legal: divisors of its 2 groups of 2 channels",
    ),
    (
        "slices",
        with_layer(1, pad_codes=(0, 0, 0, 0)),
        with_chunk(1, jobs=(Job(layer=1, slices=2),)),
        "slices of job 0 (layer 1) is 2; legal for a layer of depthwise with pad codes per channel: 1",
    ),
    (
        "parts of channels",
        NETWORK,
        with_chunk(1, jobs=(Job(layer=1, slices=2),)),
        "ring 1 (tensor 1 -> layer 1, main): parts is 1, but layer 1 takes a slice of its channels; legal: 2",
    ),
    (
        "parts of channels",
        NETWORK,
        with_ring(0, parts=2),
        "parts is 2; legal: 1, but between two layers, on the main port of one that mixes no channels",
    ),
    (
        "slices",
        with_layer(2, groups=2),
        with_chunk(0, pm=2, jobs=(Job(layer=0), Job(layer=2, slices=2))),
        "slices of job 1 (layer 2) is 2; legal for a layer that mixes a part of its channels: 1",
    ),
    ("slices", SIX, in_slices(SIX, 2), "slices of job 1 (layer 1) is 2; legal: divisors of its 3 groups of 2 channels"),
    ("slices", SIX, in_slices(SIX, 0), "slices of job 0 (layer 0) is 0; legal: 1..255"),
    ("slices", SIX, in_slices(SIX, -1), "slices of job 0 (layer 0) is -1; legal: 1..255"),
    ("slices", SIX, in_slices(SIX, 256), "slices of job 0 (layer 0) is 256; legal: 1..255"),
    (
        "words of slices",
        SIX,
        in_slices(SIX, 3, rows=3),
        "ring 0 (tensor 0 -> layer 0, main): rows is 3; legal: 4..32767, the whole map that slices of layer 0 touch",
    ),
    (
        "words of slices",
        SIX,
        in_slices(SIX, 3, rows=3),
        "ring 1 (tensor 1 -> layer 1, main): rows is 3; legal: 4..32767, the whole map that slices of layer 0 touch",
    ),
    (
        "words of slices",
        SIX,
        in_slices(SIX, 3, pn=3),
        "ring 1 (tensor 1 -> layer 1, main): layer 0 has 3 slices of 2 channels, of 6 in all; "
        "legal: multiples of the 3 channels of a word",
    ),
    (
        "words of slices",
        FIVE,
        in_slices(FIVE, 3),
        "ring 2 (tensor 2 -> host, main): layer 1 has 3 slices of 2 channels, of 5 in all; "
        "legal: multiples of the 1 channels of a word, without empty words behind the last",
    ),
    ("write lanes", NETWORK, with_chunk(0, pn=3), "writes pq 2 lanes; legal: divisors of the lanes of chunk 0, 3"),
    ("write lanes", NETWORK, with_chunk(1, pm=3, pq=1), "divisors of the lanes of chunk 1, 3"),
    ("write lanes", NETWORK, replace(ACCELERATOR, out_lanes=3), "divisors of the out_lanes, 3"),
    (
        "write lanes",
        with_layer(2, residual=2),
        replace(
            with_chunk(0, pm=3, pq=3),
            rings=(*ACCELERATOR.rings[:2], Ring(tensor=2, consumer=2, port="residual", rows=4), *ACCELERATOR.rings[3:]),
        ),
        "ring 2 (tensor 2 -> layer 2, residual): chunk 1 (depthwise pm=2 pn=1 pq=2) writes pq 2 lanes; legal: divisors",
    ),
    ("ring rows", NETWORK, with_ring(0, rows=2), "ring 0 (tensor 0 -> layer 0, main): rows is 2; legal: 3..32767"),
    ("ring rows", NETWORK, with_ring(2, rows=0), "ring 2 (tensor 1 -> layer 2, residual): rows is 0; legal: 1..32767"),
    ("ring rows", NETWORK, with_ring(4, rows=32768), "ring 4 (tensor 3 -> host, main): rows is 32768"),
    ("ring lanes", NETWORK, with_ring(1, lane=15), "ring 1 (tensor 1 -> layer 1, main): lane is 15; legal: 0..14"),
    ("ring lanes", NETWORK, with_ring(1, lane=-1), "lane is -1"),
    ("shared memory of rings", NETWORK, with_ring(1, share=64), "main): share is 64; legal: 0..63"),
    (
        "shared memory of rings",
        NETWORK,
        with_ring(0, share=1),
        "ring 0 (tensor 0 -> layer 0, main): share 1 of an edge of the host; legal: 0, or a ring between two chunks",
    ),
    (
        "shared memory of rings",
        NETWORK,
        with_ring(1, share=2),
        "ring 1 (tensor 1 -> layer 1, main): no other ring of its edge has share 2; legal: 0, or two rings or more",
    ),
    (
        "shared memory of rings",
        SKIPPING,
        in_rings(line_machine(SKIPPING, alternating=True), share=1),
        "ring 1 (tensor 1 -> layer 1, main): shares memory, and its reader never reads row 3; legal: share 0, or a",
    ),
    (
        "one write per edge",
        star(2)[0],
        in_rings(star(2)[1], lane=0),
        "ring 2 (tensor 1 -> layer 2, main): shares lane 0 with ring 1 of the same",
    ),
    (
        "edge counts",
        LONG,
        line_machine(LONG, alternating=True),
        "edge chunk 0 -> chunk 1 main lane 0: rings is 65; legal: 1..63",
    ),
    ("edge counts", *star(16), "chunk 0: edges out is 16; legal: 0..15"),
    (
        "stream beats",
        NETWORK,
        replace(ACCELERATOR, out_lanes=1026),
        "accelerator: bits of a beat of the output stream is",
    ),
    (
        "memories",
        TALL,
        in_rings(line_machine(TALL), rows=4095),
        "edge chunk 0 -> host main lane 0: words per bank is 135135; legal: 1..65535",
    ),
    ("multipliers", NETWORK, with_chunk(0, requant="bram"), "requant is 'bram'; legal: dsp, lut"),
    ("multipliers", NETWORK, with_chunk(0, products="lut"), "products is 'lut'; legal for dense: dsp"),
    (
        "narrow products",
        with_layer(1, act_bits=2, weight_bits=2, weight_store_bits=2),
        with_chunk(1, products="lut"),
        "products is 'lut'; legal for products of less than 9 bits: dsp",
    ),
    ("memories", WIDE, line_machine(WIDE), "chunk 0 (dense pm=1 pn=1 pq=1): weight words is 16769025; legal: 1..65535"),
]


def found(rules: Any, subject: Any) -> list[tuple[str, str]]:
    return apply_rules(rules, subject)


def test_the_examples_are_legal() -> None:
    assert check_network(NETWORK) == ()
    assert check_weights(NETWORK, WEIGHTS) == ()
    assert check_accelerator(NETWORK, ACCELERATOR) == ()
    odd = replace(in_slices(FIVE, 3, pq=2), out_lanes=2)
    sliced = (SIX, in_slices(SIX, 3)), (SIX, in_slices(SIX, 3, 4, 3, 1, 4)), (FIVE, odd)
    streams = (NETWORK, streamed(ACCELERATOR, 0, order=(0, 0))), (NETWORK, with_chunk(0, columns=1))
    named = [UltraMemory(producer=p, consumer=k, port="main") for p, k in ((HOST, 0), (0, 1), (1, 0), (0, HOST))]
    named += [UltraMemory(producer=0, consumer=0, port="residual")]
    ultra = [(NETWORK, in_ultra(ACCELERATOR, *named))]
    ultra += [(NETWORK, in_ultra(streamed(ACCELERATOR, 0), UltraMemory(producer=HOST, consumer=0, port="weights")))]
    for network, accelerator in (star(2), (line(60), line_machine(line(60))), star(14), *sliced, *streams, *ultra):
        assert check_network(network) == ()
        assert check_accelerator(network, accelerator) == ()


def test_every_rule_has_a_case() -> None:
    for rules, cases in (
        (NETWORK_RULES, NETWORK_CASES),
        (WEIGHT_RULES, WEIGHT_CASES),
        (ACCELERATOR_RULES, ACCELERATOR_CASES),
    ):
        names = [rule.name for rule in rules]
        assert len(set(names)) == len(names)
        assert set(names) == {case[0] for case in cases}


def expect(problems: list[tuple[str, str]], rule: str, message: str) -> None:
    assert rule in {name for name, _ in problems}, problems
    assert any(name == rule and message in text for name, text in problems), problems
    assert all("\n" not in text for _, text in problems)


@pytest.mark.parametrize(("rule", "network", "message"), NETWORK_CASES)
def test_network_rule(rule: str, network: Network, message: str) -> None:
    expect(found(NETWORK_RULES, network), rule, message)
    assert any(message in text for text in check_network(network))


@pytest.mark.parametrize(("rule", "network", "weights", "message"), WEIGHT_CASES)
def test_weight_rule(rule: str, network: Network, weights: Weights, message: str) -> None:
    expect(found(WEIGHT_RULES, Weighted(network=network, weights=weights)), rule, message)
    assert any(message in text for text in check_weights(network, weights))


@pytest.mark.parametrize(("rule", "network", "accelerator", "message"), ACCELERATOR_CASES)
def test_accelerator_rule(rule: str, network: Network, accelerator: Accelerator, message: str) -> None:
    assert check_network(network) == ()
    expect(found(ACCELERATOR_RULES, MappedNetwork(network=network, accelerator=accelerator)), rule, message)
    assert any(message in text for text in check_accelerator(network, accelerator))


def test_all_problems_are_collected() -> None:
    network = with_layer(1, shift=0, kernel_w=129, q_max=300)
    assert len(check_network(network)) == 3
    accelerator = replace(with_ring(0, rows=1), out_lanes=3)
    assert len(check_accelerator(NETWORK, accelerator)) == 2


def test_hostile_names_stay_on_one_line() -> None:
    network = with_layer(1, name="x\n`${evil}'\"", shift=0)
    (problem,) = check_network(network)
    assert "\n" not in problem
    assert repr(network.layers[1].name) in problem


DESIGN = Design(
    name="d", network=NETWORK, accelerator=ACCELERATOR, platform="p", clock_mhz=100.0,
    cost=Cost(
        first_output_latency_cycles=1, interval_cycles=1, dsp=1, bram=0.5, lut=1, ff=1, energy_pj=1.0, power_w=1.0
    ),
    weights_sha256=weights_digest(WEIGHTS), seed=0, versions=(),
)  # fmt: skip


def test_a_legal_design_passes() -> None:
    check_design(DESIGN, WEIGHTS, "here")


@pytest.mark.parametrize(
    ("design", "weights", "lines"),
    [
        (replace(DESIGN, network=with_layer(1, shift=0)), WEIGHTS, ["shift is 0"]),
        (replace(DESIGN, clock_mhz=0.0), WEIGHTS, ["clock_mhz is 0.0"]),
        (replace(DESIGN, clock_mhz=float("inf")), WEIGHTS, ["clock_mhz is inf"]),
        (replace(DESIGN, clock_mhz=1e-308), WEIGHTS, ["clock_mhz is 1e-308; legal: 0.001..1000"]),
        (replace(DESIGN, cost=replace(DESIGN.cost, lut=10**400)), WEIGHTS, ["cost.lut is 1000"]),
        (replace(DESIGN, cost=replace(DESIGN.cost, bram=-0.5)), WEIGHTS, ["cost.bram is -0.5; legal: 0..1e+30"]),
        (
            replace(DESIGN, cost=replace(DESIGN.cost, energy_pj=-1.0, power_w=float("nan"))),
            WEIGHTS,
            ["cost.energy_pj is -1.0", "cost.power_w is nan"],
        ),
        (replace(DESIGN, versions=(("a", "b"),) * 65), WEIGHTS, ["versions: 65 entries; legal: at most 64"]),
        (replace(DESIGN, accelerator=with_ring(0, rows=1)), WEIGHTS[:2], ["weights: of 2 layers", "rows is 1"]),
    ],
)
def test_check_design_raises_with_all_problems(design: Design, weights: Weights, lines: list[str]) -> None:
    with pytest.raises(DesignError) as caught:
        check_design(design, weights, "some/design.json")
    assert str(caught.value).startswith("some/design.json:\n  - ")
    assert len(caught.value.problems) == len(lines)
    for text, problem in zip(lines, caught.value.problems, strict=True):
        assert text in problem


@pytest.mark.parametrize(
    ("platform", "message"),
    [
        (
            "zc706",
            "accelerator: ultra names 1 memories, but devices of Xilinx 7-series (zc706) have no UltraRAM; legal: ",
        ),
        (
            "zcu102",
            "accelerator: ultra names 1 memories, which take 2 blocks of UltraRAM; legal: up to the 0 of zcu102",
        ),
        ("kv260", ""),
    ],
)
def test_a_design_has_the_ultra_ram_of_its_platform(platform: str, message: str) -> None:
    accelerator = in_ultra(ACCELERATOR, UltraMemory(producer=0, consumer=1, port="main"))
    design = replace(DESIGN, accelerator=accelerator, platform=platform)
    if not message:
        check_design(design, WEIGHTS, "here")
        return
    with pytest.raises(DesignError) as caught:
        check_design(design, WEIGHTS, "here")
    (problem,) = caught.value.problems
    assert message in problem


def changed(value: Any, field: str, number: int) -> Any:
    return replace(value, **{field: number})


@pytest.mark.parametrize("seed", range(30))
def test_no_rule_crashes_on_a_damaged_design(seed: int) -> None:
    """Random integers anywhere in a legal design are reported or legal, never an exception."""
    rng = np.random.default_rng([seed, 3])
    network, _ = random_network(rng)
    accelerator = random_accelerator(rng, network)
    layer_fields = [
        "input", "residual", "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_top", "pad_left", "groups",
        "rotate", "act_bits", "weight_bits", "weight_store_bits", "shift", "res_mult", "q_min", "q_max",
    ]  # fmt: skip
    for _ in range(30):
        value = int(rng.choice([-70_000, -3, -1, 0, 1, 2, 5, 9, 50, 300, 5000, 70_000]))
        layers, tensors = list(network.layers), list(network.tensors)
        i = int(rng.integers(len(layers)))
        layers[i] = changed(layers[i], str(rng.choice(layer_fields)), value)
        if rng.random() < 0.3:
            t = int(rng.integers(len(tensors)))
            tensors[t] = changed(tensors[t], str(rng.choice(["height", "width", "channels", "zero_point"])), value)
        assert isinstance(check_network(replace(network, layers=tuple(layers), tensors=tuple(tensors))), tuple)
        chunks, rings = list(accelerator.chunks), list(accelerator.rings)
        k, r = int(rng.integers(len(chunks))), int(rng.integers(len(rings)))
        if rng.random() < 0.5:
            chunks[k] = changed(chunks[k], str(rng.choice(["pm", "pn", "pq"])), value)
        else:
            job = chunks[k].jobs[0]
            others = Job(layer=value, stage=value), replace(job, slices=value), replace(job, streamed=True)
            chunks[k] = replace(chunks[k], jobs=(*chunks[k].jobs[1:], others[int(rng.integers(3))]))
            chunks[k] = replace(chunks[k], columns=value if rng.random() < 0.1 else 0)
        rings[r] = changed(rings[r], str(rng.choice(["tensor", "consumer", "rows", "lane"])), value)
        port = {"bus_bits": 64, "latency": 5, "burst": 4, "slots": 2, "order": ()}
        port[str(rng.choice(list(port)[:4]))] = value if rng.random() < 0.5 else 32
        port["order"] = tuple(rng.integers(-1, len(chunks) + 1, int(rng.integers(0, 4))).tolist())
        memory = WeightMemory(**port) if rng.random() < 0.5 else None  # type: ignore[arg-type]
        damaged = replace(accelerator, chunks=tuple(chunks), rings=tuple(rings), memory=memory)
        assert isinstance(check_accelerator(network, damaged), tuple)
        assert isinstance(check_accelerator(network, replace(accelerator, rings=tuple(rings), out_lanes=value)), tuple)
