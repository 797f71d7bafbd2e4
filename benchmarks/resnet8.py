# SPDX-License-Identifier: Apache-2.0
"""MLPerf Tiny's ResNet8 (CIFAR-10, 12.5 MMAC) on a PYNQ-Z2: cycles a frame at 8 bits, and frames per second by mode.

    python -m benchmarks.resnet8 [--dsp 220] [--record]

The weights are random; the layers, and so all cycles and resources, are those of the published network. Two designs are
mapped within the board's budgets (DSP blocks, block RAM, LUTs by the estimate): one for 8 bits alone, and one whose
modes are 2, 4 and 8 bits. Both are emitted and simulated in Verilator, in every mode: output codes against the integer
reference, all cycles against the schedule. Nothing is recorded unless all agree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.figures_file import record
from nba.boards import Platform, get
from nba.emit.bundle import default_images, emit_bundle
from nba.explore.budgets import Budgets
from nba.explore.choose import map_certified
from nba.explore.modes import map_modes, mode_bitwidths, modes_design
from nba.ir.design import Design
from nba.ir.network import Weights, weights_digest
from nba.machine.program import design_programs
from nba.machine.settled import reach
from nba.machine.steady import steady_interval
from nba.verify.rtl import RtlResult, simulate_rtl
from nba.zoo.networks import resnet8
from nba.zoo.weights import random_weights
from tests.modes import shared_case

BOARD = "pynq-z2"
MODES = (2, 4, 8)
MOST_FRAMES = 16
COMMAND = "python -m benchmarks.resnet8 --record"


def one_precision(platform: Platform, budgets: Budgets) -> tuple[Design, Weights]:
    """The design for 8 bits alone."""
    skeleton, weights = random_weights(np.random.default_rng(8), resnet8())
    found = map_certified(skeleton, platform, budgets, min_chunks=1, max_chunks=4)
    design = Design(
        name="resnet8", network=skeleton, accelerator=found.accelerator, platform=platform.name,
        clock_mhz=platform.clock_mhz, cost=found.cost, weights_sha256=weights_digest(weights), seed=8, versions=(),
    )  # fmt: skip
    return design, weights


def all_precisions(platform: Platform, budgets: Budgets) -> tuple[Design, Weights]:
    """The design whose modes are MODES."""
    shared = shared_case(8, resnet8(), MODES)
    assert mode_bitwidths(shared) == MODES
    found = map_modes(shared, platform, budgets, min_chunks=1, max_chunks=4)
    return modes_design(shared, found.accelerator, platform, name="resnet8 modes", seed=8)


def simulated(design: Design, weights: Weights, most_frames: int = MOST_FRAMES) -> list[RtlResult]:
    """A batch in every mode, so long that its interval in the middle is the steady one."""
    programs = design_programs(design.network, design.accelerator, design.modes)
    frames = next((n for n in range(4, most_frames + 1) if all(reach(p, n).reached for p in programs)), None)
    if frames is None:
        raise SystemExit(f"{design.name}: no batch of {most_frames} frames or fewer reaches the steady state")
    with tempfile.TemporaryDirectory(prefix=f"nba-{design.name.split()[0]}-") as name:
        folder = Path(name)
        emit_bundle(design, weights, folder / "bundle", default_images(design, frames))
        run = simulate_rtl(
            folder / "bundle", "verilator", frames=(frames,), work=folder / "work", tests=("cycles",)
        )  # fmt: skip
    for batch, program in zip(run.batches, programs, strict=True):
        if not batch.holds or batch.simulated["batch_interval_cycles"] != steady_interval(program):
            sys.exit(
                f"{design.name}, mode {batch.mode}: {batch.mismatches} codes differ, or cycles do; see {batch.log}"
            )
    return list(run.batches)


def main() -> None:
    """Map, emit, simulate, print; record on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    platform = get(BOARD)
    parser.add_argument("--dsp", type=int, default=platform.dsp, help="DSP budget (default: the board's)")
    parser.add_argument("--record", action="store_true", help="put the figures into benchmarks/figures.json")
    args = parser.parse_args()
    budgets = Budgets(dsp=args.dsp, bram=platform.bram18 / 2, lut=platform.lut)
    table = Table("design", "bits", "cycles a frame", "times", "DSP", "BRAM36", "LUT (estimate)", "frames", "equal")
    figures: dict[str, tuple[float, str]] = {}
    for title, (design, weights), bits in (
        ("8 bits alone", one_precision(platform, budgets), (8,)),
        ("three modes", all_precisions(platform, budgets), MODES),
    ):
        batches = simulated(design, weights)
        intervals = [batch.simulated["batch_interval_cycles"] for batch in batches]
        for own, batch, interval in zip(bits, batches, intervals, strict=True):
            times = intervals[-1] / interval
            table.add_row(
                title, str(own), f"{interval:,}", f"{times:.2f}", str(design.cost.dsp), f"{design.cost.bram:g}",
                f"{design.cost.lut:,}", str(batch.images), "bits and cycles",
            )  # fmt: skip
            if len(bits) > 1:
                figures[f"modes.speedup.{own}bit"] = (round(times, 3), "times the frames per second of 8 bits")
        key = "resnet8.pynq_z2" if len(bits) == 1 else "resnet8.pynq_z2.modes"
        figures[f"{key}.cycles"] = (intervals[-1], "cycles a frame at 8 bits")
        figures[f"{key}.dsp"] = (design.cost.dsp, "blocks")
        figures[f"{key}.bram36"] = (design.cost.bram, "blocks")
        figures[f"{key}.lut"] = (design.cost.lut, "LUTs (estimate)")
        figures[f"{key}.mismatches"] = (sum(batch.mismatches for batch in batches), "output codes")
    Console(width=140).print(table)
    if args.record:
        figures.pop("modes.speedup.8bit")
        for name, (value, unit) in figures.items():
            record(name, value, unit, COMMAND)


if __name__ == "__main__":
    main()
