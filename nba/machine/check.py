# SPDX-License-Identifier: Apache-2.0
"""Legality: all problems of a network, its weights and an accelerator are collected before any is reported.

The rules stand in tables (nba.ir.network_rules, nba.machine.accelerator_rules). A rule yields one line per problem:
what it is about (layer, tensor, chunk, ring by number and name), the value, what is legal.
"""

from __future__ import annotations

from dataclasses import fields

from nba.boards.table import board_problems, get
from nba.core.errors import DesignError
from nba.ir.accelerator import Accelerator
from nba.ir.check import check_modes, check_network, check_weights
from nba.ir.design import Cost, Design
from nba.ir.network import Network, Weights
from nba.ir.network_rules import MAX_NAME
from nba.ir.rules import apply_rules
from nba.machine.accelerator_rules import ACCELERATOR_RULES, MappedNetwork
from nba.machine.program import lower
from nba.machine.resources import predict

MIN_CLOCK_MHZ, MAX_CLOCK_MHZ = 1e-3, 1e3
"""The period stands in scripts of synthesis, in nanoseconds with three decimals. No global clock of a device here is
faster than 1 GHz, which is also the fastest that a board file may have."""
MAX_VERSIONS = 64
MAX_COUNT = (1 << 63) - 1
"""Largest cycle count, and largest count of a resource, that a design may promise."""
MAX_REAL = 1e30
"""Largest energy [pJ] and power [W] that it may promise."""


def check_accelerator(network: Network, accelerator: Accelerator, modes: tuple[Network, ...] = ()) -> tuple[str, ...]:
    """Everything that makes `accelerator` unable to execute `network` and its further `modes`, legal themselves.

    Deadlock is not looked for here: nba.machine.schedule.schedule decides it.
    """
    mapped = MappedNetwork(network=network, accelerator=accelerator, modes=modes)
    return tuple(line for _, line in apply_rules(ACCELERATOR_RULES, mapped))


def check_design(design: Design, weights: Weights, where: str) -> None:
    """Check `design` with its `weights`. Raises DesignError, which begins with `where`, with all problems found."""
    problems = [*check_network(design.network)]
    if not problems and design.modes:
        own = tuple(design.mode(m, weights)[1] for m in range(len(design.networks)))
        problems += check_modes(design.networks, own)
        problems += () if problems else check_accelerator(design.network, design.accelerator, design.modes)
    elif not problems:
        problems += check_weights(design.network, weights)
        problems += check_accelerator(design.network, design.accelerator)
    if not MIN_CLOCK_MHZ <= design.clock_mhz <= MAX_CLOCK_MHZ:
        problems.append(f"clock_mhz is {design.clock_mhz}; legal: {MIN_CLOCK_MHZ:g}..{MAX_CLOCK_MHZ:g}")
    if not 0 <= design.seed < 1 << 31:
        problems.append(f"seed is {design.seed}; legal: 0..2147483647")
    if not 1 <= len(design.name) <= MAX_NAME:
        problems.append(f"name has {len(design.name)} characters; legal: 1..{MAX_NAME}")
    if len(design.versions) > MAX_VERSIONS:
        problems.append(f"versions: {len(design.versions)} entries; legal: at most {MAX_VERSIONS}")
    problems.extend(check_cost(design.cost))
    if design.board is not None:
        problems.extend(f"board.{problem}" for problem in board_problems(design.board))
        if design.board.name != design.platform:
            problems.append(f"board.name is {design.board.name!r}, but platform is {design.platform!r}")
    if not problems and design.accelerator.ultra:
        problems.extend(_ultra_problems(design))
    if problems:
        raise DesignError(where, problems)


def _ultra_problems(design: Design) -> list[str]:
    """Why the platform of a design that is legal else has not the UltraRAM that it wants."""
    platform = get(design.platform, design.board)
    wanted = f"accelerator: ultra names {len(design.accelerator.ultra)} memories"
    if not platform.family.uram:
        return [f"{wanted}, but devices of {platform.family.title} ({platform.name}) have no UltraRAM; legal: none"]
    taken = predict(lower(design.network, design.accelerator, design.modes), platform).uram
    if taken > platform.uram:
        return [f"{wanted}, which take {taken} blocks of UltraRAM; legal: up to the {platform.uram} of {platform.name}"]
    return []


def check_cost(cost: Cost) -> list[str]:
    """What no cost can be, one line each: fields that are negative, not finite or beyond what is counted."""
    problems = []
    for field in fields(cost):
        value, high = getattr(cost, field.name), MAX_COUNT if field.type == "int" else MAX_REAL
        if not 0 <= value <= high:
            problems.append(f"cost.{field.name} is {value}; legal: 0..{high:g}")
    return problems
