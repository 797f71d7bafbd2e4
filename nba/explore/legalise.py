# SPDX-License-Identifier: Apache-2.0
"""Engines and partitions, completed to designs that the closed forms take."""

from __future__ import annotations

from math import gcd

import numpy as np

from nba.core.compiled import compiled
from nba.machine.designs import INPUT, KERNEL_H, RESIDUAL, ROWS, STRIDE_H, Designs, source_rows
from nba.machine.geometry import input_word, least_rows


@compiled
def make_legal(
    layers: np.ndarray, in_lanes: np.ndarray, mixes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray,
    chunk: np.ndarray,
) -> None:  # fmt: skip
    """Drains [B, K] lowered until they divide what they fill, and the lanes [B] of the input stream, in place."""
    n_layers = layers.shape[0]
    for b in range(in_lanes.size):
        for i in range(n_layers):
            k = chunk[b, i]
            pq[b, k] = gcd(pq[b, k], pm[b, k])
        changed = True
        while changed:
            changed = False
            for i in range(n_layers):
                k = chunk[b, i]
                lanes = input_word(mixes[b, k] == 1, pm[b, k], pn[b, k])
                for use in range(2):
                    tensor = layers[i, INPUT] if use == 0 else layers[i, RESIDUAL]
                    if tensor > 0:
                        p = chunk[b, tensor - 1]
                        legal = gcd(pq[b, p], lanes if use == 0 else pq[b, k])
                        changed = changed or legal != pq[b, p]
                        pq[b, p] = legal
        in_lanes[b] = 0
        for i in range(n_layers):
            k = chunk[b, i]
            if layers[i, INPUT] == 0:
                in_lanes[b] = gcd(in_lanes[b], input_word(mixes[b, k] == 1, pm[b, k], pn[b, k]))
            if layers[i, RESIDUAL] == 0:
                in_lanes[b] = gcd(in_lanes[b], pq[b, k])


# One compiled kernel: its arguments are the arrays of `Designs`.
@compiled
def _complete(
    layers: np.ndarray, pp: np.ndarray, in_lanes: np.ndarray, out_lanes: np.ndarray, out_rows: np.ndarray,
    mixes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray, chunk: np.ndarray, stage: np.ndarray,
    position: np.ndarray, main_rows: np.ndarray, res_rows: np.ndarray,
) -> None:  # fmt: skip
    """Legal drains, streams and rings, in place."""
    n_layers = layers.shape[0]
    make_legal(layers, in_lanes, mixes, pm, pn, pq, chunk)
    for b in range(pp.size):
        for i in range(n_layers):
            for use in range(2):
                tensor = layers[i, INPUT] if use == 0 else layers[i, RESIDUAL]
                if tensor < 0:
                    continue
                height = source_rows(layers, tensor)
                if use == 1:
                    res_rows[b, i] = height
                else:
                    main_rows[b, i] = max(height, least_rows(layers[i, KERNEL_H], layers[i, STRIDE_H]))
        out_lanes[b] = pq[b, chunk[b, n_layers - 1]]
        out_rows[b] = layers[n_layers - 1, ROWS]


def completed(
    layers: np.ndarray, *, pp: np.ndarray, mixes: np.ndarray, pm: np.ndarray, pn: np.ndarray, pq: np.ndarray,
    chunk: np.ndarray,
) -> Designs:  # fmt: skip
    """Engines (pp [B]; mixes, pm, pn, pq [B, K]) and partitions (chunk [B, L]) as designs: with legal drains, network
    order, no stages, and rings of a map."""
    b, n_layers = chunk.shape
    out = Designs(
        pp=pp.copy(), in_lanes=np.zeros(b, np.int64), out_lanes=np.zeros(b, np.int64), out_rows=np.zeros(b, np.int64),
        mixes=mixes.copy(), pm=pm.copy(), pn=pn.copy(), pq=pq.copy(), chunk=chunk.copy(),
        stage=np.zeros((b, n_layers), np.int64),
        position=np.broadcast_to(np.arange(n_layers), (b, n_layers)).copy(),
        main_rows=np.zeros((b, n_layers), np.int64), res_rows=np.zeros((b, n_layers), np.int64),
    )  # fmt: skip
    _complete(layers, *out.arrays())
    return out
