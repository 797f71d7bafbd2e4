# SPDX-License-Identifier: Apache-2.0
"""Weights from external memory, and chunks with columns of their own: schedule, rate, list of fetches, image."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.core.errors import DeadlockError
from nba.emit.bundle import render_bundle
from nba.emit.memories import job_weights, side_by_side, weight_image
from nba.ir.accelerator import HOST, Accelerator, Chunk, Job, Ring, WeightMemory
from nba.ir.design import Design
from nba.ir.network import Layer, LayerWeights, Network, Tensor, Weights, weights_digest
from nba.machine import timing
from nba.machine.check import check_accelerator
from nba.machine.design_file import load_design, save_design
from nba.machine.fetches import in_turns, slice_beats, store_row_beats, words_per_row
from nba.machine.program import Program, lower
from nba.machine.schedule import schedule
from nba.machine.settled import long_run
from nba.machine.steady import steady_interval, steady_state
from nba.machine.total import exact_cost
from tests.strategies import NetworkLimits, cut, own_columns, random_accelerator, random_network, sliced, streamed
from tests.tiny import tiny_design
from tests.token_machine import Machine
from tests.unit.test_pipeline import assert_bundle_predicts, assert_equal

LARGE = NetworkLimits(max_channels=24)
"""Enough channels for several groups."""
COLUMNS = NetworkLimits(max_channels=12, max_map=20)


def drawn(*seed: int, tightness: float = 0.0) -> tuple[Network, Weights, Accelerator]:
    """A random network on a random accelerator that streams weights; two of three have slices, every second of these
    turns of a few rows, and every second of all an order of fetches of its own. It may deadlock."""
    rng = np.random.default_rng([*seed, 41])
    while True:
        network, weights = random_network(rng, LARGE)
        accelerator = random_accelerator(rng, network, tightness=tightness)
        if seed[-1] % 3:
            accelerator = sliced(rng, network, accelerator)
        if seed[-1] % 6 > 3:
            late = seed[-1] % 12 > 6
            chunks = tuple([cut(rng, network, chunk, late=late) for chunk in accelerator.chunks])
            accelerator = replace(accelerator, chunks=chunks)
        accelerator = streamed(rng, network, accelerator)
        if accelerator.memory is None or check_accelerator(network, accelerator):
            continue
        if seed[-1] % 2:
            order = [one.chunk for one in lower(network, accelerator).fetches]
            memory = replace(accelerator.memory, order=tuple(rng.permutation(order).tolist()))
            accelerator = replace(accelerator, memory=memory)
        assert check_accelerator(network, accelerator) == ()
        return network, weights, accelerator


def running(*seed: int) -> tuple[Network, Weights, Accelerator]:
    """One that does not deadlock."""
    for attempt in range(100):
        network, weights, accelerator = drawn(*seed[:-1], attempt, seed[-1])
        try:
            schedule(lower(network, accelerator), 8)
            steady_interval(lower(network, accelerator))
        except DeadlockError:
            continue
        return network, weights, accelerator
    pytest.fail(f"seed {seed}: a hundred designs deadlock")


@pytest.mark.parametrize("group", range(20))
def test_equals_the_token_machine(group: int) -> None:
    """Row by row, deadlocked designs among them: both sides agree on every row start, and on who stands still."""
    found: Counter[str] = Counter()
    for seed in range(12):
        network, _, accelerator = drawn(group, seed, tightness=(0.0, 0.5, 0.9)[seed // 3 % 3])
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


def test_the_machines_above_differ_in_what_matters() -> None:
    """Rows wait for weights, and the reader is what some designs are as slow as."""
    found: Counter[str] = Counter()
    for seed in range(60):
        network, _, accelerator = drawn(seed // 12, seed % 12)
        program = lower(network, accelerator)
        try:
            exact = schedule(program, 3)
        except DeadlockError:
            found["deadlocks"] += 1
            continue
        found["waits for weights"] += any(wait[..., 3].any() for wait in exact.job_wait)
        found["several stores"] += len({one.store for one in program.fetches}) > 1
        found["stages"] += any(one.stage for one in program.fetches)
        found["skips"] += len({one.stage for one in program.fetches}) > 1
        found["critical reader"] += any(
            agent == len(program.chunks) + 2 for agent, _, _ in steady_state(program).critical
        )
        found["late"] += any(turn.late for chunk in accelerator.chunks for turn in chunk.turns)
    wanted = ("deadlocks", "waits for weights", "several stores", "stages", "skips", "critical reader", "late")
    assert all(found[name] for name in wanted), found


@pytest.mark.parametrize(
    "constant",
    ["READER_START_CYCLES", "READER_CYCLES", "READ_CYCLES", "LOADED_CYCLES", "UNLOADED_CYCLES"],
)
def test_a_wrong_constant_is_noticed(constant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, constant, getattr(timing, constant) + 1)
    for seed in range(60):
        network, _, accelerator = drawn(seed // 12, seed % 12)
        machine = Machine(network, accelerator, 3)
        if not machine.run():
            continue
        try:
            assert_equal(schedule(lower(network, accelerator), 3), machine)
        except AssertionError:
            return
    pytest.fail(f"{constant} + 1 changes nothing in 60 designs")


@pytest.mark.parametrize("seed", range(24))
def test_exact_rate_is_that_of_a_long_run(seed: int) -> None:
    program = lower(*running(seed)[::2])
    run = long_run(program)
    assert run.settled
    assert run.state.interval_cycles == steady_interval(program)


@pytest.mark.parametrize("seed", range(12))
def test_a_bundle_predicts_the_same_cycles(seed: int) -> None:
    network, _, accelerator = running(40 + seed, seed)
    assert_bundle_predicts(network, accelerator)


@pytest.mark.parametrize("group", range(6))
def test_chunks_with_columns_of_their_own_equal_the_token_machine(group: int) -> None:
    narrower = 0
    for seed in range(20):
        rng = np.random.default_rng([group, seed, 42])
        network, _ = random_network(rng, COLUMNS)
        accelerator = own_columns(rng, random_accelerator(rng, network, calm=True, tightness=0.0))
        if not any(chunk.columns for chunk in accelerator.chunks):
            continue
        assert check_accelerator(network, accelerator) == ()
        machine = Machine(network, accelerator, 3)
        if not machine.run():
            with pytest.raises(DeadlockError):
                schedule(lower(network, accelerator), 3)
            continue
        exact = schedule(lower(network, accelerator), 3)
        assert_equal(exact, machine)
        whole = replace(accelerator, chunks=tuple([replace(c, columns=0) for c in accelerator.chunks]))
        narrower += exact.output_cycle.tolist() != schedule(lower(network, whole), 3).output_cycle.tolist()
    assert narrower


def words_of(program: Program, image: list[int], number: int) -> list[int]:
    """The weight words of fetch number `number`, out of the image, by the layout of docs/template.md."""
    one, memory = program.fetches[number], program.memory
    assert memory is not None
    chunk = program.chunks[one.chunk]
    width = chunk.pm * chunk.pn * chunk.weight_store_bits
    beats = image[one.first_burst * memory.burst :][: one.beats]
    found = []
    if 2 * width <= memory.bus_bits:
        side = 1
        while 2 * side * width <= memory.bus_bits:
            side *= 2
        found = [beat >> (i * width) & ((1 << width) - 1) for beat in beats for i in range(side)]
    else:
        parts = -(-width // memory.bus_bits)
        for at in range(0, len(beats), parts):
            found.append(sum(beat << (memory.bus_bits * i) for i, beat in enumerate(beats[at : at + parts])))
    return found


@pytest.mark.parametrize("seed", range(24))
def test_every_slice_is_where_the_list_says(seed: int) -> None:
    """Word by word, weight by weight: those of the output channels of the slice, in the order of the engine's steps."""
    network, weights, accelerator = running(80 + seed, seed)
    program = lower(network, accelerator)
    image = weight_image(program, network.layers, weights)
    memory = program.memory
    assert memory is not None
    assert len(image) % memory.burst == 0
    assert all(0 <= beat < 1 << memory.bus_bits for beat in image)
    expected = Counter((k, job.layer) for k, c in enumerate(program.chunks) for job in c.jobs if job.streamed)
    seen: Counter[tuple[int, int]] = Counter()
    end = 0
    for number, one in enumerate(program.fetches):
        chunk, job = program.chunks[one.chunk], program.chunks[one.chunk].jobs[one.job]
        assert one.first_burst == end, "slices follow each other, each from a burst on"
        end = one.first_burst + -(-one.beats // memory.burst)
        rows = job_weights(chunk, job, network.layers[job.layer], weights[job.layer]).reshape(
            job.slices, -1, chunk.pm * chunk.pn
        )
        mine = rows[one.slice]
        words = words_of(program, image, number)
        assert 0 <= len(words) - len(mine) < words_per_row(chunk.weight_width, memory.bus_bits)
        bits = chunk.weight_store_bits
        for word, lanes in zip(words, mine.tolist(), strict=False):
            assert [word >> (i * bits) & ((1 << bits) - 1) for i in range(len(lanes))] == [
                lane & ((1 << bits) - 1) for lane in lanes
            ]
        seen[one.chunk, job.layer] += 1
    assert end * memory.burst == len(image)
    assert set(seen) == set(expected)
    for (k, layer), count in seen.items():
        (slices,) = (job.slices for job in program.chunks[k].jobs if job.layer == layer)
        assert count == slices
    # A chunk takes its slices in the order in which its turns use them.
    for k, chunk in enumerate(program.chunks):
        turns = [(t.job, t.slice) for t in chunk.turns if t.first == 0 and chunk.jobs[t.job].streamed]
        assert [(one.job, one.slice) for one in program.fetches if one.chunk == k] == turns


def test_words_side_by_side() -> None:
    assert side_by_side([1, 2, 3, 4, 5], 8, 2) == [0x201, 0x403, 0x005]
    assert side_by_side([1, 2], 3, 1) == [1, 2]
    assert side_by_side([], 8, 4) == []
    assert [words_per_row(width, 64) for width in (1, 8, 21, 22, 32, 33, 64, 65, 500)] == [64, 8, 2, 2, 2, 1, 1, 1, 1]
    assert [store_row_beats(width, 64) for width in (1, 8, 32, 33, 64, 65, 500)] == [1, 1, 1, 1, 1, 2, 8]
    assert [slice_beats(9, width, 64) for width in (8, 32, 64, 65)] == [2, 5, 9, 18]


def test_chunks_take_turns_in_proportion() -> None:
    assert in_turns([1, 2, 0, 4]) == (3, 1, 3, 0, 3, 1, 3)
    assert in_turns([0, 3]) == (1, 1, 1)
    assert in_turns([2, 2]) == (0, 1, 0, 1)
    assert in_turns([]) == ()


def by_hand() -> tuple[Network, Accelerator]:
    """A 1x1 layer of two slices, 2x2x1 -> 2x2x2, PM = PN = PQ = PP = 1, words of 8 bits on a port of 32."""
    tensors = tuple(Tensor(name=n, height=2, width=2, channels=c, signed=False) for n, c in (("in", 1), ("out", 2)))
    layer = Layer(name="l", op="dense", input=0, kernel_h=1, kernel_w=1, shift=1, q_min=0, q_max=255)
    return Network(name="two", tensors=tensors, layers=(layer,)), Accelerator(
        pp=1,
        chunks=(Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=(Job(layer=0, slices=2, streamed=True),)),),
        rings=(Ring(tensor=0, consumer=0, rows=2), Ring(tensor=1, consumer=HOST, rows=4)),
        out_lanes=1,
        memory=WeightMemory(bus_bits=32, latency=20, burst=2),
    )


