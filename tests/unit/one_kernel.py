# SPDX-License-Identifier: Apache-2.0
"""What every user of the row's timing says of one network: run by test_one_kernel, once as it is, once with the kernel
changed. Prints JSON; exits with an error if two of them contradict each other.

    NUMBA_DISABLE_JIT=1 python -m tests.unit.one_kernel
"""

from __future__ import annotations

import json
from dataclasses import replace
from math import ceil

import numpy as np

from nba.boards import get
from nba.explore.assign import Limits, climb
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, map_certified
from nba.explore.exact import plan_of
from nba.explore.finalise import build, pipelined
from nba.explore.modulo import job_time, work_bound
from nba.explore.options import engine_table, layer_edges, work_table
from nba.explore.repair import busy_cycles, demand
from nba.explore.space import PER_CHUNK, AcceleratorSpace, accelerator_of
from nba.ir.accelerator import Accelerator
from nba.ir.design import Design
from nba.machine.batch import output_cycles
from nba.machine.closed_form import speed_bounds
from nba.machine.designs import ROWS, designs_of, layer_table
from nba.machine.program import lower
from nba.machine.schedule import schedule
from nba.machine.steady import steady_interval
from nba.machine.timing import job_cycles
from nba.machine.total import exact_cost
from nba.report.cycle_breakdown import account
from nba.report.steady import steady_frames
from tests.unit.hw_networks import TINY

BOARD = get("pynq-z2")
LAYERS = range(len(TINY.layers))
SIZES = (1, 2, 4)
EFFORT = Effort(scout_steps=5, climb_steps=5, finalists=1, reorder_steps=2, refine_steps=1)
FRAMES = 3


def drawn() -> tuple[AcceleratorSpace, np.ndarray, Accelerator, np.ndarray]:
    """A space, a choice in it, its accelerator without stalls, and the table of the network."""
    table = layer_table(TINY)
    space = AcceleratorSpace(
        slots=tuple(x.operator.mixes for x in TINY.layers), n_chunks=3, columns=(1, 2), sizes_m=SIZES, sizes_n=SIZES,
        drains=(1, 2), policies=(1,), offsets=(0,),
    )  # fmt: skip
    choice = space.sample(np.random.default_rng(4), 1)
    sampled = accelerator_of(TINY, space.decode(choice, table, tuple(LAYERS)), 0)
    search, rows = pipelined(TINY, replace(sampled, rings=()))
    return space, choice[0], search.with_rows(rows), table


def figures() -> dict[str, object]:
    """One entry per user of the kernel."""
    space, choice, accelerator, table = drawn()
    program, designs = lower(TINY, accelerator), designs_of(TINY, [accelerator])
    jobs = {job.layer: job for chunk in program.chunks for job in chunk.jobs}
    rows = [jobs[i].row_cycles for i in LAYERS]
    found: dict[str, object] = {"lowering": rows}
    exact, interval = schedule(program, FRAMES), steady_interval(program)
    found["exact schedule"] = exact.output_cycle.tolist()
    found["exact rate"] = str(interval)
    bounds, busy = speed_bounds(table, designs)
    found["closed forms"] = [*bounds[0].tolist(), *busy[0].tolist()]
    assert busy[0].tolist() == [job_cycles(jobs[i].rows_out, rows[i]) for i in LAYERS]
    assert bounds[0, 0] == interval, "the timetable has no stalls"
    batch = output_cycles(table, designs, FRAMES)[0].tolist()
    found["batch"] = batch
    assert batch == found["exact schedule"]
    # The mapper: its timetable, its table of engines, its exact search and its local search.
    place = accelerator.place()
    chunks = [accelerator.chunks[place[i]] for i in LAYERS]
    times = [job_time(TINY, i, chunks[i], accelerator) for i in LAYERS]
    found["timetable"] = [(t.row, t.written, t.residual, t.busy) for t in times]
    assert [t.row for t in times] == rows
    assert work_bound(TINY, accelerator) == interval
    sizes = np.array([[c.mixes, c.pm, c.pn, c.pq] for c in chunks], np.int64)
    work = np.diagonal(work_table(table, sizes, accelerator.pp)[0]).tolist()
    found["engines of the mapper"] = work
    assert work == busy[0].tolist()
    engines = [(c.mixes, c.pm, c.pn, c.pq) for c in accelerator.chunks]
    owner = tuple(place[i] for i in LAYERS)
    plan = plan_of(table, accelerator.pp, np.array(owner), engines)
    found["exact search"] = plan.interval
    assert plan.interval == work_bound(TINY, build(TINY, 1, plan.pp, plan.owner, plan.engines))
    local = climb(
        engine_table(TINY, BOARD, 1, 1, 16, SIZES), 1, np.array(owner), np.array([e[0] for e in engines]),
        layer_edges(TINY), Limits(dsp=60, bram18=200, floor=1), (16, 1), 1.0, 10, np.random.default_rng(0),
    )  # fmt: skip
    assert local is not None
    found["local search"] = local.interval
    assert local.interval == work_bound(TINY, build(TINY, 1, 1, local.owner, local.engines))
    wanted, options = demand(table, tuple(LAYERS), space.rules()), space.rules().options
    drawn_designs = space.decode(choice[None], table, tuple(LAYERS))
    chunk, pq = drawn_designs.chunk[0], drawn_designs.pq[0]
    assert (choice[1 + PER_CHUNK * chunk + 1] == 0).all()
    repaired = [
        busy_cycles(choice, i, chunk[i], pq[chunk[i]], table, wanted.groups, wanted.words, wanted.parts, options)
        for i in LAYERS
    ]
    found["repair"] = [int(cycles) for cycles in repaired]
    sampled = speed_bounds(table, drawn_designs)[1][0]
    assert [job_cycles(int(table[i, ROWS]), int(cycles)) for i, cycles in enumerate(repaired)] == sampled.tolist()
    found.update(mapped(), **report(accelerator))
    return found


def mapped() -> dict[str, object]:
    """The choice of an accelerator, with its certificate."""
    best = map_certified(
        TINY, BOARD, Budgets(dsp=12, bram=10), min_chunks=2, max_chunks=2, effort=EFFORT, seed=1
    )  # fmt: skip
    assert best.certificate is not None
    assert best.cost.interval_cycles == ceil(steady_interval(lower(TINY, best.accelerator)))
    assert best.certificate.lower_bound_cycles <= best.cost.interval_cycles
    return {"mapping": best.cost.interval_cycles, "certificate": best.certificate.lower_bound_cycles}


def report(accelerator: Accelerator) -> dict[str, object]:
    """Where the cycles go."""
    program = lower(TINY, accelerator)
    design = Design(
        name="tiny", network=TINY, accelerator=accelerator, platform=BOARD.name, clock_mhz=BOARD.clock_mhz,
        cost=exact_cost((program,), BOARD), weights_sha256="0" * 64, seed=0, versions=(),
    )  # fmt: skip
    shown = account(design, program, steady_frames(program))
    assert all(chunk.total == shown.interval for chunk in shown.chunks)
    assert shown.interval == steady_interval(program)
    return {"report": [str(part) for chunk in shown.chunks for job in chunk.jobs for part in job.parts.values()]}


if __name__ == "__main__":
    print(json.dumps(figures()))
