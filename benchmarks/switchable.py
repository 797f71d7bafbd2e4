# SPDX-License-Identifier: Apache-2.0
"""Cascade distillation training against its alternatives: accuracy per bitwidth.

    python -m benchmarks.switchable --setting digits --seeds 1,2,3
    python -m benchmarks.switchable --setting digits --bits 4,8,12,16,32 --seeds 1,2,3
    python -m benchmarks.switchable --setting cifar --data PATH --seeds 1,2,3

cdt: every bitwidth learns from all higher ones. highest: from the highest only. joint: shared weights, labels only.
independent: a network per bitwidth, with nothing shared. The same network, schedule and arithmetic for all: each
bitwidth has as many forward and backward passes in every method. PATH holds train/<class>/ and test/<class>/. --beta,
--teacher-sum, --beta-warmup: knobs of the distillation; --bits with fewer bitwidths, --methods with fewer methods.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from nba.core.errors import DataError, NbaError
from nba.core.figures import standard_error
from nba.ir.network import Network
from nba.learn.data.config import DataConfig
from nba.learn.data.dataset import Dataset
from nba.learn.data.load import load
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, Macro, blocks, macs, skeleton
from nba.learn.switchable.config import Cascade, Teachers
from nba.learn.switchable.loop import train_switchable
from nba.learn.train.config import TrainSchedule
from tests.spaces import DIGITS_SPACE

METHODS: dict[str, Teachers] = {"cdt": "all", "highest": "highest", "joint": "none", "independent": "none"}
"""Who teaches whom; the networks of `independent` have one bitwidth each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One problem: data, a network whose blocks are all `operator`, bitwidths, schedule."""

    macro: Macro
    operator: str
    data: DataConfig
    bitwidths: tuple[int, ...]
    train: TrainSchedule

    @property
    def network(self) -> Network:
        """The layers."""
        places = blocks(self.macro)
        return skeleton(Architecture(macro=self.macro, ops=(self.operator,) * len(places), bits=(8,) * len(places)))


SETTINGS = {
    "digits": Setting(
        macro=DIGITS_SPACE.but(
            stem_channels=8,
            stages=(StageSpace(channels=8, blocks=1, stride=2), StageSpace(channels=12, blocks=2, stride=1)),
            head_channels=32, operators=("k3_e3",), bitwidths=(8,),
        ),
        operator="k3_e3", data=DataConfig(name="digits"), bitwidths=(2, 4, 8),
        train=TrainSchedule(epochs=30, batch_size=64, learning_rate=1e-2, mixup=0.0),
    ),
    "cifar": Setting(
        macro=DIGITS_SPACE.but(
            height=16, width=16, channels=3, stem_channels=16, stem_stride=2,
            stages=(
                StageSpace(channels=16, blocks=1, stride=1), StageSpace(channels=24, blocks=2, stride=2),
                StageSpace(channels=40, blocks=2, stride=2),
            ),
            head_channels=96, operators=("k3_e3",), bitwidths=(8,),
        ),
        operator="k3_e3",
        data=DataConfig(name="folder", image_size=16, channels=3, train_images=200, test_images=200),
        bitwidths=(4, 5, 6, 8),
        train=TrainSchedule(
            epochs=8, batch_size=64, learning_rate=1e-2, mixup=0.0, shift_pixels=0.0, rotation_degrees=0.0, zoom=0.0,
            mirror=True, crop_pixels=1,
        ),
    ),
}  # fmt: skip
"""Reduced to what a CPU core does in some ten minutes."""


def accuracies(
    setting: Setting, dataset: Dataset, config: Cascade, train: TrainSchedule, method: str, seed: int
) -> dict[int, tuple[float, str]]:
    """(accuracy, arithmetic it is of) of every bitwidth."""
    config = config.but(teachers=METHODS[method])
    groups = [(bits,) for bits in config.bitwidths] if method == "independent" else [config.bitwidths]
    found = {}
    for bitwidths in groups:
        trained = train_switchable(setting.network, dataset, config.but(bitwidths=bitwidths), train, seed)
        found.update({at.bits: (at.accuracy, at.arithmetic) for at in trained.results})
    return found


def table(bitwidths: tuple[int, ...], results: dict[str, list[dict[int, tuple[float, str]]]]) -> str:
    """Markdown: a row per method, a column per bitwidth: mean, deviation and range over the seeds, in per cent."""
    first = next(iter(results.values()))[0]
    heads = [f"{bits} bits" + (" (fake)" if first[bits][1] == "fake" else "") for bits in bitwidths]
    rows = ["| method | " + " | ".join(heads) + " | seconds |", "|---" * (len(heads) + 2) + "|"]
    for method, runs in results.items():
        cells = [cell([100 * run[bits][0] for run in runs]) for bits in bitwidths]
        rows.append(f"| {method} | " + " | ".join(cells) + f" | {np.mean([run[0][0] for run in runs]):.0f} |")
    return "\n".join(rows)


def cell(values: list[float]) -> str:
    """Mean, deviation and range."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{np.mean(values):.1f} ± {deviation:.1f} ({min(values):.1f} to {max(values):.1f})"


def main(arguments: list[str] | None = None) -> int:
    """Train everything, print the table."""
    parser = argparse.ArgumentParser(description="Cascade distillation training against its alternatives")
    parser.add_argument("--setting", choices=tuple(SETTINGS), default="digits")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--bits", default="", help="bitwidths, rising; default: the setting's")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--data", type=Path, default=None, help="folder with train/<class> and test/<class>")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--beta", type=float, default=1.0)
    parser.add_argument("--teacher-sum", choices=("sum", "mean"), default="sum")
    parser.add_argument("--beta-warmup", type=float, default=0.0, help="epochs of linear rise of beta")
    given = parser.parse_args(arguments)
    setting = SETTINGS[given.setting]
    train = setting.train if given.epochs is None else setting.train.but(epochs=given.epochs)
    config = Cascade(
        bitwidths=tuple(int(b) for b in given.bits.split(",")) if given.bits else setting.bitwidths,
        beta=given.beta, teacher_sum=given.teacher_sum, beta_warmup_epochs=given.beta_warmup,
    )  # fmt: skip
    if setting.data.name != "digits" and given.data is None:
        raise DataError(f"{given.setting}: give --data PATH, a folder with train/<class>/ and test/<class>/")
    path = None if given.data is None else str(given.data)
    dataset = load(setting.data.but(path=path))
    torch.set_num_threads(1)
    network = setting.network
    print(
        f"{len(dataset.train_y)} training, {len(dataset.test_y)} test images (standard error of one accuracy at 90 %: "
        f"{100 * standard_error(0.9, len(dataset.test_y)):.2f} points); {len(network.layers)} layers, "
        f"{macs(network) / 1e6:.2f} MMAC; {train.epochs} epochs; beta {config.beta:g}",
        flush=True,
    )
    results: dict[str, list[dict[int, tuple[float, str]]]] = {method: [] for method in given.methods.split(",")}
    for seed in (int(s) for s in given.seeds.split(",")):
        for method, runs in results.items():
            began = time.process_time()
            found = accuracies(setting, dataset, config, train, method, seed)
            runs.append({**found, 0: (time.process_time() - began, "seconds")})
            text = ", ".join(f"{bits}: {100 * found[bits][0]:.2f} %" for bits in config.bitwidths)
            print(f"seed {seed}, {method}: {text} ({runs[-1][0][0]:.0f} CPU-seconds)", file=sys.stderr, flush=True)
    print(table(config.bitwidths, results))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NbaError as err:
        sys.exit(f"error: {err}")
