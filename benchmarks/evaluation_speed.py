# SPDX-License-Identifier: Apache-2.0
"""Whole-network evaluations per CPU-second of one core: the closed forms (nba.machine.closed_form) of 22 blocks, 70
layers, 10 chunks, and the exact schedule, lowering included (nba.machine.batch), of the digits network.

    python -m benchmarks.evaluation_speed [--designs 20000] [--record]

Process CPU time; the best of 7 repetitions, since other work on the machine can only slow a repetition down. Rates
differ from processor to processor, so each stands beside its ratio to a yardstick that is measured in the same run: the
interval alone, of designs whose rings hold maps, by its plain formula in numpy. --record puts rates and ratios into
benchmarks/figures.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from benchmarks.figures_file import record
from nba.boards import get
from nba.explore.space import AcceleratorSpace, accelerator_of
from nba.learn.space.config import StageSpace
from nba.learn.space.network import Architecture, blocks, skeleton, slot_of_layer, slots
from nba.machine.batch import output_cycles
from nba.machine.blocks import block_counts
from nba.machine.closed_form import speed_bounds
from nba.machine.designs import COLS, HEIGHT_IN, MIXES, ROWS, TAPS, WIDTH_IN, Designs, M, N, layer_table
from nba.machine.program import lower
from nba.machine.schedule import schedule
from nba.machine.timing import MIN_ROW_CYCLES, OVERHEAD_CYCLES
from tests.spaces import DIGITS_SPACE

MACRO = DIGITS_SPACE.but(
    name="auto-nba-like", height=32, width=32, channels=3, classes=100, stem_channels=16,
    stages=tuple(
        StageSpace(channels=c, blocks=b, stride=s)
        for c, b, s in zip((16, 24, 32, 64, 112, 184, 352), (1, 4, 4, 4, 4, 4, 1), (1, 1, 2, 2, 1, 2, 1), strict=True)
    ),
    head_channels=1504,
)  # fmt: skip
DIGITS = DIGITS_SPACE.but(name="digits")
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


def plain_intervals(layers: np.ndarray, designs: Designs) -> np.ndarray:
    """int64 [B]: the interval bound by its plain formula, a layer after the other on arrays of all designs. For dense
    layers of one group and depthwise ones, and rings that hold maps."""
    n_designs = len(designs.pp)
    every, load = np.arange(n_designs), np.zeros(designs.pm.shape, np.int64)
    for layer, k in zip(layers, designs.chunk.T, strict=True):
        pm, pq = designs.pm[every, k], designs.pq[every, k]
        words = -(-layer[N] // designs.pn[every, k]) if layer[MIXES] else 1
        groups = -(-layer[COLS] // designs.pp) * -(-layer[M] // pm)
        row = np.maximum(groups * np.maximum(words * layer[TAPS], pm // pq), MIN_ROW_CYCLES)
        load[every, k] += layer[ROWS] * row + OVERHEAD_CYCLES
    first, last = layers[0], layers[-1]
    enters = -(-first[WIDTH_IN] // designs.pp) * -(-first[N] // designs.in_lanes)
    leaves = -(-last[COLS] // designs.pp) * -(-last[M] // designs.out_lanes)
    streams = ((first[HEIGHT_IN], enters), (last[ROWS], leaves))
    host = [rows * np.maximum(beats, MIN_ROW_CYCLES) for rows, beats in streams]
    return np.maximum(load.max(1), np.maximum(*host))


def closed_forms(n: int) -> dict[str, float]:
    """Rates of the yardstick, of speed bounds, resources, decoding and sampling."""
    architecture = Architecture(macro=MACRO, ops=("k3_e3",) * len(blocks(MACRO)), bits=(8,) * len(blocks(MACRO)))
    network = skeleton(architecture)
    layers, which, platform = layer_table(network), slot_of_layer(architecture), get("zc706")
    space = AcceleratorSpace(slots=tuple(slot.mixes for slot in slots(MACRO)), n_chunks=10)
    rng = np.random.default_rng(0)
    choice = space.sample(rng, n)
    designs = space.decode(choice, layers, which)
    ample = choice.copy()
    ample[:, space.first_slot + 2 :: 3] = 1
    whole = space.decode(ample, layers, which)
    assert (plain_intervals(layers, whole) == speed_bounds(layers, whole)[0][:, 0]).all()
    rates = {
        "plain interval in numpy": rate(n, lambda: plain_intervals(layers, whole)),
        "speed bounds": rate(n, lambda: speed_bounds(layers, designs)),
        "DSP and BRAM": rate(n, lambda: block_counts(layers, designs, platform)),
        "decode": rate(n, lambda: space.decode(choice, layers, which)),
        "sample": rate(n, lambda: space.sample(rng, n)),
    }
    rates["all four"] = 1 / sum(1 / rates[name] for name in list(rates)[1:])
    print(f"{len(layers)} layers, {space.n_chunks} chunks, {n} designs, per CPU-second, and of the first row:")
    return show(rates)


def show(rates: dict[str, float], yardstick: float | None = None) -> dict[str, float]:
    """Print rates with their ratio to `yardstick`, or to the first of them; returns them."""
    first = next(iter(rates.values())) if yardstick is None else yardstick
    for name, value in rates.items():
        print(f"  {name:24}{value:12,.0f}{value / first:10.2f}")
    return rates


def exact(n: int, yardstick: float) -> dict[str, float]:
    """Exact schedule from the arrays of the designs, and one design after another through the lowered program."""
    architecture = Architecture(macro=DIGITS, ops=("k3_e3",) * 5, bits=(8,) * 5)
    network = skeleton(architecture)
    layers, which = layer_table(network), slot_of_layer(architecture)
    space = AcceleratorSpace(slots=tuple(slot.mixes for slot in slots(DIGITS)))
    choice = space.sample(np.random.default_rng(0), n)
    choice[:, space.first_slot + 2 :: 3] = 1
    designs = space.decode(choice, layers, which)
    few = [accelerator_of(network, designs, b) for b in range(min(n, 200))]
    rates = {
        "exact, all at once": rate(n, lambda: output_cycles(layers, designs, FRAMES)),
        "exact, one by one": rate(len(few), lambda: [schedule(lower(network, a), FRAMES) for a in few]),
    }
    print(f"exact schedule of {FRAMES} frames, {len(layers)} layers, lowering included, per CPU-second:")
    return show(rates, yardstick)


def main() -> None:
    """Print all rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", type=int, default=20_000)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    rates = closed_forms(given.designs)
    yardstick = next(iter(rates.values()))
    rates |= exact(max(1, given.designs // 10), yardstick)
    if given.record:
        command = f"python -m benchmarks.evaluation_speed --designs {given.designs} --record"
        for name, value in rates.items():
            key = f"evaluation.{name.lower().replace(',', '').replace(' ', '_')}"
            record(f"{key}.per_cpu_s", round(value), "designs per CPU-second", command)
            record(f"{key}.over_numpy", round(value / yardstick, 3), "ratio to the plain interval in numpy", command)


if __name__ == "__main__":
    main()
