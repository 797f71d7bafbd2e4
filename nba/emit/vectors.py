# SPDX-License-Identifier: Apache-2.0
"""Feature maps as beats of the design's AXI4-Streams."""

from __future__ import annotations

import numpy as np

from nba.core.errors import DataError
from nba.ir.design import Design
from nba.ir.network import MASTER_BITS, Network, Tensor
from nba.ir.reference import image_codes
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


def stream_codes(frames: list[bytes], tensor: Tensor, cols: int, lanes: int) -> np.ndarray:
    """The inverse of `stream_bytes`: codes [B, H, W, C] of `tensor`, in its dtype. What absent columns and channels
    hold is left out."""
    groups, words = ceil_div(tensor.width, cols), ceil_div(tensor.channels, lanes)
    kind = stream_dtype(tensor.bits).replace("u", "i") if tensor.signed else stream_dtype(tensor.bits)
    beats = np.frombuffer(b"".join(frames), kind).reshape(-1, tensor.height, groups, words, cols, lanes)
    padded = beats.transpose(0, 1, 2, 4, 3, 5).reshape(-1, tensor.height, groups * cols, words * lanes)
    return padded[:, :, : tensor.width, : tensor.channels].astype(tensor.dtype)


def frame_codes(network: Network, images: np.ndarray) -> np.ndarray:
    """Images as codes of the network's input, [B, H, W, C] of its dtype.

    images: [B, H, W, C] ([B, H, W] if C is 1), B from 1 on. uint8: pixels where the input is unsigned; otherwise codes,
    as are all other integers. Raises DataError for another shape, no integers, or codes out of range.
    """
    first = network.tensors[0]
    wanted = (first.height, first.width, first.channels)
    x = np.asarray(images)
    if x.ndim == 3 and first.channels == 1:
        x = x[..., None]
    if x.ndim != 4 or x.shape[1:] != wanted or not len(x):
        raise DataError(
            f"images of shape {list(np.shape(images))}; legal: [B, {', '.join(map(str, wanted))}], B from 1"
        )
    if not np.issubdtype(x.dtype, np.integer):
        raise DataError(f"images of type {x.dtype}; legal: integers (uint8 for pixels)")
    if x.dtype == np.uint8 and not first.signed:
        return image_codes(network, x)
    low, high = int(x.min()), int(x.max())
    if low < first.code_min or high > first.code_max:
        raise DataError(f"images hold codes {low}..{high}; legal: {first.code_min}..{first.code_max}")
    return x.astype(first.dtype)


def default_images(design: Design, count: int) -> np.ndarray:
    """`count` input frames for a design that comes without images: uniform codes from the design's own seed."""
    tensor = design.network.tensors[0]
    rng = np.random.default_rng(design.seed)
    shape = (count, tensor.height, tensor.width, tensor.channels)
    return rng.integers(tensor.code_min, tensor.code_max + 1, shape).astype(tensor.dtype)
