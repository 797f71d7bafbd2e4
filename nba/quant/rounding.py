# SPDX-License-Identifier: Apache-2.0
"""Rounding with gradients: master codes, nested bits and weight codes of docs/numerics.md as torch functions.

Everything rounds half up, as the hardware does, with straight-through gradients. Where bitwidths are searched, all of
them are blended before the one convolution (heterogeneous sampling, REFERENCES.md section 1).

Shapes: x_BCHW activations, w_M... weights of M output channels, J bitwidths, V code values.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nba.ir.network import MASTER_BITS
from nba.quant.blend import along as along
from nba.quant.blend import blended_weights

_STEP_OF_RMS = {2: 1.224, 3: 0.586, 4: 0.335, 5: 0.188, 6: 0.104, 7: 0.057, 8: 0.031}
"""Step of the uniform quantiser of least squared error for a normal distribution, in units of its deviation
(3 levels at 2 bits; Max, "Quantizing for minimum distortion", 1960)."""
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


class _Encode(torch.autograd.Function):
    """Real values -> master codes; the gradient passes inside the range, to the values and to the log of the scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, log_scale: Tensor, low: float, high: float) -> Tensor:
        inverse = torch.exp(-log_scale)
        # One input channel looks like either layout to torch, and convolutions would then carry on with the slow one.
        clamped = (x * inverse).contiguous(memory_format=torch.channels_last).clamp_(low, high)
        ctx.save_for_backward(clamped, inverse)
        ctx.low, ctx.high = low, high
        return clamped.add(0.5).floor_()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        clamped, inverse = ctx.saved_tensors
        inside = (clamped > ctx.low).logical_and_(clamped < ctx.high)
        passed = grads[0] * inside
        to_scale = -torch.dot(_flat(passed), _flat(clamped)) if ctx.needs_input_grad[1] else None
        return passed.mul_(inverse), to_scale, None, None


class _Decode(torch.autograd.Function):
    """Master codes and scale -> real values as `bits` bits show them; the gradient to the codes never saturates: the
    top code still stands for the values around it."""

    @staticmethod
    def forward(ctx: Any, codes: Tensor, scale: Tensor, bits: int, signed: bool) -> Tensor:
        drop = MASTER_BITS - bits
        if drop == 0:
            shown = codes
        else:
            high = float((1 << (bits - 1)) - 1 if signed else (1 << bits) - 1)
            shown = codes.mul(0.5**drop).add_(0.5).floor_().clamp_max_(high).mul_(float(1 << drop))
        ctx.save_for_backward(shown, scale)
        return shown * scale

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        shown, scale = ctx.saved_tensors
        to_codes = grads[0] * scale if ctx.needs_input_grad[0] else None
        to_scale = torch.dot(_flat(grads[0]), _flat(shown)) if ctx.needs_input_grad[1] else None
        return to_codes, to_scale, None, None


class _BlendDecode(torch.autograd.Function):
    """sum_j mix_j (the real values that bitwidth j shows), through one table over all 256 codes.

    shown_JV holds what each of J bitwidths makes of each code V, in master code steps.
    """

    @staticmethod
    def forward(ctx: Any, codes: Tensor, scale: Tensor, mix: Tensor, shown_JV: Tensor, offset: int) -> Tensor:
        index = _flat(codes).add(float(offset)).to(torch.int32)
        row = mix @ shown_JV
        ctx.save_for_backward(index, scale, mix, shown_JV, row)
        batch, channels, height, width = codes.shape
        return (row * scale).index_select(0, index).reshape(batch, height, width, channels).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None]:
        index, scale, mix, shown_JV, row = ctx.saved_tensors
        to_codes = grads[0] * (scale * mix.sum()) if ctx.needs_input_grad[0] else None
        to_scale = to_mix = None
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            per_code = torch.bincount(index, _flat(grads[0]), len(row)).to(row.dtype)
            to_scale = torch.dot(per_code, row)
            to_mix = (shown_JV @ per_code) * scale
        return to_codes, to_scale, to_mix, None, None


