# SPDX-License-Identifier: Apache-2.0
"""Operators are rows: what the product knows of each kind of layer stands here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Operator:
    """One kind of layer.

    mixes: an output channel depends on all input channels of its group, and runs on a chunk that mixes channels
    (`Chunk.mixes`); otherwise on its own input channel alone. stores_weights: its weights are data; otherwise they are
    all 1 and not stored.
    """

    op: str
    mixes: bool
    stores_weights: bool


OPERATORS: dict[str, Operator] = {
    row.op: row
    for row in (
        Operator(op="dense", mixes=True, stores_weights=True),
        Operator(op="depthwise", mixes=False, stores_weights=True),
        Operator(op="avgpool", mixes=False, stores_weights=False),
    )
}
"""Every operator by the name that `Layer.op` has."""
