# SPDX-License-Identifier: Apache-2.0
"""Weights at several bitwidths at once, without a copy of them per bitwidth: heterogeneous sampling in constant memory.

Shapes: w_M... weights of M output channels, J bitwidths.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _BlendWeights(torch.autograd.Function):
    """sum_j mix_j (weights quantised with scales_JM at bitwidth j): nothing that is kept grows with J.

    The gradient passes to the weights inside the range of codes of each bitwidth.
    """

    @staticmethod
    def forward(ctx: Any, w_M: Tensor, scales_JM: Tensor, highs: tuple[float, ...], mix: Tensor) -> Tensor:
        ctx.save_for_backward(w_M, scales_JM, mix)
        ctx.highs = highs
        blended = torch.zeros_like(w_M)
        for scale_M, high, share in zip(scales_JM, highs, mix, strict=True):
            scale = per_channel(scale_M, w_M)
            blended.addcmul_((w_M / scale).clamp_(-high, high).add_(0.5).floor_(), scale * share)
        return blended

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None, Tensor | None]:
        w_M, scales_JM, mix = ctx.saved_tensors
        to_w = torch.zeros_like(w_M) if ctx.needs_input_grad[0] else None
        to_mix = []
        for scale_M, high, share in zip(scales_JM, ctx.highs, mix, strict=True):
            scale = per_channel(scale_M, w_M)
            if to_w is not None:
                to_w.addcmul_(grads[0] * share, (w_M.abs() <= scale * high).to(w_M.dtype))
            if ctx.needs_input_grad[3]:
                codes = (w_M / scale).clamp_(-high, high).add_(0.5).floor_()
                to_mix.append((grads[0] * codes.mul_(scale)).sum())
        return to_w, None, None, torch.stack(to_mix) if to_mix else None


def blended_weights(w_M: Tensor, scales_JM: Tensor, bitwidths: tuple[int, ...], mix_J: Tensor) -> Tensor:
    """sum_j mix_j (symmetric codes of `w_M` at bitwidths[j], times their scales)."""
    highs = tuple(float((1 << (bits - 1)) - 1) for bits in bitwidths)
    blended: Tensor = _BlendWeights.apply(w_M, scales_JM, highs, mix_J)
    return blended


def per_channel(scale_M: Tensor, like: Tensor) -> Tensor:
    """`scale_M` shaped so that it multiplies `like` [M, ...] channel by channel."""
    return scale_M.reshape(-1, *([1] * (like.dim() - 1)))
