# SPDX-License-Identifier: Apache-2.0
"""The network space as data: a fixed macro-architecture, and per block an operator and a bitwidth.

A block is 1x1 expand -> kxk depthwise -> 1x1 project (a signed linear bottleneck), with a residual where both strides
are 1 and its channels stay; nba.learn.space.operators says what the names mean. Every layer that could exist has a
fixed number, its *slot*, so that nothing shifts when a block is skipped.

`skip` is a choice of the blocks that have a residual: the first block of a stage that changes channels or map size is
never skipped. A stage whose blocks all keep their shape may be skipped whole, and so may all of them: stem and header
are then neighbours. What a skipped block reads and passes on stays what it was, sign included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from nba.core.errors import SpecError, listed
from nba.core.yamlfile import explain
from nba.ir.network import MASTER_BITS, WIDE_BITS, Layer, Network, Tensor, widened
from nba.ir.network_rules import MAX_CHANNELS, MAX_DIM
from nba.ir.operators import OPERATORS, Kind, engine_kind
from nba.learn.space import layers
from nba.learn.space.builder import NetworkBuilder
from nba.learn.space.config import Bitwidths, Channels, NetworkFrame, NetworkSpace, StageSpace
from nba.learn.space.operators import SKIP as SKIP
from nba.learn.space.operators import parse_operator
from nba.learn.space.strides import Stride


class Macro(NetworkFrame):
    """What the search leaves alone: the input, 3x3 stem, max pooling of the stem (where there is a `stem_pool`), stages
    of blocks, 1x1 header, average pooling, classifier.

    The section `network` of a spec for images of `height` x `width` x `channels` and so many `classes`. `operators` and
    `bitwidths` are the choices of every block whose stage has none of its own. All bits hold for weights and
    activations together. Raises ValidationError, naming every field that is out of range, unless a network can be built
    of it.
    """

    name: Annotated[str, Field(max_length=64)]
    height: Annotated[int, Field(ge=1, le=MAX_DIM, strict=True)]
    width: Annotated[int, Field(ge=1, le=MAX_DIM, strict=True)]
    channels: Channels
    classes: Annotated[int, Field(ge=2, le=MAX_CHANNELS, strict=True)]
    bitwidths: Bitwidths

    @model_validator(mode="after")
    def _stages_agree(self) -> Macro:
        problems, before = [], self.stem_channels
        for i, stage in enumerate(self.stages):
            problems.extend(_group_problems(f"stages[{i}]", stage, before, stage.operators or self.operators))
            before = stage.channels
        if self.bits_per == "network" and len({stage.bitwidths or self.bitwidths for stage in self.stages}) > 1:
            problems.append(
                "stages: bitwidths differ from stage to stage, but bits_per: network has one for all; "
                "give the same ones, or bits_per: stage"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @classmethod
    def of(
        cls, space: NetworkSpace, *, name: str, size: tuple[int, int, int], classes: int, bitwidths: tuple[int, ...]
    ) -> Macro:
        """The section `network` of a spec for images of `size` (height, width, channels) and so many classes. Raises
        SpecError with every error."""
        height, width, channels = size
        frame = space.model_dump(include=set(NetworkFrame.model_fields))
        try:
            return cls(
                name=name, height=height, width=width, channels=channels, classes=classes, bitwidths=bitwidths, **frame
            )
        except ValidationError as err:
            problems = [f"network.{line}" for line in explain(err, cls)]
            raise SpecError(f"the network space is not valid:\n{listed(problems)}") from None

    @property
    def all_operators(self) -> tuple[str, ...]:
        """The operators of all blocks, each once: what the columns of alpha mean."""
        return tuple(dict.fromkeys(op for stage in self.stages for op in stage.operators or self.operators))

    @property
    def all_bitwidths(self) -> tuple[int, ...]:
        """The bitwidths of all blocks, ascending: what the columns of beta mean."""
        return tuple(sorted({b for stage in self.stages for b in stage.bitwidths or self.bitwidths}))

    @property
    def code_bits(self) -> int:
        """Bits of the master codes while all paths are trained: 16 where some layer may see 16 bits, else 8."""
        known = (*self.all_bitwidths, self.stem_bits, self.head_bits, self.classifier_bits)
        return WIDE_BITS if WIDE_BITS in known else MASTER_BITS


def _group_problems(where: str, stage: StageSpace, before: int, operators: tuple[str, ...]) -> list[str]:
    """What is wrong with the operators of two groups of `stage`, which follows `before` channels."""
    grouped = [op for op in operators if op.endswith("_g2")]
    odd = sorted({c for c in (before, stage.channels) if c % 2})
    if not (grouped and odd):
        return []
    return [
        f"{where}: {', '.join(grouped)} need an even number of channels before and in the stage, found "
        f"{' and '.join(map(str, odd))}; change the channels, or give the stage operators without _g2"
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One place of the macro-architecture where an operator is chosen out of `operators` (skip only where
    `residual`) and a bitwidth out of `bitwidths`; blocks with one `bits_group` have the same one."""

    in_channels: int
    out_channels: int
    stride: Stride
    operators: tuple[str, ...]
    bitwidths: tuple[int, ...]
    bits_group: int

    @property
    def residual(self) -> bool:
        """Whether input and output have one shape, so that a residual, and skipping, are possible."""
        return self.stride == 1 and self.in_channels == self.out_channels


