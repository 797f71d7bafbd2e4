# SPDX-License-Identifier: Apache-2.0
"""The knobs of the final training, and what it reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from nba.ir.network import Network, Weights
from nba.learn.quant.export import Agreement
from nba.learn.train.augment import Warp

FLOAT_TEACHER = "float"


@dataclass(frozen=True, kw_only=True, slots=True)
class Distillation:
    """The network also learns the outputs of a teacher: the loss is (1 - weight) times that of the labels plus weight
    times the Kullback-Leibler divergence from the teacher's probabilities. teacher: "float", the same network without
    quantisation, trained first with the same schedule; or the path of a teacher.pt that such a run left."""

    weight: float = 0.5
    teacher: str = FLOAT_TEACHER


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Knobs of the final training.

    learning_rate: peak of the optimiser (AdamW, or SGD with `momentum`, Nesterov's with `nesterov`), after
    `warmup_epochs` of linear rise, then a cosine to learning_rate_last. clip_norm: largest 2-norm of all gradients
    together; where it is larger they are scaled (None: never). fold_fraction: last part of the epochs, with BatchNorm
    folded. ema: decay per step of the running mean of the weights that is exported (0: the last weights). shift_pixels,
    rotation_degrees, zoom, mirror, crop_pixels: see `Warp`. mixup: every batch is blended, images and losses alike,
    with itself in reverse, whose share is uniform in 0..mixup/2 (0: never; after Zhang et al., 2018). precision: of the
    convolutions until BatchNorm is folded; "auto" is bfloat16 on a GPU and float32 on a CPU. threads: of torch (results
    depend on it in the last bit; more rarely pay on small images).
    """

    epochs: int = 100
    batch_size: int = 64
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 4e-3
    learning_rate_last: float = 0.0
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 1e-2
    clip_norm: float | None = None
    warmup_epochs: float = 3.0
    label_smoothing: float = 0.1
    ema: float = 0.0
    distillation: Distillation | None = None
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    fold_fraction: float = 0.25
    shift_pixels: float = 0.5
    rotation_degrees: float = 10.0
    zoom: float = 0.1
    mirror: bool = False
    crop_pixels: int = 0
    mixup: float = 1.0
    threads: int = 1

    @property
    def warp(self) -> Warp:
        """The augmentation."""
        return Warp(
            shift_pixels=self.shift_pixels, rotation_degrees=self.rotation_degrees, zoom=self.zoom, mirror=self.mirror,
            crop_pixels=self.crop_pixels,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """Curves of the training: mean loss and accuracy over the training images, as augmented, of one epoch."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float

    def scalars(self) -> dict[str, float]:
        """The fields by name."""
        return asdict(self)

    def note(self) -> str:
        """For progress."""
        return f"loss {self.loss:.3f}, accuracy {100 * self.accuracy:.1f} %"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trained:
    """A trained integer network with its accuracy on the test split, and how closely training followed the integers."""

    network: Network
    weights: Weights
    integer_accuracy: float
    fake_accuracy: float
    agreement: Agreement
    records: tuple[EpochRecord, ...]
