# SPDX-License-Identifier: Apache-2.0
"""The layers of the macro-architecture, which skeleton, slots and supernet have in common.

This is where the network space names the operators (nba.ir.operators) that its layers are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nba.ir.operators import Op
from nba.learn.space.operators import BlockOperator, shuffle_rotation
from nba.learn.space.strides import both

if TYPE_CHECKING:
    from nba.learn.space.network import Block, Macro

PARTS: dict[str, Op] = {"expand": "dense", "depthwise": "depthwise", "project": "dense"}
"""The layers of a block, in order, and their operators; not every block has the first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerPlan:
    """A layer before its map size and bits are known.

    kernel: rows and columns; None: as large as the map, without padding. stride: of rows, of columns. signed: of the
    output codes. residual: the block's input is added. last: the outputs are logits.
    """

    name: str
    op: Op
    in_channels: int
    out_channels: int
    kernel: int | None = 1
    stride: tuple[int, int] = (1, 1)
    groups: int = 1
    rotate: int = 0
    signed: bool = False
    residual: bool = False
    last: bool = False


def stem(macro: Macro) -> LayerPlan:
    """The first layer."""
    return LayerPlan(
        name="stem", op="dense", in_channels=macro.channels, out_channels=macro.stem_channels, kernel=3,
        stride=both(macro.stem_stride),
    )  # fmt: skip


def stem_pool(macro: Macro) -> LayerPlan | None:
    """The max pooling of the stem's output, which keeps its codes; None where the space has none."""
    channels, window = macro.stem_channels, macro.stem_pool
    if window is None:
        return None
    return LayerPlan(
        name="stem_pool", op="maxpool", in_channels=channels, out_channels=channels, kernel=window.kernel,
        stride=both(window.stride),
    )  # fmt: skip


def before_blocks(macro: Macro) -> tuple[LayerPlan, ...]:
    """The layers before the first block, in order."""
    window = stem_pool(macro)
    return (stem(macro),) if window is None else (stem(macro), window)


def block_layers(block: Block, operator: BlockOperator, *, expand_at_one: bool) -> tuple[LayerPlan, ...]:
    """The layers of `block` with `operator`, named as in PARTS: expand (if any), depthwise, project."""
    wide, groups = block.in_channels * operator.expansion, operator.groups
    expand, middle, project = (
        LayerPlan(
            name="expand", op=PARTS["expand"], in_channels=block.in_channels, out_channels=wide, groups=groups,
            rotate=shuffle_rotation(wide) if groups == 2 else 0,
        ),
        LayerPlan(
            name="depthwise", op=PARTS["depthwise"], in_channels=wide, out_channels=wide, kernel=operator.kernel,
            stride=both(block.stride),
        ),
        LayerPlan(
            name="project", op=PARTS["project"], in_channels=wide, out_channels=block.out_channels, groups=groups,
            signed=True, residual=block.residual,
        ),
    )  # fmt: skip
    return (expand, middle, project) if operator.has_expand(expand_at_one) else (middle, project)


def header(macro: Macro) -> LayerPlan:
    """The 1x1 layer after the last block."""
    last = macro.stages[-1].channels
    return LayerPlan(name="header", op="dense", in_channels=last, out_channels=macro.head_channels)


def pool(macro: Macro) -> LayerPlan:
    """The global average pooling."""
    channels = macro.head_channels
    return LayerPlan(name="pool", op="avgpool", in_channels=channels, out_channels=channels, kernel=None)


def classifier(macro: Macro) -> LayerPlan:
    """The layer of the logits."""
    return LayerPlan(
        name="classifier", op="dense", in_channels=macro.head_channels, out_channels=macro.classes, signed=True,
        last=True,
    )  # fmt: skip


def after_blocks(macro: Macro) -> tuple[LayerPlan, LayerPlan, LayerPlan]:
    """The layers after the last block, in order."""
    return header(macro), pool(macro), classifier(macro)
