# SPDX-License-Identifier: Apache-2.0
"""Random (network, design) pairs through a simulator: bits against the integer reference, cycles against the schedule.

Everything follows from the seed. A pair runs through its bundle's own bench (sim/bench.py, sim/run_sim.py), in FRAMES
frames back to back; `thorough` adds a batch of one frame and the tests `stalls`, `blocked`, `resets` and `batches`,
where weights are streamed `memory`, and for every fourth of the seeds that the tests take also `control`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import numpy as np

from nba.boards import get
from nba.core.errors import DeadlockError, ToolError
from nba.emit import bundle as emission
from nba.emit.predicted import predicted_cycles
from nba.emit.rtl import fits_chain
from nba.explore.turns import with_rows, with_turns
from nba.ir.accelerator import HOST, Accelerator
from nba.ir.design import Design
from nba.ir.network import Network, Weights, weights_digest
from nba.ir.operators import OPERATORS
from nba.machine.check import check_accelerator
from nba.machine.fetches import store_row_beats, words_per_row
from nba.machine.kernels import chains, products
from nba.machine.program import ChunkProgram, Program, lower, store_of
from nba.machine.resources import banks, style
from nba.machine.schedule import WAIT_REASONS, Schedule, schedule
from nba.machine.total import exact_cost
from nba.verify.rtl import RtlRun, Simulator, simulate_rtl
from nba.zoo.weights import random_codes
from sim.run_sim import bench_tests
from tests.strategies import (
    NetworkLimits,
    above_least,
    cut,
    own_columns,
    parted,
    random_pair,
    shared,
    sliced,
    streamed,
)

FRAMES = 4
MAX_CYCLES = 5000
PLATFORM = "pynq-z2"
ULTRA_PLATFORM = "kv260"
LIMITS = (NetworkLimits(), NetworkLimits(min_layers=5, max_layers=9, max_map=12), NetworkLimits(max_channels=24))
"""Sizes of the random networks, taken in turn."""
COLUMNS_MAP = 30
"""Largest map of pairs of any number of columns."""
CONTROL_EVERY = 20
"""A pair of such a seed has its registers tested as well, where it is simulated thoroughly."""
WIDE_SEED = 1_000_000
"""Seeds from here on are networks with codes of 16 bits."""
PACKED_SEED = 2_000_000
"""Seeds from here on are networks of narrow codes on accelerators that pack columns."""
COLUMNS_SEED = 3_000_000
"""Seeds from here on have strides up to 4 and any number of columns; every third packs columns. From COLUMNS_SEED +
NEW_SEED on, strides are at most 2."""
CHANNEL_SEED = 4_000_000
"""Seeds from here on are networks with shifts and pad codes per channel; every fourth has codes of 16 bits, another
fourth narrow ones on accelerators that pack columns."""
ADDER_SEED = 5_000_000
"""Seeds from here on have multipliers made of adders wherever these may be."""
TURN_SEED = 6_000_000
"""Seeds from here on are networks and engines of every kind above, with a row program in every chunk."""
SLICE_SEED = 7_000_000
"""Seeds from here on are networks and engines of every kind above but the last, with slices in one job at least; every
second has turns of a few rows, every fourth late ones as well. Of three, one has slices in a job with a residual
operand, one in both jobs of a ring."""
STREAM_SEED = 8_000_000
"""Seeds from here on are networks and engines of every kind above but row programs, with weights from external memory;
two of three have slices, turns of a few rows or late ones besides, and every third chunks with columns of their own."""
SHARE_SEED = 9_000_000
"""Seeds from here on are networks and engines of every kind above but row programs, with rings that share memory; of
three, one has slices in a job that writes such a ring, one turns of a few rows and slices in a job that reads one;
every fifth has weights from external memory. The shared memory makes the others slower."""
PART_SEED = 10_000_000
"""Seeds from here on are networks and engines of every kind above but row programs, with rings whose rows hold the
channels of a slice; of three, one has weights from external memory and one rings that share memory; every second has
turns of a few rows, every fourth late ones as well."""
SHARED_LIMITS = NetworkLimits(min_layers=4, max_layers=6, max_map=6, max_channels=16)
"""Sizes of the networks of those with slices."""
NEW_SEED = 1000
"""Seeds from here on, counted from WIDE_SEED where they are beyond it, have max pooling and unequal strides, and
half of these multipliers made of adders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a seed stands for: a design with its tables, weights and input codes [FRAMES, H, W, C]."""

    seed: int
    design: Design
    weights: Weights
    program: Program
    images: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a pair. `failure` is empty if everything held."""

    seed: int
    simulator: str
    thorough: bool
    seconds: float
    cycles: int
    jobs: int
    codes: int
    failure: str


