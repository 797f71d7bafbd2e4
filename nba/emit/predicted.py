# SPDX-License-Identifier: Apache-2.0
"""Predicted cycles as JSON-serialisable values of the shape that simulations report (docs/metrics.md, `cycles`), and
the tables from which a bundle computes those of any other batch (sim/recurrence.py in it, nba.machine.recurrence
here)."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import TypedDict

from nba.ir.network import Network
from nba.machine import recurrence
from nba.machine.program import Program
from nba.machine.schedule import last_beat, schedule, tables


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
    for a single frame; nba.machine.settled says whether the batch is long enough for the steady interval. `batch` is
    what the register CYCLES holds once the batch is done. outputs: when the last beat of every frame is handed over."""

    frames: int
    first_output_latency: int
    batch_interval_cycles: int
    batch: int
    outputs: list[int]
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
        "batch": int(exact.batch_cycles),
        "outputs": exact.output_cycle.tolist(),
        "jobs": jobs,
    }


class ScheduleTables(TypedDict):
    """sim/schedule.json of a bundle: what the recurrence needs (nba.machine.schedule.Tables), and the cycles from the
    start of a row of the output stream to the hand-over of its last beat."""

    jobs: list[list[int]]
    turns: list[list[int]]
    agents: list[list[int]]
    dests: list[int]
    ring_rows: list[int]
    ring_height: list[int]
    shares: list[list[int]]
    fetches: list[list[int]]
    reader: list[int]
    last_beat: int


def recurrence_tables(program: Program) -> ScheduleTables:
    """The tables of `program` as lists."""
    flat = tables(program)
    return {
        "jobs": flat.jobs.tolist(),
        "turns": flat.turns.tolist(),
        "agents": flat.agents.tolist(),
        "dests": flat.dests.tolist(),
        "ring_rows": flat.ring_rows.tolist(),
        "ring_height": flat.ring_height.tolist(),
        "shares": flat.shares.tolist(),
        "fetches": flat.fetches.tolist(),
        "reader": flat.reader.tolist(),
        "last_beat": last_beat(program),
    }


def recurrence_source() -> str:
    """Text of sim/recurrence.py of a bundle."""
    return Path(recurrence.__file__).read_text(encoding="utf-8")
