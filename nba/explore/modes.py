# SPDX-License-Identifier: Apache-2.0
"""A switchable-precision network as one machine: its bitwidths are the modes of a design (docs/template.md, Modes)."""

from __future__ import annotations

from collections.abc import Callable

from nba.boards import Platform
from nba.core.errors import DesignError, InfeasibleError
from nba.explore.budgets import Budgets
from nba.explore.choose import Mapped, map_packed, useful_packings
from nba.ir.accelerator import Accelerator
from nba.ir.check import check_modes
from nba.ir.design import Cost, Design
from nba.ir.network import MASTER_BITS, Network, Weights, weights_digest
from nba.ir.shared import SharedNetworks
from nba.machine.accelerator_rules import columns_of
from nba.machine.check import check_accelerator, check_design
from nba.machine.program import design_programs
from nba.machine.total import exact_cost
from nba.machine.usage import Objective

_TRIES = 5
"""Times that the widest mode is mapped anew because all modes together exceed a budget."""


def mode_bitwidths(found: SharedNetworks) -> tuple[int, ...]:
    """The bitwidths that can be modes of one machine, in rising order: mode m is number m of them.

    Those of up to 8 bits, which see the master codes; a network of more bits has weights and feature maps of its own.
    Raises DesignError if there are none.
    """
    bits = tuple(b for b in sorted(found.bitwidths) if b <= MASTER_BITS)
    if not bits:
        have = ", ".join(map(str, found.bitwidths))
        raise DesignError(f"bitwidths {have}", [f"none of them is {MASTER_BITS} bits or less, so none can be a mode"])
    return bits


def widest(found: SharedNetworks) -> tuple[Network, Weights]:
    """The network of the widest mode, with the master codes as its weights: the one to map."""
    return found.at(mode_bitwidths(found)[-1])


def narrower(found: SharedNetworks) -> tuple[Network, ...]:
    """The networks of all other modes."""
    return tuple(found.at(bits)[0] for bits in mode_bitwidths(found)[:-1])


# Its arguments are the problem, how hard and from where it is solved, and who is told.
def map_modes(
    found: SharedNetworks,
    platform: Platform,
    budgets: Budgets,
    *,
    objective: Objective = "interval",
    seed: int = 0,
    min_chunks: int = 2,
    max_chunks: int = 4,
    columns: tuple[int, ...] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Mapped:
    """An accelerator for all modes of `found` within `budgets`: mapped for the widest mode, with the largest packing
    from which a layer of any mode gains, or the largest that the budgets allow. The cost is that of the widest mode,
    with what the other modes take of memory and logic.

    The bounds that guide the search do not count the parameters of the other modes. Where all modes together exceed a
    budget, they are mapped again with as much less. Raises InfeasibleError.
    """
    wide, others = widest(found)[0], narrower(found)
    refusals: list[InfeasibleError] = []
    for packing in reversed(useful_packings((wide, *others))):
        if not columns_of(packing, columns):
            continue
        limits = budgets
        for _ in range(_TRIES):
            try:
                mapped = map_packed(
                    wide, packing, platform, limits, objective=objective, seed=seed, modes=others,
                    min_chunks=min_chunks, max_chunks=max_chunks, columns=columns, progress=progress,
                )  # fmt: skip
            except InfeasibleError as error:
                refusals.append(error)
                break
            cost = exact_cost(design_programs(wide, mapped.accelerator, others), platform)
            over = tuple(name for name, excess in budgets.excess_of(cost).items() if excess > 1)
            if not over:
                return mapped
            refusals.append(
                InfeasibleError(
                    f"the bitwidths as modes of one accelerator need {budgets.describe(cost, over)}, which exceeds "
                    f"{', '.join(map(budgets.field, over))}; raise these budgets, or set switchable.hardware_bits to "
                    "one bitwidth"
                )
            )
            limits = limits.but(**{name: _less(name, limits, budgets, mapped.cost, cost) for name in over})
    raise refusals[0]


def _less(name: str, limits: Budgets, budgets: Budgets, alone: Cost, together: Cost) -> float:
    """A limit for the widest mode alone, of which all modes may need no more than `budgets` has: in proportion."""
    before, after = getattr(alone, name, 0), getattr(together, name, 0)
    if name not in ("dsp", "bram", "lut") or not after:
        return float(getattr(limits, name))
    share = min(getattr(limits, name), before) * getattr(budgets, name) / after
    return share if name == "bram" else int(share)


def modes_design(
    found: SharedNetworks,
    accelerator: Accelerator,
    platform: Platform,
    *,
    name: str,
    seed: int,
    versions: tuple[tuple[str, str], ...] = (),
) -> tuple[Design, Weights]:
    """The design that executes every bitwidth of `found` up to 8 bits on `accelerator`, which is mapped for `widest`.

    Its cost is that of the slowest mode, with the memories of all, and so may exceed that of the mapping: each mode has
    biases and multipliers of its own. Raises DesignError, DeadlockError.
    """
    networks, weights = zip(*(found.at(bits) for bits in mode_bitwidths(found)), strict=True)
    problems = check_modes(networks, weights) or check_accelerator(networks[0], accelerator, networks[1:])
    if problems:
        raise DesignError(f"design {name!r}", list(problems))
    everything = tuple(lw for of_mode in weights for lw in of_mode)
    design = Design(
        name=name,
        network=networks[0],
        accelerator=accelerator,
        platform=platform.name,
        clock_mhz=platform.clock_mhz,
        cost=exact_cost(design_programs(networks[0], accelerator, networks[1:]), platform),
        weights_sha256=weights_digest(everything),
        seed=seed,
        versions=versions,
        modes=networks[1:],
    )
    check_design(design, everything, where=f"design {name!r}")
    return design, everything
