# SPDX-License-Identifier: Apache-2.0
"""Building an integer network layer by layer, before its requantisation numbers are known."""

from __future__ import annotations

from nba.ir.network import Layer, Op, Tensor

_PLACEHOLDER_SHIFT = 16


class NetworkBuilder:
    """Appends layers one by one, keeping tensors and layers aligned."""

    def __init__(self, source: Tensor):
        self.tensors = [source]
        self.layers: list[Layer] = []

    def add(
        self,
        name: str,
        op: Op,
        source: int,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        bits: int,
        signed: bool,
        residual: int | None = None,
        groups: int = 1,
        rotate: int = 0,
    ) -> int:
        """Append a layer with 'same' padding; returns the index of its output tensor."""
        before = self.tensors[source]
        out = Tensor(
            name=name,
            height=-(-before.height // stride),
            width=-(-before.width // stride),
            channels=channels,
            signed=signed,
        )
        self._append(out, op, source, (kernel, kernel), stride, kernel // 2, bits, residual, groups, rotate)
        return len(self.layers)

    def pool(self, name: str, source: int, *, bits: int) -> int:
        """Append a global average pooling that sees `bits` bits; returns the index of its output tensor."""
        before = self.tensors[source]
        out = Tensor(name=name, height=1, width=1, channels=before.channels, signed=before.signed)
        self._append(out, "avgpool", source, (before.height, before.width), 1, 0, bits, None)
        return len(self.layers)

    def _append(
        self,
        out: Tensor,
        op: Op,
        source: int,
        kernel: tuple[int, int],
        stride: int,
        pad: int,
        bits: int,
        residual: int | None,
        groups: int = 1,
        rotate: int = 0,
    ) -> None:
        self.tensors.append(out)
        self.layers.append(
            Layer(
                name=out.name,
                op=op,
                input=source,
                residual=residual,
                kernel_h=kernel[0],
                kernel_w=kernel[1],
                stride=stride,
                pad_top=pad,
                pad_left=pad,
                groups=groups,
                rotate=rotate,
                act_bits=bits,
                weight_bits=bits,
                weight_store_bits=bits,
                shift=_PLACEHOLDER_SHIFT,
                res_mult=0 if residual is None else 1,
                q_min=out.code_min,
                q_max=out.code_max,
            )
        )
