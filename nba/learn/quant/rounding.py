# SPDX-License-Identifier: Apache-2.0
"""Rounding with gradients: master codes, nested bits and weight codes of docs/numerics.md as torch functions.

Everything rounds half up, as the hardware does, with straight-through gradients. Where bitwidths are searched, all of
them are blended before the one convolution (heterogeneous sampling, Auto-NBA).

Shapes: x_BCHW activations, w_M... weights of M output channels, J bitwidths, V code values.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nba.ir.network import MASTER_BITS
from nba.learn.quant.blend import blended_weights
from nba.learn.quant.blend import per_channel as along

_STEP_OF_RMS = {2: 1.224, 3: 0.586, 4: 0.335, 5: 0.188, 6: 0.104, 7: 0.057, 8: 0.031, 12: 0.002449, 16: 0.000181}
"""Step of the uniform quantiser of least squared error for a normal distribution, in units of its deviation
(3 levels at 2 bits; Max, "Quantizing for minimum distortion", 1960; 12 and 16 bits: minimised numerically)."""
_TINY = 1e-8


def _flat(x_BCHW: Tensor) -> Tensor:
    """All values in the order of channels-last memory, the layout of every activation here (2.5 times faster than
    channels-first for depthwise convolutions on CPUs)."""
    return x_BCHW.permute(0, 2, 3, 1).reshape(-1)


class _Round(torch.autograd.Function):
    """floor(x + 1/2) with the gradient of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.floor(x + 0.5)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


