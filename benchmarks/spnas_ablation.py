# SPDX-License-Identifier: Apache-2.0
"""Which bitwidths the architecture of a switchable network should learn from: the lowest, the highest or all.

    python -m benchmarks.spnas_ablation --seeds 1,2,3
    python -m benchmarks.spnas_ablation --hierarchy tpu-like --objective latency --cost-weight 0.5

Everything else is the same: space, data, the weights' cascade over all bitwidths, costs at the lowest bitwidth, seeds,
and the training of what is found. Accuracies are those of the integer reference on the test images.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace

import torch

from benchmarks.switchable import cell
from nba.core.errors import NbaError
from nba.core.figures import standard_error
from nba.learn.data.config import DataConfig
from nba.learn.data.dataset import Dataset
from nba.learn.data.load import load
from nba.learn.search.config import SWITCHABLE_SEARCH, SearchSchedule
from nba.learn.space.config import StageSpace
from nba.learn.switchable.config import ArchitectureBits, Switchable
from nba.learn.switchable.efficiency import EFFICIENCY_OBJECTIVES, EfficiencyTable
from nba.learn.switchable.loop import train_switchable
from nba.learn.switchable.search import search_switchable
from nba.learn.switchable.tabulate import efficiency_table
from nba.learn.train.config import TrainSchedule
from nba.loopnest.description import load_hierarchy
from tests.spaces import DIGITS_SPACE

MODES: tuple[ArchitectureBits, ...] = ("lowest", "highest", "all")
MACRO = DIGITS_SPACE.but(
    stem_channels=8, head_channels=32, operators=("k3_e1", "k3_e3", "k5_e3", "k3_e6", "k5_e6", "skip"),
    stages=(StageSpace(channels=8, blocks=1, stride=2), StageSpace(channels=12, blocks=2, stride=1),
            StageSpace(channels=16, blocks=2, stride=2)),
)  # fmt: skip
"""Five blocks for the digits: 6**3 * 5**2 = 5,400 networks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one search found and what it is worth. accuracies: per bitwidth, rising, after training from scratch."""

    ops: tuple[str, ...]
    cost: float
    edp: float
    accuracies: tuple[float, ...]
    search_seconds: float
    seconds: float


def outcome(
    dataset: Dataset,
    cascade: Switchable,
    table: EfficiencyTable,
    config: SearchSchedule,
    train: TrainSchedule,
    seed: int,
) -> Outcome:
    """Search, then train what was found at all bitwidths."""
    began = time.process_time()
    found = search_switchable(MACRO, dataset, cascade, table, config, seed)
    searched = time.process_time()
    trained = train_switchable(found.network_at(cascade.bitwidths[0]), dataset, cascade, train, seed)
    return Outcome(
        ops=found.architecture.ops, cost=found.cost, edp=replace(table, objective="edp").cost(found.architecture.ops),
        accuracies=tuple(at.accuracy for at in trained.results), search_seconds=searched - began,
        seconds=time.process_time() - began,
    )  # fmt: skip


def markdown(bitwidths: tuple[int, ...], clock_mhz: float, results: dict[ArchitectureBits, list[Outcome]]) -> str:
    """A row per mode: mean, deviation and range over the seeds of accuracies (per cent) and EDP (uJ x us)."""
    heads = [f"{bits} bits, %" for bits in bitwidths]
    lines = [
        f"| architecture learns from | {' | '.join(heads)} | EDP at {bitwidths[0]} bits, uJ x us | operators by seed |",
        "|---" * (len(heads) + 3) + "|",
    ]
    for mode, runs in results.items():
        if runs:
            cells = [cell([100 * run.accuracies[i] for run in runs]) for i in range(len(bitwidths))]
            edp = cell([run.edp * 1e-6 / clock_mhz for run in runs])
            ops = "; ".join(" ".join(run.ops) for run in runs)
            lines.append(f"| {mode} | {' | '.join(cells)} | {edp} | {ops} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Search and train everything, print the table."""
    parser = argparse.ArgumentParser(description="Bitwidths that the architecture learns from")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--bits", default="4,8", help="bitwidths, rising")
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--hierarchy", default="eyeriss-like")
    parser.add_argument("--objective", choices=EFFICIENCY_OBJECTIVES, default="edp")
    parser.add_argument("--cost-weight", type=float, default=SearchSchedule().cost_weight)
    parser.add_argument("--pretrain", type=int, default=5, help="epochs of the weights alone")
    parser.add_argument("--epochs", type=int, default=12, help="epochs of weights and architecture")
    parser.add_argument("--train", type=int, default=10, help="epochs of the training of what was found")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dataset = load(DataConfig(name="digits"))
    hierarchy = load_hierarchy(given.hierarchy)
    cascade = Switchable(bitwidths=tuple(int(b) for b in given.bits.split(",")))
    train = TrainSchedule(epochs=given.train, batch_size=32, learning_rate=1e-2, mixup=0.0)
    config = SearchSchedule.model_validate(SWITCHABLE_SEARCH).but(
        pretrain_epochs=given.pretrain, joint_epochs=given.epochs, cost_weight=given.cost_weight
    )
    began = time.process_time()
    table = efficiency_table(MACRO, cascade.bitwidths[0], hierarchy, given.objective)
    print(
        f"{table.n_layers} layers of candidates, {table.n_shapes} shapes mapped in {time.process_time() - began:.0f} "
        f"CPU-seconds; search {given.pretrain} + {given.epochs} epochs of {len(dataset.train_y)} images, cost weight "
        f"{given.cost_weight:g} ({given.objective} on {table.hierarchy}); training {given.train} epochs; accuracies of "
        f"{len(dataset.test_y)} test images (standard error of one at 96 %: "
        f"{100 * standard_error(0.96, len(dataset.test_y)):.2f} points)",
        flush=True,
    )
    modes = [mode for mode in MODES if mode in given.modes.split(",")]
    results: dict[ArchitectureBits, list[Outcome]] = {mode: [] for mode in modes}
    for seed in (int(s) for s in given.seeds.split(",")):
        for mode, runs in results.items():
            run = outcome(dataset, cascade.but(architecture_bits=mode), table, config, train, seed)
            runs.append(run)
            text = ", ".join(f"{100 * a:.2f} %" for a in run.accuracies)
            print(
                f"seed {seed}, {mode}: {text}; {given.objective} {run.cost:.4g}; {' '.join(run.ops)} "
                f"({run.search_seconds:.0f} of {run.seconds:.0f} CPU-seconds for the search)",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    print(markdown(cascade.bitwidths, hierarchy.clock_mhz, results))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NbaError as err:
        sys.exit(f"error: {err}")
