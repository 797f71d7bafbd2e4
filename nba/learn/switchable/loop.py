# SPDX-License-Identifier: Apache-2.0
"""Cascade distillation training: every bitwidth learns the labels and the logits of higher bitwidths.

Bitwidths take their turns from the highest down, each with a forward and a backward pass of its own, so that memory
does not grow with their number; one update of the shared weights follows. As in `nba.learn.train.loop`, the last part
of the schedule trains with BatchNorm folded and integer biases.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nba.core.errors import NbaError
from nba.core.progress import Progress, Silent
from nba.ir.network import Network, document
from nba.learn.data.dataset import Dataset
from nba.learn.switchable.config import Cascade
from nba.learn.switchable.export import measure_switchable
from nba.learn.switchable.loss import cascade
from nba.learn.switchable.network import SwitchableNetwork
from nba.learn.switchable.records import SwitchableRecord, SwitchableResult, record_of
from nba.learn.train.config import THREADS, TrainSchedule
from nba.learn.train.epochs import Epochs, epoch_generator, label_loss, right

_FORMAT = 1
PURPOSE = "switchable"


def train_switchable(
    network: Network,
    dataset: Dataset,
    config: Cascade,
    train: TrainSchedule,
    seed: int,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> SwitchableResult:
    """`fit_switchable`, then measure every bitwidth on the test images."""
    model, records = fit_switchable(network, dataset, config, train, seed, checkpoint=checkpoint, progress=progress)
    return measure_switchable(model, records, dataset)


def fit_switchable(
    network: Network,
    dataset: Dataset,
    config: Cascade,
    train: TrainSchedule,
    seed: int,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> tuple[SwitchableNetwork, tuple[SwitchableRecord, ...]]:
    """Train the shape of `network` (its own bits do not matter) at all bitwidths; the model comes back on the CPU,
    folded, for export.

    `checkpoint`: a file that is written after every epoch, and from which an interrupted run continues to the same
    weights. Raises NbaError if training diverges or the number of classes differs.
    """
    classes = network.tensors[-1].channels
    if len(dataset.classes) != classes:
        raise NbaError(
            f"switchable: the dataset has {len(dataset.classes)} classes, network {network.name!r} has {classes}; "
            "give the network of this dataset"
        )
    torch.set_num_threads(THREADS)
    run = CascadeFit(network, dataset, config, train, seed)
    run.epochs(checkpoint, progress or Silent())
    model = run.result()
    model.freeze(True)
    return model, tuple(run.records)


class CascadeFit(Epochs[SwitchableNetwork, SwitchableRecord]):
    """State of one training between epochs. Several processes sum their gradients after all bitwidths had a turn."""

    def __init__(self, network: Network, dataset: Dataset, config: Cascade, train: TrainSchedule, seed: int):
        self.cascade = config
        weights = int(epoch_generator(seed, 0, "weights").initial_seed())
        model = SwitchableNetwork(network, config, weights)
        description = [_FORMAT, document(network), config.recipe()]
        super().__init__(model, dataset, train, seed, purpose=PURPOSE, description=description)
        model.arithmetic(self.compute)

    def begin(self, epoch: int, folded: bool) -> None:
        """Batch statistics, or BatchNorm folded."""
        self.model.freeze(folded)

    def step(self, x_BCHW: Tensor, y_B: Tensor, share: float, epoch: int) -> tuple[Tensor, Tensor]:
        """One update; losses [N] and numbers of images classified right [N], one per bitwidth."""
        losses, found = [], []
        self.optimiser.zero_grad(set_to_none=True)
        for logits, loss in cascade(
            self.cascade, epoch, lambda i: self.model(x_BCHW, i), lambda out: label_loss(out, y_B, share, self.config)
        ):
            self.backward(loss / len(self.cascade.bitwidths), epoch)
            losses.append(loss.detach().double())
            found.append(right(logits, y_B))
        self.world.average_(p.grad for p in self.model.parameters() if p.grad is not None)
        self.update()
        return torch.stack(losses[::-1]), torch.stack(found[::-1])

    def record(self, epoch: int, losses: list[float], shares: list[float], rate: float) -> SwitchableRecord:
        """One loss and one accuracy per bitwidth."""
        return SwitchableRecord(
            epoch=epoch, bitwidths=self.cascade.bitwidths, losses=tuple(losses), accuracies=tuple(shares),
            learning_rate=rate,
        )  # fmt: skip

    def restored(self, scalars: dict[str, float]) -> SwitchableRecord:
        """From `SwitchableRecord.scalars`."""
        return record_of(self.cascade.bitwidths, scalars)
