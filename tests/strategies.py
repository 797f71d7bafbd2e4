# SPDX-License-Identifier: Apache-2.0
"""Random legal networks and accelerators, drawn from an explicit numpy Generator, for tests and benchmarks.

`random_pair` is the one most callers want: a network with weights, and an accelerator whose schedule does not deadlock.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from math import lcm

import numpy as np

from nba.core.errors import DeadlockError
from nba.ir.accelerator import HOST, MAX_BANKS, Accelerator, Chunk, Job, Place, Ring, Turn, WeightMemory
from nba.ir.check import check_network, check_weights
from nba.ir.network import (
    MASTER_BITS,
    MULT_BITS,
    WIDE_BITS,
    Layer,
    LayerWeights,
    Network,
    Tensor,
    Weights,
    weight_dtype,
    weight_shape,
)
from nba.ir.operators import Op
from nba.ir.reference import accumulate, requantise
from nba.machine.accelerator_rules import columns_of
from nba.machine.check import check_accelerator
from nba.machine.fetches import words_per_row
from nba.machine.geometry import edge_of, reader_word
from nba.machine.kernels import PAIRED, SINGLE, products
from nba.machine.program import Program, halves, lower, min_ring_rows
from nba.machine.schedule import schedule
from nba.machine.windows import window
from nba.zoo.weights import SAMPLE_IMAGES, calibrated, code_step, random_codes

MAX_LANES = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkLimits:
    """How large random networks may become."""

    min_layers: int = 2
    max_layers: int = 6
    max_map: int = 9
    max_channels: int = 10
    max_layer_macs: int = 12_000
    bits: int = 8
    """Of the codes; with 16, half of the layers see 16 bits of activations, half store weights of 16 bits."""
    plain: bool = False
    """Without max pooling, and with one stride for rows and columns: the draws that planted bugs were chosen for."""
    narrow: bool = False
    """Most layers see codes and weights of at most 4 bits, and the accelerator packs columns."""
    per_channel: bool = False
    """Most layers without a residual have a shift per channel, most layers that pad have a pad code per channel."""
    any_columns: bool = False
    """Strides up to `max_stride`, and accelerators of any number of columns up to 16."""
    max_stride: int = 4
    adders: float = 0.0
    """Share of the multipliers of requantisers, and of products that do not mix channels, that are made of adders; with
    any, block RAM may have a price."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A random network and an accelerator for it. `attempts`: accelerators drawn until one did not deadlock."""

    network: Network
    weights: Weights
    accelerator: Accelerator
    program: Program
    attempts: int


def _pick(rng: np.random.Generator, values: list[int]) -> int:
    return int(values[int(rng.integers(len(values)))])


