# SPDX-License-Identifier: Apache-2.0
"""Two processes that train and search together over gloo; what they computed goes to a file of each."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch

from nba.ir.network import weights_digest
from nba.space.network import Architecture
from nba.train import ranks
from nba.train.config import Distillation, TrainConfig
from nba.train.loop import fit, measure
from tests.torch.small import MACRO, few_digits

ARCHITECTURE = Architecture(macro=MACRO, ops=("k3_e2", "k5_e2", "skip"), bits=(8, 4, 4))
TRAIN = TrainConfig(
    epochs=3, batch_size=16, warmup_epochs=1.0, ema=0.9, mirror=True, crop_pixels=1, fold_fraction=0.4,
    distillation=Distillation(),
)  # fmt: skip


def trained(folder: Path) -> tuple[list[dict[str, float]], str]:
    """Curves and digest of the weights of a short training; a checkpoint after 2 of its epochs is taken up again."""
    torch.set_num_threads(1)
    world = ranks.current()
    model, records = fit(ARCHITECTURE, few_digits(96), TRAIN, 3, folder)
    found = measure(model, records, few_digits(96))
    assert (folder / "train.pt").is_file() or not world.writes
    return [asdict(r) for r in found.records], weights_digest(found.weights)


def main(rank: int, port: int, out: str) -> None:
    """One of the two processes."""
    os.environ.update(
        RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port)
    )
    folder = Path(out)
    with ranks.together() as world:
        assert world == ranks.World(rank=rank, size=2)
        torch.save(trained(folder), folder / f"{rank}.pt")
    assert ranks.current() == ranks.World()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
