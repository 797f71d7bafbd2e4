# SPDX-License-Identifier: Apache-2.0
"""Baselines of a searched architecture: the same network in floating point, and with 8 bits everywhere.

The first is trained with the recipe of the network itself. The second starts from it: scales of activations are those
of the largest values on training images, and the last part of the recipe (its epochs with BatchNorm folded) adapts the
weights to the rounding. So both together cost little more than one training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from nba.core.progress import Progress
from nba.ir.network import MASTER_BITS
from nba.learn.data.dataset import Dataset
from nba.learn.quant.export import accuracy, float_logits
from nba.learn.quant.fake import FakeNetwork, QuantLayer
from nba.learn.space.network import Architecture
from nba.learn.train import ranks
from nba.learn.train.augment import images
from nba.learn.train.config import THREADS, TrainSchedule
from nba.learn.train.loop import Fit, measure
from nba.learn.train.optimiser import Averaged

FLOAT_FILE = "float.pt"
"""Checkpoint of the network in floating point, of the same content as a float teacher's."""
INT8_FILE = "int8.pt"
CALIBRATION_IMAGES = 512
ADAPTED_FRACTION = 0.25
"""Share of the epochs with 8 bits where the recipe folds BatchNorm in none of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Baselines:
    """Accuracies on the test split: of the network in floating point, and of its integer network of 8 bits."""

    floating: float
    int8: float


def at_8_bits(architecture: Architecture) -> Architecture:
    """The same operators with 8 bits in every layer."""
    macro = architecture.macro
    wide = macro.but(
        bitwidths=(MASTER_BITS,), stages=tuple(stage.but(bitwidths=None) for stage in macro.stages),
        stem_bits=MASTER_BITS, head_bits=MASTER_BITS, classifier_bits=MASTER_BITS,
    )  # fmt: skip
    return replace(architecture, macro=wide, bits=(MASTER_BITS,) * len(architecture.bits))


def float_config(config: TrainSchedule) -> TrainSchedule:
    """The recipe in floating point: no teacher, BatchNorm never folded; that of a float teacher."""
    return config.but(distillation=None, fold_fraction=0.0)


def int8_config(config: TrainSchedule) -> TrainSchedule:
    """The last part of the recipe: its folded epochs, and the learning rate that it has there."""
    share = config.fold_fraction or ADAPTED_FRACTION
    epochs = max(1, int(share * config.epochs))
    rate = config.learning_rate * 0.5 * (1.0 - math.cos(math.pi * epochs / config.epochs))
    return config.but(
        distillation=None, epochs=epochs, warmup_epochs=0.0, fold_fraction=1.0, learning_rate=rate
    )  # fmt: skip


def fit_baselines(
    architecture: Architecture, dataset: Dataset, config: TrainSchedule, seed: int, folder: Path, progress: Progress
) -> Baselines | None:
    """Train and measure both, with checkpoints in `folder`, from which an interrupted run continues. None on all ranks
    but the first. Raises DivergedError."""
    torch.set_num_threads(THREADS)
    run = Fit(architecture, dataset, float_config(config), seed, teacher=None, floating=True)
    run.epochs(folder / FLOAT_FILE, progress, "floating-point baseline")
    floating = run.result()
    adaptation = adapting(architecture, floating, dataset, config, seed)
    adaptation.epochs(folder / INT8_FILE, progress, "8-bit baseline")
    model = adaptation.result()
    model.freeze(True)
    if not ranks.current().writes:
        return None
    logits = float_logits(floating, dataset.test_x)
    return Baselines(
        floating=accuracy(logits, dataset.test_y), int8=measure(model, (), dataset).integer_accuracy
    )  # fmt: skip


def adapting(
    architecture: Architecture, floating: FakeNetwork, dataset: Dataset, config: TrainSchedule, seed: int
) -> Fit:
    """The training that adapts `floating` to 8 bits, before its first epoch."""
    run = Fit(at_8_bits(architecture), dataset, int8_config(config), seed, teacher=None, floating=False)
    run.model.load_state_dict(floating.state_dict())
    calibrate(run.model, floating, dataset)
    if run.averaged is not None:
        run.averaged = Averaged(run.model, config.ema)
    return run


def calibrate(model: FakeNetwork, floating: FakeNetwork, dataset: Dataset) -> None:
    """Scale the outputs of every layer of `model` to the largest values of `floating` there, on training images. A
    layer that keeps its source's scale is left alone: its outputs may reach less far than the source's."""
    x = images(dataset.train_x[:CALIBRATION_IMAGES])
    with torch.no_grad():
        signals = floating.signals(x)[1:]
        for layer, signal in zip(model.layers, signals, strict=True):
            assert isinstance(layer, QuantLayer)
            if layer.keeps_scale:
                continue
            reach = signal.real().abs().max().clamp(min=1e-3)
            layer.out.log_scale.copy_(torch.log(reach / layer.out.high))