TURNED = (0, WIDE_SEED, PACKED_SEED, COLUMNS_SEED, CHANNEL_SEED)
"""The kinds of pairs that get row programs, in turn."""


def with_row_programs(seed: int) -> Subject:
    """The pair of a seed from TURN_SEED on."""
    number = seed - TURN_SEED
    case = subject(TURNED[number % len(TURNED)] + NEW_SEED + 500 + number)
    rng = np.random.default_rng([6, seed])
    slack, spare, burst = Fraction(int(rng.integers(0, 5)), 2), int(rng.integers(0, 3)), int(rng.integers(1, 3))
    accelerator = with_rows(*with_turns(case.design.network, case.design.accelerator, slack, burst), spare)
    program = lower(case.design.network, accelerator)
    cost = exact_cost((program,), get(PLATFORM))
    design = replace(case.design, name=f"pair {seed}", accelerator=accelerator, cost=cost, seed=seed)
    return replace(case, seed=seed, design=design, program=program)


def _worth(number: int, network: Network, accelerator: Accelerator) -> bool:
    """Whether slices are in a job of several rows and, by `number`, in one with a residual operand or in both jobs of a
    ring; every twelfth pair may have them anywhere."""
    jobs = {job.layer: job for chunk in accelerator.chunks for job in chunk.jobs if job.slices > 1}
    if number % 12 == 0:
        return bool(jobs)
    rows = any(network.result(i).height > 1 for i in jobs)
    residual = any(network.layers[i].residual is not None for i in jobs)
    both = any(ring.tensor - 1 in jobs and ring.consumer in jobs for ring in accelerator.rings)
    return rows and (True, residual, both)[number % 3]


def with_slices(seed: int) -> Subject:
    """The pair of a seed from SLICE_SEED on."""
    number = seed - SLICE_SEED
    kind = TURNED[number % len(TURNED)] + NEW_SEED + 500 + number
    rng = np.random.default_rng([7, seed])
    while True:
        try:
            case = drawn(kind, rng, LIMITS[2])
            network = case.design.network
            accelerator = sliced(rng, network, case.design.accelerator)
            if not _worth(number, network, accelerator):
                continue
            if number % 2:
                late = number % 4 == 3
                chunks = tuple([cut(rng, network, chunk, late=late) for chunk in accelerator.chunks])
                accelerator = replace(accelerator, chunks=chunks)
            program = lower(network, accelerator)
            cost = exact_cost((program,), get(PLATFORM))
            schedule(program, FRAMES)
        except DeadlockError:
            continue
        design = replace(case.design, name=f"pair {seed}", accelerator=accelerator, cost=cost, seed=seed)
        return replace(case, seed=seed, design=design, program=program)


def with_parts(seed: int) -> Subject:
    """The pair of a seed from PART_SEED on."""
    number = seed - PART_SEED
    kind = TURNED[number % len(TURNED)] + NEW_SEED + 500 + number
    rng = np.random.default_rng([10, seed])
    while True:
        try:
            case = drawn(kind, rng, SHARED_LIMITS if number % 3 == 2 else LIMITS[2])
            network = case.design.network
            accelerator = parted(rng, network, sliced(rng, network, case.design.accelerator))
            if number % 3 == 1:
                accelerator = streamed(rng, network, accelerator)
            if number % 3 == 2:
                accelerator = shared(rng, network, accelerator)
            parts = [ring for ring in accelerator.rings if ring.parts > 1]
            memory = accelerator.memory is not None
            if not parts or (number % 3 == 1) != memory or (number % 3 == 2 and not any(r.share for r in parts)):
                continue
            if number % 2:
                late = number % 4 == 3
                chunks = tuple([cut(rng, network, chunk, late=late) for chunk in accelerator.chunks])
                accelerator = replace(accelerator, chunks=chunks)
            if check_accelerator(network, accelerator):
                continue
            program = lower(network, accelerator)
            if schedule(program, FRAMES).output_cycle[-1] > 2 * MAX_CYCLES:
                continue
            cost = exact_cost((program,), get(PLATFORM))
        except DeadlockError:
            continue
        design = replace(case.design, name=f"pair {seed}", accelerator=accelerator, cost=cost, seed=seed)
        return replace(case, seed=seed, design=design, program=program)


