# SPDX-License-Identifier: Apache-2.0
"""Networks on boards that people own: cycles a frame, resources, share of the board's multipliers that work.

    python -m benchmarks.on_board [cifar22 ...] [--mapping-only] [--record]

mobilenetv2_224, mobilenetv1_224, resnet18_224 (nba/zoo/networks.py), for images of ImageNet, on the board that
stands behind the point: they stream weights from the board's external memory (nba/explore/streaming.py). Where the
name goes on with `.half`, that moves half as many bytes per cycle as the board says.

cifar22: the 22 blocks of Auto-NBA's space for CIFAR-10 (70 layers), every block with a 3 x 3 kernel and expansion 3,
all layers at 8 bits, on a ZC706, within its DSP blocks, block RAM and LUTs (by the estimate). The weights are random;
cycles and resources do not depend on them.

The mapped design is emitted and simulated in Verilator: output codes against the integer reference, all cycles against
the schedule, in a batch so long that its interval in the middle is the steady one. Nothing is recorded unless all
agree. With --mapping-only the design is mapped, checked and costed, and not simulated; that is never recorded.
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
from nba.boards import Platform, get
from nba.core.progress import Progress, on_stderr
from nba.explore.budgets import Budgets
from nba.explore.choose import Mapped, map_certified
from nba.explore.streaming import map_streamed, streaming_memory
from nba.flow.data import macro
from nba.ir.design import Design
from nba.ir.network import Network, weights_digest
from nba.learn.space.network import Architecture, blocks, skeleton
from nba.machine.check import check_accelerator
from nba.machine.program import lower
from nba.zoo.networks import mobilenet_v1, mobilenet_v2, resnet18
from nba.zoo.weights import random_weights

COMMAND = "python -m benchmarks.on_board --record"
CIFAR_CLASSES = 10
MOST_FRAMES = 64
OPERATOR = "k3_e3"
BITS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A network on a board. max_chunks: of designs whose weights are on chip. ports: of the board's external memory
    that weights are streamed from, 0: none; share: of the bytes that these move per cycle."""

    network: Callable[[], Network]
    board: str
    max_chunks: int = 6
    ports: int = 0
    share: float = 1.0


def cifar22() -> Network:
    """The network of Auto-NBA's space."""
    space = macro(load_spec("cifar10"), CIFAR_CLASSES)
    count = len(blocks(space))
    return skeleton(Architecture(macro=space, ops=(OPERATOR,) * count, bits=(BITS,) * count))


CASES = {
    "cifar22": Case(network=cifar22, board="zc706"),
    "mobilenetv2_224.zc706": Case(network=mobilenet_v2, board="zc706", ports=1),
    "mobilenetv2_224.zc706.half": Case(network=mobilenet_v2, board="zc706", ports=1, share=0.5),
    "mobilenetv1_224.zc706": Case(network=mobilenet_v1, board="zc706", ports=1),
    "resnet18_224.zc706": Case(network=resnet18, board="zc706", ports=1),
    "mobilenetv2_224.kv260": Case(network=mobilenet_v2, board="kv260", ports=2),
    "resnet18_224.zcu102": Case(network=resnet18, board="zcu102", ports=2),
    "mobilenetv2_224.pynq_z2": Case(network=mobilenet_v2, board="pynq-z2", ports=2),
}


def mapped(case: Case, network: Network, platform: Platform, title: str) -> Mapped:
    """The accelerator of a case."""
    budgets = Budgets(dsp=platform.dsp, bram=platform.bram18 / 2, lut=platform.lut)
    with on_stderr() as (_, progress):
        if case.ports:
            memory = streaming_memory(platform, case.share, case.ports)
            found = map_streamed(network, platform, budgets, memory=memory, progress=_Reporter(progress, title))
        else:
            progress.start(title)
            found = map_certified(network, platform, budgets, min_chunks=2, max_chunks=case.max_chunks)
        progress.finish()
    return found


class _Reporter:
    """Passes what a mapper tells on to a progress task."""

    def __init__(self, progress: Progress, title: str):
        self._progress, self._title, self._done = progress, title, -1

    def __call__(self, done: int, total: int, note: str) -> None:
        if self._done < 0:
            self._progress.start(self._title, total)
            self._done = 0
        self._progress.advance(done - self._done, note)
        self._done = done


def figures(name: str, case: Case, *, simulate: bool = True) -> dict[str, tuple[float, str]]:
    """Map and simulate a case; its figures with their units. Without simulation, cycles are those of the schedule."""
    platform = get(case.board)
    network, weights = random_weights(np.random.default_rng(0), case.network())
    began = time.process_time()
    found = mapped(case, network, platform, f"{name}: mapping")
    mapping_s = time.process_time() - began
    assert check_accelerator(network, found.accelerator) == ()
    cost, prefix = found.cost, name if "." in name else f"{name}.{case.board}"
    interval: float = cost.interval_cycles
    if simulate:
        design = Design(
            name=name.replace(".", "_"), network=network, accelerator=found.accelerator, platform=platform.name,
            clock_mhz=platform.clock_mhz, cost=cost, weights_sha256=weights_digest(weights), seed=0, versions=(),
        )  # fmt: skip
        (batch,) = simulated(design, weights, MOST_FRAMES)
        interval = batch.simulated["batch_interval_cycles"]
    macs = sum(network.macs(i) for i in range(len(network.layers)))
    traffic = lower(network, found.accelerator).streamed_bytes
    what = (
        "bytes of weights from external memory"
        if traffic
        else "bytes from external memory: weights and maps are on chip"
    )
    seen = {
        f"{prefix}.cycles": (interval, "cycles a frame"),
        f"{prefix}.dsp": (cost.dsp, "blocks"),
        f"{prefix}.bram36": (cost.bram, "blocks"),
        f"{prefix}.lut": (cost.lut, "LUTs (estimate)"),
        f"{prefix}.bytes_per_frame": (traffic, what),
        f"{prefix}.packed_efficiency_percent": (
            round(100 * macs / (2 * platform.dsp * float(interval)), 1),
            "% of two products per DSP block of the board and cycle",
        ),
        f"{prefix}.mapping_cpu_s": (round(mapping_s), "s"),
    }
    if cost.uram:
        seen[f"{prefix}.uram"] = (cost.uram, "blocks of UltraRAM")
    if name == "mobilenetv2_224.zc706":
        seen["mapping.mobilenetv2_224.cpu_s"] = (round(mapping_s), "s")
    if case.ports and found.certificate is not None:
        seen[f"{prefix}.gap_percent"] = (round(100 * found.certificate.gap, 1), "% above the lower bound at most")
    if simulate:
        seen[f"{prefix}.mismatches"] = (batch.mismatches, "output codes")
        seen[f"{prefix}.cycle_differences"] = (int(batch.simulated != batch.predicted), "batches")
        seen[f"{prefix}.frames"] = (batch.images, "frames simulated")
    return seen


def main() -> None:
    """Map, emit, simulate, print; record on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="NAME", help=f"{', '.join(CASES)} (default: all)")
    parser.add_argument("--mapping-only", action="store_true", help="map, check and cost; do not simulate")
    parser.add_argument("--record", action="store_true", help="put the figures into benchmarks/figures.json")
    args = parser.parse_args()
    unknown = sorted(set(args.cases) - set(CASES))
    if unknown:
        parser.error(f"{', '.join(unknown)}: not there; there are {', '.join(CASES)}")
    if args.mapping_only and args.record:
        parser.error("--record: only what was simulated is recorded; leave --mapping-only out")
    for name in args.cases or CASES:
        found = figures(name, CASES[name], simulate=not args.mapping_only)
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
