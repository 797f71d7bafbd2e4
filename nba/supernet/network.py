# SPDX-License-Identifier: Apache-2.0
"""The supernet: every operator of every block with weights of its own, one sampled path at a time.

BatchNorm uses the statistics of the batch throughout: running ones would mix paths.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nba.data.dataset import INPUT_SCALE
from nba.ir.network import MASTER_BITS, Op
from nba.quant.fake import Precision, QuantLayer, Signal
from nba.space.network import SKIP, Block, Macro, blocks, choices, operator_shape
from nba.supernet.paths import BlockChoice, Path


class Candidate(nn.Module):
    """One operator of one block: expand (if any), depthwise, project, all at the block's bits."""

    def __init__(self, operator: str, block: Block, generator: torch.Generator):
        super().__init__()
        kernel, expansion = operator_shape(operator)
        wide = block.in_channels * expansion
        self.residual = block.residual
        reach = 6.0 if block.residual else 4.0
        layers: list[QuantLayer] = []
        if expansion > 1:
            layers.append(_layer("dense", block.in_channels, wide, generator=generator))
        layers.append(_layer("depthwise", wide, wide, kernel=kernel, stride=block.stride, generator=generator))
        layers.append(_layer("dense", wide, block.out_channels, signed=True, reach=reach, generator=generator))
        self.layers = nn.ModuleList(layers)

    def forward(self, source: Signal, precision: Precision) -> Signal:
        here = source
        for layer in self.layers[:-1]:
            here = layer(here, precision)
        result: Signal = self.layers[-1](here, precision, source if self.residual else None)
        return result


class Supernet(nn.Module):
    """Stem, blocks of candidates, header, global average pooling and classifier of a macro-architecture."""

    def __init__(self, macro: Macro, generator: torch.Generator):
        super().__init__()
        self.macro = macro
        self.stem = _layer(
            "dense", macro.channels, macro.stem_channels, kernel=3, stride=macro.stem_stride, generator=generator
        )
        self.blocks = nn.ModuleList()
        for block in blocks(macro):
            table = {op: Candidate(op, block, generator) for op in choices(macro, block) if op != SKIP}
            self.blocks.append(nn.ModuleDict(table))
        last = macro.stages[-1].channels
        self.header = _layer("dense", last, macro.head_channels, generator=generator)
        self.pool = _layer("avgpool", macro.head_channels, macro.head_channels, generator=generator)
        self.classifier = _layer(
            "dense", macro.head_channels, macro.classes, signed=True, reach=16.0, norm=False, generator=generator
        )

    def forward(self, codes_BCHW: Tensor, path: Path) -> Tensor:
        """Logits [B, classes] of input codes on one path."""
        stem, head = Precision(bitwidths=(self.macro.stem_bits,)), Precision(bitwidths=(self.macro.head_bits,))
        here = Signal(codes_BCHW=codes_BCHW, scale=torch.tensor(INPUT_SCALE), signed=False)
        here = self.stem(here, stem)
        for block, choice in zip(self.blocks, path, strict=True):
            assert isinstance(block, nn.ModuleDict)
            here = self._block(block, here, choice)
        here = self.header(here, head)
        here = self.pool(here, Precision(bitwidths=(MASTER_BITS,)))
        here = self.classifier(here, head)
        return here.real().flatten(1)

    def _block(self, block: nn.ModuleDict, source: Signal, choice: BlockChoice) -> Signal:
        """sum_k gate_k O_k(source): gates are 1, 0, 0...: the value is the first candidate's, the gradient all K's."""
        outputs = []
        for k, number in enumerate(choice.candidates):
            operator = self.macro.operators[number]
            precision = Precision(bitwidths=self.macro.bitwidths, mix=choice.mixes[k])
            outputs.append(source if operator == SKIP else block[operator](source, precision))
        executed = outputs[0]
        codes = executed.codes_BCHW * choice.gates[0]
        for gate, output in zip(choice.gates[1:], outputs[1:], strict=True):
            codes = codes + (output.codes_BCHW * (output.scale / executed.scale).detach()) * gate
        return Signal(codes_BCHW=codes, scale=executed.scale, signed=executed.signed)


def _layer(
    op: Op,
    in_channels: int,
    out_channels: int,
    *,
    kernel: int = 1,
    stride: int = 1,
    signed: bool = False,
    reach: float = 4.0,
    norm: bool = True,
    generator: torch.Generator,
) -> QuantLayer:
    return QuantLayer(
        op=op,
        in_channels=in_channels,
        out_channels=out_channels,
        kernel=(kernel, kernel),
        stride=stride,
        pad=kernel // 2,
        signed=signed,
        norm=norm,
        track=False,
        reach=reach,
        generator=generator,
    )
