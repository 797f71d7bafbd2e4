# SPDX-License-Identifier: Apache-2.0
"""Engines no larger than their work: whatever can be made smaller at no cost, is.

A search compares designs by the objective, under limits that are met or not; what a design has beyond its needs makes
no difference there. Here every dimension (columns, lanes, drains, output stream) is lowered as long as the exact value
of the objective does not get worse and no resource grows, until nothing can be lowered any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from nba.boards import Platform
from nba.core.errors import DeadlockError
from nba.explore.budgets import Budgets
from nba.explore.finalise import Candidate, judged
from nba.explore.legalise import make_legal
from nba.explore.rings import speed
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.machine.accelerator_rules import PARALLEL_COLUMNS
from nba.machine.check import check_accelerator
from nba.machine.designs import Designs, designs_of, layer_table
from nba.machine.logic import PlaceLimits
from nba.machine.usage import Objective, usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Columns, lanes of the output stream, and (pm, pn, pq) of every chunk."""

    pp: int
    out_lanes: int
    engines: tuple[tuple[int, int, int], ...]

    def of(self, accelerator: Accelerator) -> Accelerator:
        """`accelerator` with these sizes, everything else kept."""
        chunks = tuple(
            replace(c, pm=pm, pn=pn, pq=pq) for c, (pm, pn, pq) in zip(accelerator.chunks, self.engines, strict=True)
        )
        return replace(accelerator, pp=self.pp, out_lanes=self.out_lanes, chunks=chunks)


def sizes_of(accelerator: Accelerator) -> Sizes:
    """The sizes of an accelerator."""
    return Sizes(
        pp=accelerator.pp, out_lanes=accelerator.out_lanes,
        engines=tuple((c.pm, c.pn, c.pq) for c in accelerator.chunks),
    )  # fmt: skip


def lower_sizes(accelerator: Accelerator, every_pp: tuple[int, ...]) -> Iterator[Sizes]:
    """Every way to lower one dimension, drains not yet legal."""
    now = sizes_of(accelerator)
    yield from (replace(now, pp=pp) for pp in every_pp if pp < now.pp)
    place = accelerator.place()
    drain = accelerator.chunks[place[max(place)]].pq
    yield from (replace(now, out_lanes=n) for n in range(drain, now.out_lanes, drain))
    for k, engine in enumerate(now.engines):
        for which in range(3):
            for value in range(1, engine[which]):
                pm, pn, pq = (value if i == which else size for i, size in enumerate(engine))
                yield replace(now, engines=(*now.engines[:k], (pm, pn, pq), *now.engines[k + 1 :]))


def _designs(layers: np.ndarray, base: Designs, trials: list[Sizes]) -> Designs:
    """Designs that differ from `base` [1] in their sizes, with legal drains."""
    repeated = base.at(np.zeros(len(trials), np.int64))
    engines = np.array([t.engines for t in trials], np.int64)
    pm, pn, pq = (np.ascontiguousarray(engines[:, :, i]) for i in range(3))
    pp, out_lanes = np.array([t.pp for t in trials]), np.array([t.out_lanes for t in trials])
    found = replace(repeated, pp=pp, out_lanes=out_lanes, pm=pm, pn=pn, pq=pq)
    make_legal(layers, found.in_lanes, found.mixes, found.pm, found.pn, found.pq, found.chunk)
    return found


def trim(
    network: Network, start: Candidate, platform: Platform, budgets: Budgets, objective: Objective,
    modes: tuple[Network, ...] = (), every_pp: tuple[int, ...] = PARALLEL_COLUMNS,
) -> Candidate:  # fmt: skip
    """`start` with the smallest dimensions that cost nothing, by steps that save the most LUTs, then energy.

    Program order, stages and rings stay. The value of `objective` is no worse than that of `start`, no resource is
    larger, and no further budget is exceeded; no single dimension can be lowered on these terms. every_pp: the values
    of pp that are tried.
    """
    layers = layer_table(network, start.accelerator.packing, modes)
    now, improved = start, True
    refused: set[Sizes] = set()
    while improved:
        improved = False
        limits = None if budgets.limits is None else (now.dsp, now.cost.lut)
        for accelerator in _promising(network, layers, now, platform, objective, limits, every_pp):
            sizes = sizes_of(accelerator)
            if sizes in refused:
                continue
            found = _no_worse(network, accelerator, now, platform, budgets, objective, modes, limits)
            if found is None:
                refused.add(sizes)
                continue
            now, improved = found, True
            break
    return now


def _promising(
    network: Network, layers: np.ndarray, now: Candidate, platform: Platform, objective: Objective,
    limits: PlaceLimits | None, every_pp: tuple[int, ...],
) -> Iterator[Accelerator]:  # fmt: skip
    """Accelerators with one dimension lowered that the closed forms do not exclude, the one of fewest LUTs first."""
    trials = list(lower_sizes(now.accelerator, every_pp))
    if not trials:
        return
    designs = _designs(layers, designs_of(network, [now.accelerator]), trials)
    used = usage(
        layers, designs, platform, frozenset({"lut", "energy"}), limits, now.accelerator.block_luts
    )  # fmt: skip
    assert used.lut is not None
    assert used.energy_pj is not None
    value = now.value(objective)
    able = (used.cost(objective) <= value) & (used.dsp <= now.dsp) & (used.bram18 <= now.bram18)
    able &= used.lut <= now.cost.lut
    for b in np.lexsort((used.energy_pj, used.lut)):
        if able[b]:
            drains = designs.pq[b].tolist()
            engines = tuple((pm, pn, pq) for (pm, pn, _), pq in zip(trials[b].engines, drains, strict=True))
            yield replace(trials[b], engines=engines).of(now.accelerator)


def _no_worse(
    network: Network, accelerator: Accelerator, now: Candidate, platform: Platform, budgets: Budgets,
    objective: Objective, modes: tuple[Network, ...], limits: PlaceLimits | None,
) -> Candidate | None:  # fmt: skip
    """`accelerator` with its exact cost, if it is legal and as good as `now`."""
    if check_accelerator(network, accelerator, modes):
        return None
    try:
        found = judged(network, accelerator, speed(network, accelerator), platform, modes, limits)
    except DeadlockError:
        return None
    one, two = found.cost, now.cost
    fewer = one.dsp <= two.dsp and one.bram <= two.bram and one.lut <= two.lut and one.ff <= two.ff
    as_good = found.value(objective) <= now.value(objective) and found.excess(budgets) <= now.excess(budgets)
    return found if fewer and as_good else None
