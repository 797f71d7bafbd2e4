# SPDX-License-Identifier: Apache-2.0
"""Ready values of the section `schedule.train`, as they would stand in YAML; fields beside a preset override it."""

from __future__ import annotations

from typing import Any

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
