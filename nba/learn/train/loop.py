# SPDX-License-Identifier: Apache-2.0
"""Training of a fixed network from scratch, quantisation-aware from the first step to the last.

First with batch statistics, then, for the last part of the schedule, with BatchNorm folded and integer biases: what is
trained last is what is exported.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from nba.core.errors import NbaError
from nba.core.progress import Progress, Silent
from nba.ir.check import check_network, check_weights
from nba.learn.data.dataset import INPUT_SCALE, Dataset
from nba.learn.quant.export import accuracy, agreement, exact_codes, export, fake_codes
from nba.learn.quant.fake import FakeNetwork
from nba.learn.space.architecture_file import architecture_json
from nba.learn.space.network import Architecture, skeleton
from nba.learn.train import checkpoint, ranks
from nba.learn.train.augment import Warp, augment, images, mixed
from nba.learn.train.config import FLOAT_TEACHER, THREADS, TrainSchedule
from nba.learn.train.epochs import Epochs, batches, epoch_generator, label_loss, right
from nba.learn.train.optimiser import learning_rate
from nba.learn.train.records import EpochRecord, Trained

__all__ = [
    "EpochRecord", "TrainSchedule", "Trained", "Warp", "augment", "batches", "epoch_generator", "images",
    "learning_rate",
    "mixed", "train",
]  # fmt: skip
_FORMAT = 3
TEACHER = "teacher.pt"
"""Checkpoint of the teacher; it stays with the results, so that later runs can name it."""


def train(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainSchedule,
    seed: int,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """`fit` the architecture and `measure` the integer network."""
    return measure(*fit(architecture, dataset, config, seed, folder, progress), dataset)


def fit(
    architecture: Architecture,
    dataset: Dataset,
    config: TrainSchedule,
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
    torch.set_num_threads(THREADS)
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
    config: TrainSchedule,
    seed: int,
    path: Path | None,
    progress: Progress,
) -> FakeNetwork:
    assert config.distillation is not None
    alone = config.but(distillation=None, fold_fraction=0.0)
    run = Fit(architecture, dataset, alone, seed, teacher=None, floating=True)
    if config.distillation.teacher == FLOAT_TEACHER:
        run.epochs(path, progress)
        return run.result(ranks.device())
    given = Path(config.distillation.teacher)
    try:
        state = checkpoint.finished(given)
        if state is None:
            raise ValueError("no such file, or damaged")
        run.load_state(state)
    except checkpoint.UNFIT as err:
        raise NbaError(
            f"schedule.train.distillation.teacher: {given}: not the {TEACHER} of a network of this architecture "
            f"({str(err).partition(chr(10))[0]}); give that file, or {FLOAT_TEACHER!r} to train one"
        ) from None
    return run.result(ranks.device())


class Fit(Epochs[FakeNetwork, EpochRecord]):
    """Training of one network, from labels and, where there is one, a teacher."""

    def __init__(
        self,
        architecture: Architecture,
        dataset: Dataset,
        config: TrainSchedule,
        seed: int,
        *,
        teacher: FakeNetwork | None,
        floating: bool,
    ):
        self.teacher = teacher
        model = FakeNetwork(skeleton(architecture), INPUT_SCALE, epoch_generator(seed, 0, "weights"))
        super().__init__(
            model, dataset, config, seed, purpose="teacher" if floating else "train",
            description=[_FORMAT, architecture_json(architecture)],
        )  # fmt: skip
        model.arithmetic(floating=floating, compute=self.compute)
        self.shared = self.world.wrap(model, partly=floating)

    def begin(self, epoch: int, folded: bool) -> None:
        """Batch statistics, or BatchNorm folded."""
        self.model.freeze(folded)

    def step(self, x_BCHW: Tensor, y_B: Tensor, share: float, epoch: int) -> tuple[Tensor, Tensor]:
        """One update; (loss, number of images classified right) as tensors, so that a GPU need not wait."""
        logits = self.shared(x_BCHW)
        loss = label_loss(logits, y_B, share, self.config)
        if self.teacher is not None:
            assert self.config.distillation is not None
            with torch.no_grad():
                wanted = functional.softmax(self.teacher(x_BCHW), 1)
            from_teacher = functional.kl_div(functional.log_softmax(logits, 1), wanted, reduction="batchmean")
            loss = torch.lerp(loss, from_teacher, self.config.distillation.weight)
        self.optimiser.zero_grad(set_to_none=True)
        self.backward(loss, epoch)
        self.update()
        return loss.detach().double(), right(logits, y_B)

    def record(self, epoch: int, losses: list[float], shares: list[float], rate: float) -> EpochRecord:
        """One loss, one accuracy."""
        return EpochRecord(epoch=epoch, loss=losses[0], accuracy=shares[0], learning_rate=rate)

    def restored(self, scalars: dict[str, float]) -> EpochRecord:
        """From `EpochRecord.scalars`."""
        return EpochRecord(**scalars)  # type: ignore[arg-type]
