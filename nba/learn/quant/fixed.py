# SPDX-License-Identifier: Apache-2.0
"""Ranges and fixed-point numbers that training and export share (docs/numerics.md)."""

from __future__ import annotations

import numpy as np

from nba.core.errors import NbaError
from nba.ir.network import MAX_SHIFT, MULT_BITS
from nba.ir.network_rules import BIAS_BITS
from nba.ir.operators import accumulator_bits

_MULT_MAX = (1 << MULT_BITS) - 1
MAX_RATIO = float(_MULT_MAX // 2)
"""Output codes per accumulator step that a multiplier can stand for with the smallest shift."""


def acc_bits(reduction: int, act_bits: int, weight_bits: int, signed: bool) -> int:
    """Bits of a signed accumulator of `reduction` products; equals `Network.acc_bits` for a layer with weights."""
    return accumulator_bits(reduction, act_bits, signed, 1 << (weight_bits - 1))


def bias_limit(reduction: int, act_bits: int, weight_bits: int, signed: bool) -> int:
    """Largest magnitude of a bias code that fits the accumulator's bits, and int32."""
    return int((1 << (min(BIAS_BITS, acc_bits(reduction, act_bits, weight_bits, signed)) - 1)) - 1)


LEAST_MULT = 1 << (MULT_BITS - 2)
"""A smaller multiplier stands for its ratio with less than 14 bits, which is where a channel may get its own shift."""


def fixed_point(ratios: np.ndarray) -> tuple[np.ndarray, int]:
    """(multipliers int64, shift) with ratios ~ multipliers / 2**shift; the largest ratio uses all `MULT_BITS` bits.

    Raises NbaError if a ratio is negative, not finite, or too large for the smallest shift.
    """
    exact = np.asarray(ratios, dtype=np.float64)
    if not np.all(np.isfinite(exact)) or np.any(exact < 0):
        raise NbaError("a requantisation ratio is negative or not finite: training diverged; lower its learning rate")
    largest = float(exact.max(initial=0.0))
    # largest = m * 2**e with m in 0.5..1, so 2**(16 - e) takes it to 32768..65536; the upper end rounds out of range.
    shift = min(MAX_SHIFT, MULT_BITS - int(np.frexp(largest)[1]))
    if np.floor(largest * 2.0**shift + 0.5) > _MULT_MAX:
        shift -= 1
    if shift >= 1:
        return np.floor(exact * 2.0**shift + 0.5).astype(np.int64), shift
    raise NbaError(
        f"a requantisation ratio of {largest:.3g} exceeds {_MULT_MAX / 2:.0f}: training diverged; "
        "lower its learning rate"
    )


def channel_fixed_point(ratios: np.ndarray, least_mult: int = LEAST_MULT) -> tuple[np.ndarray, tuple[int, ...]]:
    """(multipliers int64, shifts) with ratios ~ multipliers / 2**shifts, of layers that may have a shift per channel.

    As `fixed_point`, but a channel whose multiplier would be below `least_mult` gets the shift at which it uses all
    `MULT_BITS` bits, or the largest legal one. Training does not use it: its networks have one shift per layer. Raises
    NbaError as `fixed_point` does.
    """
    mult, shift = fixed_point(ratios)
    shifts = np.full(mult.shape, shift, np.int64)
    for m in np.flatnonzero((mult < least_mult) & (np.asarray(ratios) > 0)):
        own, own_shift = fixed_point(np.asarray(ratios)[m : m + 1])
        mult[m], shifts[m] = own[0], own_shift
    return mult, tuple(int(s) for s in shifts)
