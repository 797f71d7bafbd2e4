# SPDX-License-Identifier: Apache-2.0
"""Accelerator searches whose answers are known."""

from __future__ import annotations

import json

import numpy as np

from nba.explore.protocol import HardwareCost
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring
from nba.ir.network import Network


class FakeHardware:
    """Finds lanes by trying random ones; the interval is the sum of the layers' MACs over the lanes."""

    def __init__(self, seed: int, lanes: int = 1):
        self.rng = np.random.default_rng(seed)
        self.lanes = lanes

    def step(self, network: Network, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
        """Tries `n_samples` numbers of lanes."""
        assert len(slot_of_layer) == len(network.layers)
        self.lanes = max(self.lanes, int(self.rng.integers(1, 17, n_samples).max(initial=1)))

    def layer_cycles(self, network: Network, slot_of_layer: tuple[int, ...]) -> np.ndarray:
        """int64 [layers]."""
        assert len(slot_of_layer) == len(network.layers)
        return np.array([-(-network.macs(i) // self.lanes) for i in range(len(network.layers))], dtype=np.int64)

    def cost(self, network: Network, slot_of_layer: tuple[int, ...]) -> HardwareCost:
        """One layer after the other."""
        cycles = self.layer_cycles(network, slot_of_layer)
        total = int(cycles.sum())
        return HardwareCost(
            interval_cycles=total, latency_cycles=total, dsp=self.lanes, bram18=1, feasible=True, layer_cycles=cycles
        )

    def best(self, network: Network, slot_of_layer: tuple[int, ...]) -> Accelerator:
        """One chunk."""
        jobs = tuple(Job(layer=i) for i in range(len(network.layers)))
        chunk = Chunk(kind="dense", pm=self.lanes, pn=1, pq=1, jobs=jobs)
        ring = Ring(tensor=len(network.layers), consumer=HOST, rows=1)
        return Accelerator(pp=1, chunks=(chunk,), rings=(ring,), out_lanes=1)

    def entropy(self) -> float:
        """Half undecided, ever."""
        return 0.5

    def state(self) -> str:
        """JSON text."""
        return json.dumps({"rng": self.rng.bit_generator.state, "lanes": self.lanes})

    def load_state(self, state: str) -> None:
        """From `state`."""
        raw = json.loads(state)
        self.rng.bit_generator.state = raw["rng"]
        self.lanes = raw["lanes"]


class TableHardware(FakeHardware):
    """A black box: every layer of a block costs what a random table says for its slot, kernel, channels and bits.

    The table is a pure function of those numbers, so that an optimum can be found by enumeration, and it has nothing to
    do with MACs, so that no rule of thumb finds it.
    """

    def layer_cycles(self, network: Network, slot_of_layer: tuple[int, ...]) -> np.ndarray:
        """int64 [layers]."""
        cycles = []
        for i, (layer, slot) in enumerate(zip(network.layers, slot_of_layer, strict=True)):
            key = [slot, layer.kernel_h, network.result(i).channels, layer.act_bits]
            cycles.append(int(np.random.default_rng(key).integers(10, 1000)))
        return np.array(cycles, dtype=np.int64)