def encode(x_BCHW: Tensor, log_scale: Tensor, low: float, high: float) -> Tensor:
    """Master codes of real values: round half up of x / exp(log_scale), clamped to low..high."""
    codes: Tensor = _Encode.apply(x_BCHW, log_scale, low, high)
    return codes


def round_through(x: Tensor) -> Tensor:
    """Round half up, as the hardware does; gradient of the identity."""
    result: Tensor = _Round.apply(x)
    return result


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Signal:
    """A feature map: `codes_BCHW` master codes, real value codes * scale."""

    codes_BCHW: Tensor
    scale: Tensor
    signed: bool

    def real(self) -> Tensor:
        """The real values [B, C, H, W]."""
        return nested(self, MASTER_BITS)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Precision:
    """The bits a layer works at: one of `bitwidths`, or, while searching, all of them blended by `mix` [J]."""

    bitwidths: tuple[int, ...]
    mix: Tensor | None = None


def nested(signal: Signal, bits: int) -> Tensor:
    """Real values of `signal` as a consumer at `bits` bits sees them (docs/numerics.md, Nested bits)."""
    shown: Tensor = _Decode.apply(signal.codes_BCHW, signal.scale, bits, signal.signed)
    return shown


def seen(signal: Signal, precision: Precision) -> Tensor:
    """Real values of `signal` at `precision`: nested, and blended over bitwidths where there is a mix."""
    if precision.mix is None:
        (bits,) = precision.bitwidths
        return nested(signal, bits)
    offset = 1 << (MASTER_BITS - 1) if signal.signed else 0
    table_JV = _shown_table(precision.bitwidths, signal.signed)
    blended: Tensor = _BlendDecode.apply(signal.codes_BCHW, signal.scale, precision.mix, table_JV, offset)
    return blended


@functools.cache
def _shown_table(bitwidths: tuple[int, ...], signed: bool) -> Tensor:
    codes = torch.arange(1 << MASTER_BITS, dtype=torch.float32) - (1 << (MASTER_BITS - 1) if signed else 0)
    return torch.stack([_Decode.apply(codes, torch.ones(()), bits, signed) for bits in bitwidths])


def weight_scale(w_M: Tensor, bits: int) -> Tensor:
    """Scale per output channel [M] of weights [M, ...] at `bits` bits: the smaller of full range and least squares."""
    return _weight_scales(w_M, (bits,))[0]


@functools.cache
def _weight_constants(bitwidths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Largest code and step of the root mean square, [J, 1] each."""
    high = torch.tensor([[float((1 << (bits - 1)) - 1)] for bits in bitwidths])
    return high, torch.tensor([[_STEP_OF_RMS[bits]] for bits in bitwidths])


def _weight_scales(w_M: Tensor, bitwidths: tuple[int, ...]) -> Tensor:
    flat = w_M.detach().flatten(1)
    high, step = _weight_constants(bitwidths)
    full = flat.abs().amax(1) / high
    least = flat.pow(2).mean(1).sqrt() * step
    return torch.minimum(full, least).clamp_min(_TINY)


def weight_codes(w_M: Tensor, scale_M: Tensor, bits: int) -> Tensor:
    """Symmetric weight codes [M, ...], gradient of the identity inside the range and zero outside."""
    high = float((1 << (bits - 1)) - 1)
    return round_through((w_M / along(scale_M, w_M)).clamp(-high, high))


def quantised(w_M: Tensor, precision: Precision) -> Tensor:
    """Real values of the quantised weights [M, ...], blended over bitwidths where there is a mix: heterogeneous
    sampling happens here and in `seen`, before the one convolution (REFERENCES.md section 1)."""
    scales_JM = _weight_scales(w_M, precision.bitwidths)
    if precision.mix is None:
        (bits,) = precision.bitwidths
        return weight_codes(w_M, scales_JM[0], bits) * along(scales_JM[0], w_M)
    return blended_weights(w_M, scales_JM, precision.bitwidths, precision.mix)
