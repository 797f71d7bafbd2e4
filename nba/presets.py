# SPDX-License-Identifier: Apache-2.0
"""Ready values of the spec's sections, as they would stand in YAML; fields beside a preset override it.

auto-nba-cifar, auto-nba-imagenet: the macro-architectures of Auto-NBA (ICML 2021): 22 blocks, nine operators.
published-cifar, published-imagenet: its schedules. published-instantnet: epochs and temperature of the search of
InstantNet (DAC 2021). quick: minutes on a CPU.
"""

from __future__ import annotations

from typing import Any

SKIP = "skip"
"""The operator that leaves a block out."""

AUTO_NBA_OPERATORS = (
    "k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", SKIP,
)  # fmt: skip
"""The nine operators of Auto-NBA."""
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


NETWORKS: dict[str, dict[str, Any]] = {
    "auto-nba-cifar": _auto_nba((1, 1, 2, 2, 1, 2, 1), 1, 1504),
    "auto-nba-imagenet": _auto_nba((1, 2, 2, 2, 1, 2, 1), 2, 1984),
}
"""Section `network`; with either, `bitwidths` are AUTO_NBA_BITWIDTHS unless the spec gives them."""

_PUBLISHED_SEARCH: dict[str, Any] = {
    "batch_size": 64,
    "weights_fraction": 0.5,
    "optimiser": "sgd",
    "learning_rate": 0.025,
    "learning_rate_last": 0.001,
    "weight_decay": 0.0005,
    "momentum": 0.9,
    "alpha_learning_rate": 0.0003,
    "beta_learning_rate": 0.0003,
    "adam_betas": [0.5, 0.999],
    "bit_sampling": "hetero",
    "n_candidates": 2,
    "temperature_first": 5.0,
    "hardware_every": 100,
    "hardware_samples": 1000,
    "shift_pixels": 4.0,
    "rotation_degrees": 0.0,
    "zoom": 0.0,
    "mirror": True,
}

SCHEDULES: dict[str, dict[str, Any]] = {
    "published-cifar": {
        "search": {**_PUBLISHED_SEARCH, "pretrain_epochs": 30, "joint_epochs": 90, "temperature_factor": 0.975},
    },
    "published-imagenet": {
        "search": {**_PUBLISHED_SEARCH, "pretrain_epochs": 45, "joint_epochs": 75, "temperature_factor": 0.956},
    },
    "published-instantnet": {
        "search": {"joint_epochs": 25, "temperature_first": 3.0, "temperature_factor": 0.88},
    },
    "quick": {
        "search": {
            "pretrain_epochs": 2, "joint_epochs": 6, "steps_per_epoch": 10, "hardware_first": 1000,
            "hardware_last": 2000,
        },
        "train": {"epochs": 20},
    },
}  # fmt: skip
"""Section `schedule`."""


def merged(preset: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`preset` with the fields of `given` in place of its own; sections within are merged field by field."""
    found = dict(preset)
    for key, value in given.items():
        inner = found.get(key)
        found[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return found
