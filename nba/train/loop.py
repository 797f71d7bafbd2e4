# SPDX-License-Identifier: Apache-2.0
"""Training of a fixed network from scratch, quantisation-aware from the first step to the last.

First with batch statistics, then, for the last part of the schedule, with BatchNorm folded and integer biases: what is
trained last is what is exported. Every epoch draws from a generator of its own, so a run that was killed goes on from
its last checkpoint to the same weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nba.data.dataset import INPUT_SCALE, Dataset
from nba.errors import NbaError
from nba.ir.check import check_network, check_weights
from nba.ir.network import Network, Weights
from nba.quant.export import Agreement, accuracy, agreement, exact_codes, export, fake_codes
from nba.quant.fake import FakeNetwork
from nba.space.network import Architecture, architecture_json, skeleton
from nba.train import checkpoint
from nba.train.progress import Progress, Silent

_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Warp:
    """Random changes of training images: moved by up to `shift_pixels` along both axes, turned by up to
    `rotation_degrees`, scaled by up to 1 +- `zoom`, and, with `mirror`, mirrored or not."""

    shift_pixels: float = 0.5
    rotation_degrees: float = 10.0
    zoom: float = 0.1
    mirror: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Knobs of the final training.

    learning_rate: peak of AdamW, after `warmup_epochs` of linear rise, then a cosine to zero. fold_fraction: last part
    of the epochs, with BatchNorm folded. shift_pixels, rotation_degrees, zoom, mirror: see `Warp`. mixup: every batch
    is blended, images and losses alike, with itself in reverse, whose share is uniform in 0..mixup/2 (0: never; after
    Zhang et al., 2018). threads: of torch (results depend on it in the last bit; more rarely pay on small images).
    """

    epochs: int = 100
    batch_size: int = 64
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    warmup_epochs: float = 3.0
    label_smoothing: float = 0.1
    fold_fraction: float = 0.25
    shift_pixels: float = 0.5
    rotation_degrees: float = 10.0
    zoom: float = 0.1
    mirror: bool = False
    mixup: float = 1.0
    threads: int = 1

    @property
    def warp(self) -> Warp:
        """The augmentation."""
        return Warp(
            shift_pixels=self.shift_pixels, rotation_degrees=self.rotation_degrees, zoom=self.zoom, mirror=self.mirror
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochRecord:
    """Curves of the training: mean loss and accuracy over the training images, as augmented, of one epoch."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Trained:
    """A trained integer network with its accuracy on the test split, and how closely training followed the integers."""

    network: Network
    weights: Weights
    integer_accuracy: float
    fake_accuracy: float
    agreement: Agreement
    records: tuple[EpochRecord, ...]


def epoch_generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """The generator of one epoch of one purpose: a pure function of its arguments."""
    digest = hashlib.sha256(f"{seed}/{epoch}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))


def batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index tensors of full batches in random order; the remainder of an epoch is left out (all of it if too small)."""
    order = torch.randperm(count, generator=generator)
    size = min(batch_size, count)
    for i in range(0, count - size + 1, size):
        yield order[i : i + size]


def augment(x_BCHW: Tensor, warp: Warp, generator: torch.Generator) -> Tensor:
    """Every image of input codes turned, scaled, moved and mirrored at random within `warp`: codes again (bilinear,
    rounded half up; zeros come in from outside)."""
    batch, _, height, width = x_BCHW.shape
    u = 2.0 * torch.rand(5, batch, generator=generator) - 1.0
    if not any((warp.shift_pixels, warp.rotation_degrees, warp.zoom, warp.mirror)):
        return x_BCHW
    angle, size = torch.deg2rad(u[0] * warp.rotation_degrees), 1.0 + u[1] * warp.zoom
    cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
    flip = torch.where(u[4] < 0, -1.0, 1.0) if warp.mirror else torch.ones(batch)
    move_x, move_y = 2.0 * warp.shift_pixels * u[2] / width, 2.0 * warp.shift_pixels * u[3] / height
    rows = [torch.stack([cos * flip, -sin * (height / width), move_x], 1)]
    rows.append(torch.stack([sin * flip * (width / height), cos, move_y], 1))
    grid = functional.affine_grid(torch.stack(rows, 1), list(x_BCHW.shape), align_corners=False)
    warped = functional.grid_sample(x_BCHW, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return torch.floor(warped + 0.5).contiguous(memory_format=torch.channels_last)


def mixed(x_BCHW: Tensor, mixup: float, generator: torch.Generator) -> tuple[Tensor, float]:
    """(codes, share): the batch blended with itself in reverse, whose share is `share`, uniform in 0..mixup/2."""
    if mixup == 0.0:
        return x_BCHW, 0.0
    share = 0.5 * mixup * float(torch.rand((), generator=generator))
    return torch.floor(torch.lerp(x_BCHW, x_BCHW.flip(0), share) + 0.5), share


def images(x_BHWC: np.ndarray) -> Tensor:
    """uint8 input codes [B, H, W, C] as floats [B, C, H, W], channels last in memory."""
    return torch.from_numpy(x_BHWC).float().permute(0, 3, 1, 2)


def learning_rate(config: TrainConfig, step: int, steps: int, steps_per_epoch: int) -> float:
    """Linear warm-up, then a cosine that reaches zero at `steps`."""
    warm = config.warmup_epochs * steps_per_epoch
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1.0, steps - warm)))


