# SPDX-License-Identifier: Apache-2.0
"""Predicted cycles as JSON-serialisable values of the shape that simulations report (docs/metrics.md, `cycles`)."""

from __future__ import annotations

from typing import TypedDict

from nba.cost.pipeline import schedule
from nba.ir.network import Network
from nba.ir.program import Program


class JobCycles(TypedDict):
    """First cycle and cycle of the last memory write of a job, frame by frame."""

    chunk: int
    job: int
    layer: int
    name: str
    start: list[int]
    end: list[int]


class Cycles(TypedDict):
    """All cycles of a run of `frames` frames. batch_interval_cycles: between two outputs in the middle of the batch, -1
    for a single frame; nba.cost.settled says whether the batch is long enough for the steady interval."""

    frames: int
    first_output_latency: int
    batch_interval_cycles: int
    jobs: list[JobCycles]


def predicted_cycles(network: Network, program: Program, n_frames: int) -> Cycles:
    """The exact schedule of `n_frames` frames. Raises DeadlockError."""
    exact = schedule(program, n_frames)
    jobs: list[JobCycles] = []
    for k, chunk in enumerate(program.chunks):
        for j, job in enumerate(chunk.jobs):
            jobs.append(
                {
                    "chunk": k,
                    "job": j,
                    "layer": job.layer,
                    "name": network.layers[job.layer].name,
                    "start": exact.job_start[k][j].tolist(),
                    "end": exact.job_end[k][j].tolist(),
                }
            )
    return {
        "frames": n_frames,
        "first_output_latency": int(exact.first_output_latency_cycles),
        "batch_interval_cycles": int(exact.interval_cycles) if n_frames > 1 else -1,
        "jobs": jobs,
    }
