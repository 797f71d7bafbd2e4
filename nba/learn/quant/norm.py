# SPDX-License-Identifier: Apache-2.0
"""BatchNorm whose gain and offset the caller gives, and whose batch is the whole one when processes train together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional


def channelwise(x_BCHW: Tensor, gain_C: Tensor, offset_C: Tensor) -> Tensor:
    """x * gain + offset, channel by channel, in one pass forward and one backward (as BatchNorm of known statistics;
    variance 1 and epsilon 0 make its own factor exactly 1)."""
    gain_C = gain_C.contiguous()  # the backward kernel reads an expanded gain past its end
    zero, one = torch.zeros_like(gain_C).detach(), torch.ones_like(gain_C).detach()
    return functional.batch_norm(x_BCHW, zero, one, gain_C, offset_C, False, 0.0, 0.0)


class _Sum(torch.autograd.Function):
    """Sum over the processes; the gradient of each is the sum of all their gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` of given gain and offset [C]. In a group of processes the statistics are those of all their
    parts together, which must be equally large: as one process with the whole batch computes them, but for rounding."""

    def forward(self, x_BCHW: Tensor, gain_C: Tensor, offset_C: Tensor) -> Tensor:  # type: ignore[override]
        """(x - mean) / sqrt(variance + eps) * gain + offset."""
        gain_C = gain_C.contiguous()  # as in `channelwise`
        of_batch = self.training or self.running_mean is None
        together = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        assert self.momentum is not None
        if not (of_batch and together):
            mean, var = self.running_mean, self.running_var
            return functional.batch_norm(x_BCHW, mean, var, gain_C, offset_C, of_batch, self.momentum, self.eps)
        var_C, mean_C = torch.var_mean(x_BCHW, (0, 2, 3), correction=0)
        size = distributed.get_world_size()
        whole_C, square_C = _Sum.apply(torch.stack([mean_C, var_C + mean_C * mean_C])) / size
        var_C = (square_C - whole_C * whole_C).clamp_min(0.0)
        if self.training and self.running_mean is not None:
            assert self.running_var is not None
            n = size * x_BCHW.numel() // len(mean_C)
            with torch.no_grad():
                self.running_mean.lerp_(whole_C, self.momentum)
                self.running_var.lerp_(var_C * (n / max(1, n - 1)), self.momentum)
        factor = gain_C * torch.rsqrt(var_C + self.eps)
        return channelwise(x_BCHW, factor, offset_C - whole_C * factor)
