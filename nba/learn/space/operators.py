# SPDX-License-Identifier: Apache-2.0
"""The operators of a block by name: `k5_e3` is kernel 5, expansion 3; `k3_e1_g2` works on two groups of channels;
`skip` passes the block's input on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nba.core.errors import SpecError
from nba.ir.network_rules import MAX_KERNEL

SKIP = "skip"
"""The operator that leaves a block out."""

AUTO_NBA_OPERATORS = (
    "k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", SKIP,
)  # fmt: skip
"""The nine operators of Auto-NBA."""

KERNELS = range(1, MAX_KERNEL + 1, 2)
"""Kernels of an operator: odd, so that the padding is the same on both sides of a row."""
POOL_KERNELS = KERNELS[1:]
"""Kernels of a max pooling: none is smaller than a stride of up to 3, with which no code is left out."""

_OPERATOR = re.compile(r"k([1-9][0-9]{0,2})_e([1-9][0-9]?)(_g2)?")
_ROTATION_UNIT = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockOperator:
    """1x1 expand to `expansion` times the channels -> `kernel` x `kernel` depthwise -> 1x1 project.

    With `groups` 2 both 1x1 convolutions see half of their input channels, and the expand shuffles the channels.
    """

    kernel: int
    expansion: int
    groups: int

    def has_expand(self, expand_at_one: bool) -> bool:
        """Whether there is an expand layer: an expansion of 1 needs none, but a shuffle does."""
        return self.expansion > 1 or self.groups > 1 or expand_at_one


def is_operator(name: str) -> bool:
    """Whether an operator is called `name`, skip included."""
    match = _OPERATOR.fullmatch(name)
    return name == SKIP or (match is not None and int(match[1]) in KERNELS)


def parse_operator(name: str) -> BlockOperator:
    """The operator called `name`, other than skip. Raises SpecError for a malformed name."""
    match = _OPERATOR.fullmatch(name)
    if match is None or int(match[1]) not in KERNELS:
        raise SpecError(
            f"network.operators: {name!r} is not an operator; write k<kernel>_e<expansion> or "
            f"k<kernel>_e<expansion>_g2, kernel odd, 1 to {KERNELS[-1]}, and expansion 1..99, such as k3_e6, or {SKIP}"
        )
    return BlockOperator(kernel=int(match[1]), expansion=int(match[2]), groups=2 if match[3] else 1)


def shuffle_rotation(channels: int) -> int:
    """`Layer.rotate` of an expand layer of two groups with `channels` outputs.

    A quarter of the channels shuffles evenly. From 32 channels on it is rounded to a multiple of 8 (at most half of the
    way to 0 or to a half, so that either half still reads both groups): engines of up to 8 output channels then walk
    half of the input only (nba.machine.geometry.channel_words).
    """
    if channels < 4 * _ROTATION_UNIT:
        return channels // 4
    return (channels + 2 * _ROTATION_UNIT) // (4 * _ROTATION_UNIT) * _ROTATION_UNIT