def _with_memory(rng: np.random.Generator, number: int, network: Network, accelerator: Accelerator) -> Accelerator:
    """`accelerator` with what the pair of number `number` from STREAM_SEED on has besides."""
    if number % 3:
        accelerator = sliced(rng, network, accelerator)
    if number % 3 and number % 4 > 1:
        late = number % 4 == 3
        chunks = tuple([cut(rng, network, chunk, late=late) for chunk in accelerator.chunks])
        accelerator = replace(accelerator, chunks=chunks)
    accelerator = streamed(rng, network, accelerator, mixing=True)
    return own_columns(rng, accelerator) if number // 3 % 3 == 2 else accelerator


def _pressed(number: int, program: Program, exact: Schedule) -> bool:
    """Of every second pair: whether rows wait for weights in later frames too; of every fourth: whether there are
    several stores."""
    if number % 2:
        return any(wait[:, 1:, WAIT_REASONS.index("weights")].any() for wait in exact.job_wait)
    return number % 4 == 0 or len({one.store for one in program.fetches}) > 1


def with_streams(seed: int) -> Subject:
    """The pair of a seed from STREAM_SEED on."""
    number = seed - STREAM_SEED
    kind = TURNED[number % len(TURNED)] + NEW_SEED + 500 + number
    rng = np.random.default_rng([8, seed])
    while True:
        try:
            case = drawn(kind, rng, LIMITS[2])
            network = case.design.network
            accelerator = _with_memory(rng, number, network, case.design.accelerator)
            if accelerator.memory is None or check_accelerator(network, accelerator):
                continue
            program = lower(network, accelerator)
            exact = schedule(program, FRAMES)
            if exact.output_cycle[-1] > 2 * MAX_CYCLES or not _pressed(number, program, exact):
                continue
            cost = exact_cost((program,), get(PLATFORM))
        except DeadlockError:
            continue
        design = replace(case.design, name=f"pair {seed}", accelerator=accelerator, cost=cost, seed=seed)
        return replace(case, seed=seed, design=design, program=program)


def with_shares(seed: int) -> Subject:
    """The pair of a seed from SHARE_SEED on."""
    number = seed - SHARE_SEED
    kind = TURNED[number % len(TURNED)] + NEW_SEED + 500 + number
    rng = np.random.default_rng([9, seed])
    while True:
        try:
            case = drawn(kind, rng, SHARED_LIMITS if number % 3 else LIMITS[1])
            network, accelerator = case.design.network, case.design.accelerator
            if number % 3:
                accelerator = sliced(rng, network, accelerator, 0.6)
            if number % 3 == 2:
                chunks = tuple([cut(rng, network, chunk, late=bool(number % 2)) for chunk in accelerator.chunks])
                accelerator = replace(accelerator, chunks=chunks)
            if number % 5 == 4:
                accelerator = streamed(rng, network, accelerator, mixing=True)
            alone, accelerator = accelerator, shared(rng, network, accelerator)
            if all(ring.share == 0 for ring in accelerator.rings) or check_accelerator(network, accelerator):
                continue
            if number % 9 == 0 and max(Counter(r.share for r in accelerator.rings if r.share).values()) < 3:
                continue
            program = lower(network, accelerator)
            shares = [ring for edge in program.edges for ring in edge.rings if ring.waits_for >= 0]
            if number % 3 and all((0, ring.write_slices, ring.read_slices)[number % 3] == 1 for ring in shares):
                continue
            exact = schedule(program, FRAMES)
            if number % 3 == 0 and (exact.output_cycle == schedule(lower(network, alone), FRAMES).output_cycle).all():
                continue
            cost = exact_cost((program,), get(PLATFORM))
        except DeadlockError:
            continue
        design = replace(case.design, name=f"pair {seed}", accelerator=accelerator, cost=cost, seed=seed)
        return replace(case, seed=seed, design=design, program=program)


def in_ultra_ram(case: Subject) -> Subject:
    """`case` with every memory that may be in UltraRAM, on a board that has it."""
    board, program = get(ULTRA_PLATFORM), case.program
    stores = [store_of(k) for k, chunk in enumerate(program.chunks) if chunk.slots and not chunk.weight_depth]
    memories = (*(edge.memory for edge in program.edges), *stores)
    accelerator = replace(case.design.accelerator, ultra=memories)
    program = lower(case.design.network, accelerator)
    cost = exact_cost((program,), board)
    design = replace(case.design, platform=board.name, accelerator=accelerator, cost=cost)
    return replace(case, design=design, program=program)


