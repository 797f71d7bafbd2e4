# SPDX-License-Identifier: Apache-2.0
"""Networks that others published, as skeletons of 8 bits: layers and shapes, to be given weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from nba.ir.network import Layer, Network, Tensor
from nba.ir.operators import Op

IMAGENET_SIZE = 224
"""Rows and columns of an image of ImageNet."""
IMAGENET_CLASSES = 1000


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
        self, op: Op, source: int, channels: int, kernel: int = 1, stride: int = 1, *, name: str | None = None,
        relu: bool = True, residual: int | None = None, same: bool = False,
    ) -> int:  # fmt: skip
        """A layer that reads tensor `source`, padded by half a kernel; with `same` as TensorFlow's SAME, whose odd row
        and column is at the end. A pooling over the whole map is not padded."""
        src = self.tensors[source]
        size = (src.height + 2 * (kernel // 2) - kernel) // stride + 1
        pad = kernel // 2
        if op == "avgpool":
            size, pad = 1, 0
        elif same:
            size = -(-src.height // stride)
            pad = max(0, (size - 1) * stride + kernel - src.height) // 2
        name = name or f"layer{len(self.layers)}"
        self.layers.append(
            Layer(
                name=name, op=op, input=source, residual=residual, kernel_h=kernel, kernel_w=kernel, stride_h=stride,
                stride_w=stride, pad_top=pad, pad_left=pad, shift=16, res_mult=0 if residual is None else 1,
                q_min=0 if relu else -128, q_max=127,
            )
        )  # fmt: skip
        self.tensors.append(Tensor(name=name, height=size, width=size, channels=channels, signed=True))
        return len(self.layers)

    def classifier(self, source: int, classes: int) -> None:
        """The mean of every channel, and a fully connected layer."""
        src = self.tensors[source]
        pooled = self.add("avgpool", source, src.channels, src.height, name="pool")
        self.add("dense", pooled, classes, name="classifier", relu=False)

    def network(self, name: str) -> Network:
        """All of it."""
        return Network(name=name, tensors=tuple(self.tensors), layers=tuple(self.layers))


MOBILENET_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of every block (Howard et al., arXiv 1704.04861, table 1)."""


def mobilenet_v1(size: int = IMAGENET_SIZE) -> Network:
    """MobileNetV1 1.0: 569 MMAC at 224 x 224."""
    net = Builder()
    here = net.add("dense", net.image(size), 32, 3, 2, name="stem")
    for number, (channels, stride) in enumerate(MOBILENET_V1, start=1):
        here = net.add("depthwise", here, net.tensors[here].channels, 3, stride, name=f"block{number}_depthwise")
        here = net.add("dense", here, channels, name=f"block{number}_project")
    net.classifier(here, IMAGENET_CLASSES)
    return net.network("mobilenet_v1")


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


def mobilenet_v2(size: int = IMAGENET_SIZE) -> Network:
    """MobileNetV2 1.0: 300.8 MMAC at 224 x 224."""
    net = Builder()
    here = net.add("dense", net.image(size), 32, 3, 2, name="stem")
    number = 0
    for expansion, channels, blocks, first_stride in MOBILENET_V2:
        for block in range(blocks):
            number += 1
            stride = first_stride if block == 0 else 1
            source, inner = here, net.tensors[here].channels * expansion
            if expansion > 1:
                here = net.add("dense", here, inner, name=f"block{number}_expand")
            here = net.add("depthwise", here, inner, 3, stride, name=f"block{number}_depthwise")
            joined = source if stride == 1 and net.tensors[source].channels == channels else None
            here = net.add("dense", here, channels, name=f"block{number}_project", relu=False, residual=joined)
    net.classifier(net.add("dense", here, 1280, name="head"), IMAGENET_CLASSES)
    return net.network("mobilenet_v2")


def resnet18(size: int = IMAGENET_SIZE) -> Network:
    """ResNet-18 (He et al., arXiv 1512.03385, table 1): 1.8 GMAC at 224 x 224."""
    net = Builder()
    here = net.add("dense", net.image(size), 64, 7, 2, name="stem")
    here = net.add("maxpool", here, 64, 3, 2, name="stem_pool")
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"stage{stage}_block{block}"
            stride = 2 if block == 0 and stage > 1 else 1
            beside = here
            if stride > 1:
                beside = net.add("dense", here, channels, 1, stride, name=f"{name}_downsample", relu=False)
            inside = net.add("dense", here, channels, 3, stride, name=f"{name}_conv1")
            here = net.add("dense", inside, channels, 3, name=f"{name}_conv2", residual=beside)
    net.classifier(here, IMAGENET_CLASSES)
    return net.network("resnet18")


def resnet8(size: int = 32) -> Network:
    """ResNet8 v1 of MLPerf Tiny (arXiv 2106.07597, image classification): 12.5 MMAC at 32 x 32, ten classes."""
    net = Builder()
    here = net.add("dense", net.image(size), 16, 3, name="stem", same=True)
    for stage, channels in enumerate((16, 32, 64), start=1):
        stride = 1 if stage == 1 else 2
        inside = net.add("dense", here, channels, 3, stride, name=f"stage{stage}_conv1", same=True)
        beside = here
        if stride > 1:
            name = f"stage{stage}_downsample"
            beside = net.add("dense", here, channels, 1, stride, name=name, relu=False, same=True)
        here = net.add("dense", inside, channels, 3, name=f"stage{stage}_conv2", residual=beside, same=True)
    net.classifier(here, 10)
    return net.network("resnet8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A published network: its layers for square images of a size, and the size of the publication."""

    build: Callable[[int], Network]
    image: int = IMAGENET_SIZE


ZOO = {
    "mobilenet_v1": Published(build=mobilenet_v1),
    "mobilenet_v2": Published(build=mobilenet_v2),
    "resnet18": Published(build=resnet18),
    "resnet8": Published(build=resnet8, image=32),
}
"""The published networks by name."""
