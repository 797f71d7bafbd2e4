# SPDX-License-Identifier: Apache-2.0
"""Where the cycles of a steady frame go: an exact account per job whose parts add up to the interval of its chunk.

The time of a job is what lies between the end of what its chunk computed before it and the end of its own last row;
with row programs, of all its turns. It splits into

    fetches + waits (input, residual, output ring) + rows * row_cycles

and the engine's time into full use of all multipliers, lanes and columns that stay empty because sizes do not divide,
cycles in which the drain holds up the next group (D > R), and the padding of rows shorter than two cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from nba.ir.accelerator import Job
from nba.ir.design import Design
from nba.machine.closed_form import speed_bounds
from nba.machine.designs import designs_of, layer_table
from nba.machine.program import JobProgram, Program
from nba.machine.schedule import WAIT_REASONS
from nba.machine.timing import OVERHEAD_CYCLES, work_cycles
from nba.report.steady import SteadyFrames

WORK = "work"
CAUSES: dict[str, str] = {
    WORK: "full utilisation",
    "columns": "empty columns",
    "outputs": "empty output lanes",
    "inputs": "empty input lanes",
    "drain": "drain",
    "short": "short rows",
    "fetch": "fetch",
    **{f"wait_{reason}": f"wait: {reason}" for reason in WAIT_REASONS},
}
"""Parts of the time of a job, in the order of the account, and how the page calls them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobAccount:
    """One job in a steady frame. start, end: cycles since the frame's first input row began. steps: cycles in which the
    engine works on its products. engine: cycles of its rows. parts: cycles by cause, of sum `total`; averages over the
    period."""

    chunk: int
    job: int
    layer: int
    start: int
    end: int
    products: int
    steps: int
    engine: int
    total: Fraction
    parts: dict[str, Fraction]

    @property
    def utilisation(self) -> Fraction:
        """Share of the chunk's multipliers that is busy while the job's rows run."""
        return self.parts[WORK] / self.engine

    @property
    def losses(self) -> list[tuple[str, Fraction]]:
        """(cause, cycles) of everything but work, the largest first."""
        found = [(cause, cycles) for cause, cycles in self.parts.items() if cause != WORK and cycles > 0]
        return sorted(found, key=lambda loss: -loss[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkAccount:
    """A chunk in steady state: its multipliers, its jobs, their sum (the interval), the closed form's load."""

    chunk: int
    multipliers: int
    jobs: tuple[JobAccount, ...]
    total: Fraction
    bound: int

    @property
    def utilisation(self) -> Fraction:
        """Share of the chunk's multipliers that is busy, over the whole interval."""
        return sum((job.parts[WORK] for job in self.jobs), Fraction(0)) / self.total

    def part(self, cause: str) -> Fraction:
        """Cycles per frame of one cause."""
        return sum((job.parts[cause] for job in self.jobs), Fraction(0))


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The whole design. The bounds are the closed forms of nba.machine.closed_form."""

    chunks: tuple[ChunkAccount, ...]
    interval: Fraction
    interval_bound: int
    latency_bound: int

    @property
    def bound_by(self) -> tuple[str, ...]:
        """What the bound of the interval is the load of: chunks, or the host streams."""
        chunks = tuple(f"chunk {c.chunk}" for c in self.chunks if c.bound == self.interval_bound)
        return chunks or ("the host streams",)

    @property
    def utilisation(self) -> Fraction:
        """Share of all multipliers that is busy."""
        work = sum((c.part(WORK) * c.multipliers for c in self.chunks), Fraction(0))
        return work / (self.interval * sum(c.multipliers for c in self.chunks))


def _engine_parts(design: Design, program: Program, chunk: int, job: JobProgram) -> dict[str, Fraction]:
    """The cycles of the job's rows, by cause."""
    network, engine, pp = design.network, program.chunks[chunk], program.chunks[chunk].pp * job.degree
    layer, out = network.layers[job.layer], network.result(job.layer)
    channels = network.source(layer).channels // layer.groups
    steps = job.frame_rows * job.col_groups * job.m_groups * job.steps
    slots = job.frame_rows * work_cycles(job.col_groups, job.m_groups, job.slot_cycles)
    # Cycles that would do, were first the columns, then the output channels, then the input channels divisible.
    columns = Fraction(job.frame_rows * job.m_groups * job.steps * out.width, pp)
    outputs = columns * Fraction(out.channels, engine.pm * job.all_groups)
    inputs = outputs * (Fraction(channels, engine.pn * job.chan_words) if layer.operator.mixes else 1)
    return {
        WORK: inputs,
        "columns": steps - columns,
        "outputs": columns - outputs,
        "inputs": outputs - inputs,
        "drain": Fraction(slots - steps),
        "short": Fraction(job.frame_rows * job.row_cycles - slots),
    }


def _bounds(design: Design, program: Program) -> tuple[list[int], int, int]:
    """Lower bounds: cycles of every chunk per frame, of the interval, of the latency. The closed forms are of jobs
    that hold their chunk from their first row to their last. A row program is bounded by the rows and fetches of its
    chunk, and by what the closed forms say if every layer had an engine of its own."""
    network, accelerator = design.network, design.accelerator
    turned = any(chunk.turns or any(job.slices > 1 for job in chunk.jobs) for chunk in accelerator.chunks)
    if turned:
        chunks = [replace(c, jobs=(Job(layer=job.layer),), turns=()) for c in accelerator.chunks for job in c.jobs]
        accelerator = replace(accelerator, chunks=tuple(chunks))
    bounds, busy = speed_bounds(layer_table(network, accelerator.packing), designs_of(network, [accelerator]))
    interval, latency = bounds[0].tolist()
    if not turned:
        return [sum(int(busy[0, job.layer]) for job in chunk.jobs) for chunk in program.chunks], interval, latency
    loads = [
        sum(job.frame_rows * job.row_cycles for job in chunk.jobs) + OVERHEAD_CYCLES * len(chunk.turns)
        for chunk in program.chunks
    ]
    return loads, max(interval, *loads), latency


def account(design: Design, program: Program, frames: SteadyFrames) -> Account:
    """The account of `design`, whose tables are `program`, in the steady frames `frames`."""
    loads, interval_bound, latency_bound = _bounds(design, program)
    exact, first, period = frames.schedule, frames.frame, frames.period
    origin = int(frames.rows[len(program.chunks)][0][first, 0])
    chunks = []
    for k, chunk in enumerate(program.chunks):
        jobs = []
        for j, job in enumerate(chunk.jobs):
            waits = exact.job_wait[k][j, first : first + period].sum(axis=0)
            parts = _engine_parts(design, program, k, job)
            parts["fetch"] = Fraction(OVERHEAD_CYCLES * sum(turn.job == j for turn in chunk.turns))
            for reason, cycles in zip(WAIT_REASONS, waits.tolist(), strict=True):
                parts[f"wait_{reason}"] = Fraction(cycles, period)
            jobs.append(
                JobAccount(
                    chunk=k,
                    job=j,
                    layer=job.layer,
                    start=int(exact.job_start[k][j, first]) - origin,
                    end=int(exact.job_end[k][j, first]) - origin,
                    products=design.network.products(job.layer),
                    steps=job.frame_rows * job.col_groups * job.m_groups * job.steps,
                    engine=job.frame_rows * job.row_cycles,
                    total=sum(parts.values(), Fraction(0)),
                    parts=parts,
                )
            )
        chunks.append(
            ChunkAccount(
                chunk=k,
                multipliers=chunk.pm * chunk.pn * chunk.pp,
                jobs=tuple(jobs),
                total=sum((job.total for job in jobs), Fraction(0)),
                bound=loads[k],
            )
        )
    return Account(
        chunks=tuple(chunks),
        interval=frames.interval,
        interval_bound=interval_bound,
        latency_bound=latency_bound,
    )