def test_by_hand() -> None:
    """Every number follows from docs/template.md, whose cycle 0 of the reader is that of the start pulse, one earlier.

    fetches        decisions 3 and 7 (t + max(1 burst, 4)), addresses on the bus 4 and 8, beats taken in 24 and 28,
                   seen by the chunk in 24 + 3 = 27 and 31
    slice 0        fetch 0..4, whole map seen in 7, weights in 27: t_s 28 and 30, e 31
    slice 1        fetch 32..36, decision 37: t_s 38 and 40, e 41; frame 1 is fetched until 46
    frame 1        rooms of slices 0 and 1 are seen free in 31 + 6 and 41 + 6; decisions 37 and 47, beats 58 and 68,
                   seen in 61 and 71: t_s 62 and 64, 72 and 74
    """
    network, accelerator = by_hand()
    assert check_accelerator(network, accelerator) == ()
    program = lower(network, accelerator)
    assert [(f.slice, f.first_burst, f.beats) for f in program.fetches] == [(0, 0, 1), (1, 1, 1)]
    exact = schedule(program, 2)
    assert exact.row_start[0][0].tolist() == [[28, 30, 38, 40], [62, 64, 72, 74]]
    assert exact.job_wait[0][0, :, 3].tolist() == [27 - 5, 61 - 47]
    assert weight_image(program, network.layers, (tiny_weights([5, -2]),)) == [5, 0, 254, 0]


