# SPDX-License-Identifier: Apache-2.0
"""A switchable-precision network as one machine: its bitwidths are the modes of a design (docs/template.md, Modes)."""

from __future__ import annotations

from nba.boards import Platform
from nba.core.errors import DesignError
from nba.ir.accelerator import Accelerator
from nba.ir.check import check_modes
from nba.ir.design import Design
from nba.ir.network import MASTER_BITS, Network, Weights, weights_digest
from nba.ir.shared import SharedNetworks
from nba.machine.check import check_accelerator, check_design
from nba.machine.program import design_programs
from nba.machine.total import exact_cost


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
