# SPDX-License-Identifier: Apache-2.0
"""Fixed dataflows as constraints on the space of mappings, each with the best sizes that it allows.

The taxonomy is that of Chen et al. (Eyeriss, ISCA 2016) and Sze et al. (Efficient processing of deep neural networks,
Proc. IEEE 2017, section V-B). A dataflow says what one place of the array (an instance of the innermost level) holds,
which loops the places share out, and which loops run innermost around the array. All else is free: blocks of every
level, orders of the levels outside, and which axis takes which loop, as far as the hierarchy allows them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import C, G, M, N, P, Q, R, S
from nba.loopnest.space import Room, canonical_orders, padded_orders


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataflow:
    """single: loops of which a place holds one element. unrolled: loops that the places may share out. classes: ways to
    order the loops around the array, as indices into nba.loopnest.space.ORDER_CLASSES."""

    name: str
    single: tuple[int, ...]
    unrolled: tuple[int, ...]
    classes: tuple[int, ...]


ROW_STATIONARY = Dataflow(name="RS", single=(P, Q, R), unrolled=(R, P, M, C, G, N), classes=(0,))
"""A place convolves one kernel row with one input row, over which it slides: it holds kernel rows (S, for several M
and C) and one output column at a time; Q runs innermost. Kernel rows (R) and output rows (P) are shared out, and what
is left of the array takes further channels, groups or images."""
WEIGHT_STATIONARY = Dataflow(name="WS", single=(N, P, Q), unrolled=(G, M, C, R, S), classes=(0, 1))
"""A place keeps its weights while all output positions pass: N, P and Q run innermost, and only loops that walk weights
are shared out, so that no weight is in two places."""
OUTPUT_STATIONARY = Dataflow(name="OS", single=(C, R, S), unrolled=(N, G, M, P, Q), classes=(4,))
"""A place keeps its partial sums until they are complete: C, R and S run innermost, and only loops that walk outputs
are shared out."""
INPUT_STATIONARY = Dataflow(name="IS", single=(M,), unrolled=(N, G, C, P, Q), classes=(2, 3))
"""A place keeps its inputs while all output channels pass: M runs innermost, and only loops that walk inputs are
shared out (not R and S, whose places would hold inputs twice)."""
DATAFLOWS = (ROW_STATIONARY, WEIGHT_STATIONARY, OUTPUT_STATIONARY, INPUT_STATIONARY)


def constrained(flow: Dataflow, hierarchy: Hierarchy, space: Room) -> tuple[Room, np.ndarray]:
    """The room that a dataflow leaves, and the orders of every level to choose from."""
    may, unit = space.may.copy(), space.unit.copy()
    others = [d for d in range(8) if d not in flow.unrolled]
    may[-1][:, others] = False
    unit[-1, list(flow.single)] = True
    lists = [canonical_orders(level.innermost) for level in hierarchy.levels[:-1]]
    lists[-1] = canonical_orders(hierarchy.levels[-2].innermost, flow.classes)
    return space._replace(may=may, unit=unit), padded_orders(lists)
