# SPDX-License-Identifier: Apache-2.0
"""Networks on boards that people own: cycles a frame, resources, share of the board's multipliers that work.

    python -m benchmarks.on_board [cifar22 ...] [--record]

cifar22: the 22 blocks of Auto-NBA's space for CIFAR-10 (70 layers), every block with a 3 x 3 kernel and expansion 3,
all layers at 8 bits, on a ZC706, within its DSP blocks, block RAM and LUTs (by the estimate). The weights are random;
cycles and resources do not depend on them.

The mapped design is emitted and simulated in Verilator: output codes against the integer reference, all cycles against
the schedule, in a batch so long that its interval in the middle is the steady one. Nothing is recorded unless all
agree.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.figures_file import record
from benchmarks.resnet8 import simulated
from nba.api import load_spec
from nba.boards import get
from nba.core.progress import on_stderr
from nba.explore.budgets import Budgets
from nba.explore.choose import map_certified
from nba.flow.data import macro
from nba.ir.design import Design
from nba.ir.network import Network, weights_digest
from nba.learn.space.network import Architecture, blocks, skeleton
from tests.strategies import random_weights

COMMAND = "python -m benchmarks.on_board --record"
CIFAR_CLASSES = 10
MOST_FRAMES = 64
OPERATOR = "k3_e3"
BITS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A network on a board, with at most so many chunks."""

    network: Callable[[], Network]
    board: str
    max_chunks: int


def cifar22() -> Network:
    """The network of Auto-NBA's space."""
    space = macro(load_spec("cifar10"), CIFAR_CLASSES)
    count = len(blocks(space))
    return skeleton(Architecture(macro=space, ops=(OPERATOR,) * count, bits=(BITS,) * count))


CASES = {"cifar22": Case(network=cifar22, board="zc706", max_chunks=6)}


def figures(name: str, case: Case) -> dict[str, tuple[float, str]]:
    """Map and simulate a case; its figures with their units."""
    platform = get(case.board)
    budgets = Budgets(dsp=platform.dsp, bram=platform.bram18 / 2, lut=platform.lut)
    network, weights = random_weights(np.random.default_rng(0), case.network())
    began = time.process_time()
    with on_stderr() as (_, progress):
        progress.start(f"{name}: mapping")
        found = map_certified(network, platform, budgets, min_chunks=2, max_chunks=case.max_chunks)
        progress.finish()
    mapping_s = time.process_time() - began
    design = Design(
        name=name, network=network, accelerator=found.accelerator, platform=platform.name,
        clock_mhz=platform.clock_mhz, cost=found.cost, weights_sha256=weights_digest(weights), seed=0, versions=(),
    )  # fmt: skip
    (batch,) = simulated(design, weights, MOST_FRAMES)
    interval = batch.simulated["batch_interval_cycles"]
    macs = sum(network.macs(i) for i in range(len(network.layers)))
    cost, prefix = found.cost, f"{name}.{case.board}"
    return {
        f"{prefix}.cycles": (interval, "cycles a frame"),
        f"{prefix}.dsp": (cost.dsp, "blocks"),
        f"{prefix}.bram36": (cost.bram, "blocks"),
        f"{prefix}.lut": (cost.lut, "LUTs (estimate)"),
        f"{prefix}.mismatches": (batch.mismatches, "output codes"),
        f"{prefix}.cycle_differences": (int(batch.simulated != batch.predicted), "batches"),
        f"{prefix}.frames": (batch.images, "frames simulated"),
        f"{prefix}.bytes_per_frame": (0, "bytes from external memory: weights and maps are on chip"),
        f"{prefix}.packed_efficiency_percent": (
            round(100 * macs / (2 * platform.dsp * float(interval)), 1),
            "% of two products per DSP block of the board and cycle",
        ),
        f"{prefix}.mapping_cpu_s": (round(mapping_s), "s"),
    }


def main() -> None:
    """Map, emit, simulate, print; record on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="NAME", help=f"{', '.join(CASES)} (default: all)")
    parser.add_argument("--record", action="store_true", help="put the figures into benchmarks/figures.json")
    args = parser.parse_args()
    unknown = sorted(set(args.cases) - set(CASES))
    if unknown:
        parser.error(f"{', '.join(unknown)}: not there; there are {', '.join(CASES)}")
    for name in args.cases or CASES:
        found = figures(name, CASES[name])
        table = Table(title=name, title_justify="left", box=None)
        table.add_column("figure")
        table.add_column("value", justify="right")
        table.add_column("unit")
        for key, (value, unit) in found.items():
            table.add_row(key, f"{value:,}", unit)
        Console(width=140).print(table)
        if args.record:
            for key, (value, unit) in found.items():
                record(key, value, unit, COMMAND)


if __name__ == "__main__":
    main()
