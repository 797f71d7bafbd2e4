# SPDX-License-Identifier: Apache-2.0
"""Neighbours of a complete plan: what the annealing by exact rates varies (nba.explore.streaming)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nba.explore.stream_plan import Costs, StreamPlan, in_parts, menu_of, seams, takes
from nba.explore.stream_start import changed_start

STEPS = (-16, -8, -4, -2, -1, 1, 2, 4, 8, 16)
"""Changes of a slack, in parts of a row."""
APARTS = (None, 0, 1, 2, 4, 8, 16)
"""Thousandths of a frame for which shared memory is empty between two rings; None: no memory is shared."""
MOST_SLOTS = 4
MOST_SPARE = 8
"""Slices that a chunk has room for, and spare rows of a ring, at most."""


def changed_plan(costs: Costs, plan: StreamPlan, critical: Sequence[int], rng: np.random.Generator) -> StreamPlan:
    """A neighbour of `plan`. critical: the layers whose rows set its interval, which are varied first."""
    draw = rng.random()
    if draw < 0.12:
        return with_pieces(costs, changed_start(plan, costs.network, rng), plan)
    if draw < 0.16:
        return replace(plan, pace=max(1, int(plan.pace * (1 + rng.choice((-0.04, -0.02, -0.01, 0.01, 0.02, 0.04))))))
    if draw < 0.19:
        return _all_slacks(plan, rng)
    if draw < 0.2:
        return replace(plan, apart=APARTS[int(rng.integers(len(APARTS)))])
    if draw < 0.205 and plan.windows:
        return with_pieces(costs, replace(plan, all_streamed=not plan.all_streamed), plan)
    if draw < 0.21 and plan.windows:
        return _windows(costs, plan, rng)
    if draw < 0.22:
        return replace(plan, slots=int(np.clip(plan.slots + rng.choice((-1, 1)), 2, MOST_SLOTS)))
    if draw < 0.25:
        return _pieces(costs, plan, rng)
    if draw < 0.4:
        return _spare(costs, plan, critical, rng)
    for _ in range(int(rng.choice((1, 1, 2, 3)))):
        plan = _slack(costs, plan, critical, rng)
    return plan


def _windows(costs: Costs, plan: StreamPlan, rng: np.random.Generator) -> StreamPlan:
    """A window that begins elsewhere, one more, or one less."""
    free = [i for i in seams(costs.network) if i < plan.cut and i not in plan.windows]
    windows = list(plan.windows)
    draw = rng.random()
    if draw < 0.75:
        del windows[int(rng.integers(len(windows)))]
    if draw > 0.25 and free:
        windows.append(free[int(rng.integers(len(free)))])
    return replace(plan, windows=tuple(sorted(windows)))


def _layer(plan: StreamPlan, critical: Sequence[int], rng: np.random.Generator) -> int:
    """A layer, more often one that matters."""
    if len(critical) and rng.random() < 0.6:
        return int(critical[int(rng.integers(len(critical)))])
    return int(rng.integers(len(plan.owner)))


def _slack(costs: Costs, plan: StreamPlan, critical: Sequence[int], rng: np.random.Generator) -> StreamPlan:
    i = _layer(plan, critical, rng)
    slack = list(plan.slack)
    slack[i] = max(0, slack[i] + int(rng.choice(STEPS)))
    return replace(plan, slack=tuple(slack))


def _all_slacks(plan: StreamPlan, rng: np.random.Generator) -> StreamPlan:
    """All slacks of one side of the cut a little more or less."""
    late, step = rng.random() < 0.5, int(rng.choice((-1, 1)))
    slack = tuple(max(0, s + step * ((i >= plan.cut) == late)) for i, s in enumerate(plan.slack))
    return replace(plan, slack=slack)


def _spare(costs: Costs, plan: StreamPlan, critical: Sequence[int], rng: np.random.Generator) -> StreamPlan:
    """A ring with a row more or less than it has to have."""
    i, spare = _layer(plan, critical, rng), dict(plan.spare)
    places = [n for n, (tensor, consumer, _) in enumerate(costs.uses) if consumer == i or tensor == i + 1]
    place = places[int(rng.integers(len(places)))]
    if spare and rng.random() < 0.4:
        place = list(spare)[int(rng.integers(len(spare)))]
    spare[place] = int(np.clip(spare.get(place, 0) + rng.choice((-2, -1, -1, 1, 1, 2)), 0, MOST_SPARE))
    return replace(plan, spare=tuple(sorted((n, rows) for n, rows in spare.items() if rows)))


def _pieces(costs: Costs, plan: StreamPlan, rng: np.random.Generator) -> StreamPlan:
    """A layer that is computed in more or fewer slices."""
    sliced = [i for i, pieces in enumerate(plan.pieces) if pieces and costs.network.layers[i].operator.mixes]
    if not sliced:
        return plan
    i = sliced[int(rng.integers(len(sliced)))]
    menu = menu_of(costs, plan, i)
    at = menu.index(plan.pieces[i]) if plan.pieces[i] in menu else len(menu) - 1
    pieces = list(plan.pieces)
    pieces[i] = menu[int(np.clip(at + rng.choice((-1, 1)), 0, len(menu) - 1))]
    return in_parts(costs, replace(plan, pieces=tuple(pieces)))


def with_pieces(costs: Costs, plan: StreamPlan, before: StreamPlan) -> StreamPlan:
    """`plan`, a neighbour of `before`, with slices that are legal on its engines: the finest, or as many as before."""
    pieces = list(plan.pieces)
    for i, k in enumerate(plan.owner):
        if not costs.streams(i, plan.cut, plan.all_streamed):
            pieces[i] = 0  # perhaps those of its producer (in_parts)
            continue
        menu = menu_of(costs, plan, i)
        coarse = before.pieces[i] and before.owner[i] == k and before.engines[k] == plan.engines[k]
        pieces[i] = before.pieces[i] if coarse and before.pieces[i] in menu else menu[-1] if menu else 1
    return in_parts(costs, replace(plan, pieces=tuple(pieces)))


def legal_pieces(costs: Costs, plan: StreamPlan) -> bool:
    """Whether the slices of a plan fit its engines and the words of their readers."""
    layers = costs.network.layers
    return all(
        pieces in menu_of(costs, plan, i)
        and (pieces == 1 or layers[i].operator.mixes or takes(costs, plan, i, plan.pieces[layers[i].input - 1]))
        for i, pieces in enumerate(plan.pieces)
        if pieces
    )
