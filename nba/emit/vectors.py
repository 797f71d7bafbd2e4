# SPDX-License-Identifier: Apache-2.0
"""Feature maps as beats of the design's AXI4-Streams."""

from __future__ import annotations

import numpy as np

from nba.ir.design import Design
from nba.ir.network import MASTER_BITS
from nba.machine.geometry import ceil_div


def stream_dtype(bits: int) -> str:
    """numpy dtype of a master code on a stream and in a file: 8 or 16 bits, low byte first."""
    return "u1" if bits == MASTER_BITS else "<u2"


def stream_bytes(codes: np.ndarray, cols: int, lanes: int, bits: int) -> list[bytes]:
    """Codes [B, H, W, C] of `bits` bits -> per frame the stream's bytes: rows, column groups of `cols`, channel words
    of `lanes`; code p*lanes+m of a beat is channel m of column p. Absent columns and channels are 0."""
    b, h, w, c = codes.shape
    groups, words = ceil_div(w, cols), ceil_div(c, lanes)
    padded = np.zeros((b, h, groups * cols, words * lanes), stream_dtype(bits))
    padded[:, :, :w, :c] = codes.astype(np.int32).astype(stream_dtype(bits))
    beats = padded.reshape(b, h, groups, cols, words, lanes).transpose(0, 1, 2, 4, 3, 5)
    return [frame.tobytes() for frame in np.ascontiguousarray(beats)]


def default_images(design: Design, count: int) -> np.ndarray:
    """`count` input frames for a design that comes without images: uniform codes from the design's own seed."""
    tensor = design.network.tensors[0]
    rng = np.random.default_rng(design.seed)
    shape = (count, tensor.height, tensor.width, tensor.channels)
    return rng.integers(tensor.code_min, tensor.code_max + 1, shape).astype(tensor.dtype)
