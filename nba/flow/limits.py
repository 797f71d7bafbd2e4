# SPDX-License-Identifier: Apache-2.0
"""The spec's budgets for its platform; what of them the platform cannot give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nba.core.errors import SpecError

if TYPE_CHECKING:
    from nba.explore.budgets import Budgets
    from nba.spec import Spec


def budgets_of(spec: Spec) -> Budgets:
    """All hard limits of designs; frames per second and microseconds as cycles of the platform's clock."""
    from nba.boards import get
    from nba.explore.budgets import Budgets

    return Budgets.of(spec.budgets, get(spec.platform).clock_mhz)


def check_limits(spec: Spec) -> None:
    """Raise SpecError for budgets that the platform itself does not have, or that no design can meet."""
    from nba.boards import get

    platform, budgets = get(spec.platform), spec.budgets
    device = (
        ("dsp", budgets.dsp, platform.dsp),
        ("bram", budgets.bram, platform.bram18 / 2),
        ("lut", budgets.lut, platform.lut),
    )
    problems = [
        f"budgets.{name}: {wanted:.12g}, but {platform.name} has {there:.12g}; give at most that"
        for name, wanted, there in device
        if wanted is not None and wanted > there
    ]
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
    if problems:
        raise SpecError("\n".join(problems))
