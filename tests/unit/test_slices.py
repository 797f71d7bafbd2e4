# SPDX-License-Identifier: Apache-2.0
"""Slices: jobs that compute a frame one part of its output channels after the other, in every model of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.emit.memories import job_params, job_weights
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring, Turn
from nba.ir.design import Design
from nba.ir.network import Layer, Network, Tensor, weights_digest
from nba.machine.check import check_accelerator
from nba.machine.design_file import load_design, save_design
from nba.machine.energy import frame_events
from nba.machine.program import lower
from nba.machine.resources import predict
from nba.machine.schedule import schedule
from nba.machine.settled import long_run
from nba.machine.steady import steady_interval
from nba.machine.total import exact_cost
from nba.report.cycle_breakdown import CAUSES, WORK, account
from nba.report.steady import steady_frames
from tests.strategies import NetworkLimits, Pair, cut, random_accelerator, random_network, random_pair, sliced
from tests.tiny import tiny_design
from tests.token_machine import Machine
from tests.unit.test_pipeline import assert_bundle_predicts, assert_equal

LARGE = NetworkLimits(max_channels=24)
"""Enough channels for several groups."""


def is_sliced(accelerator: Accelerator) -> bool:
    return any(job.slices > 1 for chunk in accelerator.chunks for job in chunk.jobs)


def drawn(*seed: int, tightness: float = 0.0) -> tuple[Network, Accelerator]:
    """A random network on a random accelerator with slices; of every three, one has turns of a few rows, and one also
    late ones. It may deadlock."""
    rng = np.random.default_rng([*seed, 31])
    while True:
        network, _ = random_network(rng, LARGE)
        accelerator = sliced(rng, network, random_accelerator(rng, network, tightness=tightness))
        if not is_sliced(accelerator):
            continue
        if seed[-1] % 3:
            chunks = tuple([cut(rng, network, chunk, late=seed[-1] % 3 == 2) for chunk in accelerator.chunks])
            accelerator = replace(accelerator, chunks=chunks)
        assert check_accelerator(network, accelerator) == ()
        return network, accelerator


def running(*seed: int) -> tuple[Network, Accelerator]:
    """One that does not deadlock."""
    for attempt in range(100):
        network, accelerator = drawn(*seed[:-1], attempt, seed[-1])
        try:
            schedule(lower(network, accelerator), 8)
            steady_interval(lower(network, accelerator))
        except DeadlockError:
            continue
        return network, accelerator
    pytest.fail(f"seed {seed}: a hundred designs deadlock")


@pytest.mark.parametrize("group", range(20))
def test_equals_the_token_machine(group: int) -> None:
    """Row by row, deadlocked designs among them: both sides agree on every row start, and on who stands still."""
    found: Counter[str] = Counter()
    for seed in range(12):
        network, accelerator = drawn(group, seed, tightness=(0.0, 0.5, 0.9)[seed // 3 % 3])
        n_frames = 1 + seed % 5
        machine = Machine(network, accelerator, n_frames)
        if machine.run():
            assert_equal(schedule(lower(network, accelerator), n_frames), machine)
            found["runs"] += 1
        else:
            with pytest.raises(DeadlockError):
                schedule(lower(network, accelerator), n_frames)
            found["deadlocks"] += 1
    assert found["runs"] >= 4, found


def test_some_deadlock_and_all_kinds_of_turns_run() -> None:
    """What the test above is about."""
    ends = Counter()
    for seed in range(60):
        network, accelerator = drawn(seed // 12, seed % 12, tightness=(0.0, 0.5, 0.9)[seed // 3 % 3])
        late = any(turn.late for chunk in accelerator.chunks for turn in chunk.turns)
        kind = "late" if late else "turns" if any(chunk.turns for chunk in accelerator.chunks) else "whole"
        ends[kind, Machine(network, accelerator, 2).run()] += 1
    assert {kind for kind, runs in ends if runs} == {"late", "turns", "whole"}
    assert any(not runs for _, runs in ends), ends


@pytest.mark.parametrize("seed", range(21))
def test_exact_rate_is_that_of_a_long_run(seed: int) -> None:
    program = lower(*running(seed))
    run = long_run(program)
    assert run.settled
    assert run.state.interval_cycles == steady_interval(program)


@pytest.mark.parametrize("seed", range(12))
def test_a_bundle_predicts_the_same_cycles(seed: int) -> None:
    assert_bundle_predicts(*running(40 + seed, seed))


def whole(accelerator: Accelerator) -> Accelerator:
    """The same without slices."""
    chunks = [replace(c, jobs=tuple([replace(j, slices=1) for j in c.jobs]), turns=()) for c in accelerator.chunks]
    return replace(accelerator, chunks=tuple(chunks))


@pytest.mark.parametrize("seed", range(15))
def test_work_and_memories_are_those_without_slices(seed: int) -> None:
    """Slices only change the order: as many events of every kind, and memories of the same size."""
    network, accelerator = running(80 + seed, seed)
    inside, outside = lower(network, accelerator), lower(network, whole(accelerator))
    assert frame_events(inside) == frame_events(outside)
    assert [edge.depth_words for edge in inside.edges] == [edge.depth_words for edge in outside.edges]
    platform = get("zc706")
    assert (predict(inside, platform).dsp, predict(inside, platform).bram18) == (
        predict(outside, platform).dsp, predict(outside, platform).bram18,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(9))
def test_memory_words_are_those_without_slices(seed: int) -> None:
    """Weights and parameters keep their order, in which every slice has its own stretch."""
    pair = random_pair(np.random.default_rng([seed, 32]), LARGE)
    accelerator = sliced(np.random.default_rng(seed), pair.network, pair.accelerator)
    inside, outside = lower(pair.network, accelerator), lower(pair.network, whole(accelerator))
    for chunk, other in zip(inside.chunks, outside.chunks, strict=True):
        for job, plain in zip(chunk.jobs, other.jobs, strict=True):
            weights, layer = pair.weights[job.layer], pair.network.layers[job.layer]
            assert np.array_equal(job_weights(chunk, job, layer, weights), job_weights(other, plain, layer, weights))
            assert all(
                np.array_equal(a, b)
                for a, b in zip(job_params(chunk, job, weights), job_params(other, plain, weights), strict=True)
            )
            assert (job.weight_base, job.param_base) == (plain.weight_base, plain.param_base)
        for turn in chunk.turns:
            job = chunk.jobs[turn.job]
            assert turn.first_step * job.slices == turn.slice * job.param_words
            assert turn.first_weight * job.slices == turn.slice * (job.weight_words if job.weight_step else 0)


@pytest.mark.parametrize("seed", range(12))
def test_the_account_adds_up(seed: int) -> None:
    network, accelerator = running(120 + seed, seed)
    program = lower(network, accelerator)
    design, _ = tiny_design()
    frames = steady_frames(program)
    found = account(replace(design, network=network, accelerator=accelerator), program, frames)
    assert frames.settled
    assert found.interval == steady_interval(program) >= found.interval_bound
    assert frames.schedule.first_output_latency_cycles >= found.latency_bound
    for chunk in found.chunks:
        assert chunk.total == found.interval >= chunk.bound
        for job in chunk.jobs:
            assert set(job.parts) == set(CAUSES)
            assert min(job.parts.values()) >= 0
            assert job.parts[WORK] == Fraction(job.products, chunk.multipliers)
            engine = sum(job.parts[cause] for cause in ("work", "columns", "outputs", "inputs", "drain", "short"))
            assert engine == job.engine


@pytest.mark.parametrize("seed", range(6))
def test_stream_rows_are_those_of_the_token_machine(seed: int) -> None:
    network, accelerator = running(160 + seed, seed)
    frames = steady_frames(lower(network, accelerator))
    machine = Machine(network, accelerator, 4)
    assert machine.run()
    n_chunks = len(accelerator.chunks)
    for agent, sequencer in ((n_chunks, machine.input), (n_chunks + 1, machine.output)):
        (rows,) = frames.rows[agent]
        for (frame, row), start in sequencer.works[0].starts.items():
            # The last frame of a short run goes faster: no later frame is in its way.
            if frame < 2:
                assert rows[frame, row] == start, (agent, frame, row)


def three() -> tuple[Network, Accelerator]:
    """A 1x1 layer of three slices: 2x2x1 -> 2x2x3, PM = PN = PQ = PP = 1; rings of one map."""
    tensors = tuple(Tensor(name=n, height=2, width=2, channels=c, signed=False) for n, c in (("in", 1), ("out", 3)))
    layer = Layer(name="l", op="dense", input=0, kernel_h=1, kernel_w=1, shift=1, q_min=0, q_max=255)
    return Network(name="three", tensors=tensors, layers=(layer,)), Accelerator(
        pp=1,
        chunks=(Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=(Job(layer=0, slices=3),)),),
        rings=(Ring(tensor=0, consumer=0, rows=2), Ring(tensor=1, consumer=HOST, rows=2)),
        out_lanes=1,
    )


def test_by_hand() -> None:
    """The example of docs/template.md, Slices, by pencil. Every row has two slots of max(1, 1) cycles.

    input rows     decisions 0 and 2, t_s 1 and 3, written seen in 5 and 7
    slice 0        fetch 0..4; needs the whole map, in 7: t_s 8 and 10, e 11
    slice 1        fetch 12..16, decision 17: t_s 18 and 20, e 21
    slice 2        fetch 22..26, decision 27: t_s 28 and 30, e 31; written 28 + 2 + 1 + 20 = 51 and 53
    output rows    rows of 6 beats: decision 51, t_s 52, e 57; decision 57, t_s 58, e 63, last beat in 63 + 5
    pointers       rows of 6 words: writes at 0, 6; 1, 7; 2, 8; then 0. Rows of 2 words: reads at 0, 2, three times
    """
    network, accelerator = three()
    assert check_accelerator(network, accelerator) == ()
    program = lower(network, accelerator)
    exact = schedule(program, 1)
    assert exact.row_start[0][0].tolist() == [[8, 10, 18, 20, 28, 30]]
    assert exact.job_start[0].tolist() == [[8]]
    assert exact.job_end[0].tolist() == [[52]]
    assert exact.output_cycle.tolist() == [68]
    turns = program.chunks[0].turns
    assert [(t.slice, t.first, t.rows, t.ends, t.closes, t.first_step, t.first_weight) for t in turns] == [
        (0, 0, 2, True, False, 0, 0), (1, 0, 2, True, False, 1, 1), (2, 0, 2, True, True, 2, 2),
    ]  # fmt: skip
    written, read = (edge.rings[0] for edge in reversed(program.edges))
    assert (6 + written.write_back_words) % 12 == 1
    assert (7 + written.write_back_words) % 12 == 2
    assert (8 + written.write_last_words) % 12 == 0
    assert written.write_slices == 3
    assert (read.read_slices, read.read_back_words, read.last_step_words) == (3, 2, 2)


def drawing() -> str:
    """The first frame of that example, as the docs show it."""
    machine = Machine(*three(), 1)
    assert machine.run()
    (chunk,) = machine.chunks
    cells: dict[str, dict[int, str]] = {}
    for name, agent in (("in", machine.input), ("chunk", chunk), ("out", machine.output)):
        work = agent.works[0]
        starts = {row: start for (_, row), start in work.starts.items()}
        cells[name] = {s + i: str(row % 2) for row, s in starts.items() for i in range(work.row_cycles)}
        last = {row % 2: start for row, start in starts.items() if row >= work.rows * (work.slices - 1)}
        if name != "in":
            cells[f"  released {name}"] = {s + work.row_cycles + 1: str(row) for row, s in last.items()}
        if name != "out":
            cells[f"  written {name}"] = {s + work.written_after: str(row) for row, s in last.items()}
    for begin in (0, *(start + 2 for (_, row), start in chunk.works[0].starts.items() if row in (1, 3))):
        cells["chunk"] |= dict.fromkeys(range(begin, begin + chunk.fetch), "f")
    return "\n".join(
        f"    {' '.join(name.split(' ')[:3]):<12}" + "".join(found.get(i, ".") for i in range(68))
        for name, found in cells.items()
    )


def test_the_drawing_of_the_documentation() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "template.md").read_text(encoding="utf-8")
    assert drawing() in text


def test_a_deadlock_says_what_a_slice_waits_for() -> None:
    """A ring that holds a row less than the map, which no rule allows."""
    network, accelerator = three()
    short = replace(accelerator, rings=(replace(accelerator.rings[0], rows=1), accelerator.rings[1]))
    with pytest.raises(DeadlockError) as caught:
        schedule(lower(network, short), 2)
    assert caught.value.problems == (
        "chunk 0 job 0 (layer 0) frame 0 row 0 waits: "
        "input ring 0 of edge 0 (tensor 0 -> layer 0, 1 rows) needs 2 row(s), has 1",
        "input stream frame 0 row 1 waits: "
        "output ring 0 of edge 0 (tensor 0 -> layer 0, 1 rows) is full, needs 1 free row, has 0",
        "output stream frame 0 row 0 waits: input ring 0 of edge 1 (tensor 1 -> host, 2 rows) needs 1 row(s), has 0",
    )


def test_turns_are_of_one_slice() -> None:
    """Late ones finish the last slices of the frame before."""
    network, accelerator = three()
    turns = (Turn(job=0, rows=1, late=1), Turn(job=0, rows=2), Turn(job=0, rows=2), Turn(job=0, rows=1))
    accelerator = replace(accelerator, chunks=(replace(accelerator.chunks[0], turns=turns),))
    assert check_accelerator(network, accelerator) == ()
    (chunk,) = lower(network, accelerator).chunks
    assert [(t.stage, t.slice, t.first, t.ends, t.closes) for t in chunk.turns] == [
        (1, 2, 1, True, True), (0, 0, 0, True, False), (0, 1, 0, True, False), (0, 2, 0, False, False),
    ]  # fmt: skip


def test_a_design_file_keeps_them(tmp_path: Path) -> None:
    for seed in range(100):
        pair = random_pair(np.random.default_rng([seed, 33]), LARGE)
        accelerator = sliced(np.random.default_rng(seed), pair.network, pair.accelerator)
        if is_sliced(accelerator):
            break
    found = design_of(pair, accelerator)
    save_design(found, pair.weights, tmp_path)
    assert load_design(tmp_path / "design.json")[0] == found
    jobs = [job for chunk in found.document()["accelerator"]["chunks"] for job in chunk["jobs"]]
    assert {job.get("slices", 1) for job in jobs} == {j.slices for c in accelerator.chunks for j in c.jobs}
    assert design_of(pair, whole(accelerator)).id != found.id


def design_of(pair: Pair, accelerator: Accelerator) -> Design:
    return Design(
        name="d", network=pair.network, accelerator=accelerator, platform="zc706", clock_mhz=100.0,
        cost=exact_cost((lower(pair.network, accelerator),), get("zc706")),
        weights_sha256=weights_digest(pair.weights), seed=0, versions=(),
    )  # fmt: skip


def test_a_design_file_without_them_is_what_it_was(tmp_path: Path) -> None:
    """No key, so no other id; a file without the key loads."""
    design, weights = tiny_design()
    assert "slices" not in design.canonical_json()
    save_design(design, weights, tmp_path)
    assert "slices" not in (tmp_path / "design.json").read_text()
    loaded, _ = load_design(tmp_path / "design.json")
    assert loaded == design
    assert loaded.id == design.id
    assert {job.slices for chunk in loaded.accelerator.chunks for job in chunk.jobs} == {1}
