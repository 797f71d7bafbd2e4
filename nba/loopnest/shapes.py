# SPDX-License-Identifier: Apache-2.0
"""Layers of published networks (ImageNet, 224x224 input, batch 1): all that has multiply-accumulates, in order.

AlexNet is that of Krizhevsky et al. (NeurIPS 2012): 227x227 after padding, conv2, conv4 and conv5 in two groups. VGG16
is that of torchvision (configuration D). ResNet18 and MobileNetV2 are those of nba/zoo/networks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nba.core.errors import NbaError
from nba.loopnest.layer import NestLayer
from nba.loopnest.network import layers_of
from nba.zoo.networks import mobilenet_v2, resnet18


def _conv(name: str, m: int, c: int, size: int, k: int = 3, *, stride: int = 1, groups: int = 1) -> NestLayer:
    """A k x k convolution from c to m channels in all, with an output map of size x size."""
    return NestLayer(
        name=name, g=groups, m=m // groups, c=c // groups, p=size, q=size, r=k, s=k, stride_h=stride, stride_w=stride
    )  # fmt: skip


def _full(name: str, m: int, c: int) -> NestLayer:
    return NestLayer(name=name, m=m, c=c)


def alexnet() -> tuple[NestLayer, ...]:
    """724 MMAC."""
    return (
        _conv("conv1", 96, 3, 55, 11, stride=4),
        _conv("conv2", 256, 96, 27, 5, groups=2),
        _conv("conv3", 384, 256, 13),
        _conv("conv4", 384, 384, 13, groups=2),
        _conv("conv5", 256, 384, 13, groups=2),
        _full("fc6", 4096, 9216),
        _full("fc7", 4096, 4096),
        _full("fc8", 1000, 4096),
    )


def vgg16() -> tuple[NestLayer, ...]:
    """15,470 MMAC."""
    layers, channels = [], 3
    for stage, (width, depth, size) in enumerate(
        ((64, 2, 224), (128, 2, 112), (256, 3, 56), (512, 3, 28), (512, 3, 14))
    ):
        for i in range(depth):
            layers.append(_conv(f"conv{stage + 1}_{i + 1}", width, channels, size))
            channels = width
    return (*layers, _full("fc6", 4096, 25088), _full("fc7", 4096, 4096), _full("fc8", 1000, 4096))


NETWORKS: dict[str, Callable[[], tuple[NestLayer, ...]]] = {
    "alexnet": alexnet,
    "vgg16": vgg16,
    "resnet18": lambda: layers_of(resnet18()),
    "mobilenet_v2": lambda: layers_of(mobilenet_v2()),
}
"""Name of a published network to its layers."""


def published(name: str, *, weight_bits: int = 8, act_bits: int = 8) -> tuple[NestLayer, ...]:
    """Layers of a network of NETWORKS at the given bits. Raises NbaError if there is none of that name."""
    if name not in NETWORKS:
        raise NbaError(f"no published network {name!r}; there are {', '.join(NETWORKS)}")
    return tuple(replace(layer, weight_bits=weight_bits, act_bits=act_bits) for layer in NETWORKS[name]())


def distinct(layers: tuple[NestLayer, ...]) -> dict[tuple[int, ...], NestLayer]:
    """The first layer of every shape, by shape, in order."""
    found: dict[tuple[int, ...], NestLayer] = {}
    for layer in layers:
        found.setdefault(layer.shape, layer)
    return found
