# SPDX-License-Identifier: Apache-2.0
"""Weights whose bitwidths share one stored set of 8-bit master codes (docs/numerics.md, Shared master codes).

Up to 8 bits a layer multiplies with its master codes rounded to its bits, exactly as the integer reference nests them;
above, it has codes of its own. What BatchNorm does per bitwidth is in the multipliers and biases alone, so its gain is
the magnitude of its parameter: a multiplier has no sign, and a sign cannot go into codes that other bitwidths read too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nba.ir.network import MASTER_BITS
from nba.learn.quant.fake import QuantLayer
from nba.learn.quant.fixed import MAX_RATIO
from nba.learn.quant.norm import BatchNorm
from nba.learn.quant.rounding import Precision, along, shown_codes, weight_codes, weight_scale

_MASTER_STEP_OF_RMS = {2: 0.01638, 3: 0.01880, 4: 0.02113, 5: 0.02350, 6: 0.02570, 7: 0.02760, 8: 0.03087}
"""Step of the master codes, in units of the root mean square, for which the codes of so many bits that are nested in
them have the least squared error on a normal distribution (minimised numerically)."""
_MASTER_HIGH = (1 << (MASTER_BITS - 1)) - 1
_TINY = 1e-8
_TINY_STEP = 1e-20


def master_scale(w_M: Tensor, lowest: int) -> Tensor:
    """Real value [M] of one master code of weights [M, ...]: the smaller of full range and least squares for `lowest`,
    the fewest bits (2..8) that will be nested in the codes."""
    flat = w_M.detach().flatten(1)
    full = flat.abs().amax(1) / _MASTER_HIGH
    return torch.minimum(full, flat.pow(2).mean(1).sqrt() * _MASTER_STEP_OF_RMS[lowest]).clamp_min(_TINY)


def master_codes(w_M: Tensor, lowest: int) -> Tensor:
    """The 8-bit codes [M, ...], -127..127, that are stored; straight-through gradient, zero outside the range."""
    return weight_codes(w_M, master_scale(w_M, lowest), MASTER_BITS)


def nested_codes(w_M: Tensor, bits: int, lowest: int) -> tuple[Tensor, Tensor]:
    """(codes [M, ...] of `bits` bits, real value [M] of one code).

    Up to 8 bits: the master codes, rounded half up and clamped from above (`nba.ir.reference.nest`); the scale grows
    by a power of two. Above: codes of their own.
    """
    if bits > MASTER_BITS:
        scale = weight_scale(w_M, bits)
        return weight_codes(w_M, scale, bits), scale
    step, scale = float(1 << (MASTER_BITS - bits)), master_scale(w_M, lowest)
    return shown_codes(weight_codes(w_M, scale, MASTER_BITS), bits, True) / step, scale * step


class NestedLayer(QuantLayer):
    """A layer at one bitwidth whose weights other bitwidths share. `lowest`: the fewest bits among these, at most 8."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.lowest = MASTER_BITS

    def kernel(self, weight: Tensor, precision: Precision) -> Tensor:
        """Real values [M, N, K, K] of the nested codes."""
        (bits,) = precision.bitwidths
        codes, scale = nested_codes(weight, bits, self.lowest)
        return codes * along(scale, codes)

    def gain(self, norm: BatchNorm) -> Tensor:
        """The magnitude of the parameter."""
        return norm.weight.abs()

    def folded_codes(self, bits: int, nested_scale: Tensor, limit: float) -> tuple[Tensor, Tensor, Tensor]:
        """As of `QuantLayer`, but the codes know nothing of BatchNorm: its gain is in the accumulator's step. Where a
        bias would exceed `limit` the gain is enlarged until it does not."""
        assert self.weight is not None
        codes, scale = nested_codes(self.weight, bits, self.lowest)
        step = scale * nested_scale
        gain, bias = self._affine()
        gain = torch.maximum(gain, (bias / (step * limit)).detach().abs())
        acc_scale = (gain * step).clamp_min(_TINY_STEP)
        if self.out.bits != MASTER_BITS:
            acc_scale = torch.minimum(acc_scale, MAX_RATIO * self.out.scale().detach())
        return codes, acc_scale, bias

    def _affine(self) -> tuple[Tensor, Tensor]:
        """(gain [M], bias [M]) of BatchNorm's running statistics, or of the bias alone."""
        if self.norm is None:
            assert self.bias is not None
            return torch.ones_like(self.bias), self.bias
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        gain = self.gain(self.norm) / torch.sqrt(self.norm.running_var + self.norm.eps)
        return gain, self.norm.bias - self.norm.running_mean * gain
