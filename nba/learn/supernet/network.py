# SPDX-License-Identifier: Apache-2.0
"""The supernet: every operator of every block, one sampled path at a time.

The operators of a block share nested weights: a small kernel is the centre of a large one, a small expansion the first
channels of a large one (the first ones start as copies of the input, so that expansion 1, which has no expand layer,
begins beside the others). So every step trains all of them, and their outputs agree from the beginning; with separate
weights 440 steps on the digits left the loss at 2.3, with nested ones at a tenth of it. Each operator has its own
BatchNorm and output scales; statistics are those of the batch: running ones would mix paths. Where the space allows 16
bits somewhere, the codes of all paths have 16 (`Macro.code_bits`), and every bitwidth is nested in them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nba.ir.network import MASTER_BITS
from nba.ir.operators import second_group
from nba.learn.data.dataset import INPUT_SCALE
from nba.learn.quant.fake import QuantLayer, first_reach
from nba.learn.quant.rounding import Precision, Signal
from nba.learn.space.layers import LayerPlan, block_layers, classifier, header, pool, stem, stem_pool
from nba.learn.space.network import SKIP, Block, Macro, blocks, choices
from nba.learn.space.operators import BlockOperator, parse_operator, shuffle_rotation
from nba.learn.supernet.paths import Path, SampledBlock


class SharedWeights(nn.Module):
    """The nested weights of a block's operators; one that works on two groups uses a half of each row."""

    def __init__(self, block: Block, operators: tuple[str, ...], generator: torch.Generator):
        super().__init__()
        shapes = [parse_operator(op) for op in operators]
        self.kernel = max(shape.kernel for shape in shapes)
        wide = block.in_channels * max(shape.expansion for shape in shapes)
        self.expand = nn.Parameter(_random((wide, block.in_channels, 1, 1), block.in_channels, generator))
        with torch.no_grad():
            self.expand[: block.in_channels] = torch.eye(block.in_channels)[:, :, None, None]
        self.spatial = nn.Parameter(_random((wide, 1, self.kernel, self.kernel), 9, generator))
        self.project = nn.Parameter(_random((block.out_channels, wide, 1, 1), wide, generator))

    def views(self, operator: BlockOperator, wide: int) -> tuple[Tensor, Tensor, Tensor]:
        """Weights of expand, depthwise and project of `operator` with `wide` inner channels."""
        margin = (self.kernel - operator.kernel) // 2
        taps = slice(margin, margin + operator.kernel)
        expand, project = self.expand[:wide], self.project[:, :wide]
        if operator.groups == 2:
            expand, project = _own_half(expand, shuffle_rotation(wide)), _own_half(project, 0)
        return expand, self.spatial[:wide, :, taps, taps], project