def train(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainConfig,
    seed: int,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train `architecture` on the training split, export it, and measure the integer network on the test split.

    With `folder`, a checkpoint train.pt is kept there and an interrupted run continues from it. Raises NbaError if
    training diverges or the classes of dataset and network differ.
    """
    if len(dataset.classes) != architecture.macro.classes:
        raise NbaError(
            f"train: the dataset has {len(dataset.classes)} classes, the network {architecture.macro.classes}; "
            "set network.classes"
        )
    torch.set_num_threads(config.threads)
    model, records = _fit(architecture, dataset, config, seed, folder, progress or Silent())
    network, weights = export(model)
    problems = check_network(network) + check_weights(network, weights)
    assert not problems, problems
    exact, fake = exact_codes(network, weights, dataset.test_x), fake_codes(model, dataset.test_x)
    return Trained(
        network=network,
        weights=weights,
        integer_accuracy=accuracy(exact, dataset.test_y),
        fake_accuracy=accuracy(fake, dataset.test_y),
        agreement=agreement(fake, exact),
        records=records,
    )


def _optimiser(model: FakeNetwork, config: TrainConfig) -> torch.optim.Optimizer:
    kernels = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": kernels, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def _fit(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainConfig,
    seed: int,
    folder: Path | None,
    progress: Progress,
) -> tuple[FakeNetwork, tuple[EpochRecord, ...]]:
    model = FakeNetwork(skeleton(architecture), INPUT_SCALE, epoch_generator(seed, 0, "weights"))
    optimiser = _optimiser(model, config)
    description = [_FORMAT, architecture_json(architecture), asdict(config), seed, len(dataset.train_y), dataset.name]
    fingerprint = hashlib.sha256(json.dumps(description).encode()).hexdigest()
    path = None if folder is None else folder / "train.pt"
    state = None if path is None else checkpoint.load(path, fingerprint)
    records: list[EpochRecord] = []
    if state is not None:
        model.load_state_dict(state["model"])  # type: ignore[arg-type]
        optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        records = [EpochRecord(**record) for record in state["records"]]  # type: ignore[attr-defined]
    progress.start("train", config.epochs)
    progress.advance(len(records))
    for epoch in range(len(records), config.epochs):
        records.append(_epoch(model, optimiser, dataset, config, seed, epoch))
        if path is not None:
            checkpoint.save(
                path,
                {
                    "fingerprint": fingerprint,
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "records": [asdict(record) for record in records],
                },
            )
        progress.advance()
    progress.finish()
    model.freeze(True)
    model.eval()
    return model, tuple(records)


def _epoch(
    model: FakeNetwork, optimiser: torch.optim.Optimizer, dataset: Dataset, config: TrainConfig, seed: int, epoch: int
) -> EpochRecord:
    generator = epoch_generator(seed, epoch, "train")
    y_all = torch.from_numpy(dataset.train_y)
    model.train()
    model.freeze(epoch >= config.epochs - int(config.fold_fraction * config.epochs))
    steps_per_epoch = len(y_all) // min(config.batch_size, len(y_all))
    step = epoch * steps_per_epoch
    loss_sum = correct = seen = 0.0
    rate = 0.0
    for index in batches(len(y_all), config.batch_size, generator):
        rate = learning_rate(config, step, config.epochs * steps_per_epoch, steps_per_epoch)
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, share = mixed(
            augment(images(dataset.train_x[index.numpy()]), config.warp, generator), config.mixup, generator
        )
        logits = model(x)
        loss = functional.cross_entropy(logits, y_all[index], label_smoothing=config.label_smoothing)
        if share:
            other = functional.cross_entropy(logits, y_all[index].flip(0), label_smoothing=config.label_smoothing)
            loss = torch.lerp(loss, other, share)
        if not torch.isfinite(loss):
            raise NbaError(f"train: the loss is not finite in epoch {epoch}; lower schedule.train.learning_rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        step += 1
        loss_sum += float(loss.detach()) * len(index)
        correct += float((logits.detach().argmax(1) == y_all[index]).sum())
        seen += len(index)
    return EpochRecord(epoch=epoch, loss=loss_sum / seen, accuracy=correct / seen, learning_rate=rate)
