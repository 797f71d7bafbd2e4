# SPDX-License-Identifier: Apache-2.0
"""Weights and parameters of a chunk in the order of its steps, as C initialisers."""

from __future__ import annotations

import numpy as np

from nba.ir.network import LayerWeights
from nba.ir.program import ChunkProgram, JobProgram


def braces(*values: int | str | bool) -> str:
    """A C initialiser of these values."""
    return "{" + ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values) + "}"


def weight_words(chunk: ChunkProgram, job: JobProgram, lw: LayerWeights) -> np.ndarray:
    """Stored weight codes of a job in the order of its steps, int64 [weight_words, lanes]; lanes are [pm][pn] (dense)
    or [pm]. Absent channels hold 0; average pooling is one word of ones."""
    pm, pn, groups = chunk.pm, chunk.pn, job.m_groups
    if not job.weight_step:
        return np.ones((1, pm), np.int64)
    w = lw.weight.astype(np.int64)
    if chunk.kind == "depthwise":
        w = np.pad(w, ((0, groups * pm - w.shape[0]), (0, 0), (0, 0)))
        return w.reshape(groups, pm, job.kernel_h, job.kernel_w).transpose(0, 2, 3, 1).reshape(-1, pm)
    w = np.pad(w, ((0, groups * pm - w.shape[0]), (0, job.chan_words * pn - w.shape[1]), (0, 0), (0, 0)))
    w = w.reshape(groups, pm, job.chan_words, pn, job.kernel_h, job.kernel_w)
    return w.transpose(0, 4, 5, 2, 1, 3).reshape(-1, pm * pn)


def param_words(chunk: ChunkProgram, job: JobProgram, lw: LayerWeights) -> tuple[np.ndarray, np.ndarray]:
    """Bias and multiplier of a job in the order of its drain steps, int64 [param_words, pq] each; 0 where absent."""
    room = job.m_groups * chunk.pm - lw.bias.shape[0]
    bias = np.pad(lw.bias.astype(np.int64), (0, room)).reshape(-1, chunk.pq)
    return bias, np.pad(lw.mult.astype(np.int64), (0, room)).reshape(-1, chunk.pq)


def packed(words: np.ndarray, bits: int) -> tuple[str, ...]:
    """Words of `bits`-bit lanes as C initialisers of 64-bit parts."""
    per_part = 64 // bits
    lanes = words.shape[1]
    parts = -(-lanes // per_part)
    codes = np.pad(words & ((1 << bits) - 1), ((0, 0), (0, parts * per_part - lanes))).astype(np.uint64)
    shifts = (np.arange(per_part, dtype=np.uint64) * np.uint64(bits))[None, None, :]
    packed = np.bitwise_or.reduce(codes.reshape(-1, parts, per_part) << shifts, axis=2)
    return tuple("{" + ", ".join(f"0x{v:x}ull" for v in row) + "}" for row in packed.tolist())
