# SPDX-License-Identifier: Apache-2.0
"""The one place that decides which mapper maps a network: that of designs with all weights on chip (nba.explore.choose)
or that of designs that stream weights from the board's external memory (nba.explore.streaming)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil

from nba.boards import Platform
from nba.core.errors import InfeasibleError, SpecError
from nba.core.figures import megahertz
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, Mapped, map_certified
from nba.explore.config import WeightSource
from nba.explore.streaming import StreamEffort, bytes_per_cycle, map_streamed, streaming_memory
from nba.ir.accelerator import Accelerator
from nba.ir.network import Network
from nba.machine.accelerator_rules import BUS_BITS
from nba.machine.resources import searched_exactly
from nba.machine.usage import Objective

UNSEARCHED = ("latency_cycles", "power_w")
"""Budgets that `map_streamed` does not search by."""
ANYWHERE = WeightSource()
"""On chip, or streamed where that is not possible."""


def memory_problems(source: WeightSource, platform: Platform) -> tuple[str, ...]:
    """What the external memory of `platform` cannot give of what `source` wants of it; nothing where weights are on
    chip anyway."""
    memory, least = platform.memory, BUS_BITS[0] // 8
    if memory is None or source.weights == "on_chip" or not _has_memory(platform):
        return ()
    if source.memory_ports > memory.ports:
        return (
            f"accelerator.memory_ports: {source.memory_ports}, but the external memory of {platform.name} has "
            f"{memory.ports}; give at most that",
        )
    if streaming_memory(platform, source.memory_share, source.memory_ports) is not None:
        return ()
    there = bytes_per_cycle(platform, source.memory_ports)
    moved = f"{float(there):.4g} bytes per cycle (at {megahertz(platform.clock_mhz)})"
    if there < least:
        return (
            f"accelerator.memory_ports: {source.memory_ports}, which on {platform.name} move {moved}, but a design "
            f"reads at least {least}; give at least {ceil(least / bytes_per_cycle(platform, 1))}",
        )
    return (
        f"accelerator.memory_share: {source.memory_share:g} of the {moved} of {platform.name}, but a design reads at "
        f"least {least}; give at least {ceil(10_000 * least / there) / 10_000:g}",
    )


def _has_memory(platform: Platform) -> bool:
    """Whether the board has external memory that all its ports together make wide enough."""
    memory = platform.memory
    return memory is not None and streaming_memory(platform, ports=memory.ports) is not None


def streaming_problems(
    platform: Platform, budgets: Budgets, *, objective: Objective = "interval", switches: bool = False
) -> tuple[str, ...]:  # fmt: skip
    """Why no design on `platform` can stream its weights, whatever the network; empty if one can. switches: the
    hardware executes several bitwidths as modes."""
    found = []
    if not _has_memory(platform):
        found.append(
            f"{platform.name} has no external memory of {BUS_BITS[0] // 8} bytes per cycle or more; legal: a board "
            "that has one (section `memory` of a board file, docs/boards.md)"
        )
    if switches:
        found.append(
            "the hardware switches between bitwidths, and the weights of several modes stay on chip; legal: one "
            "bitwidth in switchable.hardware_bits"
        )
    if objective != "interval":
        found.append(f"objective is {objective}, and its mapper minimises the interval; legal: objective: interval")
    found += [
        f"its mapper does not search by {budgets.field(name)}; legal: budgets without it"
        for name in UNSEARCHED
        if name in budgets.names()
    ]
    return tuple(f"accelerator.weights: streamed, but {text}, or weights: on_chip" for text in found)


def rounds_weights(network: Network) -> bool:
    """Whether multipliers see fewer bits of some weights than are stored, which a store of streamed weights cannot."""
    return any(
        layer.operator.stores_weights and layer.weight_bits < layer.weight_store_bits for layer in network.layers
    )


# Its arguments are the problem, how hard and from where it is solved, and who is told.
def map_weights(
    network: Network,
    platform: Platform,
    budgets: Budgets,
    *,
    source: WeightSource = ANYWHERE,
    objective: Objective = "interval",
    seed: int = 0,
    start: Accelerator | None = None,
    min_chunks: int = 2,
    max_chunks: int = 4,
    columns: tuple[int, ...] | None = None,
    effort: Effort | None = None,
    stream_effort: StreamEffort | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Mapped:
    """A legal, deadlock-free accelerator for `network` within `budgets` whose weights lie where `source` says, its
    exact cost, and what is proved of it: the result of `map_certified`, or of `map_streamed` where `source` asks for
    streamed weights, or leaves it open and the former finds nothing.

    start, min_chunks, max_chunks, columns, effort: of `map_certified`. stream_effort: of `map_streamed`. None is the
    default effort. Without a budget of LUTs, those of the device limit a design that streams.
    `progress(done, total, note)` is called now and then. The same arguments give the same result.

    Raises SpecError if weights cannot be streamed and `source` asks for that; InfeasibleError, naming the budget that
    cannot be met and the closest design found, of both mappers where both were asked.
    """
    wrong = memory_problems(source, platform)
    cannot = streaming_problems(platform, budgets, objective=objective)
    if rounds_weights(network):
        cannot = (
            *cannot,
            f"accelerator.weights: streamed, but network {network.name!r} has weights of which multipliers see fewer "
            "bits than are stored; legal: weights stored with the bits that are used, or weights: on_chip",
        )
    if wrong or (cannot and source.weights == "streamed"):
        raise SpecError("\n".join((*wrong, *(cannot if source.weights == "streamed" else ()))))

    def streamed() -> Mapped:
        memory = streaming_memory(platform, source.memory_share, source.memory_ports)
        # Its multipliers may be of LUTs whether or not these have a budget: all of the device are the limit then.
        limits = budgets if budgets.lut is not None else budgets.but(lut=platform.lut)
        return map_streamed(
            network, platform, limits, memory=memory, seed=seed, effort=stream_effort or StreamEffort(),
            progress=progress,
        )  # fmt: skip

    if source.weights == "streamed":
        return streamed()
    # Engines that stream are no beginning for designs that do not.
    begin = None if start is None or start.memory is not None else start
    try:
        found = map_certified(
            network, platform, budgets, objective=objective, seed=seed, start=begin, min_chunks=min_chunks,
            max_chunks=max_chunks, columns=columns, effort=effort or Effort(), progress=progress,
        )  # fmt: skip
    except InfeasibleError as on_chip:
        if source.weights == "on_chip" or cannot:
            raise
        try:
            return streamed()
        except InfeasibleError as outside:
            raise InfeasibleError(f"with all weights on chip: {on_chip}\nwith streamed weights: {outside}") from None
    return found if searched_exactly(network, platform) else replace(found, certificate=None)