@dataclass(frozen=True, kw_only=True, slots=True)
class Architecture:
    """One point of the space: an operator and a bitwidth for every block of `macro`.

    `bits` of a skipped block has no meaning for the network, but is kept: indices never shift.
    """

    macro: Macro
    ops: tuple[str, ...]
    bits: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A layer that some architecture of the space has, and whether it mixes channels (nba.ir.operators)."""

    name: str
    mixes: bool

    @property
    def kind(self) -> Kind:
        """The kind of chunk that can execute it."""
        return engine_kind(self.mixes)


def blocks(macro: Macro) -> tuple[Block, ...]:
    """The blocks in order."""
    found: list[Block] = []
    channels = macro.stem_channels
    for number, stage in enumerate(macro.stages):
        for i in range(stage.blocks):
            found.append(
                Block(
                    in_channels=channels,
                    out_channels=stage.channels,
                    stride=stage.stride if i == 0 else 1,
                    operators=stage.operators or macro.operators,
                    bitwidths=stage.bitwidths or macro.bitwidths,
                    bits_group={"block": len(found), "stage": number, "network": 0}[macro.bits_per],
                )
            )
            channels = stage.channels
    return tuple(found)


def choices(block: Block) -> tuple[str, ...]:
    """Operators that `block` may use, in its order."""
    return tuple(op for op in block.operators if op != SKIP or block.residual)


def slots(macro: Macro) -> tuple[Slot, ...]:
    """Every layer that can exist, in order: stem and its max pooling, three per block, header, average pooling,
    classifier."""
    found = [(plan.name, plan.op) for plan in layers.before_blocks(macro)]
    for i in range(len(blocks(macro))):
        found.extend((f"block{i}_{part}", op) for part, op in layers.PARTS.items())
    found.extend((plan.name, plan.op) for plan in layers.after_blocks(macro))
    return tuple(Slot(name=name, mixes=OPERATORS[op].mixes) for name, op in found)


def widest_map(macro: Macro) -> int:
    """The most channels of a feature map, over all architectures."""
    found = [macro.channels, macro.stem_channels, macro.head_channels, macro.classes]
    for block in blocks(macro):
        shapes = [parse_operator(op) for op in choices(block) if op != SKIP]
        found += [block.out_channels, *(block.in_channels * shape.expansion for shape in shapes)]
    return max(found)


def slot_of_layer(architecture: Architecture) -> tuple[int, ...]:
    """For every layer of `skeleton(architecture)`, its index in `slots(architecture.macro)`."""
    begin, parts = len(layers.before_blocks(architecture.macro)), len(layers.PARTS)
    found = list(range(begin))
    for i, op in enumerate(architecture.ops):
        first = begin + parts * i
        if op != SKIP:
            expand = parse_operator(op).has_expand(architecture.macro.expand_at_one)
            found.extend(range(first + (not expand), first + parts))
    last = begin + parts * len(architecture.ops)
    return (*found, last, last + 1, last + 2)


def skeleton(architecture: Architecture) -> Network:
    """The integer layers of `architecture`: shapes, bits and signs are final, requantisation numbers are placeholders
    (legal, but only `nba.learn.quant.export` knows the true ones). ReLU outputs are unsigned, bottlenecks and logits
    signed. Where one layer has 16 bits, all codes have; else all codes have 8 bits. Poolings see them whole.
    """
    macro = architecture.macro
    net = NetworkBuilder(
        Tensor(name="image", height=macro.height, width=macro.width, channels=macro.channels, signed=False)
    )
    here = 0
    for plan in layers.before_blocks(macro):
        here = net.add(plan, here, bits=macro.stem_bits)
    places = zip(blocks(macro), architecture.ops, architecture.bits, strict=True)
    for i, (block, op, bits) in enumerate(places):
        if op == SKIP:
            continue
        start = here
        for plan in layers.block_layers(block, parse_operator(op), expand_at_one=macro.expand_at_one):
            residual = start if plan.residual else None
            here = net.add(plan, here, name=f"block{i}_{plan.name}", bits=bits, residual=residual)
    widths = (macro.head_bits, MASTER_BITS, macro.classifier_bits)
    for plan, bits in zip(layers.after_blocks(macro), widths, strict=True):
        here = net.add(plan, here, bits=bits)
    return widened(Network(name=macro.name, tensors=tuple(net.tensors), layers=_seeing_all(net.layers)))


def _seeing_all(built: list[Layer]) -> tuple[Layer, ...]:
    """The layers; those without weights see as many bits as any layer does, and never less than a master code."""
    most = max(MASTER_BITS, *(layer.act_bits for layer in built))
    return tuple(
        layer
        if layer.operator.stores_weights
        else replace(layer, act_bits=most, weight_bits=most, weight_store_bits=most)
        for layer in built
    )


def bit_operations(network: Network) -> int:
    """Sum over layers of MACs x weight bits x activation bits: what narrower multipliers and memories save."""
    return sum(
        network.macs(i) * layer.act_bits * layer.operator.counted_bits(layer) for i, layer in enumerate(network.layers)
    )


def macs(network: Network) -> int:
    """Multiply-accumulates of one frame."""
    return sum(network.macs(i) for i in range(len(network.layers)))
