# SPDX-License-Identifier: Apache-2.0
"""Networks for the tests of mapper, closed forms and accelerator search: blocks of expand, depthwise, project."""

from __future__ import annotations

from dataclasses import replace

from nba.ir.network import Layer, Network, Tensor, widened
from nba.ir.operators import Op

Block = tuple[int, int, int, int]
"""(output channels, expansion, kernel, stride)"""


def blocks_network(
    blocks: tuple[Block, ...], *, size: int = 8, stem: int = 16, head: int = 64, bits: int = 8
) -> Network:
    """Stem, inverted residual blocks, header, average pooling, classifier; `bits` in the blocks, 8 elsewhere."""
    tensors = [Tensor(name="image", height=size, width=size, channels=1, signed=False)]
    layers: list[Layer] = []

    def add(
        op: Op, source: int, channels: int, kernel: int, stride: int = 1, residual: int | None = None, b: int = 8
    ) -> int:
        src = tensors[source]
        pad = 0 if op == "avgpool" else kernel // 2
        rows, cols = ((n + 2 * pad - kernel) // stride + 1 for n in (src.height, src.width))
        layers.append(
            Layer(
                name=f"layer{len(layers)}", op=op, input=source, residual=residual, kernel_h=kernel, kernel_w=kernel,
                stride_h=stride, stride_w=stride, pad_top=pad, pad_left=pad, act_bits=b, weight_bits=b,
                weight_store_bits=b, shift=16, res_mult=0 if residual is None else 1, q_min=0, q_max=127,
            )
        )  # fmt: skip
        tensors.append(Tensor(name=layers[-1].name, height=rows, width=cols, channels=channels, signed=True))
        return len(layers)

    here = add("dense", 0, stem, 3)
    for channels, expansion, kernel, stride in blocks:
        start, wide = here, tensors[here].channels * expansion
        if expansion > 1:
            here = add("dense", here, wide, 1, b=bits)
        here = add("depthwise", here, wide, kernel, stride, b=bits)
        same = stride == 1 and channels == tensors[start].channels
        here = add("dense", here, channels, 1, residual=start if same else None, b=bits)
    here = add("dense", here, head, 1)
    here = add("avgpool", here, head, tensors[here].height)
    add("dense", here, 10, 1)
    return Network(name="blocks", tensors=tuple(tensors), layers=tuple(layers))


def mixed_bits(network: Network, bits: tuple[int, ...]) -> Network:
    """`network` with activations and weights of so many bits in its layers, which take them in turn."""
    layers = (
        replace(layer, act_bits=b, weight_bits=b, weight_store_bits=b) if layer.operator.stores_weights else layer
        for layer, b in zip(network.layers, bits * len(network.layers), strict=False)
    )
    return replace(network, layers=tuple(layers))


DIGITS = blocks_network(((16, 3, 3, 1), (24, 3, 5, 2), (24, 3, 3, 1), (32, 6, 3, 2), (32, 3, 3, 1)))
"""Like the network of the digits example: 19 layers, 0.4 MMAC."""
SMALL = blocks_network(((8, 2, 3, 1), (12, 3, 3, 2)), size=7, stem=8, head=20)
"""Odd sizes, channels that do not divide the lanes."""
WIDE = widened(blocks_network(((8, 2, 3, 1), (12, 3, 3, 2)), size=7, stem=8, head=20, bits=16))
"""The same with blocks of 16 bits, and so codes of 16 bits everywhere."""
NARROW = mixed_bits(SMALL, (2, 3, 8, 4, 2))
"""Layers that work on one, two and four columns at once in designs that pack them."""
TINY = blocks_network(((6, 1, 3, 2),), size=5, stem=6, head=8)
"""Six layers."""