class _ToCodes(torch.autograd.Function):
    """y -> floor(y) clamped to codes low..high, where y holds values in code steps plus 1/2 (so it rounds half up); the
    gradient passes inside the range. Two passes forward, one backward."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, low: float, high: float) -> Tensor:
        # One input channel looks like either layout to torch, and convolutions would then carry on with the slow one.
        y = y.contiguous(memory_format=torch.channels_last)
        ctx.save_for_backward(y)
        ctx.low, ctx.high = low + 0.5, high + 0.5
        return y.clamp(low, high + 0.5).floor_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (y,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.hardtanh_backward(grads[0], y, ctx.low, ctx.high)
        return passed, None, None


class _Shown(torch.autograd.Function):
    """Master codes -> what `bits` bits show of them, in master code steps; the gradient never saturates: the top code
    still stands for the values around it."""

    @staticmethod
    def forward(ctx: Any, codes: Tensor, bits: int, signed: bool, master_bits: int) -> Tensor:
        drop = master_bits - bits
        high = float((1 << (bits - 1)) - 1 if signed else (1 << bits) - 1)
        half = codes.new_tensor(0.5)
        return torch.add(half, codes, alpha=0.5**drop).floor_().clamp_max_(high).mul_(float(1 << drop))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return grads[0], None, None, None


class _Blend(torch.autograd.Function):
    """sum_j mix_j (what bitwidth j shows of the codes), through one table over all codes, in master code steps.

    shown_JV holds what each of J bitwidths makes of each code V. The coefficients sum to 1, so that the gradient of the
    codes is that of the result.
    """

    @staticmethod
    def forward(ctx: Any, codes: Tensor, mix: Tensor, shown_JV: Tensor, offset: int) -> Tensor:
        index = _flat(codes).add(float(offset)).to(torch.int32)
        ctx.save_for_backward(index, mix, shown_JV)
        batch, channels, height, width = codes.shape
        row = mix @ shown_JV
        return row.index_select(0, index).reshape(batch, height, width, channels).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        index, mix, shown_JV = ctx.saved_tensors
        to_mix = None
        if ctx.needs_input_grad[1]:
            per_code = torch.bincount(index, _flat(grads[0]), shown_JV.shape[1]).to(mix.dtype)
            to_mix = shown_JV @ per_code
        return grads[0], to_mix, None, None


def to_codes(y_BCHW: Tensor, low: float, high: float) -> Tensor:
    """Master codes low..high of values that are already in code steps, plus 1/2."""
    codes: Tensor = _ToCodes.apply(y_BCHW, low, high)
    return codes


def encode(x_BCHW: Tensor, log_scale: Tensor, low: float, high: float) -> Tensor:
    """Master codes of real values: round half up of x / exp(log_scale), clamped to low..high."""
    return to_codes(x_BCHW * torch.exp(-log_scale) + 0.5, low, high)


def round_through(x: Tensor) -> Tensor:
    """Round half up, as the hardware does; gradient of the identity."""
    result: Tensor = _Round.apply(x)
    return result


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Signal:
    """A feature map: `codes_BCHW` master codes of `bits` bits, real value codes * scale."""

    codes_BCHW: Tensor
    scale: Tensor
    signed: bool
    bits: int = MASTER_BITS

    def real(self) -> Tensor:
        """The real values [B, C, H, W]."""
        return nested(self, self.bits)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Precision:
    """The bits a layer works at: one of `bitwidths`, or, while searching, all of them blended by `mix` [J]."""

    bitwidths: tuple[int, ...]
    mix: Tensor | None = None


def shown_codes(codes_BCHW: Tensor, bits: int, signed: bool, master_bits: int = MASTER_BITS) -> Tensor:
    """Master codes as a consumer at `bits` bits sees them, in master code steps (docs/numerics.md, Nested bits)."""
    if bits == master_bits:
        return codes_BCHW
    found: Tensor = _Shown.apply(codes_BCHW, bits, signed, master_bits)
    return found


def nested(signal: Signal, bits: int) -> Tensor:
    """Real values of `signal` as a consumer at `bits` bits sees them."""
    return shown_codes(signal.codes_BCHW, bits, signal.signed, signal.bits) * signal.scale


def seen_codes(signal: Signal, precision: Precision) -> Tensor:
    """`signal` at `precision` in master code steps: nested, and blended over bitwidths where there is a mix."""
    if precision.mix is None:
        (bits,) = precision.bitwidths
        return shown_codes(signal.codes_BCHW, bits, signal.signed, signal.bits)
    offset = 1 << (signal.bits - 1) if signal.signed else 0
    table_JV = _shown_table(precision.bitwidths, signal.signed, signal.bits, signal.codes_BCHW.device)
    blended: Tensor = _Blend.apply(signal.codes_BCHW, precision.mix, table_JV, offset)
    return blended


@functools.cache
def _shown_table(bitwidths: tuple[int, ...], signed: bool, master_bits: int, device: torch.device) -> Tensor:
    codes = torch.arange(1 << master_bits, dtype=torch.float32) - (1 << (master_bits - 1) if signed else 0)
    return torch.stack([shown_codes(codes, bits, signed, master_bits) for bits in bitwidths]).to(device)


def weight_scale(w_M: Tensor, bits: int) -> Tensor:
    """Scale per output channel [M] of weights [M, ...] at `bits` bits: the smaller of full range and least squares."""
    return _weight_scales(w_M, (bits,))[0]


@functools.cache
def _weight_constants(bitwidths: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Largest code and step of the root mean square, [J, 1] each."""
    high = torch.tensor([[float((1 << (bits - 1)) - 1)] for bits in bitwidths])
    return high.to(device), torch.tensor([[_STEP_OF_RMS[bits]] for bits in bitwidths], device=device)


def _weight_scales(w_M: Tensor, bitwidths: tuple[int, ...]) -> Tensor:
    flat = w_M.detach().flatten(1)
    high, step = _weight_constants(bitwidths, w_M.device)
    full = flat.abs().amax(1) / high
    least = flat.pow(2).mean(1).sqrt() * step
    return torch.minimum(full, least).clamp_min(_TINY)


def weight_codes(w_M: Tensor, scale_M: Tensor, bits: int) -> Tensor:
    """Symmetric weight codes [M, ...], gradient of the identity inside the range and zero outside."""
    high = float((1 << (bits - 1)) - 1)
    return round_through((w_M / along(scale_M, w_M)).clamp(-high, high))


def quantised(w_M: Tensor, precision: Precision) -> Tensor:
    """Real values of the quantised weights [M, ...], blended over bitwidths where there is a mix: heterogeneous
    sampling happens here and in `seen`, before the one convolution (Auto-NBA, arXiv 2106.06575)."""
    scales_JM = _weight_scales(w_M, precision.bitwidths)
    if precision.mix is None:
        (bits,) = precision.bitwidths
        return weight_codes(w_M, scales_JM[0], bits) * along(scales_JM[0], w_M)
    return blended_weights(w_M, scales_JM, precision.bitwidths, precision.mix)