def subject(seed: int) -> Subject:
    """The pair of `seed`: at most nine layers on at most four chunks, at most MAX_CYCLES cycles for all frames (more
    where there are row programs, slices, weights from external memory or shared memory)."""
    if seed >= PART_SEED:
        return with_parts(seed)
    if seed >= SHARE_SEED:
        return with_shares(seed)
    if seed >= STREAM_SEED:
        return with_streams(seed)
    if seed >= SLICE_SEED:
        return with_slices(seed)
    if seed >= TURN_SEED:
        return with_row_programs(seed)
    # Those of the kinds that came last are drawn as seeds of an earlier million.
    earlier = seed - WIDE_SEED * max(0, seed // WIDE_SEED - 3)
    return drawn(seed, np.random.default_rng([2, earlier]))


def drawn(seed: int, rng: np.random.Generator, limits: NetworkLimits | None = None) -> Subject:
    """A pair of the kind that `seed` stands for; limits: sizes of its network, else those that are its turn."""
    limits = limits or LIMITS[(seed - WIDE_SEED * max(0, seed // WIDE_SEED - 3)) % len(LIMITS)]
    every, wide = seed >= ADDER_SEED, WIDE_SEED <= seed < PACKED_SEED
    per_channel, columns = CHANNEL_SEED <= seed < ADDER_SEED, COLUMNS_SEED <= seed < CHANNEL_SEED
    narrow = PACKED_SEED <= seed < COLUMNS_SEED or (columns and seed % 3 == 2)
    if per_channel:
        narrow, wide = seed % 4 == 2, seed % 4 == 3
    if columns:
        limits = replace(
            limits, any_columns=True, max_map=COLUMNS_MAP, max_stride=4 if seed < COLUMNS_SEED + NEW_SEED else 2
        )  # fmt: skip
    plain = seed % WIDE_SEED < NEW_SEED and not per_channel and not columns
    limits = replace(limits, bits=16 if wide else 8, plain=plain, narrow=narrow, per_channel=per_channel)
    limits = replace(limits, adders=1.0 if every else 0.0 if plain or per_channel or columns else 0.5)
    while True:
        pair = random_pair(rng, limits, n_frames=FRAMES)
        exact = schedule(pair.program, FRAMES)
        if exact.output_cycle[-1] <= MAX_CYCLES:
            break
    platform = get(PLATFORM)
    weights = pair.weights if seed % 2 == 0 else above_least(pair.weights)
    design = Design(
        name=f"pair {seed}",
        network=pair.network,
        accelerator=pair.accelerator,
        platform=PLATFORM,
        clock_mhz=platform.clock_mhz,
        cost=exact_cost((pair.program,), platform),
        weights_sha256=weights_digest(weights),
        seed=seed,
        versions=(),
    )
    images = random_codes(rng, pair.network.tensors[0], FRAMES)
    return Subject(seed=seed, design=design, weights=weights, program=pair.program, images=images)


def write_bundle(case: Subject, folder: Path, lib: Path | None = None) -> None:
    """What simulation needs of the bundle of `case`, with predictions for 1 and FRAMES frames. `lib`: folder with
    other library modules, for planted bugs; then simulations that hang are given up early."""
    with patch.object(emission, "FRAME_COUNTS", (1, FRAMES)):
        files = emission.render_bundle(case.design, case.weights, case.images)
    predicted = json.loads(files["sim/predicted.json"])
    assert predicted == [{str(n): predicted_cycles(case.design.network, case.program, n) for n in (1, FRAMES)}]
    assert case.program == lower(case.design.network, case.design.accelerator)
    kept = {p: body for p, body in files.items() if p == "bundle.json" or p.split("/")[0] in ("rtl", "sim", "vectors")}
    if lib is not None:
        for source in sorted(lib.glob("*.v")):
            assert f"rtl/{source.name}" in kept
            kept[f"rtl/{source.name}"] = source.read_bytes()
        info = json.loads(kept["bundle.json"])
        info["timeout_cycles"] = 2 * (info["latency_cycles"] + info["interval_cycles"]) + 500
        kept["bundle.json"] = json.dumps(info).encode()
    for path, body in kept.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    (folder / "manifest.json").write_bytes(emission.manifest_bytes(case.design, kept))


def simulate(case: Subject, simulator: Simulator, folder: Path, *, thorough: bool, lib: Path | None = None) -> RtlRun:
    """Emit and simulate. Raises ToolError if the design does not compile or the simulator breaks off."""
    write_bundle(case, folder / "bundle", lib)
    info = json.loads((folder / "bundle" / "bundle.json").read_text())
    frames = (FRAMES, 1) if thorough else (FRAMES,)
    tests = (
        tuple(t for t in bench_tests(info) if t != "control" or case.seed % CONTROL_EVERY == 0)
        if thorough
        else ("cycles",)
    )
    bundle, work = folder / "bundle", folder / "work"
    return simulate_rtl(bundle, simulator, frames=frames, work=work, tests=tests, seed=case.seed)


def differences(run: RtlRun) -> list[str]:
    """What of a run is not as predicted, one line each."""
    found = []
    for batch in run.batches:
        what = f"batch of {batch.predicted['frames']}"
        found += [f"{what}: test {name} failed" for name in batch.failed]
        if batch.mismatches:
            found.append(f"{what}: {batch.mismatches} output codes differ")
        if not batch.counters_equal:
            found.append(f"{what}: counters read over AXI4-Lite differ from the trace")
        if not batch.cycles_equal:
            wrong = [
                f"chunk {a['chunk']} job {a['job']}: {a['start']} to {a['end']}, simulated {b['start']} to {b['end']}"
                for a, b in zip(batch.predicted["jobs"], batch.simulated["jobs"], strict=True)
                if a != b
            ]
            keys = ("frames", "first_output_latency", "batch_interval_cycles", "batch")
            totals = [f"{k}: {batch.predicted[k]}, simulated {batch.simulated[k]}" for k in keys]  # type: ignore[literal-required]
            found.append(f"{what}: cycles differ: {'; '.join([*totals, *wrong])}")
        if not batch.holds and not found:
            found.append(f"{what}: nothing was compared ({batch.images} images)")
    return found


def check(seed: int, simulator: Simulator, folder: Path, *, thorough: bool) -> Outcome:
    """Draw, emit and simulate the pair of `seed` in `folder`; never raises for what a design or tool does wrong."""
    begin = time.perf_counter()
    case = subject(seed)
    program, last = case.program, case.design.network.tensors[-1]
    cycles = int(schedule(program, FRAMES).output_cycle[-1])
    try:
        failure = "; ".join(differences(simulate(case, simulator, folder, thorough=thorough)))
    except ToolError as err:
        failure = str(err)
    return Outcome(
        seed=seed,
        simulator=simulator,
        thorough=thorough,
        seconds=round(time.perf_counter() - begin, 2),
        cycles=cycles,
        jobs=sum(len(chunk.jobs) for chunk in program.chunks),
        codes=FRAMES * last.height * last.width * last.channels,
        failure=failure,
    )


def report(outcome: Outcome) -> str:
    """For a failed pair: what differs, the design, and the command that runs it again."""
    again = f"python benchmarks/property.py --seed {outcome.seed} --sim {outcome.simulator}"
    again += " --thorough" if outcome.thorough else ""
    design = subject(outcome.seed).design.canonical_json()
    return f"seed {outcome.seed} ({outcome.simulator}): {outcome.failure}\nagain: {again}\ndesign: {design}"


def chained(chunk: ChunkProgram) -> bool:
    """Whether the chunk adds its inputs in chains if its weights fit them."""
    kind = products(chunk.mixes, chunk.act_bits, chunk.weight_bits, chunk.acc_bits, chunk.packing)
    return chains(kind, chunk.degree, chunk.pn)


def _features_of_slices(case: Subject) -> dict[str, bool]:
    jobs = [(chunk, job) for chunk in case.program.chunks for job in chunk.jobs if job.slices > 1]
    rings = [(edge, ring) for edge in case.program.edges for ring in edge.rings]
    sliced = [(edge, ring) for edge, ring in rings if max(ring.write_slices, ring.read_slices) > 1]
    return {
        "slices": bool(jobs),
        "slices of several rows": any(job.rows_out > 1 for _, job in jobs),
        "slices of several channel groups": any(job.m_groups > 1 for _, job in jobs),
        "slices of a residual": any(job.res_edge is not None for _, job in jobs),
        "slices read by slices": any(ring.write_slices > 1 and ring.read_slices > 1 for _, ring in sliced),
        "slices of several column groups": any(job.col_groups > 1 for _, job in jobs),
        "slices with rings longer than the map": any(ring.rows > ring.map_rows for _, ring in sliced),
        "slices with rings of one map": any(ring.rows == ring.map_rows for _, ring in sliced),
        "slices in one of several rings of an edge": any(len(edge.rings) > 1 for edge, _ in sliced),
        "slices in turns of a few rows": any(
            turn.rows < chunk.jobs[turn.job].rows_out and chunk.jobs[turn.job].slices > 1
            for chunk in case.program.chunks
            for turn in chunk.turns
        ),
        "slices of a frame that began a round before": any(
            turn.late and chunk.jobs[turn.job].slices > 1
            for chunk in case.design.accelerator.chunks
            for turn in chunk.turns
        ),
        "slices of packed columns": any(job.degree > 1 for _, job in jobs),
        "slices of strides above 1": any(job.stride_h > 1 for _, job in jobs),
        "slices in split layout": any(ring.stride > 1 for edge, ring in sliced if ring.write_slices > 1),
        "slices written in parts": any(edge.lanes > edge.write_lanes for edge, ring in sliced if ring.write_slices > 1),
        "slices beside whole jobs in a chunk": any(
            {job.slices > 1 for job in chunk.jobs} == {False, True} for chunk in case.program.chunks
        ),
        "slices to the host": any(edge.consumer == HOST and ring.write_slices > 1 for edge, ring in sliced),
        "slices on a self edge": any(edge.producer == edge.consumer for edge, _ in sliced),
    }


def _features_of_shares(case: Subject) -> dict[str, bool]:
    shared = [(edge, ring) for edge in case.program.edges for ring in edge.rings if ring.waits_for >= 0]
    groups = {(edge.producer, edge.consumer, edge.port, edge.lane, ring.base) for edge, ring in shared}
    return {
        "shared memory": bool(shared),
        "shared memory of more than two rings": len(shared) > 2 * len(groups),
        "shared memory of several edges": len({group[:4] for group in groups}) > 1,
        "shared memory beside memory of its own": any(
            {ring.waits_for >= 0 for ring in edge.rings} == {False, True} for edge, _ in shared
        ),
        "shared memory of rings of several sizes": any(
            len({ring.ring_words for ring in edge.rings if ring.waits_for >= 0}) > 1 for edge, _ in shared
        ),
        "shared memory of residuals": any(edge.port == "residual" for edge, _ in shared),
        "shared memory of maps of several rows": any(ring.map_rows > 1 for _, ring in shared),
        "shared memory written by slices": any(ring.write_slices > 1 for _, ring in shared),
        "shared memory read by slices": any(ring.read_slices > 1 for _, ring in shared),
    }


def _features_of_parts(case: Subject) -> dict[str, bool]:
    rings = [(edge, ring) for edge in case.program.edges for ring in edge.rings if ring.parts > 1]
    turns = [(chunk.jobs[turn.job], turn) for chunk in case.design.accelerator.chunks for turn in chunk.turns]
    readers = {ring.consumer for _, ring in rings}
    return {
        "parts of channels": bool(rings),
        "parts of several rows": any(ring.map_rows > ring.parts for _, ring in rings),
        "parts in a ring of less than a map": any(ring.rows < ring.map_rows // ring.parts for _, ring in rings),
        "parts in a ring of several frames": any(ring.rows > ring.map_rows for _, ring in rings),
        "parts of several words": any(ring.col_words > 1 for _, ring in rings),
        "parts in shared memory": any(ring.waits_for >= 0 for _, ring in rings),
        "parts beside whole rows in an edge": any(
            {r.parts > 1 for r in edge.rings} == {False, True} for edge, _ in rings
        ),
        "parts in one of several uses of a tensor": any(
            sum(other.tensor == ring.tensor for edge in case.program.edges for other in edge.rings) > 1
            for _, ring in rings
        ),
        "parts with streamed weights": any(
            job.streamed and job.layer in readers | {ring.tensor - 1 for _, ring in rings}
            for chunk in case.program.chunks
            for job in chunk.jobs
        ),
        "parts in turns of a few rows": any(
            job.layer in readers and turn.rows < case.design.network.result(job.layer).height for job, turn in turns
        ),
        "parts of a frame that began a round before": any(job.layer in readers and turn.late for job, turn in turns),
    }


def features(case: Subject) -> Mapping[str, bool]:
    """Which features of the template this pair makes use of."""
    network, program = case.design.network, case.program
    platform = get(PLATFORM)
    layers = network.layers
    jobs = [(chunk, job, layers[job.layer]) for chunk in program.chunks for job in chunk.jobs]
    rings = [(edge, ring) for edge in program.edges for ring in edge.rings]
    shapes = [(job, layer, network.source(layer), network.result(job.layer)) for _, job, layer in jobs]

    def after(size: int, out: int, job_stride: int, kernel: int, before: int) -> int:
        return (out - 1) * job_stride + kernel - size - before

    found = {f"pp {n}": program.pp == n for n in (1, 2, 4, 8)}
    found |= {f"op {name}": any(layer.op == name for layer in layers) for name in OPERATORS}
    found |= {f"kernel height {n}": any(layer.kernel_h == n for layer in layers) for n in (1, 2, 3, 4, 5)}
    found |= {f"{n} chunks": len(program.chunks) == n for n in (1, 2, 3, 4)}
    return found | {
        "kernel height above 5": any(layer.kernel_h > 5 for layer in layers),
        "fully connected": any(
            x.op == "dense" and (x.kernel_h, x.kernel_w) == (s.height, s.width) != (1, 1) and o.height == o.width == 1
            for _, x, s, o in shapes
        ),
        "stride 2, split layout": any(ring.stride > 1 and edge.consumer >= 0 for edge, ring in rings),
        "split layout, two groups of columns": any(r.stride > 1 and r.class_words > r.col_words for _, r in rings),
        "max pooling of negative codes, padded": any(
            x.op == "maxpool" and (x.pad_top or x.pad_left) and s.signed for _, x, s, _ in shapes
        ),
        "sums and largest products in one chunk": any(
            len({layers[job.layer].op for job in chunk.jobs} & {"maxpool", "avgpool", "depthwise"}) > 1
            and any(layers[job.layer].op == "maxpool" for job in chunk.jobs)
            for chunk in program.chunks
        ),
        "strides differ": any(layer.stride_h != layer.stride_w for layer in layers),
        "non-square kernel": any(layer.kernel_h != layer.kernel_w for layer in layers),
        "non-square map": any(t.height != t.width for t in network.tensors),
        "asymmetric padding": any(
            x.pad_top and after(s.height, o.height, x.stride_h, x.kernel_h, x.pad_top) != x.pad_top
            for _, x, s, o in shapes
        ),
        "valid padding": any(
            x.kernel_h > 1 and not x.pad_top and after(s.height, o.height, x.stride_h, x.kernel_h, 0) <= 0
            for _, x, s, o in shapes
        ),
        "kernel below stride": any(layer.kernel_h < layer.stride_h for layer in layers),
        "rows of the input never read": any(
            after(s.height, o.height, x.stride_h, x.kernel_h, x.pad_top) < 0 for _, x, s, o in shapes
        ),
        "residual": any(layer.residual is not None for layer in layers),
        "residual over several layers": any(
            x.residual is not None and i - x.residual >= 2 for i, x in enumerate(layers)
        ),
        "residual from the input": any(layer.residual == 0 for layer in layers),
        "residual equal to the operand": any(layer.residual == layer.input for layer in layers),
        "nested activations": any(layer.act_bits < network.master_bits for layer in layers),
        "nested weights": any(x.operator.stores_weights and x.weight_bits < x.weight_store_bits for x in layers),
        "inputs added in chains": any(
            chained(c) and c.act_bits + c.weight_bits == 16 and fits_chain(c, case.weights) for c in program.chunks
        ),
        "inputs added in chains, of fewer bits": any(
            chained(c) and c.act_bits + c.weight_bits < 16 for c in program.chunks
        ),
        "an odd input added in a chain": any(chained(c) and c.pn % 2 for c in program.chunks),
        "weights that do not fit a chain": any(chained(c) and not fits_chain(c, case.weights) for c in program.chunks),
        "shifts per channel": any(chunk.shift_bits for chunk in program.chunks),
        "shifts per channel, with a residual in the chunk": any(
            c.shift_bits and c.has_residual for c in program.chunks
        ),
        "pad codes per channel": any(chunk.pad_depth for chunk in program.chunks),
        "pad codes per channel, and one for all": any(
            c.pad_depth and any(job.pad_base is None for job in c.jobs) for c in program.chunks
        ),
        "nonzero zero point": any(t.zero_point for t in network.tensors),
        "signed input": network.tensors[0].signed,
        "unsigned input": not network.tensors[0].signed,
        "two groups, half of the words": any(job.halves.words for _, job, _ in jobs),
        "two groups, all words": any(layer.groups == 2 and not job.halves.words for _, job, layer in jobs),
        "two groups, second half first": any(job.halves.first for _, job, _ in jobs),
        **_features_of_shares(case),
        **_features_of_parts(case),
        "two groups, second half in the middle": any(
            job.halves.words and 0 < job.halves.turn_lo < job.halves.turn_hi < job.m_groups for _, job, _ in jobs
        ),
        "slot is the drain (D > R)": any(chunk.drain_cycles > job.steps for chunk, job, _ in jobs),
        "slot is the walk (R > D > 1)": any(job.steps > chunk.drain_cycles > 1 for chunk, job, _ in jobs),
        "row of one cycle": any(job.col_groups * job.m_groups * job.slot_cycles == 1 for _, job, _ in jobs),
        "ring at its minimum": any(
            ring.rows == max(layers[ring.consumer].kernel_h, layers[ring.consumer].stride_h) < t.height
            for edge, ring in rings
            for t in (network.tensors[ring.tensor],)
            if edge.consumer >= 0 and edge.port == "main"
        ),
        "ring of several frames": any(ring.rows > network.tensors[ring.tensor].height for _, ring in rings),
        "stages, skipped jobs": any(job.stage > 0 for _, job, _ in jobs),
        "stages within a chunk": any(len({job.stage for job in chunk.jobs}) > 1 for chunk in program.chunks),
        "several turns of a job": any(len(chunk.turns) > len(chunk.jobs) for chunk in program.chunks),
        "turns of a frame that began a round before": any(
            turn.late for chunk in case.design.accelerator.chunks for turn in chunk.turns
        ),
        **_features_of_slices(case),
        "slices streamed": any(job.streamed and job.slices > 1 for _, job, _ in jobs),
        "weights of a layer that does not mix channels streamed": any(
            job.streamed for chunk, job, _ in jobs if not chunk.mixes
        ),
        "weights streamed and on chip in one chunk": any(
            c.slots and any(job.weight_words for job in c.jobs) for c in program.chunks
        ),
        "several stores": len({one.store for one in program.fetches}) > 1,
        "words side by side in a store": any(
            words_per_row(c.weight_width, c.bus_bits) > 1 for c in program.chunks if c.slots
        ),
        "words of several beats": any(
            store_row_beats(c.weight_width, c.bus_bits) > 1 for c in program.chunks if c.slots
        ),
        "a short last burst": any(
            one.beats % program.memory.burst for one in program.fetches if program.memory is not None
        ),
        "a burst of one beat": program.memory is not None and program.memory.burst == 1,
        "more than two slots": program.memory is not None and program.memory.slots > 2,
        "weights streamed at several stages": len({one.stage for one in program.fetches}) > 1,
        "streamed weights that are rounded": any(c.slots and c.nested_weight for c in program.chunks),
        "columns of its own, mixing": any(c.pp < program.pp and c.kind == "dense" for c in program.chunks),
        "columns of its own, per channel": any(c.pp < program.pp and c.kind != "dense" for c in program.chunks),
        "several jobs in a chunk": any(len(chunk.jobs) > 1 for chunk in program.chunks),
        "self edge": any(edge.producer == edge.consumer for edge in program.edges),
        "two lanes": any(edge.lane > 0 for edge in program.edges),
        "several rings in an edge": any(len(edge.rings) > 1 for edge in program.edges),
        "several destinations": any(len(job.destinations) > 1 for _, job, _ in jobs),
        "several uses of the input": len(program.host_in) > 1,
        "several sources": any(len({job.src_edge for job in chunk.jobs}) > 1 for chunk in program.chunks),
        "several residual edges": any(
            len({job.res_edge for job in chunk.jobs if job.res_edge is not None}) > 1 for chunk in program.chunks
        ),
        "channels do not divide lanes": any(network.tensors[r.tensor].channels % e.lanes for e, r in rings),
        "channels do not divide groups": any(network.result(job.layer).channels % c.pm for c, job, _ in jobs),
        "words written in parts": any(edge.lanes > edge.write_lanes for edge in program.edges),
        "columns do not divide pp": any(t.width % program.pp for t in network.tensors),
        "block RAM feature maps": any(
            style(banks(edge, program.banks), platform, program.block_luts) == "block" for edge in program.edges
        ),
        "block RAM weights": any(
            platform.memory_style(c.pm * c.pn * c.weight_store_bits, c.weight_depth + 1) == "block"
            for c in program.chunks
        ),
        "requantisers made of adders": any(chunk.requant == "lut" for chunk in program.chunks),
        "products made of adders": any(chunk.products == "lut" for chunk in program.chunks),
        "block RAM with a price": program.block_luts > 0,
        "output one column wide": program.out_cols == 1 and program.pp > 1,
        "output rows of one beat": program.out_col_groups * program.out_chan_words == 1,
        "input rows of one beat": program.in_col_groups * program.in_chan_words == 1,
    }
