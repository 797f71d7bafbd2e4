# SPDX-License-Identifier: Apache-2.0
"""The exact cost of a design: what design.json holds, what is compared with simulation and synthesis."""

from __future__ import annotations

from math import ceil

from nba.cost.pipeline import schedule
from nba.cost.resources import predict
from nba.cost.steady import steady_interval
from nba.ir.design import Cost
from nba.ir.program import Program
from nba.platform import Platform


def exact_cost(program: Program, platform: Platform) -> Cost:
    """Latency by the schedule of one frame that others follow, interval rounded up from the exact rate, DSP, block RAM.

    Raises DeadlockError.
    """
    frames = max(job.stage for chunk in program.chunks for job in chunk.jobs) + len(program.chunks) + 2
    resources = predict(program, platform)
    return Cost(
        first_output_latency_cycles=int(schedule(program, frames).first_output_latency_cycles),
        interval_cycles=ceil(steady_interval(program)),
        dsp=resources.dsp,
        bram=resources.bram,
    )
