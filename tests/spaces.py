# SPDX-License-Identifier: Apache-2.0
"""A small network space, from which tests make theirs."""

from __future__ import annotations

from nba.learn.space.config import StageSpace
from nba.learn.space.network import Macro

DIGITS_SPACE = Macro(
    name="net",
    height=8,
    width=8,
    channels=1,
    classes=10,
    stem_channels=16,
    stages=(
        StageSpace(channels=16, blocks=1, stride=2),
        StageSpace(channels=24, blocks=2),
        StageSpace(channels=32, blocks=2, stride=2),
    ),
    head_channels=64,
    bitwidths=(2, 4, 6, 8),
)
"""Five blocks of the default operators, for images of the embedded digits."""
