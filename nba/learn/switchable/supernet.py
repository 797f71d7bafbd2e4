# SPDX-License-Identifier: Apache-2.0
"""The supernet of a switchable network: every operator of every block at every bitwidth, on one set of weights.

Bitwidths share the kernels, and with them what the operators of a block share (`nba.learn.supernet.network`).
BatchNorm's gain and offset, the output scales and the classifier's bias are of one operator at one bitwidth;
statistics are those of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nba.ir.network import FLOAT_BITS, MASTER_BITS
from nba.learn.quant.nested import NestedLayer
from nba.learn.space.network import Macro
from nba.learn.supernet.network import Supernet
from nba.learn.supernet.paths import Path
from nba.learn.switchable.config import Cascade
from nba.learn.switchable.network import code_bits


def macro_at(macro: Macro, bits: int, config: Cascade) -> Macro:
    """`macro` whose layers all have `bits` bits, as `nba.learn.switchable.network.network_at_bits` gives them to its
    networks. Not validated: these may be bits that only loop nests have."""
    seen = min(bits, code_bits(bits))
    return macro.model_copy(
        update={
            "stages": tuple(stage.but(bitwidths=None) for stage in macro.stages),
            "bitwidths": (seen,),
            "stem_bits": config.stem_bits or seen,
            "head_bits": seen,
            "classifier_bits": config.classifier_bits or seen,
            "bits_per": "block",
        }
    )


class SwitchableSupernet(nn.Module):
    """One `Supernet` per bitwidth, in rising order, whose kernels are the same parameters."""

    def __init__(self, macro: Macro, config: Cascade, seed: int):
        super().__init__()
        self.bitwidths = config.bitwidths
        self.nets = nn.ModuleList(
            Supernet(
                macro_at(macro, bits, config), torch.Generator().manual_seed(seed), kind=NestedLayer,
                code_bits=code_bits(bits),
            )
            for bits in config.bitwidths
        )  # fmt: skip
        first = self.net(0)
        lowest = min(config.bitwidths)
        for i, bits in enumerate(config.bitwidths):
            net = self.net(i)
            net.shared = first.shared
            for mine, source in (
                (net.stem, first.stem),
                (net.header, first.header),
                (net.classifier, first.classifier),
            ):
                mine.weight = source.weight
            for layer in net.modules():
                if isinstance(layer, NestedLayer):
                    layer.lowest = min(lowest, MASTER_BITS)
                    layer.floating = bits == FLOAT_BITS
            _own_lowest(net.stem, config.stem_bits)
            _own_lowest(net.classifier, config.classifier_bits)

    def net(self, index: int) -> Supernet:
        """The supernet at bitwidth number `index`."""
        found = self.nets[index]
        assert isinstance(found, Supernet)
        return found

    def forward(self, codes_BCHW: Tensor, path: Path, index: int) -> Tensor:
        """Logits [B, classes] of image codes (floats holding 0..255) on one path without bitwidths
        (`nba.learn.supernet.paths.sample_operators`), at bitwidth number `index`."""
        logits: Tensor = self.net(index)(codes_BCHW, path)
        return logits


def _own_lowest(layer: nn.Module, bits: int | None) -> None:
    if bits is not None:
        assert isinstance(layer, NestedLayer)
        layer.lowest = bits
