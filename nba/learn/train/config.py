# SPDX-License-Identifier: Apache-2.0
"""The section `schedule.train` of a spec: the configuration of the final training."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from nba.core.section import PositiveFloat, Rate, Section, with_preset
from nba.learn.train.augmentation import Augmented
from nba.learn.train.recipes import TRAINING

FLOAT_TEACHER = "float"
THREADS = 1
"""Threads of torch (results depend on it in the last bit; more rarely pay on small images)."""


class Distillation(Section):
    """The network also learns a teacher's outputs: share `weight` of the loss. teacher: `float`, the same network
    without quantisation, trained first with the same schedule, or the path of a teacher.pt that such a run left."""

    weight: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.5
    teacher: str = FLOAT_TEACHER


BatchSize = Annotated[int, Field(ge=2, le=4096, strict=True)]
LastRate = Annotated[float, Field(ge=0, le=1, strict=True)]
Decay = Annotated[float, Field(ge=0, le=1, strict=True)]


class WeightsSchedule(Augmented):
    """How weights are learned, in a search and in a training: batches of augmented images, AdamW or SGD with
    `momentum`, whose rate falls from learning_rate to learning_rate_last. clip_norm: largest norm of the gradients."""

    batch_size: BatchSize = 64
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Rate = 0.004
    learning_rate_last: LastRate = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.9
    weight_decay: Decay = 0.01
    clip_norm: PositiveFloat | None = None

    @model_validator(mode="after")
    def _rate_falls(self) -> Self:
        if self.learning_rate_last > self.learning_rate:
            raise ValueError(
                f"learning_rate_last {self.learning_rate_last} is above learning_rate {self.learning_rate}"
            )
        return self


class TrainSchedule(WeightsSchedule):
    """How long and how the derived network is trained: linear warm-up, cosine to learning_rate_last; AdamW, or SGD with
    `momentum` (Nesterov's with `nesterov`); clip_norm: largest norm of the gradients.

    `preset` (recipes in common use, not those of the papers) gives every field that does not stand beside it. mixup:
    every batch is blended with itself in reverse, whose share is uniform in 0..mixup/2. ema: decay of the running mean
    of the weights, which is what is exported (0: the last weights are). fold_fraction: last part of the epochs, with
    BatchNorm folded. precision: of convolutions until then; `auto` is bfloat16 on a GPU and float32 on a CPU.
    baselines: the same architecture is trained in floating point and, from there, with 8 bits everywhere too, so that
    the report can compare accuracies.
    """

    preset: Literal["common-cifar", "common-imagenet"] | None = None
    epochs: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 100
    nesterov: Annotated[bool, Field(strict=True)] = True
    warmup_epochs: Annotated[float, Field(ge=0, le=1000, strict=True)] = 3.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.1
    ema: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.0
    distillation: Distillation | None = None
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    mixup: Annotated[float, Field(ge=0, le=1, strict=True)] = 1.0
    fold_fraction: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.25
    baselines: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, raw: Any) -> Any:
        return with_preset(raw, TRAINING)

    def recipe(self) -> dict[str, Any]:
        """All fields that shape what is trained."""
        return self.model_dump(exclude={"preset", "baselines"})
