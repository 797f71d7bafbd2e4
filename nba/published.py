# SPDX-License-Identifier: Apache-2.0
"""The published settings: whole schedules of search and training, and what of them cannot be expressed here.

Auto-NBA (ICML 2021, arXiv 2106.06575) on CIFAR and on ImageNet, InstantNet (DAC 2021, arXiv 2104.10853) on CIFAR: the
values of the released configurations. A preset names every field of `schedule.search` and `schedule.train`: none of our
own defaults comes in. What has no counterpart in the papers is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedSettings:
    """The settings of one paper on one dataset.

    search, train: the two sections of `schedule`. elsewhere: (field of the spec, value) of what a schedule does not
    hold. missing: what cannot be expressed, or is not known, a sentence each.
    """

    search: dict[str, Any]
    train: dict[str, Any]
    elsewhere: tuple[tuple[str, Any], ...]
    missing: tuple[str, ...]


_UNTOUCHED = {"shift_pixels": 0.0, "rotation_degrees": 0.0, "zoom": 0.0}
_CIFAR_IMAGES = {**_UNTOUCHED, "mirror": True, "crop_pixels": 4, "resized_crop": None}
_IMAGENET_IMAGES = {
    **_UNTOUCHED, "mirror": True, "crop_pixels": 0, "resized_crop": {"scale": [0.08, 1.0], "ratio": [3 / 4, 4 / 3]},
}  # fmt: skip

_SEARCH: dict[str, Any] = {
    "steps_per_epoch": None, "optimiser": "sgd", "weight_decay": 5e-4, "momentum": 0.9, "clip_norm": 5.0,
    "alpha_learning_rate": 3e-4, "beta_learning_rate": 3e-4, "adam_betas": [0.5, 0.999], "bit_sampling": "hetero",
    "n_candidates": 2, "temperature_last": 0.5, "bits_weight": 0.0, "target_fps": None, "target": None,
    "adapt_rate": 1.0, "cost_form": "linear",
}  # fmt: skip
"""What the three have in common. temperature_last and adapt_rate mean nothing beside temperature_factor and a range."""

_TRAIN: dict[str, Any] = {
    "optimiser": "sgd", "momentum": 0.9, "nesterov": False, "clip_norm": None, "warmup_epochs": 0.0,
    "label_smoothing": 0.0, "ema": 0.0, "distillation": None, "precision": "float32", "mixup": 0.0,
    "fold_fraction": 0.0, "baselines": False,
}  # fmt: skip

_BOTH = (
    "the released code has stem, header and classifier left in float; here they are quantised (network.stem_bits, "
    "head_bits, classifier_bits)",
    "a `skip` in a block that changes its shape is a 1x1 convolution in the released code; here such a block is never "
    "skipped",
    "momentum and clipping of the final training are not known; here momentum is 0.9, as in the search, without "
    "clipping",
)
_AUTO_NBA = (
    *_BOTH,
    "beta is per block and operator in the released code; here it is per block (network.bits_per)",
    "the estimators fake_hard, random_hard and proxy_hard do not exist here; bit_sampling has hetero, soft and hard",
    "the accelerator space differs: up to 12 chunks, three compute modes and tiles in the released code; here up to 8 "
    "chunks of docs/template.md",
    "the unit of the latency in the loss (weight 1e-10) is not known; here it is the interval in cycles",
    "the numbers of samples of the accelerator search before the first and after the last step are not known; here "
    "they are as many as at each step",
)

PUBLISHED: dict[str, PublishedSettings] = {
    "published-auto-nba-cifar": PublishedSettings(
        search={
            **_SEARCH, **_CIFAR_IMAGES, "pretrain_epochs": 30, "joint_epochs": 90, "batch_size": 64,
            "weights_fraction": 0.5, "learning_rate": 0.025, "learning_rate_last": 0.001, "temperature_first": 5.0,
            "temperature_factor": 0.975, "hardware_method": "gamma", "hardware_every": 100, "hardware_samples": 2000,
            "hardware_first": 2000, "hardware_last": 2000, "network_objective": "hardware", "cost_weight": 1e-10,
            "cost_range": None, "fps_range": [100.0, 400.0],
        },
        train={
            **_TRAIN, **_CIFAR_IMAGES, "epochs": 600, "batch_size": 96, "learning_rate": 0.01,
            "learning_rate_last": 0.001, "weight_decay": 5e-4,
        },
        elsewhere=(("precision", "mixed"), ("bitwidths", [4, 6, 8]), ("network.preset", "auto-nba-cifar")),
        missing=_AUTO_NBA,
    ),
    "published-auto-nba-imagenet": PublishedSettings(
        search={
            **_SEARCH, **_IMAGENET_IMAGES, "pretrain_epochs": 45, "joint_epochs": 75, "batch_size": 192,
            "weights_fraction": 0.8, "learning_rate": 0.1, "learning_rate_last": 0.0, "temperature_first": 5.0,
            "temperature_factor": 0.956, "hardware_method": "random", "hardware_every": 20,
            "hardware_samples": 10_000, "hardware_first": 10_000, "hardware_last": 10_000,
            "network_objective": "hardware", "cost_weight": 0.0, "cost_range": None, "fps_range": [0.0, 200.0],
        },
        train={
            **_TRAIN, **_IMAGENET_IMAGES, "epochs": 180, "batch_size": 512, "learning_rate": 0.2,
            "learning_rate_last": 0.0, "weight_decay": 4e-5,
        },
        elsewhere=(
            ("precision", "mixed"), ("network.preset", "auto-nba-imagenet"), ("dataset.name", "imagenet"),
            ("dataset.image_size", 224), ("dataset.classes.count", 100),
        ),
        missing=(
            *_AUTO_NBA,
            "bitwidths are not searched in the released code (32, off); here every block is quantised to one of "
            "`bitwidths`",
            "the accelerator search is off in the released code; here it runs, but with cost_weight 0 no network "
            "depends on it",
            "squeeze-and-excitation and h-swish of the final training are not supported",
            "the 100 classes and 128,000 images of the search are not known; here dataset.classes draws them",
            "the 100 classes are those of the search, and a spec has one dataset for search and training; to train "
            "on all classes, give the architecture to another spec (docs/migrating.md)",
        ),
    ),
    "published-instantnet-cifar": PublishedSettings(
        search={
            **_SEARCH, **_CIFAR_IMAGES, "pretrain_epochs": 0, "joint_epochs": 25, "batch_size": 64,
            "weights_fraction": 0.5, "learning_rate": 0.025, "learning_rate_last": 0.001, "temperature_first": 3.0,
            "temperature_factor": 0.88, "hardware_method": "gamma", "hardware_every": 1, "hardware_samples": 1,
            "hardware_first": 1, "hardware_last": 1, "network_objective": "macs", "cost_weight": 1e-10,
            "cost_range": [1.2e8, 1.3e8], "fps_range": None,
        },
        train={
            **_TRAIN, **_CIFAR_IMAGES, "epochs": 200, "batch_size": 128, "learning_rate": 0.025,
            "learning_rate_last": 0.001, "weight_decay": 5e-4,
        },
        elsewhere=(("precision", "switchable"), ("switchable.bitwidths", [4, 8, 12, 16, 32])),
        missing=(
            *_BOTH,
            "weights are quantised anew for every bitwidth in the released code; here bitwidths of up to 8 bits "
            "share one stored set of codes",
            "the padding of the random crop is not known; here it is 4 pixels, as in Auto-NBA",
            "the fields hardware_* have no effect, because this search has no accelerator",
            "FLOPs are taken as multiply-accumulates: the range of the released code, 1.2e8 to 1.3e8 FLOPs, is "
            "cost_range with network_objective macs; if that code counts a product and a sum as two, give half",
        ),
    ),
}  # fmt: skip
"""Values of the section `schedule` by the name of its preset."""

NETWORKS_MISSING: dict[str, tuple[str, ...]] = {
    "auto-nba-cifar": (_BOTH[1],),
    "auto-nba-imagenet": (_BOTH[1], "squeeze-and-excitation and h-swish are not supported"),
}
"""What of a published network space cannot be expressed, by the name of the preset of the section `network`."""