def _own_half(w_MNKK: Tensor, rotate: int) -> Tensor:
    """Of every output channel's weights those of the inputs that it sees (nba.ir.network.Layer): [M, N / 2, K, K]."""
    m, n = w_MNKK.shape[:2]
    upper = torch.from_numpy(second_group(m, rotate)).to(w_MNKK.device)
    return torch.where(upper[:, None, None, None], w_MNKK[:, n // 2 :], w_MNKK[:, : n // 2])


def _random(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator) * (2.0 / fan_in) ** 0.5


class CandidateOperator(nn.Module):
    """One operator of one block: expand (if any), depthwise, project, all at the block's bits."""

    def __init__(
        self, name: str, block: Block, expand_at_one: bool, code_bits: int, generator: torch.Generator,
        kind: type[QuantLayer] = QuantLayer,
    ):  # fmt: skip
        super().__init__()
        self.operator = parse_operator(name)
        self.wide = block.in_channels * self.operator.expansion
        self.residual = block.residual
        plans = block_layers(block, self.operator, expand_at_one=expand_at_one)
        layers = (_layer(kind, plan, own=False, code_bits=code_bits, generator=generator) for plan in plans)
        self.layers = nn.ModuleList(layers)

    def forward(self, source: Signal, precision: Precision, shared: SharedWeights) -> Signal:
        weights = shared.views(self.operator, self.wide)[-len(self.layers) :]
        here = source
        for layer, weight in zip(self.layers, weights, strict=True):
            residual = source if self.residual and layer is self.layers[-1] else None
            here = layer(here, precision, residual, weight)
        return here


class Supernet(nn.Module):
    """Stem (and its max pooling), blocks of candidates, header, global average pooling and classifier of a
    macro-architecture.

    kind: the class of all layers. code_bits: of all feature maps; None: as the bitwidths of `macro` need.
    """

    def __init__(
        self, macro: Macro, generator: torch.Generator, *, kind: type[QuantLayer] = QuantLayer,
        code_bits: int | None = None,
    ):  # fmt: skip
        super().__init__()
        self.macro = macro
        self.code_bits = macro.code_bits if code_bits is None else code_bits
        self.stem = _layer(kind, stem(macro), code_bits=self.code_bits, generator=generator)
        self.stem_pool: QuantLayer | None = None
        window = stem_pool(macro)
        if window is not None:
            self.stem_pool = _layer(kind, window, code_bits=self.code_bits, generator=generator)
            self.stem_pool.keep_scale_of(self.stem)
        self.blocks = nn.ModuleList()
        self.shared = nn.ModuleList()
        for block in blocks(macro):
            operators = tuple(op for op in choices(block) if op != SKIP)
            candidates = {
                op: CandidateOperator(op, block, macro.expand_at_one, self.code_bits, generator, kind)
                for op in operators
            }
            self.blocks.append(nn.ModuleDict(candidates))
            self.shared.append(SharedWeights(block, operators, generator))
        self.header = _layer(kind, header(macro), code_bits=self.code_bits, generator=generator)
        self.pool = _layer(kind, pool(macro), code_bits=self.code_bits, generator=generator)
        self.classifier = _layer(kind, classifier(macro), code_bits=self.code_bits, generator=generator)

    def forward(self, codes_BCHW: Tensor, path: Path) -> Tensor:
        """Logits [B, classes] of image codes (floats holding 0..255) on one path."""
        stem, head, classifier = (
            Precision(bitwidths=(width,))
            for width in (self.macro.stem_bits, self.macro.head_bits, self.macro.classifier_bits)
        )
        bits = self.code_bits
        up = float(1 << (bits - MASTER_BITS))
        codes = codes_BCHW if bits == MASTER_BITS else codes_BCHW * up
        here = Signal(codes_BCHW=codes, scale=torch.tensor(INPUT_SCALE / up), signed=False, bits=bits)
        here = self.stem(here, stem)
        if self.stem_pool is not None:
            here = self.stem_pool(here, Precision(bitwidths=(bits,)))
        for block, shared, choice in zip(self.blocks, self.shared, path, strict=True):
            assert isinstance(block, nn.ModuleDict)
            assert isinstance(shared, SharedWeights)
            here = self._block(block, shared, here, choice)
        here = self.header(here, head)
        here = self.pool(here, Precision(bitwidths=(bits,)))
        here = self.classifier(here, classifier)
        return here.real().flatten(1)

    def _block(self, block: nn.ModuleDict, shared: SharedWeights, source: Signal, choice: SampledBlock) -> Signal:
        """sum_k gate_k O_k(source): gates are 1, 0, 0...: the value is the first candidate's, the gradient all K's.

        Every candidate is computed once, whatever the number of bitwidths: these are blended in the operands of its
        convolutions (`QuantLayer`).
        """
        executed = self._candidate(block, shared, source, choice, 0)
        if not choice.gates.requires_grad:
            return executed
        codes = executed.codes_BCHW * choice.gates[0]
        for k, gate in enumerate(choice.gates[1:], 1):
            # Its gate is 0: nothing flows back into this candidate, only what it computed into the gate's gradient.
            with torch.no_grad():
                other = self._candidate(block, shared, source, choice, k)
                value = other.codes_BCHW * (other.scale / executed.scale)
            codes = codes + value * gate
        return Signal(codes_BCHW=codes, scale=executed.scale, signed=executed.signed, bits=executed.bits)

    def _candidate(
        self, block: nn.ModuleDict, shared: SharedWeights, source: Signal, choice: SampledBlock, k: int
    ) -> Signal:
        operator = self.macro.all_operators[choice.candidates[k]]
        if operator == SKIP:
            return source
        mix = None if choice.mixes is None else choice.mixes[k]
        precision = Precision(bitwidths=self.macro.all_bitwidths, mix=mix)
        found: Signal = block[operator](source, precision, shared)
        return found


def _layer(
    kind: type[QuantLayer], plan: LayerPlan, *, own: bool = True, code_bits: int, generator: torch.Generator
) -> QuantLayer:
    kernel = plan.kernel or 1  # a pooling over the whole map asks for no kernel
    return kind(
        op=plan.op,
        in_channels=plan.in_channels,
        out_channels=plan.out_channels,
        kernel=(kernel, kernel),
        stride=plan.stride,
        pad=kernel // 2,
        signed=plan.signed,
        norm=not plan.last,
        track=False,
        reach=first_reach(residual=plan.residual, last=plan.last),
        own_weight=own,
        code_bits=code_bits,
        groups=plan.groups,
        rotate=plan.rotate,
        generator=generator,
    )
