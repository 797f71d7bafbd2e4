# SPDX-License-Identifier: Apache-2.0
"""Feature maps as beats of the design's AXI4-Streams."""

from __future__ import annotations

import numpy as np

from nba.ir.design import Design
from nba.ir.program import ceil_div


def stream_bytes(codes: np.ndarray, cols: int, lanes: int) -> list[bytes]:
    """Codes [B, H, W, C] -> per frame the stream's bytes: rows, column groups of `cols`, channel words of `lanes`;
    byte p*lanes+m of a beat is channel m of column p. Absent columns and channels are 0."""
    b, h, w, c = codes.shape
    groups, words = ceil_div(w, cols), ceil_div(c, lanes)
    padded = np.zeros((b, h, groups * cols, words * lanes), np.uint8)
    padded[:, :, :w, :c] = codes.astype(np.int16).astype(np.uint8)
    beats = padded.reshape(b, h, groups, cols, words, lanes).transpose(0, 1, 2, 4, 3, 5)
    return [frame.tobytes() for frame in np.ascontiguousarray(beats)]


def default_images(design: Design, count: int) -> np.ndarray:
    """`count` input frames for a design that comes without images: uniform codes from the design's own seed."""
    tensor = design.network.tensors[0]
    rng = np.random.default_rng(design.seed)
    shape = (count, tensor.height, tensor.width, tensor.channels)
    return rng.integers(tensor.code_min, tensor.code_max + 1, shape).astype(np.int16)
