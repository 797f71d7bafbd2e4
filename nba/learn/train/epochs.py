# SPDX-License-Identifier: Apache-2.0
"""What all trainings of fixed networks share: epochs of random batches, checkpoints, events, the last epochs folded.

Every epoch draws from a generator of its own, so a run that was killed goes on from its last checkpoint to the same
weights. Where torchrun started several processes (nba.learn.train.ranks), each works on its rows of every batch.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from nba.core.errors import DivergedError
from nba.core.progress import Progress
from nba.learn.data.dataset import Dataset
from nba.learn.data.images import batches_of
from nba.learn.train import checkpoint, ranks
from nba.learn.train.augment import augment, images, mixed
from nba.learn.train.config import TrainSchedule
from nba.learn.train.events import Events
from nba.learn.train.log import EpochLog
from nba.learn.train.optimiser import Averaged, clip_, compute_type, learning_rate, weights_optimiser


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


def label_loss(logits: Tensor, y_B: Tensor, share: float, config: TrainSchedule) -> Tensor:
    """Cross-entropy of logits [B, classes]; `share` is that of the labels in reverse (see `mixed`)."""
    loss = functional.cross_entropy(logits, y_B, label_smoothing=config.label_smoothing)
    if share:
        other = functional.cross_entropy(logits, y_B.flip(0), label_smoothing=config.label_smoothing)
        loss = torch.lerp(loss, other, share)
    return loss


def right(logits: Tensor, y_B: Tensor) -> Tensor:
    """How many images are classified right."""
    return (logits.detach().argmax(1) == y_B).sum().double()


class Recorded(Protocol):
    """What one epoch leaves."""

    @property
    def epoch(self) -> int:
        """Its number."""
        ...

    def scalars(self) -> dict[str, float]:
        """Its numbers by name, for checkpoints and TensorBoard."""
        ...

    def note(self) -> str:
        """What progress shows of it."""
        ...


Record = TypeVar("Record", bound=Recorded)
Model = TypeVar("Model", bound=nn.Module)


class Epochs(ABC, Generic[Model, Record]):
    """State of one training between epochs.

    purpose: names its random numbers, progress and events. description: with the configuration, seed and data, what a
    checkpoint must have been begun with to be continued.
    """

    def __init__(
        self, model: Model, dataset: Dataset, config: TrainSchedule, seed: int, *, purpose: str,
        description: list[object],
    ):  # fmt: skip
        self.model, self.dataset, self.config, self.seed, self.purpose = model, dataset, config, seed, purpose
        self.world, self.device = ranks.current(), ranks.device()
        self.batch_size = min(config.batch_size, len(dataset.train_y))
        self.world.check_batch(self.batch_size, "schedule.train.batch_size")
        self.compute = compute_type(config, self.device)
        ranks.placed(model, self.device)
        self.optimiser = weights_optimiser(model, config, nesterov=config.nesterov)
        self.averaged = Averaged(model, config.ema) if config.ema else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.compute == torch.float16)
        self.records: list[Record] = []
        whole = [purpose, *description, config.recipe(), seed, len(dataset.train_y), dataset.name]
        self.fingerprint = hashlib.sha256(json.dumps(whole).encode()).hexdigest()

    @abstractmethod
    def begin(self, epoch: int, folded: bool) -> None:
        """Make ready for an epoch; `folded`: with BatchNorm folded and integer biases."""

    @abstractmethod
    def step(self, x_BCHW: Tensor, y_B: Tensor, share: float, epoch: int) -> tuple[Tensor, Tensor]:
        """One update; (losses, numbers of images classified right), of equal shape and dtype float64."""

    @abstractmethod
    def record(self, epoch: int, losses: list[float], shares: list[float], rate: float) -> Record:
        """The epoch's record from mean losses, shares of images classified right, and the last learning rate."""

    @abstractmethod
    def restored(self, scalars: dict[str, float]) -> Record:
        """The record that gave `scalars`."""

    def state(self) -> dict[str, object]:
        """Everything that `load_state` needs."""
        return {
            "fingerprint": self.fingerprint,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state(),
            "scaler": self.scaler.state_dict(),
            "records": [record.scalars() for record in self.records],
        }

    def load_state(self, state: dict[str, object]) -> None:
        """Continue from what `state` gave."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        if self.averaged is not None:
            self.averaged.load_state(state["averaged"])  # type: ignore[arg-type]
        self.scaler.load_state_dict(state["scaler"])  # type: ignore[arg-type]
        self.records = [self.restored(record) for record in state["records"]]  # type: ignore[attr-defined]

    def epochs(self, path: Path | None, progress: Progress, label: str = "") -> None:
        """All epochs that are left, with a checkpoint at `path` after each. label: for progress, instead of the
        purpose."""
        state = None if path is None else checkpoint.load_checkpoint(path, self.fingerprint)
        if state is not None:
            self.load_state(state)
        progress.start(label or self.purpose, self.config.epochs)
        progress.advance(len(self.records))
        events = Events(None if path is None else path.parent, self.purpose)
        log = EpochLog(
            None if path is None else path.parent, self.purpose, done=len(self.records), total=self.config.epochs
        )
        for record in self.records:
            events.write(record.epoch, record.scalars())
        for epoch in range(len(self.records), self.config.epochs):
            record = self._epoch(epoch)
            self.records.append(record)
            if path is not None:
                checkpoint.save_checkpoint(path, self.state())
            events.write(epoch, record.scalars())
            log.write(epoch, record.scalars())
            progress.advance(1, record.note())
        events.close()
        progress.finish()

    def result(self, device: torch.device | None = None) -> Model:
        """The trained model (the running mean of its weights, if there is one), for evaluation, on `device` (CPU)."""
        if self.averaged is not None:
            self.averaged.give(self.model)
        self.model.to(device or torch.device("cpu"))
        self.model.eval()
        return self.model

    def backward(self, loss: Tensor, epoch: int) -> None:
        """Add the gradients of `loss`. Raises DivergedError if training diverged."""
        if not torch.isfinite(loss):
            raise DivergedError(f"train: the loss is not finite in epoch {epoch}; lower schedule.train.learning_rate")
        self.scaler.scale(loss).backward()

    def update(self) -> None:
        """One step of the optimiser, with gradients that all processes have averaged, and of the running mean."""
        if self.config.clip_norm is not None:
            self.scaler.unscale_(self.optimiser)
            clip_(self.model, self.config.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.update(self.model)

    def _epoch(self, epoch: int) -> Record:
        config, size = self.config, self.batch_size
        generator = epoch_generator(self.seed, epoch, self.purpose)
        y_all = torch.from_numpy(self.dataset.train_y)
        self.model.train()
        self.begin(epoch, epoch >= config.epochs - int(config.fold_fraction * config.epochs))
        order = list(batches(len(y_all), size, generator))
        rows = self.world.rows(size)
        seed = int(epoch_generator(self.seed, epoch, "transforms").initial_seed())
        step, rate = epoch * len(order), 0.0
        loss_sum = correct = torch.zeros((), dtype=torch.float64, device=self.device)
        for codes in batches_of(self.dataset.train_x, [index[rows] for index in order], seed):
            index = order[step - epoch * len(order)][rows]
            rate = learning_rate(config, step, config.epochs * len(order), len(order))
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            x = images(codes).to(self.device)
            x, share = mixed(augment(x, config, generator, rows, size), config.mixup, generator)
            loss, found = self.step(x, y_all[index].to(self.device), share, epoch)
            loss_sum, correct = loss_sum + loss, correct + found
            step += 1
        losses = [v / len(order) for v in loss_sum.reshape(-1).tolist()]
        shares = [v / (len(order) * len(rows)) for v in correct.reshape(-1).tolist()]
        means = self.world.means([*losses, *shares])
        return self.record(epoch, means[: len(losses)], means[len(losses) :], rate)
