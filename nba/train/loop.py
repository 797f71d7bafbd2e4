# SPDX-License-Identifier: Apache-2.0
"""Training of a fixed network from scratch, quantisation-aware from the first step to the last.

First with batch statistics, then, for the last part of the schedule, with BatchNorm folded and integer biases: what is
trained last is what is exported. Every epoch draws from a generator of its own, so a run that was killed goes on from
its last checkpoint to the same weights. Where torchrun started several processes (nba.train.ranks), each works on its
rows of every batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nba.data.dataset import INPUT_SCALE, Dataset
from nba.data.images import batches_of
from nba.errors import NbaError
from nba.ir.check import check_network, check_weights
from nba.progress import Progress, Silent
from nba.quant.export import accuracy, agreement, exact_codes, export, fake_codes
from nba.quant.fake import FakeNetwork
from nba.space.network import Architecture, architecture_json, skeleton
from nba.train import checkpoint, ranks
from nba.train.augment import Warp, augment, images, mixed
from nba.train.config import FLOAT_TEACHER, EpochRecord, TrainConfig, Trained
from nba.train.events import Events
from nba.train.optimiser import Averaged, compute_type, learning_rate, optimiser

__all__ = ["EpochRecord", "TrainConfig", "Trained", "Warp", "augment", "images", "learning_rate", "mixed", "train"]
_FORMAT = 2
TEACHER = "teacher.pt"
"""Checkpoint of the teacher; it stays with the results, so that later runs can name it."""


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


def train(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainConfig,
    seed: int,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """`fit` the architecture and `measure` the integer network."""
    return measure(*fit(architecture, dataset, config, seed, folder, progress), dataset)


def fit(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainConfig,
    seed: int,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> tuple[FakeNetwork, tuple[EpochRecord, ...]]:
    """Train `architecture` on the training split; the model comes back on the CPU, folded, for export.

    With `folder`, a checkpoint train.pt is kept there and an interrupted run continues from it. Raises NbaError if
    training diverges or the classes of dataset and network differ.
    """
    if len(dataset.classes) != architecture.macro.classes:
        raise NbaError(
            f"train: the dataset has {len(dataset.classes)} classes, the network {architecture.macro.classes}; "
            "search again with this dataset"
        )
    torch.set_num_threads(config.threads)
    progress = progress or Silent()
    teacher = None
    if config.distillation is not None:
        path = None if folder is None else folder / TEACHER
        teacher = _teacher(architecture, dataset, config, seed, path, progress)
    path = None if folder is None else folder / "train.pt"
    run = Fit(architecture, dataset, config, seed, teacher=teacher, floating=False)
    run.epochs(path, progress)
    model = run.result()
    model.freeze(True)
    return model, tuple(run.records)


def measure(model: FakeNetwork, records: tuple[EpochRecord, ...], dataset: Dataset) -> Trained:
    """Export `model` and measure the integer network on the test split."""
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


def _teacher(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainConfig,
    seed: int,
    path: Path | None,
    progress: Progress,
) -> FakeNetwork:
    assert config.distillation is not None
    alone = replace(config, distillation=None, fold_fraction=0.0)
    run = Fit(architecture, dataset, alone, seed, teacher=None, floating=True)
    if config.distillation.teacher == FLOAT_TEACHER:
        run.epochs(path, progress)
        return run.result(ranks.device())
    given = Path(config.distillation.teacher)
    state = checkpoint.load(given, "") if given.is_file() else None
    try:
        if state is None:
            raise ValueError("no such file, or damaged")
        run.load_state(state)
    except (KeyError, ValueError, RuntimeError) as err:
        raise NbaError(
            f"schedule.train.distillation.teacher: {given}: not the {TEACHER} of a network of this architecture "
            f"({str(err).splitlines()[0]}); give that file, or {FLOAT_TEACHER!r} to train one"
        ) from None
    return run.result(ranks.device())


class Fit:
    """State of one training between epochs."""

    def __init__(
        self,
        architecture: Architecture,
        dataset: Dataset,
        config: TrainConfig,
        seed: int,
        *,
        teacher: FakeNetwork | None,
        floating: bool,
    ):
        self.dataset, self.config, self.seed, self.teacher = dataset, config, seed, teacher
        self.purpose = "teacher" if floating else "train"
        self.world, self.device = ranks.current(), ranks.device()
        self.batch_size = min(config.batch_size, len(dataset.train_y))
        self.world.check_batch(self.batch_size, "schedule.train.batch_size")
        self.compute = compute_type(config, self.device)
        self.model = FakeNetwork(skeleton(architecture), INPUT_SCALE, epoch_generator(seed, 0, "weights"))
        ranks.placed(self.model, self.device)
        self.model.arithmetic(floating=floating, compute=self.compute)
        self.shared = self.world.wrap(self.model, partly=floating)
        self.optimiser = optimiser(self.model, config)
        self.averaged = Averaged(self.model, config.ema) if config.ema else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.compute == torch.float16)
        self.records: list[EpochRecord] = []
        description = [_FORMAT, self.purpose, architecture_json(architecture), asdict(config), seed]
        description += [len(dataset.train_y), dataset.name]
        self.fingerprint = hashlib.sha256(json.dumps(description).encode()).hexdigest()

    def state(self) -> dict[str, object]:
        """Everything that `load_state` needs."""
        return {
            "fingerprint": self.fingerprint,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state(),
            "scaler": self.scaler.state_dict(),
            "records": [asdict(record) for record in self.records],
        }

    def load_state(self, state: dict[str, object]) -> None:
        """Continue from what `state` gave."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.optimiser.load_state_dict(state["optimiser"])  # type: ignore[arg-type]
        if self.averaged is not None:
            self.averaged.load_state(state["averaged"])  # type: ignore[arg-type]
        self.scaler.load_state_dict(state["scaler"])  # type: ignore[arg-type]
        self.records = [EpochRecord(**record) for record in state["records"]]  # type: ignore[attr-defined]

    def epochs(self, path: Path | None, progress: Progress) -> None:
        """All epochs that are left, with a checkpoint at `path` after each."""
        state = None if path is None else checkpoint.load(path, self.fingerprint)
        if state is not None:
            self.load_state(state)
        progress.start(self.purpose, self.config.epochs)
        progress.advance(len(self.records))
        events = Events(None if path is None else path.parent, self.purpose)
        for record in self.records:
            events.write(record.epoch, asdict(record))
        for epoch in range(len(self.records), self.config.epochs):
            record = self._epoch(epoch)
            self.records.append(record)
            if path is not None:
                checkpoint.save(path, self.state())
            events.write(epoch, asdict(record))
            progress.advance(1, f"loss {record.loss:.3f}, accuracy {100 * record.accuracy:.1f} %")
        events.close()
        progress.finish()

    def result(self, device: torch.device | None = None) -> FakeNetwork:
        """The trained model (the running mean of its weights, if there is one), for evaluation, on `device` (CPU)."""
        if self.averaged is not None:
            self.averaged.give(self.model)
        self.model.to(device or torch.device("cpu"))
        self.model.eval()
        return self.model

    def _epoch(self, epoch: int) -> EpochRecord:
        config, size = self.config, self.batch_size
        generator = epoch_generator(self.seed, epoch, self.purpose)
        y_all = torch.from_numpy(self.dataset.train_y)
        self.model.train()
        self.model.freeze(epoch >= config.epochs - int(config.fold_fraction * config.epochs))
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
            x, share = mixed(augment(x, config.warp, generator, rows, size), config.mixup, generator)
            loss, right = self._step(x, y_all[index].to(self.device), share, epoch)
            loss_sum, correct = loss_sum + loss, correct + right
            step += 1
        seen = len(order) * len(rows)
        mean_loss, mean_right = self.world.means([float(loss_sum) / len(order), float(correct) / seen])
        return EpochRecord(epoch=epoch, loss=mean_loss, accuracy=mean_right, learning_rate=rate)

    def _step(self, x_BCHW: Tensor, y_B: Tensor, share: float, epoch: int) -> tuple[Tensor, Tensor]:
        """One update; (loss, number of images classified right) as tensors, so that a GPU need not wait."""
        config = self.config
        logits = self.shared(x_BCHW)
        loss = functional.cross_entropy(logits, y_B, label_smoothing=config.label_smoothing)
        if share:
            other = functional.cross_entropy(logits, y_B.flip(0), label_smoothing=config.label_smoothing)
            loss = torch.lerp(loss, other, share)
        if self.teacher is not None:
            assert config.distillation is not None
            with torch.no_grad():
                wanted = functional.softmax(self.teacher(x_BCHW), 1)
            from_teacher = functional.kl_div(functional.log_softmax(logits, 1), wanted, reduction="batchmean")
            loss = torch.lerp(loss, from_teacher, config.distillation.weight)
        if not torch.isfinite(loss):
            raise NbaError(f"train: the loss is not finite in epoch {epoch}; lower schedule.train.learning_rate")
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.averaged is not None:
            self.averaged.update(self.model)
        return loss.detach().double(), (logits.detach().argmax(1) == y_B).sum().double()
