# SPDX-License-Identifier: Apache-2.0
"""Whole-network evaluations per second of the closed forms (nba.cost.cycles): 22 blocks, 70 layers, 10 chunks.

python benchmarks/evaluation_speed.py [designs]
"""

from __future__ import annotations

import sys
import time

import numpy as np

from nba.cost.cycles import layer_table, resources, speed_bounds
from nba.platform import get
from nba.space.accelerator import AcceleratorSpace
from nba.space.network import Architecture, Macro, Stage, blocks, skeleton, slot_of_layer, slots

MACRO = Macro(
    name="auto-nba-like", height=32, width=32, channels=3, classes=100, stem_channels=16,
    stages=tuple(
        Stage(channels=c, blocks=b, stride=s)
        for c, b, s in zip((16, 24, 32, 64, 112, 184, 352), (1, 4, 4, 4, 4, 4, 1), (1, 1, 2, 2, 1, 2, 1), strict=True)
    ),
    head_channels=1504,
)  # fmt: skip


def main(n: int = 20_000) -> None:
    """Print evaluations per second of the speed bounds, of the resources, and of decoding choices."""
    count = len(blocks(MACRO))
    architecture = Architecture(macro=MACRO, ops=("k3_e3",) * count, bits=(8,) * count)
    network = skeleton(architecture)
    layers, which = layer_table(network), slot_of_layer(architecture)
    space = AcceleratorSpace(slots=tuple(slot.kind for slot in slots(MACRO)), n_chunks=10)
    choice = space.sample(np.random.default_rng(0), n)
    platform = get("zc706")
    for size in (10, n):
        began = time.process_time()
        designs = space.decode(choice[:size], layers, which)
        decoded = time.process_time()
        speed_bounds(layers, designs)
        bounded = time.process_time()
        resources(layers, designs, platform)
        ended = time.process_time()
    print(f"{len(network.layers)} layers, {space.n_chunks} chunks, {n} designs, per CPU-second:")
    print(f"  speed bounds  {n / (bounded - decoded):12,.0f}")
    print(f"  DSP and BRAM  {n / (ended - bounded):12,.0f}")
    print(f"  decode        {n / (decoded - began):12,.0f}")
    print(f"  all three     {n / (ended - began):12,.0f}")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:2]))