def tiny_weights(values: list[int]) -> LayerWeights:
    n = len(values)
    return LayerWeights(
        weight=np.array(values, np.int8).reshape(n, 1, 1, 1), bias=np.zeros(n, np.int32), mult=np.ones(n, np.int32)
    )


def test_a_deadlock_says_what_waits_for_weights() -> None:
    """All slices of the second chunk are read before those of the first, for more frames than its store has room."""
    network, _ = by_hand()
    wide = Tensor(name="mid", height=2, width=2, channels=2, signed=False)
    layer = network.layers[0]
    network = Network(
        name="chain", tensors=(network.tensors[0], wide, replace(wide, name="out")),
        layers=(layer, replace(layer, name="m", input=1)),
    )  # fmt: skip
    chunk = Chunk(kind="dense", pm=1, pn=1, pq=1, jobs=(Job(layer=0, slices=2, streamed=True),))
    accelerator = Accelerator(
        pp=1, chunks=(chunk, replace(chunk, jobs=(Job(layer=1, slices=2, streamed=True),))), out_lanes=1,
        rings=tuple(Ring(tensor=i, consumer=c, rows=2) for i, c in enumerate((0, 1, HOST))),
        memory=WeightMemory(bus_bits=32, latency=20, burst=2, order=(1, 1, 0, 0)),
    )  # fmt: skip
    assert check_accelerator(network, accelerator) == ()
    assert schedule(lower(network, accelerator), 3).output_cycle.size == 3
    first = replace(chunk, jobs=(replace(chunk.jobs[0], stage=1),))
    early = replace(accelerator, chunks=(first, accelerator.chunks[1]))
    assert check_accelerator(network, early) == ()
    with pytest.raises(DeadlockError, match=r"chunk 0 job 0 .* waits: the weights of its slice are not read"):
        schedule(lower(network, early), 3)
    assert not Machine(network, early, 3).run()
    with pytest.raises(DeadlockError, match="chunk 0 job 0"):
        steady_interval(lower(network, early))


