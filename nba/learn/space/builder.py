# SPDX-License-Identifier: Apache-2.0
"""Building an integer network layer by layer, before its requantisation numbers are known."""

from __future__ import annotations

from nba.ir.network import Layer, Tensor
from nba.learn.space.layers import LayerPlan

_PLACEHOLDER_SHIFT = 16


class NetworkBuilder:
    """Appends layers one by one, keeping tensors and layers aligned."""

    def __init__(self, source: Tensor):
        self.tensors = [source]
        self.layers: list[Layer] = []

    def add(self, plan: LayerPlan, source: int, *, bits: int, name: str = "", residual: int | None = None) -> int:
        """Append `plan` (called `name` if given) with 'same' padding, reading tensor `source` and adding tensor
        `residual`; returns the index of its output tensor."""
        before = self.tensors[source]
        if plan.kernel is None:
            kernel, pad, size = (before.height, before.width), 0, (1, 1)
        else:
            kernel, pad = (plan.kernel, plan.kernel), plan.kernel // 2
            size = (-(-before.height // plan.stride[0]), -(-before.width // plan.stride[1]))
        out = Tensor(
            name=name or plan.name, height=size[0], width=size[1], channels=plan.out_channels, signed=plan.signed
        )
        self.tensors.append(out)
        self.layers.append(
            Layer(
                name=out.name,
                op=plan.op,
                input=source,
                residual=residual,
                kernel_h=kernel[0],
                kernel_w=kernel[1],
                stride_h=plan.stride[0],
                stride_w=plan.stride[1],
                pad_top=pad,
                pad_left=pad,
                groups=plan.groups,
                rotate=plan.rotate,
                act_bits=bits,
                weight_bits=bits,
                weight_store_bits=bits,
                shift=_PLACEHOLDER_SHIFT,
                res_mult=0 if residual is None else 1,
                q_min=out.code_min,
                q_max=out.code_max,
            )
        )
        return len(self.layers)
