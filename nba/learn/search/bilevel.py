# SPDX-License-Identifier: Apache-2.0
"""What searches over a supernet share: the data in two parts, the schedule, epochs, checkpoints, progress.

One part of the training data updates the weights, the other one the choices (alpha, and what a subclass adds). Every
epoch draws from a generator of its own and ends with a checkpoint, so a run that was killed goes on to the same result.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from nba.core.errors import NbaError
from nba.core.progress import Progress, Silent
from nba.learn.data.dataset import Dataset, stratified_split
from nba.learn.data.images import batches_of
from nba.learn.search.config import SearchSchedule
from nba.learn.space.architecture_file import macro_fields
from nba.learn.space.network import Macro
from nba.learn.supernet import paths
from nba.learn.train import checkpoint, ranks
from nba.learn.train.events import Events
from nba.learn.train.log import EpochLog
from nba.learn.train.loop import augment, batches, epoch_generator, images
from nba.learn.train.optimiser import choices_optimiser, clip_, weights_optimiser


def check_classes(macro: Macro, dataset: Dataset) -> None:
    """Raise NbaError where dataset and network differ in classes."""
    if len(dataset.classes) != macro.classes:
        raise NbaError(
            f"the dataset has {len(dataset.classes)} classes, the network {macro.classes}; search again with this "
            "dataset"
        )


class Means:
    """Running means by name; 0 where nothing was added."""

    def __init__(self) -> None:
        self._sums: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        """One more value of `name`."""
        self._sums.setdefault(name, []).append(value)

    def mean(self, name: str) -> float:
        """The mean of the values of `name`."""
        values = self._sums.get(name, [])
        return math.fsum(values) / len(values) if values else 0.0


Net = TypeVar("Net", bound=nn.Module)
Record = TypeVar("Record", bound=Any)
"""A dataclass with the number of its `epoch`, `train_loss` and `valid_accuracy`."""


class Bilevel(ABC, Generic[Net, Record]):
    """State of one search between epochs. `legal` narrows what may be chosen.

    choices: further logits that learn beside alpha, with their rates.
    """

    def __init__(
        self,
        net: Net,
        macro: Macro,
        dataset: Dataset,
        config: SearchSchedule,
        seed: int,
        legal: paths.Legal,
        choices: Iterable[tuple[Tensor, float]] = (),
    ):
        self.net, self.macro, self.config, self.seed, self.legal = net, macro, config, seed, legal
        self.dataset_name = dataset.name
        first, second = stratified_split(dataset.train_y, 1.0 - config.weights_fraction, seed)
        y = torch.from_numpy(dataset.train_y)
        self.images = dataset.train_x
        self.train_index, self.train_y = torch.from_numpy(first), y[first]
        self.valid_index, self.valid_y = torch.from_numpy(second), y[second]
        self.world, self.device = ranks.current(), ranks.device()
        self.world.check_batch(min(config.batch_size, len(first), len(second)), "schedule.search.batch_size")
        ranks.placed(net, self.device)
        self.alpha = torch.zeros(legal.operators_LO.shape, requires_grad=True)
        self.weights_optimiser = weights_optimiser(net, config, nesterov=False)
        logits = ((self.alpha, config.alpha_learning_rate), *choices)
        self.choice_optimiser = choices_optimiser(logits, config.adam_betas)
        self.means = Means()
        self.records: list[Record] = []

    @abstractmethod
    def _description(self) -> list[object]:
        """What, besides the data and the seed, this search is (JSON)."""

    @abstractmethod
    def _train_weights(self, index: Tensor, codes: np.ndarray, temperature: float, generator: torch.Generator) -> float:
        """One update of the weights on images `index` of their part; the loss."""

    @abstractmethod
    def _train_choices(self, index: Tensor, codes: np.ndarray, temperature: float, generator: torch.Generator) -> None:
        """One update of the choices on images `index` of the other part."""

    @abstractmethod
    def _record(self, epoch: int, joint: bool, temperature: float) -> Record:
        """What an epoch leaves, from `means` and the state."""

    @abstractmethod
    def _restored(self, raw: dict[str, Any]) -> Record:
        """The record of a dict of its fields."""

    def _before(self, epoch: int, temperature: float, generator: torch.Generator) -> None:
        """At the begin of an epoch."""

    def _between(self, step: int, temperature: float, generator: torch.Generator) -> None:
        """After step number `step` (from 1) of the choices."""

    def _more_state(self) -> dict[str, object]:
        """What a subclass adds to `state`."""
        return {}

    def _load_more(self, state: Mapping[str, Any]) -> None:
        """Continue from what `_more_state` gave."""

    def fingerprint(self) -> str:
        """Digest of what this search is: a checkpoint of another one is not continued."""
        size = len(self.train_y) + len(self.valid_y)
        config = self.config.model_dump()
        whole = [*self._description(), macro_fields(self.macro), config, self.seed, self.dataset_name, size]
        legal = [self.legal.operators_LO.tolist(), self.legal.bits_LJ.tolist()]
        return hashlib.sha256(json.dumps([*whole, legal]).encode()).hexdigest()

    def state(self) -> dict[str, object]:
        """Everything that `load_state` needs."""
        return {
            "net": self.net.state_dict(),
            "alpha": self.alpha.detach(),
            "weights_optimiser": self.weights_optimiser.state_dict(),
            "choice_optimiser": self.choice_optimiser.state_dict(),
            "records": [asdict(record) for record in self.records],
            **self._more_state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` gave."""
        self.net.load_state_dict(state["net"])
        with torch.no_grad():
            self.alpha.copy_(state["alpha"])
        self.weights_optimiser.load_state_dict(state["weights_optimiser"])
        self.choice_optimiser.load_state_dict(state["choice_optimiser"])
        self.records = [self._restored(record) for record in state["records"]]
        self._load_more(state)

    def learn(self, path: Path | None = None, progress: Progress | None = None) -> None:
        """All epochs that are left, with a checkpoint at `path`, and events beside it, after each."""
        fingerprint = self.fingerprint()
        state = None if path is None else checkpoint.load_checkpoint(path, fingerprint)
        if state is not None:
            self.load_state(state)
        progress = progress or Silent()
        total = self.config.pretrain_epochs + self.config.joint_epochs
        progress.start("search", total)
        progress.advance(len(self.records))
        events = Events(None if path is None else path.parent, "search")
        log = EpochLog(None if path is None else path.parent, "search", done=len(self.records), total=total)
        for record in self.records:
            events.write(record.epoch, self._scalars(record))
        for epoch in range(len(self.records), total):
            self.epoch(epoch)
            if path is not None:
                checkpoint.save_checkpoint(path, {"fingerprint": fingerprint, **self.state()})
            record = self.records[-1]
            events.write(epoch, self._scalars(record))
            log.write(epoch, self._scalars(record))
            progress.advance(1, _note(record.train_loss, record.valid_accuracy))
        events.close()
        progress.finish()

    def temperature(self, epoch: int) -> float:
        """The Gumbel temperature of an epoch; the first one throughout pretraining."""
        config = self.config
        done = max(0, epoch - config.pretrain_epochs)
        if config.temperature_factor is not None:
            return config.temperature_first * config.temperature_factor**done
        share = done / max(1, config.joint_epochs - 1)
        return config.temperature_first * (config.temperature_last / config.temperature_first) ** share

    def learning_rate(self, epoch: int) -> float:
        """The rate of the weights in an epoch."""
        config = self.config
        share = epoch / (config.pretrain_epochs + config.joint_epochs)
        fall = 0.5 * (1.0 + math.cos(math.pi * share))
        return config.learning_rate_last + (config.learning_rate - config.learning_rate_last) * fall

    def _scalars(self, record: Record) -> dict[str, object]:
        return {**asdict(record), "learning_rate": self.learning_rate(record.epoch)}

    def steps(self) -> int:
        """Steps of an epoch."""
        whole = len(self.train_y) // min(self.config.batch_size, len(self.train_y))
        return whole if self.config.steps_per_epoch is None else min(whole, self.config.steps_per_epoch)

    def epoch(self, epoch: int) -> None:
        """One epoch over the weights' part, and in the joint phase over the other part in step with it."""
        config = self.config
        joint = epoch >= config.pretrain_epochs
        generator = epoch_generator(self.seed, epoch, "search")
        for group in self.weights_optimiser.param_groups:
            group["lr"] = self.learning_rate(epoch)
        self.net.train()
        temperature = self.temperature(epoch)
        self._before(epoch, temperature, generator)
        self.means = Means()
        other = self._choice_batches(generator)
        steps = self.steps()
        choice_step = (epoch - config.pretrain_epochs) * steps
        seed = int(epoch_generator(self.seed, epoch, "transforms").initial_seed())
        batch = self._batches(self.train_index, generator, seed)
        for index, codes in islice(batch, steps):
            self.means.add("train_loss", self._train_weights(index, codes, temperature, generator))
            if joint:
                self._train_choices(*next(other), temperature, generator)
                choice_step += 1
                self._between(choice_step, temperature, generator)
        self.records.append(self._record(epoch, joint, temperature))

    def _batches(
        self, part: Tensor, generator: torch.Generator, seed: int | None
    ) -> Iterator[tuple[Tensor, np.ndarray]]:
        """(numbers within `part`, codes) of batches in random order; codes are those of this process's rows."""
        order = list(batches(len(part), self.config.batch_size, generator))
        rows = self.world.rows(len(order[0]))
        yield from zip(order, batches_of(self.images, [part[index[rows]] for index in order], seed), strict=True)

    def _choice_batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, np.ndarray]]:
        while True:
            yield from self._batches(self.valid_index, generator, None)

    def _weights_batch(self, index: Tensor, codes: np.ndarray, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(augmented images, labels) of this process's rows of a batch of the weights' part, on the device."""
        rows = self.world.rows(len(index))
        x = augment(images(codes).to(self.device), self.config, generator, rows, len(index))
        return x, self.train_y[index[rows]].to(self.device)

    def _update_weights(self) -> None:
        """One step of the weights, with gradients that all processes have averaged."""
        clip_(self.net, self.config.clip_norm)
        self.weights_optimiser.step()

    def _choices_batch(self, index: Tensor, codes: np.ndarray) -> tuple[Tensor, Tensor]:
        """(images, labels) of this process's rows of a batch of the other part, on the device."""
        x = images(codes).to(self.device)
        return x, self.valid_y[index[self.world.rows(len(index))]].to(self.device)


def gate_penalty(path: paths.Path, operators: tuple[tuple[float, ...], ...]) -> Tensor:
    """sum over blocks and candidates k of gate_k times operators[block][k], the score's difference to the executed
    path: its value is 0, its gradient is not."""
    total = torch.zeros(())
    for choice, differences in zip(path, operators, strict=True):
        total = total + (choice.gates * torch.tensor(differences)).sum()
    return total


def require_finite(loss: Tensor) -> None:
    """Raise NbaError unless the loss of the weights is finite."""
    if not torch.isfinite(loss):
        raise NbaError("search: the loss is not finite; lower schedule.search.learning_rate")


def _note(loss: float, accuracy: float | None) -> str:
    return f"loss {loss:.3f}" + ("" if accuracy is None else f", accuracy {100 * accuracy:.1f} %")
