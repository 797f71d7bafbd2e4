# SPDX-License-Identifier: Apache-2.0
"""The cost of a design: what design.json holds, what is compared with simulation and synthesis."""

from __future__ import annotations

from math import ceil

from nba.boards import Platform
from nba.ir.design import Cost
from nba.machine.energy import energy_pj, power_w
from nba.machine.logic import logic
from nba.machine.program import Program
from nba.machine.resources import predict
from nba.machine.schedule import schedule
from nba.machine.steady import steady_interval


def exact_cost(programs: tuple[Program, ...], platform: Platform) -> Cost:
    """The cost of a design whose modes have `programs`, which is that of its slowest mode. Raises DeadlockError."""
    return mode_cost(programs[slowest_mode(programs)], platform)


def slowest_mode(programs: tuple[Program, ...]) -> int:
    """The number of the mode with the longest interval, the first of these: what is said of a design of several modes
    is said of it. Raises DeadlockError."""
    return max(range(len(programs)), key=lambda mode: steady_interval(programs[mode]))


def mode_cost(program: Program, platform: Platform) -> Cost:
    """Latency by the schedule of one frame that others follow, interval rounded up from the exact rate, and `cost_at`
    that speed. Raises DeadlockError."""
    frames = max(chunk.last_stage for chunk in program.chunks) + len(program.chunks) + 2
    latency = int(schedule(program, frames).first_output_latency_cycles)
    return cost_at(program, platform, interval_cycles=ceil(steady_interval(program)), latency_cycles=latency)


def cost_at(program: Program, platform: Platform, *, interval_cycles: int, latency_cycles: int) -> Cost:
    """The cost of a design of known speed: DSP, block RAM and UltraRAM exactly, LUTs and flip-flops by the calibrated
    estimate, energy by exact counts of events and the platform's table."""
    resources = predict(program, platform)
    lut, ff = logic(program, platform)
    energy = energy_pj(program, platform)
    return Cost(
        first_output_latency_cycles=latency_cycles,
        interval_cycles=interval_cycles,
        dsp=resources.dsp,
        bram=resources.bram,
        lut=lut,
        ff=ff,
        energy_pj=energy,
        power_w=power_w(energy, interval_cycles, platform),
        uram=resources.uram,
    )
