# SPDX-License-Identifier: Apache-2.0
"""Networks that others published, as skeletons of 8 bits: layers and shapes, to be given weights."""

from __future__ import annotations

from dataclasses import dataclass, field

from nba.ir.network import Layer, Network, Tensor
from nba.ir.operators import Op

IMAGE = 224
"""Rows and columns of an image of ImageNet."""
CLASSES = 1000


@dataclass(slots=True)
class Builder:
    """Appends layers; a layer's result is the tensor with the number that `add` returns."""

    tensors: list[Tensor] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)

    def image(self, size: int, channels: int = 3) -> int:
        """The input."""
        self.tensors.append(Tensor(name="image", height=size, width=size, channels=channels, signed=False))
        return 0

    def add(
        self, op: Op, source: int, channels: int, kernel: int = 1, stride: int = 1, *, relu: bool = True,
        residual: int | None = None,
    ) -> int:  # fmt: skip
        """A layer that reads tensor `source`, padded by half a kernel (pooling over a whole map: not at all)."""
        src = self.tensors[source]
        pad = 0 if op == "avgpool" else kernel // 2
        size = 1 if op == "avgpool" else (src.height + 2 * pad - kernel) // stride + 1
        name = f"layer{len(self.layers)}"
        self.layers.append(
            Layer(
                name=name, op=op, input=source, residual=residual, kernel_h=kernel, kernel_w=kernel, stride_h=stride,
                stride_w=stride, pad_top=pad, pad_left=pad, shift=16, res_mult=0 if residual is None else 1,
                q_min=0 if relu else -128, q_max=127,
            )
        )  # fmt: skip
        self.tensors.append(Tensor(name=name, height=size, width=size, channels=channels, signed=True))
        return len(self.layers)

    def network(self, name: str) -> Network:
        """All of it."""
        return Network(name=name, tensors=tuple(self.tensors), layers=tuple(self.layers))


MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks, stride of the first block (Sandler et al., arXiv 1801.04381, table 2)."""


def mobilenet_v2(size: int = IMAGE) -> Network:
    """MobileNetV2 1.0: 300.8 MMAC at 224 x 224."""
    net = Builder()
    here = net.add("dense", net.image(size), 32, 3, 2)
    for expansion, channels, blocks, first_stride in MOBILENET_V2:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            source, inner = here, net.tensors[here].channels * expansion
            if expansion > 1:
                here = net.add("dense", here, inner)
            here = net.add("depthwise", here, inner, 3, stride)
            joined = source if stride == 1 and net.tensors[source].channels == channels else None
            here = net.add("dense", here, channels, relu=False, residual=joined)
    here = net.add("dense", here, 1280)
    here = net.add("avgpool", here, 1280, net.tensors[here].height)
    net.add("dense", here, CLASSES, relu=False)
    return net.network("mobilenetv2")


MOBILENET_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of every block (Howard et al., arXiv 1704.04861, table 1)."""


def mobilenet_v1(size: int = IMAGE) -> Network:
    """MobileNetV1 1.0: 569 MMAC at 224 x 224."""
    net = Builder()
    here = net.add("dense", net.image(size), 32, 3, 2)
    for channels, stride in MOBILENET_V1:
        here = net.add("depthwise", here, net.tensors[here].channels, 3, stride)
        here = net.add("dense", here, channels)
    here = net.add("avgpool", here, 1024, net.tensors[here].height)
    net.add("dense", here, CLASSES, relu=False)
    return net.network("mobilenetv1")


def resnet18(size: int = IMAGE) -> Network:
    """ResNet-18 (He et al., arXiv 1512.03385, table 1): 1.8 GMAC at 224 x 224."""
    net = Builder()
    here = net.add("dense", net.image(size), 64, 7, 2)
    here = net.add("maxpool", here, 64, 3, 2)
    for channels in (64, 128, 256, 512):
        for block in range(2):
            stride = 2 if block == 0 and channels > 64 else 1
            beside = net.add("dense", here, channels, 1, stride, relu=False) if stride > 1 else here
            inside = net.add("dense", here, channels, 3, stride)
            here = net.add("dense", inside, channels, 3, residual=beside)
    here = net.add("avgpool", here, 512, net.tensors[here].height)
    net.add("dense", here, CLASSES, relu=False)
    return net.network("resnet18")
