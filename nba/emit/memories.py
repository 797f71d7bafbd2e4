# SPDX-License-Identifier: Apache-2.0
"""Contents of the weight and parameter memories, as $readmemh text."""

from __future__ import annotations

import numpy as np

from nba.ir.network import MULT_BITS, LayerWeights, Network
from nba.ir.program import ChunkProgram, JobProgram


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


def _job_weights(network: Network, chunk: ChunkProgram, job: JobProgram, lw: LayerWeights) -> np.ndarray:
    """[weight_words, pm * pn] weights of `job` in the order of its steps."""
    layer = network.layers[job.layer]
    if layer.op == "avgpool":
        return np.ones((1, chunk.pm * chunk.pn), np.int64)
    w = lw.weight.astype(np.int64)
    m_pad = job.m_groups * chunk.pm - w.shape[0]
    if layer.op == "depthwise":
        w = np.pad(w, ((0, m_pad), (0, 0), (0, 0)))
        return w.reshape(job.m_groups, chunk.pm, *w.shape[1:]).transpose(0, 2, 3, 1).reshape(-1, chunk.pm)
    w = np.pad(w, ((0, m_pad), (0, job.chan_words * chunk.pn - w.shape[1]), (0, 0), (0, 0)))
    w = w.reshape(job.m_groups, chunk.pm, job.chan_words, chunk.pn, *w.shape[2:])
    return w.transpose(0, 4, 5, 2, 1, 3).reshape(-1, chunk.pm * chunk.pn)


def weight_memory(network: Network, chunk: ChunkProgram, weights: tuple[LayerWeights, ...]) -> str:
    """$readmemh text of the chunk's weight ROM: weight_depth words and the guard."""
    width = chunk.pm * chunk.pn * chunk.weight_store_bits
    words: list[int] = []
    for job in chunk.jobs:
        rows = _job_weights(network, chunk, job, weights[job.layer])
        assert len(rows) == job.weight_words
        assert len(words) == job.weight_base
        words += pack_rows(rows, chunk.weight_store_bits)
    return hex_lines(guarded(words, width), width)


def param_memory(chunk: ChunkProgram, weights: tuple[LayerWeights, ...]) -> str:
    """$readmemh text of the chunk's parameter ROM: per word pq biases of acc_bits bits, then pq multipliers."""
    width = chunk.pq * (chunk.acc_bits + MULT_BITS)
    words: list[int] = []
    for job in chunk.jobs:
        lw = weights[job.layer]
        pad = (0, job.param_words * chunk.pq - len(lw.bias))
        bias = pack_rows(np.pad(lw.bias.astype(np.int64), pad).reshape(-1, chunk.pq), chunk.acc_bits)
        mult = pack_rows(np.pad(lw.mult.astype(np.int64), pad).reshape(-1, chunk.pq), MULT_BITS)
        assert len(words) == job.param_base
        words += [b | m << (chunk.pq * chunk.acc_bits) for b, m in zip(bias, mult, strict=True)]
    return hex_lines(guarded(words, width), width)