def _chance(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def _tensor(rng: np.random.Generator, name: str, height: int, width: int, channels: int, bits: int) -> Tensor:
    signed = _chance(rng, 0.4)
    tensor = Tensor(name=name, height=height, width=width, channels=channels, signed=signed, bits=bits)
    if not _chance(rng, 0.25):
        return tensor
    step = 1 << int(rng.integers(0, bits - 1))
    zero = step * int(rng.integers(-(-tensor.code_min // step), tensor.code_max // step + 1))
    return replace(tensor, zero_point=zero)


def _axis(rng: np.random.Generator, size: int, kernel: int, stride: int, wanted: int | None) -> tuple[int, int] | None:
    """(padding before, output size) along one axis, or None if `wanted` cannot be reached."""
    style = _pick(rng, [0, 0, 1, 2])
    pad = (kernel - 1) // 2 if style == 0 else 0 if style == 1 else int(rng.integers(0, kernel))
    largest = (size - 1 + pad) // stride + 1
    if wanted is not None:
        return (pad, wanted) if wanted <= largest else None
    same = -(-size // stride)
    out = same if style == 0 else (size - kernel) // stride + 1 if style == 1 else int(rng.integers(1, largest + 1))
    return (pad, out) if 1 <= out <= largest else None


def _rotation(rng: np.random.Generator, channels: int) -> int:
    """None, the channel shuffle, a multiple of some lanes, or anything."""
    style, step = int(rng.integers(4)), _pick(rng, [2, 3, 4])
    multiple, anything = step * int(rng.integers(channels // step + 1)), int(rng.integers(channels))
    return (0, channels // 4, multiple % channels, anything)[style]


def _strides(rng: np.random.Generator, limits: NetworkLimits, whole_map: bool) -> tuple[int, int]:
    """Of rows and of columns."""
    if limits.any_columns:
        large = list(range(2, limits.max_stride + 1))
        return _pick(rng, [1, 1, 1, *large]), _pick(rng, [1, 1, 1, 1, *large])
    rows = _pick(rng, [1, 1, 2])
    if limits.plain:
        rows = _pick(rng, [1, 1, 1, 2]) if whole_map else rows
        return rows, rows
    columns = _pick(rng, [1, 1, 2])
    return rows, rows if _chance(rng, 0.5) else columns


def _shape(
    rng: np.random.Generator, index: int, src: Tensor, wanted: Tensor | None, limits: NetworkLimits, last: bool
) -> tuple[Layer, Tensor] | None:
    """A random layer reading `src` and its output (of the shape of `wanted`), or None if this draw is illegal."""
    ops: list[Op] = ["dense", "dense", "depthwise", "avgpool", "maxpool"]
    op = ops[int(rng.integers(len(ops) - limits.plain))]
    style = _pick(rng, [0, 1, 1, 1, 2, 3, 4]) if not last else _pick(rng, [0, 1, 3, 4, 4])
    square = {0: 1, 1: 3, 2: 5}
    if style in square:
        kernel_h = kernel_w = square[style]
    elif style == 3:
        kernel_h, kernel_w = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    else:
        kernel_h, kernel_w = src.height, src.width
    strides = _strides(rng, limits, style == 4 and wanted is None)
    if style == 4 and wanted is None:
        rows, cols = (0, 1), (0, 1)
    else:
        along_h = _axis(rng, src.height, kernel_h, strides[0], wanted.height if wanted else None)
        along_w = _axis(rng, src.width, kernel_w, strides[1], wanted.width if wanted else None)
        if along_h is None or along_w is None:
            return None
        rows, cols = along_h, along_w
    channels = wanted.channels if wanted else int(rng.integers(1, limits.max_channels + 1))
    if op != "dense":
        if wanted and wanted.channels != src.channels:
            return None
        channels = src.channels
    groups, rotate = 1, 0
    if op == "dense" and src.channels % 2 == 0 and _chance(rng, 0.5) and (channels % 2 == 0 or not wanted):
        channels += channels % 2
        groups, rotate = 2, _rotation(rng, channels)
    out = _tensor(rng, f"t{index + 1}", rows[1], cols[1], channels, limits.bits)
    macs = rows[1] * cols[1] * channels * kernel_h * kernel_w * (src.channels if op == "dense" else 1)
    if macs > limits.max_layer_macs:
        return None
    trailing = (src.zero_point & -src.zero_point).bit_length() - 1 if src.zero_point else src.bits - 2
    act_bits = int(rng.integers(max(2, src.bits - trailing), src.bits + 1)) if _chance(rng, 0.4) else 8
    store = int(rng.integers(2, 9)) if _chance(rng, 0.6) else 8
    bits = int(rng.integers(2, store + 1)) if _chance(rng, 0.5) else store
    if limits.bits == WIDE_BITS:
        if not src.bits - trailing <= act_bits <= MASTER_BITS or _chance(rng, 0.5):
            act_bits = WIDE_BITS
        if _chance(rng, 0.5):
            store = WIDE_BITS
            bits = store if _chance(rng, 0.5) else bits
    if limits.narrow and _chance(rng, 0.8):
        act_bits = max(2, src.bits - trailing, _pick(rng, [2, 2, 3, 4]))
        bits = min(store, _pick(rng, [2, 2, 3, 4]))
    low, high = out.code_min, out.code_max
    if _chance(rng, 0.3):
        low, high = sorted((max(low, out.zero_point), int(rng.integers(high - (100 << (out.bits - 8)), high + 1))))
    layer = Layer(
        name=f"{op}_{index}", op=op, input=0, kernel_h=kernel_h, kernel_w=kernel_w, stride_h=strides[0],
        stride_w=strides[1], pad_top=rows[0], pad_left=cols[0], groups=groups, rotate=rotate, act_bits=act_bits,
        weight_bits=bits, weight_store_bits=store, shift=1, q_min=low, q_max=high,
    )  # fmt: skip
    return layer, out


def _channel_shifts(
    rng: np.random.Generator, ratios: np.ndarray
) -> tuple[int, tuple[int, ...], np.ndarray]:  # fmt: skip
    """(least shift, shifts, multipliers) of output codes per accumulator step of every channel; some channels get far
    fewer, and some multipliers fewer bits."""
    span = _pick(rng, [1, 3, 7, 20, 46])
    limit = (1 << MULT_BITS) - 1
    scaled = ratios * np.where(rng.random(len(ratios)) < 0.25, 2.0 ** -rng.integers(1, 30, len(ratios)), 1.0)
    most = np.clip(np.floor(np.log2(limit / np.maximum(scaled, 1e-30))), 1, 47).astype(np.int64)
    shifts = np.where(rng.random(len(ratios)) < 0.6, most, rng.integers(1, most + 1))
    shifts = np.maximum(shifts, shifts.max() - span)
    mult = np.clip(np.floor(scaled * 2.0**shifts + 0.5), 0, limit).astype(np.int32)
    return int(shifts.min()), tuple(shifts.tolist()), mult


def _pad_codes(rng: np.random.Generator, network: Network, index: int) -> tuple[int, ...]:
    """A code per input channel of layer `index`; one in four is the smallest or largest code."""
    src = network.source(network.layers[index])
    codes = rng.integers(src.code_min, src.code_max + 1, src.channels)
    extreme = np.where(rng.random(src.channels) < 0.5, src.code_min, src.code_max)
    return tuple(np.where(rng.random(src.channels) < 0.25, extreme, codes).tolist())


def _calibrated(
    rng: np.random.Generator, network: Network, weights: Weights, codes: list[np.ndarray], per_channel: bool = False
) -> tuple[Network, LayerWeights]:
    """`calibrated`; `per_channel`: mostly with a shift for every channel."""
    adjusted, ready = calibrated(rng, network, weights, codes)
    layer = adjusted.layers[-1]
    if not per_channel or layer.residual is not None or not _chance(rng, 0.8):
        return adjusted, ready
    index = len(network.layers) - 1
    step = code_step(layer, accumulate(network, weights, index, codes[layer.input]))
    shift, each, mult = _channel_shifts(rng, rng.uniform(0.6, 1.5, network.result(index).channels) / step)
    layer = replace(layer, shift=shift, res_mult=0, shifts=each)
    return replace(network, layers=(*network.layers[:-1], layer)), replace(ready, mult=mult)


def above_least(weights: Weights) -> Weights:
    """The weights without the least of their bits, -128 or -32768, as the project's quantiser makes them."""
    return tuple(
        replace(
            layer,
            weight=np.maximum(layer.weight, 1 - (1 << (8 * layer.weight.itemsize - 1))).astype(layer.weight.dtype),
        )
        for layer in weights
    )


def _grow(rng: np.random.Generator, limits: NetworkLimits) -> tuple[Network, Weights] | None:
    """One attempt at a random network; None if a tensor was left without a consumer."""
    first = _tensor(
        rng, "input", int(rng.integers(1, limits.max_map + 1)), int(rng.integers(1, limits.max_map + 1)),
        int(rng.integers(1, limits.max_channels + 1)), limits.bits,
    )  # fmt: skip
    network = Network(name="random", tensors=(first,), layers=())
    weights: Weights = ()
    codes = [random_codes(rng, first, SAMPLE_IMAGES)]
    unread = {0}
    count = int(rng.integers(limits.min_layers, limits.max_layers + 1))
    for i in range(count):
        found = None
        for _ in range(20):
            source = i if _chance(rng, 0.8) else int(rng.integers(0, i + 1))
            others = sorted(unread - {source})
            joined: int | None = None
            if others and _chance(rng, 0.8):
                joined = _pick(rng, others)
            elif _chance(rng, 0.35):
                joined = int(rng.integers(0, i + 1))
            wanted = None if joined is None else network.tensors[joined]
            found = _shape(rng, i, network.tensors[source], wanted, limits, i == count - 1)
            if found:
                break
        if found is None:
            return None
        layer, out = replace(found[0], input=source, residual=joined), found[1]
        network = replace(network, tensors=(*network.tensors, out), layers=(*network.layers, layer))
        if limits.per_channel and layer.op != "maxpool" and network.leaves_map(i) and _chance(rng, 0.8):
            layer = replace(layer, pad_codes=_pad_codes(rng, network, i))
            network = replace(network, layers=(*network.layers[:-1], layer))
        high = 1 << (layer.weight_store_bits - 1)
        weight = rng.integers(-high, high, weight_shape(network, i)).astype(weight_dtype(layer))
        empty = np.zeros(out.channels, np.int32)
        drawn = (*weights, LayerWeights(weight=weight, bias=empty, mult=empty))
        network, ready = _calibrated(rng, network, drawn, codes, limits.per_channel)
        weights = (*weights, ready)
        acc = accumulate(network, weights, i, codes[source])
        codes.append(requantise(network, weights, i, acc, None if joined is None else codes[joined]))
        unread = (unread - {source, joined}) | {i + 1}
    return (network, weights) if unread == {count} else None


def random_network(rng: np.random.Generator, limits: NetworkLimits | None = None) -> tuple[Network, Weights]:
    """A random legal network with weights whose outputs are spread over the code range (mostly not saturated)."""
    while True:
        grown = _grow(rng, limits or NetworkLimits())
        if grown is not None:
            problems = (*check_network(grown[0]), *check_weights(*grown))
            assert not problems, problems
            return grown


def _assignment(rng: np.random.Generator, network: Network, n_chunks: int) -> list[tuple[str, list[int]]]:
    """(kind, layers) of every chunk; at most `n_chunks` unless both kinds need one."""
    groups: list[tuple[str, list[int]]] = []
    by_kind = {
        "dense": [i for i, layer in enumerate(network.layers) if layer.op == "dense"],
        "depthwise": [i for i, layer in enumerate(network.layers) if layer.op != "dense"],
    }
    kinds = [kind for kind, layers in by_kind.items() if layers]
    share = dict.fromkeys(kinds, 1)
    for _ in range(n_chunks - len(kinds)):
        free = [kind for kind in kinds if share[kind] < len(by_kind[kind])]
        if free:
            share[free[int(rng.integers(len(free)))]] += 1
    for kind in kinds:
        layers = by_kind[kind]
        owner = [*range(share[kind]), *rng.integers(0, share[kind], len(layers) - share[kind]).tolist()]
        rng.shuffle(owner)
        for k in range(share[kind]):
            groups.append((kind, [layer for layer, o in zip(layers, owner, strict=True) if o == k]))
    order = rng.permutation(len(groups)).tolist()
    return [groups[i] for i in order]


def _halves(network: Network, index: int, pm: int, pn: int) -> bool:
    """Whether an engine of pm x pn lanes walks half of the input words of layer `index`, of two groups."""
    layer, out = network.layers[index], network.result(index)
    return halves(layer, network.source(layer).channels, out.channels, pn, pm).words > 0


def _engines(
    rng: np.random.Generator, network: Network, groups: list[tuple[str, list[int]]]
) -> list[tuple[int, int, int]]:
    """(pm, pn, pq) of every chunk, such that every pq divides the lanes that it writes."""
    place = {layer: k for k, (_, layers) in enumerate(groups) for layer in layers}
    palette = [[1, 2, 4], [1, 2, 3, 6], [1, 2, 5], [1, 3]][int(rng.integers(4))]
    while True:
        pq = [_pick(rng, palette) for _ in groups]
        main: list[set[int]] = [set() for _ in groups]
        residual: list[tuple[int, int]] = []
        for i, layer in enumerate(network.layers):
            if layer.input > 0:
                main[place[i]].add(place[layer.input - 1])
            if layer.residual:
                residual.append((place[layer.residual - 1], place[i]))
        if any(pq[consumer] % pq[producer] for producer, consumer in residual):
            continue
        engines = []
        for k, (kind, layers) in enumerate(groups):
            lanes = lcm(1, *(pq[p] for p in main[k]))
            if kind == "dense":
                sizes = [(pq[k] * a, lanes * b) for a in range(1, 5) for b in range(1, 4)]
                halving = [s for s in sizes if any(_halves(network, i, *s) for i in layers)]
                sizes = halving if halving and _chance(rng, 0.85) else sizes
                pm, pn = sizes[int(rng.integers(len(sizes)))]
            else:
                pm, pn = lcm(lanes, pq[k]) * int(rng.integers(1, 4)), 1
            engines.append((pm, pn, pq[k]))
        if all(max(pm, pn) <= MAX_LANES for pm, pn, _ in engines):
            return engines


def _programs(
    rng: np.random.Generator, network: Network, groups: list[tuple[str, list[int]]], calm: bool
) -> list[tuple[Job, ...]]:
    """Jobs of every chunk: stages grow along the graph; the order is topological (always so if `calm`) or shuffled."""
    stage = [0] * len(network.layers)
    if _chance(rng, 0.5):
        for i, layer in enumerate(network.layers):
            before = [stage[t - 1] for t in (layer.input, layer.residual) if t]
            stage[i] = max(before, default=0) + int(rng.integers(0, 4) == 0)
    programs = []
    for _, layers in groups:
        order = list(layers)
        if not calm and _chance(rng, 0.3):
            rng.shuffle(order)
        programs.append(tuple(Job(layer=i, stage=stage[i]) for i in order))
    return programs


def _rings(
    rng: np.random.Generator, network: Network, programs: list[tuple[Job, ...]], tightness: float
) -> tuple[Ring, ...]:
    """One ring per use. A fraction `tightness` of them is small; within a chunk a ring holds whole maps."""
    place = {job.layer: k for k, jobs in enumerate(programs) for job in jobs}
    stage = {job.layer: job.stage for jobs in programs for job in jobs}
    rings: list[Ring] = []
    taken: set[tuple[int, int, str, int]] = set()
    uses = [(t, c, p) for t in range(len(network.tensors)) for c, p in network.consumers(t)]
    for tensor, consumer, port in [*uses, (len(network.layers), HOST, "main")]:
        height = network.tensors[tensor].height
        low = min_ring_rows(network, consumer, port)  # type: ignore[arg-type]
        producer = HOST if tensor == 0 else place[tensor - 1]
        reader = HOST if consumer == HOST else place[consumer]
        apart = 0 if HOST in (producer, consumer) else max(0, stage[consumer] - stage[tensor - 1])
        whole = height * (1 + apart)
        if producer == reader:
            rows = whole + _pick(rng, [0, 0, 1, height])
        elif _chance(rng, tightness):
            rows = low + _pick(rng, [0, 0, 1, 2])
        else:
            rows = whole + _pick(rng, [0, 1, height])
        lane = int(_chance(rng, 0.1))
        while (tensor, reader, port, lane) in taken:
            lane += 1
        taken.add((tensor, reader, port, lane))
        rings.append(Ring(tensor=tensor, consumer=consumer, port=port, rows=max(low, rows), lane=lane))  # type: ignore[arg-type]
    order = rng.permutation(len(rings)).tolist()
    return tuple(rings[i] for i in order)


def random_accelerator(
    rng: np.random.Generator, network: Network, max_chunks: int = 4, tightness: float = 0.7, calm: bool = False,
    packs: bool = False, any_columns: bool = False,
) -> Accelerator:  # fmt: skip
    """A random legal accelerator for `network`; it may deadlock, `schedule` tells. packs: it packs columns.
    any_columns: of any number of columns.

    tightness: fraction of the rings between chunks that get few rows. calm: jobs of a chunk in topological order;
    with tightness 0 such an accelerator never deadlocks.
    """
    groups = _assignment(rng, network, int(rng.integers(1, max_chunks + 1)))
    engines = _engines(rng, network, groups)
    programs = _programs(rng, network, groups, calm)
    chunks = tuple(
        Chunk(kind=kind, pm=pm, pn=pn, pq=pq, jobs=jobs)  # type: ignore[arg-type]
        for (kind, _), (pm, pn, pq), jobs in zip(groups, engines, programs, strict=True)
    )
    last = next(chunk.pq for chunk in chunks for job in chunk.jobs if job.layer == len(network.layers) - 1)
    packing = _pick(rng, [2, 4, 4]) if packs else 1
    accelerator = Accelerator(
        pp=int(rng.integers(1, MAX_BANKS // packing + 1)) if any_columns else _pick(rng, list(columns_of(packing))),
        packing=packing,
        chunks=chunks,
        rings=_rings(rng, network, programs, tightness),
        out_lanes=last * int(rng.integers(1, 4)),
    )
    problems = check_accelerator(network, accelerator)
    assert not problems, problems
    return accelerator


def random_pair(
    rng: np.random.Generator, limits: NetworkLimits | None = None, max_chunks: int = 4, n_frames: int = 4
) -> Pair:
    """A random network and an accelerator that schedules `n_frames` frames of it without deadlock.

    Accelerators are drawn anew, with fewer tight rings each time, until one does.
    """
    network, weights = random_network(rng, limits)
    attempts = 0
    while True:
        tightness = max(0.0, 0.9 - 0.1 * attempts)
        narrow = limits is not None and limits.narrow
        accelerator = random_accelerator(
            rng, network, max_chunks, tightness, calm=tightness == 0.0, packs=narrow,
            any_columns=limits is not None and limits.any_columns,
        )  # fmt: skip
        program = lower(network, accelerator)
        attempts += 1
        try:
            schedule(program, n_frames)
        except DeadlockError:
            assert attempts < 50, "roomy accelerators in topological order must not deadlock"
            continue
        if limits is not None and limits.adders > 0:
            # Its own copy of the generator: whatever else is drawn stays what it was.
            accelerator = with_adders(deepcopy(rng), network, accelerator, limits.adders)
            program = lower(network, accelerator)
        return Pair(network=network, weights=weights, accelerator=accelerator, program=program, attempts=attempts)


def with_adders(rng: np.random.Generator, network: Network, accelerator: Accelerator, share: float) -> Accelerator:
    """`accelerator` with about a `share` of the multipliers that may be made of adders made of these, and a price of
    block RAM."""
    chunks = []
    for chunk, lowered in zip(accelerator.chunks, lower(network, accelerator).chunks, strict=True):
        kind = products(
            chunk.mixes, lowered.act_bits, lowered.weight_bits, lowered.acc_bits, lowered.packing
        )  # fmt: skip
        may = not chunk.mixes and kind == SINGLE
        places: list[Place] = ["lut" if _chance(rng, share) else "dsp" for _ in range(2)]
        chunks.append(replace(chunk, requant=places[0], products=places[1] if may else "dsp"))
    return replace(accelerator, chunks=tuple(chunks), block_luts=_pick(rng, [0, 8, 64, 512]))


def _slicings(network: Network, accelerator: Accelerator, chunk: Chunk, layer: int) -> list[int]:
    """Numbers of slices, above 1, in which `chunk` may compute `layer`, if a layer that does not mix channels reads
    rings of parts."""
    if network.layers[layer].groups != 1 or (network.layers[layer].pad_codes is not None and not chunk.mixes):
        return []
    channels = network.result(layer).channels
    groups = -(-channels // chunk.pm)
    place = accelerator.place()
    words = [chunk.pq] if network.layers[layer].residual is not None else []
    for ring in accelerator.rings:
        if ring.tensor == layer + 1:
            host = ring.consumer == HOST
            words.append(
                accelerator.out_lanes if host else reader_word(accelerator.chunks[place[ring.consumer]], ring.port)
            )
    made = groups * chunk.pm
    if any(-(-channels // word) * word != made for word in words):
        return []
    return [n for n in range(2, groups + 1) if groups % n == 0 and all(made // n % word == 0 for word in words)]


def sliced(rng: np.random.Generator, network: Network, accelerator: Accelerator, share: float = 0.8) -> Accelerator:
    """`accelerator` with slices in a `share` of the jobs that may have some, whose rings hold whole maps."""
    chunks, touched = [], set()
    for chunk in accelerator.chunks:
        jobs = []
        for job in chunk.jobs:
            legal = _slicings(network, accelerator, chunk, job.layer) if chunk.mixes else []
            if legal and _chance(rng, share):
                job = replace(job, slices=_pick(rng, legal))
                touched.add(job.layer)
            jobs.append(job)
        chunks.append(replace(chunk, jobs=tuple(jobs)))
    rings = [
        replace(ring, rows=max(ring.rows, network.tensors[ring.tensor].height + int(rng.integers(0, 3))))
        if ring.consumer in touched or ring.tensor - 1 in touched
        else ring
        for ring in accelerator.rings
    ]
    return replace(accelerator, chunks=tuple(chunks), rings=tuple(rings))


def parted(rng: np.random.Generator, network: Network, accelerator: Accelerator, share: float = 0.8) -> Accelerator:
    """`accelerator`, of `sliced`, in which a `share` of the layers that do not mix channels, and may, take the slices
    of their producer one by one, from rings whose rows hold a part of the channels."""
    jobs = {job.layer: job for chunk in accelerator.chunks for job in chunk.jobs}
    rings = list(accelerator.rings)
    pm = {job.layer: chunk.pm for chunk in accelerator.chunks for job in chunk.jobs}
    for chunk in accelerator.chunks:
        for job in chunk.jobs:
            writer = jobs.get(network.layers[job.layer].input - 1)
            if chunk.mixes or writer is None or writer.slices == 1 or not _chance(rng, share):
                continue
            channels = network.source(network.layers[job.layer]).channels
            made = {-(-channels // n) * n for n in (pm[writer.layer], chunk.pm)}
            if len(made) > 1 or writer.slices not in _slicings(network, accelerator, chunk, job.layer):
                continue
            jobs[job.layer] = replace(job, slices=writer.slices)
            for i, ring in enumerate(rings):
                height = network.tensors[ring.tensor].height
                if ring.consumer == job.layer and ring.port == "main":
                    least = min_ring_rows(network, ring.consumer, "main")
                    rings[i] = replace(ring, parts=writer.slices, rows=least + int(rng.integers(0, 2 * height)))
                elif ring.tensor == job.layer + 1:
                    rings[i] = replace(ring, rows=max(ring.rows, height + int(rng.integers(0, 3))))
    chunks = tuple(replace(c, jobs=tuple(jobs[job.layer] for job in c.jobs)) for c in accelerator.chunks)
    # A layer that takes parts may itself write what another one takes in parts.
    return replace(accelerator, chunks=chunks, rings=tuple(rings))


def streamed(
    rng: np.random.Generator, network: Network, accelerator: Accelerator, share: float = 0.7, *, mixing: bool = False
) -> Accelerator:
    """`accelerator` with the weights of a `share` of its jobs that may stream them in external memory, of random width
    and latency; itself if no job may. mixing: only of those that mix channels."""
    memory = WeightMemory(
        bus_bits=_pick(rng, [32, 64, 128, 256]), latency=_pick(rng, [1, 2, 7, 30, 100]),
        burst=_pick(rng, [1, 2, 4, 16]), slots=_pick(rng, [2, 2, 2, 3, 4]),
    )  # fmt: skip
    program = lower(network, accelerator)
    chunks, any_job = [], False
    for chunk, engine in zip(accelerator.chunks, program.chunks, strict=True):
        paired = products(engine.mixes, engine.act_bits, engine.weight_bits, engine.acc_bits, engine.packing) == PAIRED
        narrow = words_per_row(engine.weight_width, memory.bus_bits) > 1
        legal = not (engine.nested_weight and (narrow or (paired and engine.packing == 1)))
        stores = [network.layers[job.layer].operator.stores_weights for job in chunk.jobs]
        jobs = [
            replace(job, streamed=legal and has and (chunk.mixes or not mixing) and _chance(rng, share))
            for job, has in zip(chunk.jobs, stores, strict=True)
        ]
        any_job |= any(job.streamed for job in jobs)
        chunks.append(replace(chunk, jobs=tuple(jobs)))
    return replace(accelerator, chunks=tuple(chunks), memory=memory) if any_job else accelerator


def shared(rng: np.random.Generator, network: Network, accelerator: Accelerator) -> Accelerator:
    """`accelerator` with memory that rings between chunks share, in random groups; itself where no edge has two rings
    that may. Their order in the list of rings is random."""
    place, rings = accelerator.place(), list(accelerator.rings)
    rings = [rings[i] for i in rng.permutation(len(rings)).tolist()]
    if _chance(rng, 0.7):
        rings.sort(key=lambda ring: ring.tensor)
    groups: dict[tuple[object, int], list[int]] = {}
    for i, ring in enumerate(rings):
        if ring.tensor == 0 or ring.consumer == HOST:
            continue
        seen = window(network, ring.consumer, ring.port, ring.tensor)
        if seen.needed(seen.rows - 1) == seen.height:
            groups.setdefault((edge_of(ring, place), int(_chance(rng, 0.3))), []).append(i)
    for share, mine in enumerate([mine for mine in groups.values() if len(mine) > 1], start=1):
        for i in mine:
            rings[i] = replace(rings[i], share=share)
    return replace(accelerator, rings=tuple(rings))


def own_columns(rng: np.random.Generator, accelerator: Accelerator) -> Accelerator:
    """`accelerator` whose chunks have columns of their own, half of them."""
    divisors = [n for n in range(1, accelerator.pp) if accelerator.pp % n == 0]
    chunks = [
        replace(chunk, columns=_pick(rng, divisors)) if divisors and _chance(rng, 0.5) else chunk
        for chunk in accelerator.chunks
    ]
    return replace(accelerator, chunks=tuple(chunks))


def cut(rng: np.random.Generator, network: Network, chunk: Chunk, *, late: bool = False) -> Chunk:
    """`chunk` with its jobs in turns of a few rows, in the order that it has without turns. late: some jobs finish
    their frame at the beginning of the next round."""
    turns: list[Turn] = []
    before: list[Turn] = []
    for j, job in enumerate(chunk.jobs):
        own: list[Turn] = []
        for _ in range(job.slices):
            left = network.result(job.layer).height
            while left:
                rows = int(rng.integers(1, left + 1))
                own.append(Turn(job=j, rows=rows))
                left -= rows
        kept = int(rng.integers(1, len(own) + 1)) if late and _chance(rng, 0.7) else len(own)
        turns += own[:kept]
        before += [replace(turn, late=1) for turn in own[kept:]]
    return replace(chunk, turns=(*before, *turns))
