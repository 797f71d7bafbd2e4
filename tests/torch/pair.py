# SPDX-License-Identifier: Apache-2.0
"""Two processes that train and search together over gloo; what they computed goes to a file of each."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import torch
from torch import distributed

from nba.core.progress import Silent
from nba.ir.network import weights_digest
from nba.learn.search.config import SearchSchedule
from nba.learn.search.joint import search_jointly
from nba.learn.space.network import Architecture, skeleton
from nba.learn.switchable.config import Cascade, Switchable
from nba.learn.switchable.export import measure_switchable
from nba.learn.switchable.loop import fit_switchable
from nba.learn.switchable.search import search_switchable
from nba.learn.train import ranks
from nba.learn.train.config import Distillation, TrainSchedule
from nba.learn.train.loop import Fit, fit, measure
from tests.torch.fake_hardware import FakeHardware
from tests.torch.hand_table import hand_table
from tests.torch.small import MACRO, few_digits

ARCHITECTURE = Architecture(macro=MACRO, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4))
TRAIN = TrainSchedule(
    epochs=3, batch_size=16, warmup_epochs=1.0, ema=0.9, mirror=True, crop_pixels=1, fold_fraction=0.4,
    distillation=Distillation(),
)  # fmt: skip

SEARCH = SearchSchedule(
    pretrain_epochs=1, joint_epochs=2, batch_size=16, hardware_every=1, hardware_samples=2, hardware_first=2,
    hardware_last=2, learning_rate=1e-3,
)  # fmt: skip


def floated() -> list[dict[str, float]]:
    """Curves of the network without quantisation: no rounding makes much of little."""
    torch.set_num_threads(1)
    config = TRAIN.but(distillation=None, optimiser="sgd", learning_rate=0.05, fold_fraction=0.0)
    run = Fit(ARCHITECTURE, few_digits(96), config, 3, teacher=None, floating=True)
    run.epochs(None, Silent())
    return [asdict(r) for r in run.records]


def trained(folder: Path) -> tuple[list[dict[str, float]], str]:
    """Curves and digest of the weights of a short training."""
    torch.set_num_threads(1)
    world = ranks.current()
    model, records = fit(ARCHITECTURE, few_digits(96), TRAIN, 3, folder)
    found = measure(model, records, few_digits(96))
    assert (folder / "train.pt").is_file() or not world.writes
    return [asdict(r) for r in found.records], weights_digest(found.weights)


def switched(folder: Path) -> tuple[list[dict[str, float]], list[str]]:
    """Curves of a short training at several bitwidths, and digests of their weights."""
    torch.set_num_threads(1)
    config, train = Cascade(bitwidths=(4, 8, 32)), TRAIN.but(distillation=None)
    path = folder / "switchable.pt"
    model, records = fit_switchable(skeleton(ARCHITECTURE), few_digits(96), config, train, 3, checkpoint=path)
    found = measure_switchable(model, records, few_digits(96))
    return [r.scalars() for r in records], [weights_digest(at.weights) for at in found.results if at.weights]


def searched(folder: Path) -> tuple[list[dict[str, object]], str]:
    """Records of a short search, and the final state of the accelerator search."""
    hardware = FakeHardware(5)
    found = search_jointly(MACRO, few_digits(96), hardware, SEARCH, 2, folder)
    return [asdict(r) for r in found.records], hardware.state()


def found(folder: Path) -> list[dict[str, object]]:
    """Records of a short search for a switchable network; a heavy cost keeps operators from being nearly as good."""
    torch.set_num_threads(1)
    config = SearchSchedule(
        pretrain_epochs=1, joint_epochs=2, temperature_first=3.0, temperature_factor=0.88, batch_size=16,
        learning_rate=1e-3, cost_weight=5.0,
    )  # fmt: skip
    cascade = Switchable(bitwidths=(8, 16, 32))
    run = search_switchable(
        MACRO, few_digits(96), cascade, hand_table(bits=8), config, 2, checkpoint=folder / "found.pt"
    )
    return [asdict(r) for r in run.records]


def computed(folder: Path) -> tuple[object, ...]:
    """All of the above."""
    return (found(folder), switched(folder), floated(), *trained(folder), *searched(folder))


def alone(out: str) -> None:
    """A process by itself."""
    torch.save(computed(Path(out)), Path(out) / "alone.pt")


def main(rank: int, port: int, out: str) -> None:
    """One of the two processes."""
    folder, store = Path(out), distributed.TCPStore("127.0.0.1", port, 2, is_master=rank == 0)
    with ranks.together(store, rank, 2) as world:
        assert world == ranks.World(rank=rank, size=2)
        torch.save(computed(folder), folder / f"{rank}.pt")
    assert ranks.current() == ranks.World()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
