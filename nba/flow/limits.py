# SPDX-License-Identifier: Apache-2.0
"""The spec's platform and budgets; what of them the platform cannot give."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nba.core.errors import SpecError
from nba.core.figures import megahertz

if TYPE_CHECKING:
    from nba.boards import Platform
    from nba.explore.budgets import Budgets
    from nba.spec import Spec


BOARDS = "boards/platforms"
"""Folder of the package with the boards that have a name."""


def platform_of(spec: Spec) -> Platform:
    """The platform of a spec, at the clock that the spec asks for. Raises SpecError for a file that describes none."""
    from nba.boards import load_board

    try:
        platform = load_board(spec.platform)
    except SpecError as err:
        raise SpecError(f"platform: {str(err).removeprefix('platform: ')}") from None
    wanted = spec.budgets.clock_mhz
    return platform if wanted is None else replace(platform, clock_mhz=wanted)


def budgets_of(spec: Spec) -> Budgets:
    """All hard limits of designs; frames per second and microseconds as cycles of the platform's clock."""
    from nba.explore.budgets import Budgets

    return Budgets.of(spec.budgets, platform_of(spec).clock_mhz)


def has_modes(spec: Spec) -> bool:
    """Whether the hardware switches between bitwidths."""
    return spec.switchable is not None and spec.switchable.hardware_bits is None


def check_limits(spec: Spec) -> None:
    """Raise SpecError for budgets that the platform itself does not have, or that no design can meet, and for weights
    that cannot lie where they are wanted."""
    platform, budgets = platform_of(spec), spec.budgets
    device = (
        ("dsp", budgets.dsp, platform.dsp),
        ("bram", budgets.bram, platform.bram18 / 2),
        ("uram", budgets.uram, platform.uram),
        ("lut", budgets.lut, platform.lut),
    )
    problems = [
        f"budgets.{name}: {wanted:.12g}, but {platform.name} has {there:.12g}; give at most that"
        for name, wanted, there in device
        if wanted is not None and wanted > there
    ]
    family = platform.family.clock
    supported = family.clock_mhz
    if platform.clock_mhz > supported:
        problems.append(
            f"budgets.clock_mhz: {platform.clock_mhz:.12g}, but {megahertz(supported)} are supported on "
            f"{family.family} ({family.note}); give at most that"
        )
    cycles = budgets_of(spec)
    if cycles.interval_cycles == 0:
        problems.append(
            f"budgets.fps: {budgets.fps:.12g}, but {platform.name} has {platform.clock_mhz:g} million cycles a second; "
            "give fewer frames than that"
        )
    if cycles.latency_cycles == 0:
        problems.append(
            f"budgets.latency_us: {budgets.latency_us:.12g}, but a cycle of {platform.name} takes "
            f"{1 / platform.clock_mhz:g} us; give more than that"
        )
    problems += _weight_problems(spec, platform)
    if problems:
        raise SpecError("\n".join(problems))


def _weight_problems(spec: Spec, platform: Platform) -> tuple[str, ...]:
    """Why weights cannot lie where the spec wants them."""
    from nba.explore.mapping import memory_problems, streaming_problems

    found = memory_problems(spec.accelerator, platform)
    if spec.accelerator.weights != "streamed":
        return found
    return (
        *found,
        *streaming_problems(platform, budgets_of(spec), objective=spec.objective, switches=has_modes(spec)),
    )
