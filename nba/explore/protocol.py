# SPDX-License-Identifier: Apache-2.0
"""What the network search asks of the accelerator search: torch-free, so that both sides can be tested alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nba.core.errors import NbaError
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.machine.usage import Objective, value_of


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HardwareCost:
    """Cost of one network on one accelerator.

    interval_cycles: steady-state cycles between two frames (the busiest chunk); latency_cycles: from the first input to
    the first output, where it is known; layer_cycles: int64 [layers], cycles of every layer of the network per frame;
    dsp, bram18: resources; lut, energy_pj (per frame), power_w: None where neither objective nor budget asks for them;
    feasible: all hard budgets are met.
    """

    interval_cycles: int
    latency_cycles: int | None = None
    dsp: int
    bram18: int
    lut: int | None = None
    energy_pj: float | None = None
    power_w: float | None = None
    feasible: bool
    layer_cycles: np.ndarray

    def value(self, objective: Objective) -> float:
        """What `objective` minimises. Raises NbaError if this search does not know it."""
        if objective == "latency" and self.latency_cycles is None:
            raise NbaError("search: the accelerator search does not compute the latency; use objective: interval")
        if objective in ("energy", "edp") and self.energy_pj is None:
            raise NbaError("search: the accelerator search does not compute the energy; use objective: interval")
        return value_of(objective, self.interval_cycles, self.latency_cycles or 0, self.energy_pj or 0.0)


class HardwareSearch(Protocol):
    """The gamma side of the joint search.

    Every method gets the integer layers of one sampled path (`nba.learn.space.network.skeleton`) and, for each of its
    layers, the index of the potential layer of the macro-architecture that it is
    (`nba.learn.space.network.slot_of_layer`), so that what is known about a slot survives when operators change or a
    block is skipped.
    """

    def step(self, network: Network, slot_of_layer: tuple[int, ...], n_samples: int) -> None:
        """Sample `n_samples` accelerators for `network` and update the logits (gamma) once per sample."""
        ...

    def cost(self, network: Network, slot_of_layer: tuple[int, ...]) -> HardwareCost:
        """Cost of `network` on the current best accelerator. No side effect on the search, no randomness."""
        ...

    def best(self, network: Network, slot_of_layer: tuple[int, ...]) -> Accelerator:
        """The current best accelerator, made complete and legal for `network`. Raises InfeasibleError."""
        ...

    def entropy(self) -> float:
        """How undecided it is: mean entropy of what it samples from, in units of its maximum (0 where it samples from
        no learned distribution)."""
        ...

    def state(self) -> str:
        """Everything that a later `load_state` needs to go on as if never stopped (JSON text, random state too)."""
        ...

    def load_state(self, state: str) -> None:
        """Continue from the text that `state` gave."""
        ...
