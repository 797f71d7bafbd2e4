# SPDX-License-Identifier: Apache-2.0
"""An accelerator search with a known answer: cycles = MACs of each slot's kind divided by searched lanes."""

from __future__ import annotations

import json

import numpy as np

from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.ir.network import Network
from nba.search.protocol import HardwareCost


class FakeHardware:
    """Finds lanes by trying random ones; the interval is the sum of the layers' MACs over the lanes."""

    def __init__(self, seed: int, lanes: int = 1):
        self.rng = np.random.default_rng(seed)
        self.lanes = lanes

    def step(self, network: Network, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
        assert len(slot_of_layer) == len(network.layers)
        self.lanes = max(self.lanes, int(self.rng.integers(1, 17, n_samples).max(initial=1)))

    def cost(self, network: Network, slot_of_layer: tuple[int, ...]) -> HardwareCost:
        assert len(slot_of_layer) == len(network.layers)
        cycles = np.array([-(-network.macs(i) // self.lanes) for i in range(len(network.layers))], dtype=np.int64)
        return HardwareCost(
            interval_cycles=int(cycles.sum()), dsp=self.lanes, bram18=1, feasible=True, layer_cycles=cycles
        )

    def best(self, network: Network, slot_of_layer: tuple[int, ...]) -> Accelerator:
        jobs = tuple(Job(layer=i) for i in range(len(network.layers)))
        chunk = Chunk(kind="dense", pm=self.lanes, pn=1, pq=1, jobs=jobs)
        return Accelerator(
            pp=1, chunks=(chunk,), rings=(Ring(tensor=len(network.layers), consumer=HOST, rows=1),), out_lanes=1
        )

    def state(self) -> str:
        return json.dumps({"rng": self.rng.bit_generator.state, "lanes": self.lanes})

    def load_state(self, state: str) -> None:
        raw = json.loads(state)
        self.rng.bit_generator.state = raw["rng"]
        self.lanes = raw["lanes"]
