# SPDX-License-Identifier: Apache-2.0
"""Peak memory of one training step of the supernet with one bitwidth and with several: "constant memory" of Auto-NBA.

    python -m benchmarks.memory [--preset auto-nba-cifar] [--batch 64] [--bits 4,5,6,7,8] [--steps 2] [--seed 0] [-o F]

Every measurement is a process of its own: peak resident memory during the steps, less what was resident before them
(data, weights and their optimiser's state). The same operators are sampled for both, so that only bitwidths differ.
Exit status 1 if any ratio is above 1.15. Linux only (resource, /proc).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

from nba.flow.data import macro as macro_of
from nba.learn.space.network import Macro
from nba.learn.supernet import paths
from nba.learn.supernet.network import Supernet
from nba.spec import parse_spec

LIMIT = 1.15
SAMPLING = {"hetero": ("soft", "hard"), "soft": ("soft", "soft"), "hard": ("hard", "hard")}
"""Bitwidths while weights are trained, and while alpha and beta are (nba.learn.search.config.BitSampling)."""
Step = Literal["weights", "choices"]


def preset(name: str, bits: tuple[int, ...]) -> Macro:
    """The space called `name` for 32x32x3 (CIFAR) or 224x224x3 images, with the bitwidths `bits`."""
    text = "\n".join(
        ("name: memory", "dataset: {name: digits}", f"network: {{preset: {name}}}", f"bitwidths: {list(bits)}",
         "platform: none", "budgets: {dsp: 1, bram: 1}")
    )  # fmt: skip
    macro = macro_of(parse_spec(text, where=name, folder=Path(), platforms=("none",)), 10)
    size = 32 if name.endswith("cifar") else 224
    return macro.but(height=size, width=size, channels=3)


def resident_bytes() -> int:
    """What the process occupies now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(macro: Macro, step: Step, hard: bool, batch: int, steps: int, seed: int) -> float:
    """MiB of peak memory that `steps` steps take above what was there before."""
    torch.set_num_threads(1)
    net = Supernet(macro, torch.Generator().manual_seed(seed))
    optimiser = torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9)
    for parameter in net.parameters():
        optimiser.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    legal = paths.legal_choices(macro)
    alpha = torch.zeros(legal.operators_LO.shape, requires_grad=True)
    beta = torch.zeros(legal.beta_shape(), requires_grad=True)
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.integers(0, 256, (batch, macro.height, macro.width, macro.channels))).float()
    x = x.permute(0, 3, 1, 2)
    y = torch.arange(batch) % macro.classes
    before = resident_bytes()
    for number in range(steps):
        generator = torch.Generator().manual_seed(seed + number)
        with torch.set_grad_enabled(step == "choices"):
            path = paths.sample_path(
                alpha, beta, legal, temperature=5.0, n_candidates=2 if step == "choices" else 1, hard_bits=hard,
                generator=generator,
            )  # fmt: skip
        net.requires_grad_(step == "weights")
        loss = functional.cross_entropy(net(x, path), y)
        if step == "weights":
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        else:
            torch.autograd.grad(loss, [alpha, beta])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return (peak - before) / 2**20


def measured_apart(arguments: argparse.Namespace, step: Step, bits_mode: str, bits: tuple[int, ...]) -> float:
    """`measure` in a fresh process."""
    command = [
        sys.executable, "-m", "benchmarks.memory", "--preset", arguments.preset, "--batch", str(arguments.batch),
        "--steps", str(arguments.steps), "--seed", str(arguments.seed), "--bits", ",".join(map(str, bits)),
        "--only", f"{step},{bits_mode}",
    ]  # fmt: skip
    root = Path(__file__).resolve().parent.parent
    return float(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=1800).stdout)


def main() -> int:
    """Measure, print the table, return the exit status."""
    parser = argparse.ArgumentParser(description="Peak memory of a supernet step with one and with several bitwidths")
    parser.add_argument("--preset", default="auto-nba-cifar", choices=("auto-nba-cifar", "auto-nba-imagenet"))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--bits", default="4,5,6,7,8")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=None, help="write the figures here as JSON")
    parser.add_argument("--only", default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    bits = tuple(int(b) for b in arguments.bits.split(","))
    if arguments.only is not None:
        step, mode = arguments.only.split(",")
        macro = preset(arguments.preset, bits)
        print(measure(macro, step, mode == "hard", arguments.batch, arguments.steps, arguments.seed))
        return 0
    steps: tuple[Step, ...] = ("weights", "choices")
    found: dict[str, dict[str, float]] = {}
    for step in steps:
        for mode in ("soft", "hard"):
            one, all_of_them = (measured_apart(arguments, step, mode, b) for b in (bits[-1:], bits))
            found[f"{step},{mode}"] = {"one_mib": one, "all_mib": all_of_them, "ratio": all_of_them / one}
    print(f"{arguments.preset}, batch {arguments.batch}, seed {arguments.seed}: peak MiB, bits {bits[-1]} and {bits}")
    print(f"{'sampling':10}{'step':10}{'one':>9}{'all':>9}{'ratio':>8}")
    for name, modes in SAMPLING.items():
        for step, mode in zip(steps, modes, strict=True):
            row = found[f"{step},{mode}"]
            print(f"{name:10}{step:10}{row['one_mib']:9.0f}{row['all_mib']:9.0f}{row['ratio']:8.3f}")
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return int(any(row["ratio"] > LIMIT for row in found.values()))


if __name__ == "__main__":
    sys.exit(main())
