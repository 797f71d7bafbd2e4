# SPDX-License-Identifier: Apache-2.0
"""One set of float weights for several bitwidths; statistics, gains, offsets and ranges for each of them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from nba.core.errors import NbaError
from nba.ir.network import FLOAT_BITS, MASTER_BITS, Network
from nba.learn.data.dataset import INPUT_SCALE
from nba.learn.quant.fake import FakeNetwork
from nba.learn.quant.nested import NestedLayer
from nba.learn.switchable.config import Cascade


def code_bits(bits: int) -> int:
    """Bits of the master codes of all feature maps at bitwidth `bits` (at 32 there are none; what counts is shapes)."""
    return MASTER_BITS if bits <= MASTER_BITS or bits == FLOAT_BITS else bits


def network_at_bits(
    network: Network, bits: int, *, stem_bits: int | None = None, classifier_bits: int | None = None
) -> Network:
    """`network` with all layers at `bits` bits, but for the first and the last where they have bits of their own;
    an operator without weights sees its whole input. Weights are stored with the bits that they have.

    Raises NbaError for a network that was imported: its zero points and clamps belong to the codes it has.
    """
    width = code_bits(bits)
    for i, t in enumerate(network.tensors):
        clamp = (t.code_min, t.code_max)
        if t.zero_point or (i and clamp != (network.layers[i - 1].q_min, network.layers[i - 1].q_max)):
            raise NbaError(
                f"switchable: tensor {i} ({t.name!r}) of network {network.name!r} has a zero point or a clamp inside "
                "its range; legal: networks of the search space, whose ReLU is the range of the code"
            )
    tensors = tuple(replace(t, bits=width) for t in network.tensors)
    layers = []
    for i, layer in enumerate(network.layers):
        own = stem_bits if i == 0 else classifier_bits if i == len(network.layers) - 1 else None
        b = (own or min(bits, width)) if layer.operator.stores_weights else width
        out = tensors[i + 1]
        layers.append(
            replace(
                layer, act_bits=b, weight_bits=b, weight_store_bits=b, q_min=out.code_min, q_max=out.code_max
            )
        )  # fmt: skip
    return replace(network, tensors=tensors, layers=tuple(layers))


class SwitchableNetwork(nn.Module):
    """One `FakeNetwork` per bitwidth, in rising order, whose kernels are the same parameters. All else (BatchNorm's
    statistics and affine map, the classifier's bias, output scales) each has for itself."""

    def __init__(self, network: Network, config: Cascade, seed: int):
        super().__init__()
        self.bitwidths = config.bitwidths
        self.networks = nn.ModuleList(
            FakeNetwork(
                network_at_bits(network, bits, stem_bits=config.stem_bits, classifier_bits=config.classifier_bits),
                INPUT_SCALE, torch.Generator().manual_seed(seed), NestedLayer,
            )
            for bits in config.bitwidths
        )  # fmt: skip
        for number, layers in enumerate(zip(*(self.layers(i) for i in range(len(self.networks))), strict=True)):
            lowest = min(self.network(i).network.layers[number].weight_bits for i in range(len(self.networks)))
            for layer in layers:
                layer.weight = layers[0].weight
                layer.lowest = min(lowest, MASTER_BITS)

    def network(self, index: int) -> FakeNetwork:
        """The network at bitwidth number `index`."""
        found = self.networks[index]
        assert isinstance(found, FakeNetwork)
        return found

    def layers(self, index: int) -> list[NestedLayer]:
        """Its layers."""
        return [layer for layer in self.network(index).layers if isinstance(layer, NestedLayer)]

    def arithmetic(self, compute: torch.dtype) -> None:
        """32 bits round nothing; the type of the convolutions until `freeze`."""
        for i, bits in enumerate(self.bitwidths):
            self.network(i).arithmetic(floating=bits == FLOAT_BITS, compute=compute)

    def freeze(self, frozen: bool) -> None:
        """Batch statistics (False), or BatchNorm folded and integer biases (True; 32 bits keep batch statistics)."""
        for i, bits in enumerate(self.bitwidths):
            self.network(i).freeze(frozen and bits != FLOAT_BITS)

    def forward(self, codes_BCHW: Tensor, index: int) -> Tensor:
        """Logits [B, classes] at bitwidth number `index`."""
        logits: Tensor = self.network(index)(codes_BCHW)
        return logits
