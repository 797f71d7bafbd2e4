# SPDX-License-Identifier: Apache-2.0
"""Ready values of the spec's sections, as they would stand in YAML; fields beside a preset override it.

auto-nba-cifar, auto-nba-imagenet: the macro-architectures of Auto-NBA (ICML 2021): 22 blocks, nine operators.
published-*: whole schedules of papers (nba.published). quick: minutes on a CPU. common-*: recipes of training.
"""

from __future__ import annotations

from typing import Any

from nba.learn.space.operators import AUTO_NBA_OPERATORS
from nba.published import PUBLISHED

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

SWITCHABLE_SEARCH: dict[str, Any] = {
    "pretrain_epochs": 0, "joint_epochs": 25, "temperature_first": 3.0, "temperature_factor": 0.88,
}  # fmt: skip
"""What section `schedule.search` has with `precision: switchable` where neither it nor a preset says otherwise: epochs
and temperature of InstantNet."""

SCHEDULES: dict[str, dict[str, Any]] = {
    **{name: {"search": preset.search, "train": preset.train} for name, preset in PUBLISHED.items()},
    "quick": {
        "search": {
            "pretrain_epochs": 2, "joint_epochs": 6, "steps_per_epoch": 10, "hardware_first": 1000,
            "hardware_last": 2000,
        },
        "train": {"epochs": 20},
    },
}  # fmt: skip
"""Section `schedule`."""

_COMMON: dict[str, Any] = {
    "optimiser": "sgd", "learning_rate_last": 0.0, "momentum": 0.9, "nesterov": True, "clip_norm": None,
    "warmup_epochs": 5.0, "label_smoothing": 0.1, "distillation": None, "precision": "auto", "mixup": 0.0,
    "fold_fraction": 0.1, "baselines": True, "shift_pixels": 0.0, "rotation_degrees": 0.0, "zoom": 0.0,
}  # fmt: skip

TRAINING: dict[str, dict[str, Any]] = {
    # The common recipe for residual networks on CIFAR (crop of 4, mirror, SGD, batch 128, weight decay 5e-4), with the
    # cosine and label smoothing of later work.
    "common-cifar": {
        **_COMMON, "epochs": 200, "batch_size": 128, "learning_rate": 0.1, "weight_decay": 5e-4, "ema": 0.999,
        "mirror": True, "crop_pixels": 4, "resized_crop": None,
    },
    # After MobileNetV2 (weight decay 4e-5, batch and rate scaled), cosine over 150 epochs.
    "common-imagenet": {
        **_COMMON, "epochs": 150, "batch_size": 256, "learning_rate": 0.05, "weight_decay": 4e-5, "ema": 0.9999,
        "mirror": True, "crop_pixels": 0, "resized_crop": {"scale": [0.08, 1.0], "ratio": [3 / 4, 4 / 3]},
    },
}  # fmt: skip
"""Section `schedule.train`: recipes in common use, none of a paper on co-design."""


def merged(preset: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`preset` with the fields of `given` in place of its own; sections within are merged field by field."""
    found = dict(preset)
    for key, value in given.items():
        inner = found.get(key)
        found[key] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return found
