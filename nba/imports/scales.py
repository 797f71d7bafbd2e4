# SPDX-License-Identifier: Apache-2.0
"""Scales of real numbers as multipliers and shifts, and output channels that depend on nothing."""

from __future__ import annotations

import numpy as np

from nba.ir.network import MASTER_BITS, MAX_SHIFT, MULT_BITS, Layer, Tensor

MAX_MULT = (1 << MULT_BITS) - 1
GOOD_MULT = 1 << (MULT_BITS - 2)
"""A layer has one shift for all channels if each multiplier is at least this large then: what rounding it adds to a
code is below 1 / 128."""


def multipliers(factors: np.ndarray, *, one_shift: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers of MULT_BITS bits and shifts, int64 each, with mult / 2**shift as near as can be to `factors` (all
    above 0): one shift for all where each is at least GOOD_MULT then, or with `one_shift`, else one each.
    Raises ValueError for factors that are too large."""
    if (factors >= 1 << (MULT_BITS - 1)).any():
        raise ValueError(f"a factor of {factors.max():.6g}; legal: below {1 << (MULT_BITS - 1)}")
    exponents = np.frexp(factors)[1]
    shifts = np.clip(MULT_BITS - exponents, 1, MAX_SHIFT)
    mults = np.rint(np.ldexp(factors, shifts)).astype(np.int64)
    over = mults >= 1 << MULT_BITS
    shifts = np.maximum(np.where(over, shifts - 1, shifts), 1)
    mults = np.where(over, np.minimum(np.rint(np.ldexp(factors, shifts)).astype(np.int64), MAX_MULT), mults)
    least = shifts.min(initial=MAX_SHIFT)
    common = np.minimum(np.rint(np.ldexp(factors, least)).astype(np.int64), MAX_MULT)
    if one_shift or (common >= GOOD_MULT).all():
        return common, np.full_like(shifts, least)
    return mults, shifts


def average_multiplier(terms: int) -> tuple[int, int]:
    """Multiplier and shift of an average of `terms` codes. The multiplier is a little above 2**shift / terms, so that a
    half is rounded away from code 0, on either side of it."""
    shift = max(s for s in range(1, MAX_SHIFT + 1) if (1 << s) // terms < MAX_MULT)
    return (1 << shift) // terms + 1, shift


def constant_codes(
    taps: np.ndarray, bias: np.ndarray, factors: np.ndarray, layer: Layer, out: Tensor, codes: tuple[int, int]
) -> np.ndarray:
    """[M] the code that an output channel has for whatever inputs within `codes`; below all codes if it depends."""
    flat = taps.reshape(taps.shape[0], -1).astype(np.int64)
    above, below = np.maximum(flat, 0).sum(axis=1), np.minimum(flat, 0).sum(axis=1)
    mult, shifts = multipliers(factors, one_shift=False)

    def code(acc: np.ndarray) -> np.ndarray:
        total = ((acc + bias) * mult + (np.int64(1) << (shifts - 1)) >> shifts) + out.zero_point
        return np.clip(total, layer.q_min, layer.q_max)

    least, most = code(above * codes[0] + below * codes[1]), code(above * codes[1] + below * codes[0])
    return np.where(least == most, least, -(1 << MASTER_BITS))


def with_constants(
    mult: np.ndarray, shifts: np.ndarray, bias: np.ndarray, ends: np.ndarray, steady: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Multipliers, shifts and biases of all channels, of which those that are `steady` end `ends` codes from the zero
    point whatever they read; mult and shifts are those of the others. Their shift is the least of the layer, as far as
    a bias of sixteen bits allows."""
    least = int(shifts.min(initial=MULT_BITS - 1))
    up = least - (MULT_BITS - 1) if least <= MULT_BITS - 1 + 7 else 0
    one, up = min(least, MULT_BITS - 1), max(up, 0)
    all_mult = np.where(ends == 0, 0, 1 << one)
    all_shifts = np.where(ends == 0, least, one + up)
    all_mult[~steady], all_shifts[~steady] = mult, shifts
    return all_mult, all_shifts, np.where(steady, ends << up, bias)
