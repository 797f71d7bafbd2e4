# SPDX-License-Identifier: Apache-2.0
"""Ready values of the section `network` of a spec, as they would stand in YAML; fields beside a preset override it.

auto-nba-cifar, auto-nba-imagenet: the macro-architectures of Auto-NBA (ICML 2021): 22 blocks, nine operators.
"""

from __future__ import annotations

from typing import Any

from nba.learn.space.operators import AUTO_NBA_OPERATORS

AUTO_NBA_BITWIDTHS = (4, 6, 8)
"""The bitwidths of a block in Auto-NBA, weights and activations together."""

_BLOCKS = (1, 4, 4, 4, 4, 4, 1)
_CHANNELS = (16, 24, 32, 64, 112, 184, 352)


def _auto_nba(strides: tuple[int, ...], stem_stride: int, head_channels: int) -> dict[str, Any]:
    return {
        "stem_channels": 16,
        "stem_stride": stem_stride,
        "stages": [
            {"channels": c, "blocks": b, "stride": s} for c, b, s in zip(_CHANNELS, _BLOCKS, strides, strict=True)
        ],
        "operators": list(AUTO_NBA_OPERATORS),
        "expand_at_one": True,
        "head_channels": head_channels,
    }


NETWORK_PRESETS: dict[str, dict[str, Any]] = {
    "auto-nba-cifar": _auto_nba((1, 1, 2, 2, 1, 2, 1), 1, 1504),
    "auto-nba-imagenet": _auto_nba((1, 2, 2, 2, 1, 2, 1), 2, 1984),
}
"""Section `network`; with either, `bitwidths` are AUTO_NBA_BITWIDTHS unless the spec gives them."""
