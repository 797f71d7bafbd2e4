# SPDX-License-Identifier: Apache-2.0
"""Whole-network evaluations per CPU-second of one core: the closed forms (nba.cost.cycles) of 22 blocks, 70 layers, 10
chunks, and the exact schedule, lowering included (nba.cost.batch), of the digits network.

    python benchmarks/evaluation_speed.py [designs]

Process CPU time; the best of 7 repetitions, since other work on the machine can only slow a repetition down.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from nba.cost.batch import output_cycles
from nba.cost.cycles import layer_table, resources, speed_bounds
from nba.cost.pipeline import schedule
from nba.ir.program import lower
from nba.platform import get
from nba.space.accelerator import AcceleratorSpace, accelerator_of
from nba.space.network import Architecture, Macro, Stage, blocks, skeleton, slot_of_layer, slots

MACRO = Macro(
    name="auto-nba-like", height=32, width=32, channels=3, classes=100, stem_channels=16,
    stages=tuple(
        Stage(channels=c, blocks=b, stride=s)
        for c, b, s in zip((16, 24, 32, 64, 112, 184, 352), (1, 4, 4, 4, 4, 4, 1), (1, 1, 2, 2, 1, 2, 1), strict=True)
    ),
    head_channels=1504,
)  # fmt: skip
DIGITS = Macro(name="digits", stages=(
    Stage(channels=16, blocks=1, stride=2), Stage(channels=24, blocks=2, stride=1),
    Stage(channels=32, blocks=2, stride=2),
))  # fmt: skip
REPETITIONS = 7
FRAMES = 4


def rate(count: int, work: Callable[[], object]) -> float:
    """`count` per CPU-second, best of the repetitions, after one run that compiles."""
    work()
    best = 0.0
    for _ in range(REPETITIONS):
        began = time.process_time()
        work()
        best = max(best, count / (time.process_time() - began))
    return best


def closed_forms(n: int) -> None:
    """Speed bounds, resources, sampling and decoding."""
    architecture = Architecture(macro=MACRO, ops=("k3_e3",) * len(blocks(MACRO)), bits=(8,) * len(blocks(MACRO)))
    network = skeleton(architecture)
    layers, which, platform = layer_table(network), slot_of_layer(architecture), get("zc706")
    space = AcceleratorSpace(slots=tuple(slot.kind for slot in slots(MACRO)), n_chunks=10)
    rng = np.random.default_rng(0)
    choice = space.sample(rng, n)
    designs = space.decode(choice, layers, which)
    rates = {
        "speed bounds": rate(n, lambda: speed_bounds(layers, designs)),
        "DSP and BRAM": rate(n, lambda: resources(layers, designs, platform)),
        "decode": rate(n, lambda: space.decode(choice, layers, which)),
        "sample": rate(n, lambda: space.sample(rng, n)),
    }
    rates["all of these"] = 1 / sum(1 / r for r in rates.values())
    print(f"{len(layers)} layers, {space.n_chunks} chunks, {n} designs, per CPU-second:")
    for name, value in rates.items():
        print(f"  {name:24}{value:12,.0f}")


def exact(n: int) -> None:
    """Exact schedule from the arrays of the designs, and one design after another through the lowered program."""
    architecture = Architecture(macro=DIGITS, ops=("k3_e3",) * 5, bits=(8,) * 5)
    network = skeleton(architecture)
    layers, which = layer_table(network), slot_of_layer(architecture)
    space = AcceleratorSpace(slots=tuple(slot.kind for slot in slots(DIGITS)))
    choice = space.sample(np.random.default_rng(0), n)
    choice[:, space.first_slot + 2 :: 3] = 1
    designs = space.decode(choice, layers, which)
    few = [accelerator_of(network, designs, b) for b in range(min(n, 200))]
    print(f"exact schedule of {FRAMES} frames, {len(layers)} layers, lowering included, per CPU-second:")
    print(f"  {'all at once':24}{rate(n, lambda: output_cycles(layers, designs, FRAMES)):12,.0f}")
    one = rate(len(few), lambda: [schedule(lower(network, a), FRAMES) for a in few])
    print(f"  {'one after another':24}{one:12,.0f}")


def main(n: int = 20_000) -> None:
    """Print all rates."""
    closed_forms(n)
    exact(max(1, n // 10))


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]))
