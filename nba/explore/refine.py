# SPDX-License-Identifier: Apache-2.0
"""Local search over engines and partition by all closed forms: any objective, every budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nba.boards import Platform
from nba.explore.budgets import Budgets
from nba.explore.legalise import completed
from nba.explore.options import DRAINS, SIZES, sizes_up_to
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.machine.designs import MIXES, M, N, layer_table
from nba.machine.logic import PlaceLimits
from nba.machine.usage import Objective, Usage, needed, usage, usage_within

BATCH = 64
"""Variations that are evaluated at once."""
_PENALTY = 4.0
"""Power of the budget excess that the objective is multiplied with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Engines:
    """A partition of the layers (owner[i]: chunk of layer i) and an engine (mixes?, pm, pn, pq) for every chunk."""

    packing: int
    pp: int
    owner: tuple[int, ...]
    engines: tuple[tuple[bool, int, int, int], ...]


def engines_of(accelerator: Accelerator) -> Engines:
    """Engines and partition of a complete accelerator, chunks that mix channels first."""
    order = sorted(range(len(accelerator.chunks)), key=lambda k: (not accelerator.chunks[k].mixes, k))
    place = accelerator.place()
    return Engines(
        packing=accelerator.packing,
        pp=accelerator.pp,
        owner=tuple(order.index(place[i]) for i in range(len(place))),
        engines=tuple((c.mixes, c.pm, c.pn, c.pq) for c in (accelerator.chunks[k] for k in order)),
    )


def engines_usage(
    network: Network, platform: Platform, engines: Engines, limits: PlaceLimits, modes: tuple[Network, ...] = (),
    block_luts: int = 0,
) -> Usage:  # fmt: skip
    """Closed forms of one design, with rings of a map and its multipliers placed by `limits`. block_luts: the LUTs that
    a block RAM is worth (nba.ir.accelerator.Accelerator)."""
    layers = layer_table(network, engines.packing, modes)
    mixes, sizes = [e[0] for e in engines.engines], np.array([e[1:] for e in engines.engines], np.int64)
    designs = completed(
        layers, pp=np.array([engines.pp]), mixes=np.array([mixes], np.int64), pm=sizes[None, :, 0].copy(),
        pn=sizes[None, :, 1].copy(), pq=sizes[None, :, 2].copy(), chunk=np.array([engines.owner], np.int64),
    )  # fmt: skip
    return usage(layers, designs, platform, frozenset({"lut"}), limits, block_luts)


def refine(
    network: Network, platform: Platform, budgets: Budgets, objective: Objective, start: Engines, steps: int,
    rng: np.random.Generator, every_pp: tuple[int, ...], modes: tuple[Network, ...] = (),
) -> Engines:  # fmt: skip
    """The best of `steps` batches of variations, each of the best so far, by objective and budget excess.
    every_pp: the values of pp among them."""
    layers = layer_table(network, start.packing, modes)
    needs = needed(objective) | budgets.needs()
    mixes = np.array([e[0] for e in start.engines], np.int64)
    wanted = np.array([layer.operator.mixes for layer in network.layers])
    menus = tuple(_menu(layers, mixing) for mixing, *_ in start.engines)

    def score(pp: np.ndarray, sizes: np.ndarray, owner: np.ndarray) -> np.ndarray:
        """[B] of pp [B], sizes [B, K, 3], owner [B, L]; drains are made legal in `sizes`."""
        designs = completed(
            layers, pp=pp, mixes=np.broadcast_to(mixes, sizes.shape[:2]), pm=sizes[:, :, 0], pn=sizes[:, :, 1],
            pq=sizes[:, :, 2], chunk=owner,
        )  # fmt: skip
        sizes[:, :, 2] = designs.pq
        used = usage_within(layers, designs, platform, budgets.bram18, needs, budgets.limits)
        over = np.log(np.maximum(budgets.excess(used), 1.0)).sum(1)
        return np.asarray(np.log(used.cost(objective)) + np.where(over > 0, 0.5 + _PENALTY * over, 0.0))

    pp = np.array([start.pp], np.int64)
    sizes = np.array([[e[1:] for e in start.engines]], np.int64)
    owner = np.array([start.owner], np.int64)
    best = float(score(pp, sizes, owner)[0])
    for _ in range(steps):
        trials = _vary(pp[0], every_pp, sizes[0], owner[0], mixes, wanted, menus, rng)
        found = score(*trials)
        b = int(found.argmin())
        if found[b] < best:
            best = float(found[b])
            pp, sizes, owner = (array[b : b + 1].copy() for array in trials)
    return Engines(
        packing=start.packing,
        pp=int(pp[0]),
        owner=tuple(owner[0].tolist()),
        engines=tuple((bool(d), int(pm), int(pn), int(pq)) for d, (pm, pn, pq) in zip(mixes, sizes[0], strict=True)),
    )


Menu = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""Values of pm, pn and pq that are tried for a chunk."""


def _menu(layers: np.ndarray, mixes: bool) -> Menu:
    """No size is tried that no layer of the chunk's kind could fill."""
    mine = layers[layers[:, MIXES] == mixes]
    return sizes_up_to(int(mine[:, M].max()), SIZES), sizes_up_to(int(mine[:, N].max()), SIZES), DRAINS


def _vary(
    pp: int, every_pp: tuple[int, ...], sizes: np.ndarray, owner: np.ndarray, mixes: np.ndarray, wanted: np.ndarray,
    menus: tuple[Menu, ...], rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """BATCH variations: one to three changes each, of an engine's size, of a layer's chunk, or of the columns."""
    columns = np.full(BATCH, pp, np.int64)
    engines = np.repeat(sizes[None], BATCH, axis=0)
    owners = np.repeat(owner[None], BATCH, axis=0)
    n_chunks = len(sizes)
    for b in range(BATCH):
        for _ in range(int(rng.integers(1, 4))):
            kind = rng.random()
            k = int(rng.integers(n_chunks))
            if kind < 0.1:
                columns[b] = every_pp[int(rng.integers(len(every_pp)))]
            elif kind < 0.3:
                i = int(rng.integers(len(owner)))
                alone = int((owners[b] == owners[b, i]).sum()) == 1
                if bool(mixes[k]) == bool(wanted[i]) and not alone:
                    owners[b, i] = k
            else:
                which = int(rng.integers(3))
                if which == 1 and not mixes[k]:
                    which = 0
                options = menus[k][which]
                here = int(np.searchsorted(options, engines[b, k, which]))
                there = here + int(rng.integers(-2, 3))
                engines[b, k, which] = options[min(max(there, 0), len(options) - 1)]
    return columns, engines, owners
