# SPDX-License-Identifier: Apache-2.0
"""The exact schedule: by hand, against the cycle-by-cycle token machine, and in its deadlock messages."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from nba.core.errors import DeadlockError
from nba.emit.predicted import predicted_cycles, recurrence_tables
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Port, Ring
from nba.ir.check import check_network
from nba.ir.network import Layer, Network, Tensor
from nba.machine import recurrence, timing
from nba.machine.check import check_accelerator
from nba.machine.program import lower
from nba.machine.schedule import Schedule, schedule
from nba.machine.settled import reach
from nba.machine.steady import steady_interval, steady_state
from tests.strategies import random_accelerator, random_network, random_pair
from tests.token_machine import Machine


def square(name: str, size: int, channels: int) -> Tensor:
    return Tensor(name=name, height=size, width=size, channels=channels, signed=False)


def conv(name: str, source: int, kernel: int = 1, residual: int | None = None) -> Layer:
    return Layer(
        name=name, op="dense", input=source, residual=residual, kernel_h=kernel, kernel_w=kernel,
        pad_top=(kernel - 1) // 2, pad_left=(kernel - 1) // 2, shift=1, q_min=0, q_max=255,
    )  # fmt: skip


def dense_chunk(*jobs: Job, pm: int = 1, pn: int = 1, pq: int = 1) -> Chunk:
    return Chunk(kind="dense", pm=pm, pn=pn, pq=pq, jobs=jobs)


def ring(tensor: int, consumer: int, rows: int, port: Port = "main") -> Ring:
    return Ring(tensor=tensor, consumer=consumer, port=port, rows=rows)


def legal(network: Network, accelerator: Accelerator) -> tuple[Network, Accelerator]:
    assert check_network(network) == ()
    assert check_accelerator(network, accelerator) == ()
    return network, accelerator


def one_layer() -> tuple[Network, Accelerator]:
    """2x2x1 -> 2x2x2 by a 1x1 kernel: S = max(R = 1, D = 2) = 2, G = 2, rings of one row."""
    network = Network(name="n", tensors=(square("in", 2, 1), square("out", 2, 2)), layers=(conv("l", 0),))
    accelerator = Accelerator(
        pp=1,
        chunks=(dense_chunk(Job(layer=0), pm=2),),
        rings=(ring(0, 0, 1), ring(1, HOST, 1)),
        out_lanes=1,
    )
    return legal(network, accelerator)


def test_by_hand() -> None:
    """Every number follows from docs/template.md by pencil:

    input row 0    decision 0, rows of 2 beats: t_s 1, e 2, written seen in 5
    chunk row 0    fetch 0..4; decision 5: t_s 6, e 9, input released 11, written 6 + 4 + 2 + 20 = 32
    input row 1    ring free in 11: t_s 12, written 16
    output row 0   decision 32, rows of 4 beats: t_s 33, e 36, released 38
    chunk row 1    from 9, input in 16, ring free in 38: t_s 39, e 42, released 44, written 65, end 64
    output row 1   t_s 66, beats issued 66..69, last one handed over in 74, released 71
    frame 1        input row 0: t_s 45, written 49; chunk fetch 43..47, from 48, ring free in 71: t_s 72, e 75
    .              input row 1: t_s 78, written 82; output row 0: written 98, t_s 99, released 104
    .              chunk row 1: from 75, ring free in 104: t_s 105, end 130; output row 1: t_s 132, 135 + 5
    """
    exact = schedule(lower(*one_layer()), 2)
    assert exact.row_start[0][0].tolist() == [[6, 39], [72, 105]]
    assert exact.job_start[0].tolist() == [[6, 72]]
    assert exact.job_end[0].tolist() == [[64, 130]]
    assert exact.job_wait[0].tolist() == [[[0, 0, 29, 0], [0, 0, 52, 0]]]
    assert exact.output_cycle.tolist() == [74, 140]
    assert exact.first_output_latency_cycles == 75
    assert exact.interval_cycles == 66
    assert schedule(lower(*one_layer()), 1).interval_cycles == -1
    assert steady_interval(lower(*one_layer())) == 66


def assert_bundle_predicts(network: Network, accelerator: Accelerator) -> None:
    """The recurrence interpreted over lists, as a bundle does it, gives what it gives compiled over arrays."""
    program = lower(network, accelerator)
    for n_frames in (1, 3):
        found = recurrence.cycles(json.loads(json.dumps(recurrence_tables(program))), n_frames)
        expected = predicted_cycles(network, program, n_frames)
        assert found is not None
        jobs = zip(expected["jobs"], found["jobs"], strict=True)
        assert [{**job, "start": a["start"], "end": a["end"]} for job, a in jobs] == expected["jobs"]
        assert {k: v for k, v in found.items() if k != "jobs"} == {k: v for k, v in expected.items() if k != "jobs"}


def assert_equal(exact: Schedule, machine: Machine) -> None:
    assert exact.output_cycle.tolist() == [machine.output_cycle(f) for f in range(exact.n_frames)]
    assert exact.first_output_latency_cycles == machine.output_cycle(0) + 1
    for k, sequencer in enumerate(machine.chunks):
        for j, work in enumerate(sequencer.works):
            rows = exact.row_start[k][j]
            assert {(f, y): int(rows[f, y]) for f in range(rows.shape[0]) for y in range(rows.shape[1])} == work.starts
            assert exact.job_start[k][j].tolist() == [work.starts[f, 0] for f in range(exact.n_frames)]
            assert exact.job_end[k][j].tolist() == [
                work.starts[f, work.rows * work.slices - 1] + work.written_after - 1 for f in range(exact.n_frames)
            ]


@pytest.mark.parametrize("group", range(20))
def test_equals_the_token_machine(group: int) -> None:
    """Random designs, deadlocked ones among them: both sides agree on every row start, and on who stands still."""
    finished = 0
    for seed in range(10):
        rng = np.random.default_rng([seed, group, 4])
        network, _ = random_network(rng)
        accelerator = random_accelerator(rng, network, tightness=float(rng.choice([0.0, 0.5, 0.9])))
        n_frames = int(rng.integers(1, 6))
        machine = Machine(network, accelerator, n_frames)
        if machine.run():
            assert_equal(schedule(lower(network, accelerator), n_frames), machine)
            finished += 1
        else:
            with pytest.raises(DeadlockError):
                schedule(lower(network, accelerator), n_frames)
    assert finished >= 2


@pytest.mark.parametrize(
    "constant",
    [
        "WRITE_CYCLES",
        "RESIDUAL_CYCLES",
        "HOST_WRITE_CYCLES",
        "HOST_OUT_CYCLES",
        "FETCH_CYCLES",
        "MIN_ROW_CYCLES",
        "RELEASE_CYCLES",
    ],
)
def test_a_wrong_constant_is_noticed(constant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, constant, getattr(timing, constant) + 1)
    for seed in range(60):
        pair = random_pair(np.random.default_rng([seed, 5]))
        machine = Machine(pair.network, pair.accelerator, 3)
        assert machine.run()
        try:
            assert_equal(schedule(pair.program, 3), machine)
        except AssertionError:
            return
    pytest.fail(f"{constant} + 1 changes nothing in 60 designs")


@pytest.mark.parametrize("seed", range(20))
def test_properties(seed: int) -> None:
    """What holds for any design: order of rows, no overlap within a chunk, waits explain every idle cycle."""
    pair = random_pair(np.random.default_rng([seed, 6]))
    n_frames = 4
    exact = schedule(pair.program, n_frames)
    assert (np.diff(exact.output_cycle) > 0).all()
    for k, chunk in enumerate(pair.program.chunks):
        last_round = n_frames - 1 + max(job.stage for job in chunk.jobs)
        fetched, ready = 0, 0
        for round_ in range(last_round + 1):
            for j, job in enumerate(chunk.jobs):
                fetched += 5
                frame = round_ - job.stage
                if not 0 <= frame < n_frames:
                    continue
                starts = exact.row_start[k][j][frame]
                ready = fetched
                waited = 0
                for start in starts.tolist():
                    assert start > ready
                    waited += start - 1 - ready
                    ready = start + job.row_cycles - 1
                assert exact.job_wait[k][j, frame].sum() == waited
                fetched = ready + 1
    if all(job.stage == 0 for chunk in pair.program.chunks for job in chunk.jobs):
        longer = schedule(pair.program, n_frames + 2)
        assert np.array_equal(longer.output_cycle[:n_frames], exact.output_cycle)


@pytest.mark.parametrize("seed", range(15))
def test_larger_rings_never_slow_down(seed: int) -> None:
    rng = np.random.default_rng([seed, 7])
    pair = random_pair(rng)
    rings = tuple(replace(r, rows=r.rows + int(rng.integers(0, 4))) for r in pair.accelerator.rings)
    roomy = schedule(lower(pair.network, replace(pair.accelerator, rings=rings)), 4)
    assert (roomy.output_cycle <= schedule(pair.program, 4).output_cycle).all()


@pytest.mark.parametrize("group", range(8))
def test_steady_interval_is_what_a_long_run_settles_to(group: int) -> None:
    for seed in range(5):
        pair = random_pair(np.random.default_rng([seed, group, 8]))
        try:
            steady = steady_state(pair.program)
        except DeadlockError:  # runs 4 frames, but not for ever
            with pytest.raises(DeadlockError):
                schedule(pair.program, 40)
            continue
        output = schedule(pair.program, 400).output_cycle[:-10]  # the last frames leave early: nothing follows them
        for period in range(1, 20):
            steps = output[period:] - output[:-period]
            if (steps[-60:] == steps[-1]).all():
                assert Fraction(int(steps[-1]), period) == steady.interval_cycles
                break
        else:
            pytest.fail("not periodic after 330 frames")
        assert len(steady.critical) >= 1


def test_steady_interval_need_not_be_whole() -> None:
    """A ring of two rows to the host: written after 3 + 1 + 1 + 20 + 1 cycles, released after 3 + 1 + 1; two frames."""
    network = Network(name="n", tensors=(square("in", 1, 2), square("out", 1, 3)), layers=(conv("l", 0),))
    accelerator = Accelerator(
        pp=1, chunks=(dense_chunk(Job(layer=0), pn=2),), rings=(ring(0, 0, 2), ring(1, HOST, 2)), out_lanes=1
    )
    program = lower(*legal(network, accelerator))
    steady = steady_state(program)
    assert steady.interval_cycles == Fraction(31, 2)
    assert set(steady.critical) == {(0, 0, 0), (2, 0, 0)}
    output = schedule(program, 20).output_cycle
    assert output[15] - output[13] == 31
    assert output[15] - output[14] != output[14] - output[13]
    shown = reach(program, 16)
    assert (shown.interval_cycles, shown.period_frames, shown.reached) == (Fraction(31, 2), 2, True)


def joined() -> tuple[Network, tuple[Chunk, ...], tuple[Ring, ...]]:
    """A 3x3 layer and a 1x1 layer that adds the input again, on two chunks."""
    network = Network(
        name="n", tensors=(square("in", 4, 1), square("a", 4, 1), square("out", 4, 1)),
        layers=(conv("first", 0, kernel=3), conv("second", 1, residual=0)),
    )  # fmt: skip
    chunks = (dense_chunk(Job(layer=0)), dense_chunk(Job(layer=1)))
    rings = (ring(0, 0, 3), ring(0, 1, 1, "residual"), ring(1, 1, 1), ring(2, HOST, 1))
    return network, chunks, rings


def test_deadlock_by_a_short_residual_ring_is_explained() -> None:
    network, chunks, rings = joined()
    accelerator = Accelerator(pp=1, chunks=chunks, rings=rings, out_lanes=1)
    with pytest.raises(DeadlockError) as caught:
        schedule(lower(*legal(network, accelerator)), 3)
    assert str(caught.value).startswith("row schedule of 3 frame(s) deadlocks:")
    assert caught.value.problems == (
        "chunk 0 job 0 (layer 0) frame 0 row 0 waits: "
        "input ring 0 of edge 0 (tensor 0 -> layer 0, 3 rows) needs 2 row(s), has 1",
        "chunk 1 job 0 (layer 1) frame 0 row 0 waits: "
        "input ring 0 of edge 2 (tensor 1 -> layer 1, 1 rows) needs 1 row(s), has 0",
        "input stream frame 0 row 1 waits: "
        "output ring 0 of edge 1 (tensor 0 -> layer 1, 1 rows) is full, needs 1 free row, has 0",
        "output stream frame 0 row 0 waits: input ring 0 of edge 3 (tensor 2 -> host, 1 rows) needs 1 row(s), has 0",
    )
    with pytest.raises(DeadlockError, match="input stream"):
        steady_interval(lower(network, accelerator))
    enough = replace(accelerator, rings=(rings[0], replace(rings[1], rows=2), *rings[2:]))
    assert schedule(lower(network, enough), 3).interval_cycles > 0
    assert steady_interval(lower(network, enough)) > 0


def test_deadlock_by_job_order() -> None:
    """A chunk that executes the consumer before the producer, on the same frame."""
    network, _, rings = joined()
    accelerator = Accelerator(
        pp=1, chunks=(dense_chunk(Job(layer=1), Job(layer=0)),), out_lanes=1,
        rings=tuple(replace(r, rows=4) for r in rings),
    )  # fmt: skip
    with pytest.raises(DeadlockError, match=r"chunk 0 job 0 \(layer 1\) frame 0 row 0 waits: input ring 0"):
        schedule(lower(*legal(network, accelerator)), 2)
    later = replace(accelerator, chunks=(dense_chunk(Job(layer=1, stage=1), Job(layer=0)),))
    # The residual waits a round longer now: three rows of it are too few, a whole map is enough.
    short = replace(later, rings=tuple(replace(r, rows=3) if r.port == "residual" else r for r in later.rings))
    with pytest.raises(DeadlockError, match=r"input stream frame 0 row 3 waits: .*layer 1, 3 rows\) is full"):
        schedule(lower(*legal(network, short)), 2)
    assert schedule(lower(*legal(network, later)), 2).interval_cycles > 0


def test_deadlock_that_needs_a_second_frame() -> None:
    """Producer first, consumer one stage later, in one chunk: the ring must hold two maps from the second frame on."""
    network = Network(
        name="n",
        tensors=(square("in", 2, 1), square("a", 2, 1), square("out", 2, 1)),
        layers=(conv("first", 0), conv("second", 1)),
    )
    accelerator = Accelerator(
        pp=1,
        chunks=(dense_chunk(Job(layer=0), Job(layer=1, stage=1)),),
        rings=(ring(0, 0, 2), ring(1, 1, 2), ring(2, HOST, 2)),
        out_lanes=1,
    )
    program = lower(*legal(network, accelerator))
    schedule(program, 1)
    with pytest.raises(
        DeadlockError, match=r"chunk 0 job 0 \(layer 0\) frame 1 row 0 waits: output ring 0 of edge 2.*is full"
    ):
        schedule(program, 2)
    with pytest.raises(DeadlockError, match="chunk 0 job 1"):
        steady_interval(program)


def test_random_pairs_say_how_often_they_were_drawn() -> None:
    attempts = [random_pair(np.random.default_rng([seed, 9])).attempts for seed in range(60)]
    assert min(attempts) == 1
    assert max(attempts) > 1
    assert np.mean(attempts) < 4