def design_of(network: Network, weights: Weights, accelerator: Accelerator) -> Design:
    return Design(
        name="d", network=network, accelerator=accelerator, platform="zc706", clock_mhz=100.0,
        cost=exact_cost((lower(network, accelerator),), get("zc706")), weights_sha256=weights_digest(weights), seed=0,
        versions=(),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_a_design_file_keeps_them(seed: int, tmp_path: Path) -> None:
    network, weights, accelerator = running(130 + seed, seed)
    first, *others = accelerator.chunks
    accelerator = replace(accelerator, chunks=(replace(first, columns=accelerator.pp), *others))
    found = design_of(network, weights, accelerator)
    save_design(found, weights, tmp_path)
    assert load_design(tmp_path / "design.json")[0] == found
    document = found.document()["accelerator"]
    assert document["memory"]["bus_bits"] == accelerator.memory.bus_bits  # type: ignore[union-attr]
    assert document["chunks"][0]["columns"] == accelerator.pp
    assert all("columns" not in chunk for chunk in document["chunks"][1:])
    flags = {job.get("streamed", False) for chunk in document["chunks"] for job in chunk["jobs"]}
    assert flags == {job.streamed for chunk in accelerator.chunks for job in chunk.jobs}
    other = replace(accelerator, memory=replace(accelerator.memory, latency=4000))  # type: ignore[type-var]
    assert design_of(network, weights, other).id != found.id


def test_a_driver_can_check_the_image() -> None:
    """What interface.json and the C header say of the image is what the file is; a design without one says nothing."""
    network, weights, accelerator = running(131, 1)
    design = design_of(network, weights, accelerator)
    files = render_bundle(replace(design, clock_mhz=get(design.platform).clock_mhz), weights)
    image, about = files["weights.bin"], json.loads(files["interface.json"])["weights"]
    assert about == {
        "file": "weights.bin", "bytes": len(image), "beat_bytes": accelerator.memory.bus_bits // 8,  # type: ignore[union-attr]
        "alignment": 4096, "sha256": hashlib.sha256(image).hexdigest(), "crc32": zlib.crc32(image),
    }  # fmt: skip
    header = files["sw/nba_design.h"].decode()
    assert f"#define NBA_WEIGHTS_BYTES {len(image)}u\n#define NBA_WEIGHTS_CRC32 0x{zlib.crc32(image):08X}u\n" in header
    plain = render_bundle(*tiny_design())
    assert "weights.bin" not in plain
    assert "weights" not in json.loads(plain["interface.json"])
    assert b"NBA_WEIGHTS" not in plain["sw/nba_design.h"]


def test_a_design_file_without_them_is_what_it_was(tmp_path: Path) -> None:
    """No key, so no other id; a file without the keys loads."""
    design, weights = tiny_design()
    for key in ("memory", "streamed", "columns"):
        assert f'"{key}"' not in design.canonical_json()
    save_design(design, weights, tmp_path)
    loaded, _ = load_design(tmp_path / "design.json")
    assert loaded == design
    assert loaded.accelerator.memory is None
    assert {chunk.columns for chunk in loaded.accelerator.chunks} == {0}
    assert {job.streamed for chunk in loaded.accelerator.chunks for job in chunk.jobs} == {False}


def test_more_latency_is_never_faster() -> None:
    for seed in range(6):
        network, _, accelerator = running(140 + seed, seed)
        before = Fraction(0)
        for latency in (1, 10, 100, 1000):
            memory = replace(accelerator.memory, latency=latency)  # type: ignore[type-var]
            interval = steady_interval(lower(network, replace(accelerator, memory=memory)))
            assert interval >= before
            before = interval
