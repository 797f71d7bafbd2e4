# SPDX-License-Identifier: Apache-2.0
"""What a search minimises, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.core.compiled import compiled
from nba.core.errors import NbaError
from nba.loopnest.mapping import Mapping

_OBJECTIVES = ("edp", "energy", "latency", "fps")
"""What is minimised; fps is latency as far as one layer is concerned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A mapping, its energy [pJ] and latency [cycles]."""

    mapping: Mapping
    energy_pj: float
    cycles: int


def weights_of(objective: str) -> tuple[float, float]:
    """(weight of energy, weight of latency) of the sum that an objective minimises; (0, 0) is their product, the
    EDP."""
    known = {"edp": (0.0, 0.0), "energy": (1.0, 0.0), "latency": (0.0, 1.0), "fps": (0.0, 1.0)}
    if objective not in known:
        raise NbaError(f"objective {objective!r} is not known; there are {', '.join(_OBJECTIVES)}")
    return known[objective]


@compiled
def worth(weights: np.ndarray, energy: float, cycles: float) -> float:
    """The value to minimise: EDP, or a weighted sum in which a weight of 0 still breaks ties."""
    if weights[0] == 0.0 and weights[1] == 0.0:
        return energy * cycles
    return weights[0] * energy + weights[1] * cycles


@compiled
def better(weights: np.ndarray, energy: float, cycles: int, than_energy: float, than_cycles: int) -> bool:
    """Whether one (energy, cycles) is better than another: by value, then by the product."""
    value, other = worth(weights, energy, cycles), worth(weights, than_energy, than_cycles)
    return value < other or (value == other and energy * cycles < than_energy * than_cycles)
