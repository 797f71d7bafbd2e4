# SPDX-License-Identifier: Apache-2.0
"""Contents of the weight and parameter memories, as $readmemh text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nba.ir.network import Layer, LayerWeights, Network, Weights
from nba.ir.operators import second_group
from nba.machine.fetches import store_row_beats, words_per_row
from nba.machine.layout import PARAM, SHIFT
from nba.machine.program import ChunkProgram, JobProgram, Program


def hex_lines(words: list[int], width: int) -> str:
    """One hexadecimal word of `width` bits per line."""
    digits = -(-width // 4)
    return "".join(f"{word:0{digits}x}\n" for word in words)


def pack_rows(values: np.ndarray, bits: int) -> list[int]:
    """[words, lanes] integers -> one integer per word, lane 0 in the low bits, two's complement of `bits` bits."""
    lanes = (values.astype(np.int64)[:, :, None] >> np.arange(bits)) & 1
    raw = np.packbits(lanes.reshape(len(values), -1).astype(np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in raw]


def guarded(words: list[int], width: int) -> list[int]:
    """`words` and one more, the complement of the first: synthesis then sees no constant column, so that the size of
    the memory does not depend on the weights."""
    return [*words, words[0] ^ ((1 << width) - 1)]


def block_diagonal(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """[M, N / 2, KH, KW] of a layer of two groups -> [M, N, KH, KW] with 0 where a channel does not look."""
    m, n = weight.shape[:2]
    second = second_group(m, layer.rotate)
    whole = np.zeros((m, 2 * n, *weight.shape[2:]), weight.dtype)
    whole[~second, :n] = weight[~second]
    whole[second, n:] = weight[second]
    return whole


def job_weights(chunk: ChunkProgram, job: JobProgram, layer: Layer, lw: LayerWeights) -> np.ndarray:
    """Stored weight codes of a job in the order of its steps, int64 [weight_words, lanes]; lanes are [pm][pn]
    on an engine that mixes channels, else [pm]. Absent channels hold 0; where no weights are stored there is one word
    of ones. A channel group that reads one half of the
    input words has the weights of that half only."""
    pm, pn, groups = chunk.pm, chunk.pn, job.all_groups
    if not layer.operator.stores_weights:
        return np.ones((1, pm), np.int64)
    w = lw.weight.astype(np.int64)
    if not layer.operator.mixes:
        w = np.pad(w, ((0, groups * pm - w.shape[0]), (0, 0), (0, 0)))
        return w.reshape(groups, pm, job.kernel_h, job.kernel_w).transpose(0, 2, 3, 1).reshape(-1, pm)
    if layer.groups == 2 and job.halves.words == 0:
        w = block_diagonal(layer, w)
    w = np.pad(w, ((0, groups * pm - w.shape[0]), (0, job.chan_words * pn - w.shape[1]), (0, 0), (0, 0)))
    w = w.reshape(groups, pm, job.chan_words, pn, job.kernel_h, job.kernel_w)
    return w.transpose(0, 4, 5, 2, 1, 3).reshape(-1, pm * pn)


def job_params(chunk: ChunkProgram, job: JobProgram, lw: LayerWeights) -> tuple[np.ndarray, np.ndarray]:
    """Bias and multiplier of a job in the order of its drain steps, int64 [param_words, pq] each; 0 where absent."""
    room = job.all_groups * chunk.pm - lw.bias.shape[0]
    bias = np.pad(lw.bias.astype(np.int64), (0, room)).reshape(-1, chunk.pq)
    return bias, np.pad(lw.mult.astype(np.int64), (0, room)).reshape(-1, chunk.pq)


def job_shifts(chunk: ChunkProgram, job: JobProgram, layer: Layer) -> np.ndarray:
    """How far the shift of every channel of a job is above that of `layer`, in the order of its drain steps, int64
    [param_words, pq]; 0 where absent."""
    if layer.shifts is None:
        return np.zeros((job.param_words, chunk.pq), np.int64)
    more = np.array(layer.shifts, np.int64) - layer.shift
    return np.pad(more, (0, job.all_groups * chunk.pm - len(more))).reshape(-1, chunk.pq)


def pad_words(chunk: ChunkProgram, network: Network) -> np.ndarray:
    """The pad codes of the jobs of a chunk that have them, in their order, int64 [pad_depth, lanes]; 0 where absent."""
    words = [np.zeros((0, chunk.lanes), np.int64)]
    for job in chunk.jobs:
        codes = network.layers[job.layer].pad_codes
        if codes is not None:
            assert job.pad_base == sum(map(len, words))
            room = job.pad_words * chunk.lanes - len(codes)
            words.append(np.pad(np.array(codes, np.int64), (0, room)).reshape(-1, chunk.lanes))
    return np.concatenate(words)


def weight_memory(chunk: ChunkProgram, layers: tuple[Layer, ...], weights: tuple[LayerWeights, ...]) -> str:
    """$readmemh text of the weights that are always there: weight_depth words and the guard, which the memory of a
    chunk that streams others does not need."""
    width = chunk.pm * chunk.pn * chunk.weight_store_bits
    words: list[int] = []
    for job in chunk.jobs:
        if job.streamed:
            continue
        rows = job_weights(chunk, job, layers[job.layer], weights[job.layer])
        assert len(rows) == job.weight_words
        assert len(words) == job.weight_base
        words += pack_rows(rows, chunk.weight_store_bits)
    if chunk.slots:
        per = words_per_row(width, chunk.bus_bits)
        return hex_lines(side_by_side(words, width, per), per * width)
    return hex_lines(guarded(words, width), width)


def side_by_side(words: list[int], width: int, per: int) -> list[int]:
    """Rows of `per` words of `width` bits, the first in the low bits; 0 where the last row has none."""
    return [sum(word << (i * width) for i, word in enumerate(words[at : at + per])) for at in range(0, len(words), per)]


def weight_image(program: Program, layers: tuple[Layer, ...], weights: tuple[LayerWeights, ...]) -> list[int]:
    """The image of the streamed weights in external memory, a beat of `bus_bits` bits each: slice after slice in the
    order of the fetches, each from the beginning of a burst on. A row of a store takes whole beats, low bits first."""
    memory = program.memory
    beats: list[int] = []
    if memory is None:
        return beats
    mask = (1 << memory.bus_bits) - 1
    for one in program.fetches:
        chunk = program.chunks[one.chunk]
        job = chunk.jobs[one.job]
        rows = job_weights(chunk, job, layers[job.layer], weights[job.layer])
        mine = rows[one.slice * job.slice_words : (one.slice + 1) * job.slice_words]
        per, parts = (
            words_per_row(width := chunk.weight_width, memory.bus_bits),
            store_row_beats(width, memory.bus_bits),
        )
        beats += [0] * (one.first_burst * memory.burst - len(beats))
        for row in side_by_side(pack_rows(mine, chunk.weight_store_bits), width, per):
            beats += [row >> (part * memory.bus_bits) & mask for part in range(parts)]
    return [*beats, *[0] * (-len(beats) % memory.burst)]


def image_bytes(program: Program, layers: tuple[Layer, ...], weights: tuple[LayerWeights, ...]) -> bytes:
    """`weight_image` as a driver copies it; empty where nothing is streamed."""
    size = 0 if program.memory is None else program.memory.bus_bits // 8
    return b"".join(beat.to_bytes(size, "little") for beat in weight_image(program, layers, weights))


def other_weights(program: Program, weights: Weights) -> Weights:
    """Weights to try another image with: those of every streamed layer in the opposite order, all else as it was."""
    streamed = {job.layer for chunk in program.chunks for job in chunk.jobs if job.streamed}
    return tuple(
        replace(one, weight=np.ascontiguousarray(one.weight.ravel()[::-1].reshape(one.weight.shape)))
        if i in streamed
        else one
        for i, one in enumerate(weights)
    )


def param_memory(chunk: ChunkProgram, modes: tuple[tuple[Network, Weights], ...]) -> str:
    """$readmemh text of the chunk's parameter ROM, words as nba.machine.layout.PARAM says and, with shifts per channel,
    SHIFT behind it. `modes`: the network and the weights of each mode, whose parameters follow each other."""
    sizes = {"PQ": chunk.pq, "ACC_BITS": chunk.acc_bits, "SHIFT_BITS": chunk.shift_bits}
    fields = [(field, low) for field, low, _ in PARAM.places(sizes)]
    if chunk.shift_bits:
        fields += [(field, PARAM.width(sizes) + low) for field, low, _ in SHIFT.places(sizes)]
    words: list[int] = []
    assert len(modes) == chunk.n_modes
    for mode, job in ((m, j) for m in range(chunk.n_modes) for j in chunk.jobs):
        network, weights = modes[mode]
        bias, mult = job_params(chunk, job, weights[job.layer])
        assert len(words) == job.param_base + mode * chunk.mode_params
        values = {"bias": bias, "mult": mult, "shift": job_shifts(chunk, job, network.layers[job.layer])}
        rows = [0] * len(bias)
        for field, low in fields:
            lanes = pack_rows(values[field.name], field.width(sizes))
            rows = [row | lane << low for row, lane in zip(rows, lanes, strict=True)]
        words += rows
    width = PARAM.width(sizes) + SHIFT.width(sizes)
    return hex_lines(guarded(words, width), width)


def pad_memory(chunk: ChunkProgram, network: Network) -> str:
    """$readmemh text of the chunk's ROM of pad codes: pad_depth words and the guard."""
    width = chunk.lanes * network.master_bits
    return hex_lines(guarded(pack_rows(pad_words(chunk, network), network.master_bits), width), width)
