# SPDX-License-Identifier: Apache-2.0
"""The integer input contract: pixels become unsigned 8-bit codes."""

from __future__ import annotations

import numpy as np

CODE_MAX = 255
"""Largest input code; the input tensor is unsigned, 8 bits, zero point 0."""
INPUT_SCALE = 1.0 / CODE_MAX
"""Real value of one input code: a full-scale pixel is 1.0."""
PIXEL_MAX = 255.0
"""Largest pixel of an 8-bit image."""


def input_codes(pixels: np.ndarray, maximum: float) -> np.ndarray:
    """Pixels in 0..maximum -> the unsigned 8-bit input codes: round half up of pixel * 255 / maximum, clamped.

    The only definition of the input: training sees code * INPUT_SCALE, the integer network sees the code.
    """
    pixels = np.asarray(pixels)
    if pixels.dtype == np.uint8 and maximum == CODE_MAX:
        return pixels
    scaled = np.floor(pixels.astype(np.float64) * CODE_MAX / maximum + 0.5)
    return np.clip(scaled, 0, CODE_MAX).astype(np.uint8)
