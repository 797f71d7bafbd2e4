# SPDX-License-Identifier: Apache-2.0
"""Random networks on random designs: the RTL has every bit of the integer reference and every cycle of the schedule."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from runner import ROOT
from template_pairs import (
    ADDER_SEED,
    CHANNEL_SEED,
    COLUMNS_SEED,
    NEW_SEED,
    PACKED_SEED,
    PART_SEED,
    SHARE_SEED,
    SLICE_SEED,
    STREAM_SEED,
    TURN_SEED,
    WIDE_SEED,
    Subject,
    check,
    differences,
    features,
    in_ultra_ram,
    report,
    simulate,
    subject,
)

from nba.core.tools import run_tool
from nba.emit.bundle import emit_bundle
from nba.emit.vectors import default_images
from nba.flow.metrics import table
from nba.verify import verify_bundle
from nba.verify.rtl import Simulator
from tests.sampling import OPTION
from tests.tiny import tiny_design

pytestmark = [pytest.mark.eda, pytest.mark.usefixtures("simulated_here")]


class Silent:
    """Progress that nobody watches."""

    def start(self, task: str, total: int | None = None) -> None: ...

    def advance(self, n: int = 1, note: str = "") -> None: ...

    def finish(self) -> None: ...


ICARUS_SEEDS = (*range(60), *range(NEW_SEED, NEW_SEED + 30))
VERILATOR_SEEDS = (*range(90, 96), *range(NEW_SEED + 30, NEW_SEED + 36))
WIDE_SEEDS = (*range(WIDE_SEED, WIDE_SEED + 8), *range(WIDE_SEED + NEW_SEED, WIDE_SEED + NEW_SEED + 4))
"""Networks with codes of 16 bits: all in Icarus, the last two in Verilator too."""
COLUMNS_SEEDS = (
    *range(COLUMNS_SEED + 20, COLUMNS_SEED + 36),
    *range(COLUMNS_SEED + NEW_SEED, COLUMNS_SEED + NEW_SEED + 8),
)
COLUMNS_IN_VERILATOR = (COLUMNS_SEED + 3, COLUMNS_SEED + 26, COLUMNS_SEED + NEW_SEED + 9)
PACKED_SEEDS = (*range(PACKED_SEED, PACKED_SEED + 8), *range(PACKED_SEED + NEW_SEED, PACKED_SEED + NEW_SEED + 4))
"""Accelerators that pack columns: all in Icarus, PACKED_IN_VERILATOR in Verilator too."""
PACKED_IN_VERILATOR = PACKED_SEED + 2
CHANNEL_SEEDS = (*range(CHANNEL_SEED, CHANNEL_SEED + 8), *range(CHANNEL_SEED + 44, CHANNEL_SEED + 48))
"""Shifts and pad codes per channel: all in Icarus, CHANNEL_IN_VERILATOR in Verilator too."""
CHANNEL_IN_VERILATOR = CHANNEL_SEED + 7
ADDER_SEEDS = (*range(ADDER_SEED, ADDER_SEED + 6), *range(ADDER_SEED + NEW_SEED, ADDER_SEED + NEW_SEED + 6))
"""Multipliers made of adders, in Verilator; every second in Icarus too."""
TURN_SEEDS = tuple(range(TURN_SEED, TURN_SEED + 60))
"""Row programs in Icarus, TURNS_IN_VERILATOR in Verilator too."""
TURNS_IN_VERILATOR = (TURN_SEED + 61, TURN_SEED + 65, TURN_SEED + 68)
SLICE_SEEDS = tuple(range(SLICE_SEED, SLICE_SEED + 40))
"""Slices in Icarus, SLICES_IN_VERILATOR in Verilator too."""
SLICES_IN_VERILATOR = (SLICE_SEED + 22, SLICE_SEED + 41, SLICE_SEED + 44, SLICE_SEED + 47)
STREAM_SEEDS = tuple(range(STREAM_SEED, STREAM_SEED + 40))
"""Weights from external memory in Icarus, STREAMS_IN_VERILATOR in Verilator too."""
STREAMS_IN_VERILATOR = (STREAM_SEED + 25, STREAM_SEED + 26, STREAM_SEED + 44, STREAM_SEED + 53)
SHARE_SEEDS = tuple(range(SHARE_SEED, SHARE_SEED + 30))
"""Shared memory in Icarus, SHARES_IN_VERILATOR in Verilator too."""
SHARES_IN_VERILATOR = (SHARE_SEED + 30, SHARE_SEED + 31, SHARE_SEED + 32, SHARE_SEED + 34)
PART_SEEDS = tuple(range(PART_SEED, PART_SEED + 20))
"""Rings whose rows hold the channels of a slice in Icarus, PARTS_IN_VERILATOR in Verilator too."""
PARTS_IN_VERILATOR = (PART_SEED + 2, PART_SEED + 4)
BATCH = 5
THOROUGH_EVERY = 5
"""Every fifth pair also has stalls, resets, batches and a batch of one frame."""
MOST_WORK = 50_000
"""Multipliers times cycles of a frame that wide codes, packed columns and the like may have to be simulated so
thoroughly in a sample: Icarus takes a minute for twice as many."""


def bundle_verifies(case: Subject, folder: Path, wanted: dict[str, int]) -> None:
    """The bundle of `case` verifies from its files alone, with `wanted` images in every check."""
    emit_bundle(case.design, case.weights, folder / "bundle", case.images)
    part = verify_bundle(folder / "bundle", work=folder / "work", images=wanted, progress=Silent())
    assert part["bit_exact"] == {name: {"images": count, "mismatches": 0} for name, count in wanted.items()}
    assert part["verify_failures"] == []


def affordable(seed: int, request: pytest.FixtureRequest) -> bool:
    """Whether the pair has no more than MOST_WORK, which does not matter where all cases are run."""
    if not request.config.getoption(OPTION):
        return True
    case = subject(seed)
    multipliers = sum(chunk.pm * chunk.pn for chunk in case.program.chunks) * case.program.pp
    return multipliers * case.design.cost.interval_cycles <= MOST_WORK


@pytest.mark.sampled(every=12)
@pytest.mark.parametrize("first", ICARUS_SEEDS[::BATCH])
def test_icarus(first: int, tmp_path: Path) -> None:
    outcomes = [
        check(seed, "icarus", tmp_path / str(seed), thorough=seed % THOROUGH_EVERY == 0)
        for seed in range(first, first + BATCH)
    ]
    failed = [outcome for outcome in outcomes if outcome.failure]
    assert not failed, "\n".join(report(outcome) for outcome in failed)


@pytest.mark.sampled(every=12)
@pytest.mark.parametrize("first", [*WIDE_SEEDS[::2], *PACKED_SEEDS[::2], *CHANNEL_SEEDS[::2], *COLUMNS_SEEDS[::2]])
def test_wide_codes_and_packed_columns_in_icarus(first: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    outcomes = [
        check(seed, "icarus", tmp_path / str(seed), thorough=seed % THOROUGH_EVERY == 0 and affordable(seed, request))
        for seed in range(first, first + 2)
    ]
    failed = [outcome for outcome in outcomes if outcome.failure]
    assert not failed, "\n".join(report(outcome) for outcome in failed)


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize("seed", [*WIDE_SEEDS[-2:], PACKED_IN_VERILATOR, CHANNEL_IN_VERILATOR, *COLUMNS_IN_VERILATOR])
def test_wide_codes_and_packed_columns_in_verilator(seed: int, tmp_path: Path) -> None:
    outcome = check(seed, "verilator", tmp_path, thorough=False)
    assert not outcome.failure, report(outcome)


@pytest.mark.sampled(every=5)
@pytest.mark.parametrize("first", ADDER_SEEDS[::2])
def test_multipliers_made_of_adders(first: int, tmp_path: Path) -> None:
    """As many bits and cycles as with DSP blocks."""
    for seed in range(first, first + 2):
        case = subject(seed)
        assert all(chunk.requant == "lut" for chunk in case.program.chunks)
        outcome = check(seed, "verilator", tmp_path / str(seed), thorough=seed % THOROUGH_EVERY == 0)
        assert not outcome.failure, report(outcome)
    outcome = check(first, "icarus", tmp_path / "icarus", thorough=False)
    assert not outcome.failure, report(outcome)


def batch_holds(first: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The pairs of BATCH seeds in Icarus, the first of them thoroughly."""
    outcomes = [
        check(seed, "icarus", tmp_path / str(seed), thorough=seed == first and affordable(seed, request))
        for seed in range(first, first + BATCH)
    ]
    failed = [outcome for outcome in outcomes if outcome.failure]
    assert not failed, "\n".join(report(outcome) for outcome in failed)


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize("first", TURN_SEEDS[::BATCH])
def test_row_programs_in_icarus(first: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One pair of every kind, the first of them thoroughly."""
    batch_holds(first, tmp_path, request)


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("seed", TURNS_IN_VERILATOR)
def test_row_programs_in_verilator(seed: int, tmp_path: Path) -> None:
    outcome = check(seed, "verilator", tmp_path, thorough=True)
    assert not outcome.failure, report(outcome)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("first", SLICE_SEEDS[::BATCH])
def test_slices_in_icarus(first: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The first of them thoroughly."""
    batch_holds(first, tmp_path, request)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("seed", SLICES_IN_VERILATOR)
def test_slices_in_verilator(seed: int, tmp_path: Path) -> None:
    outcome = check(seed, "verilator", tmp_path, thorough=True)
    assert not outcome.failure, report(outcome)


def test_a_bundle_with_slices_verifies(tmp_path: Path) -> None:
    """From the emitted files alone, in simulation of the Verilog and of the HLS C++."""
    case = subject(SLICE_SEED + 11)
    assert any(job.slices > 1 for chunk in case.design.accelerator.chunks for job in chunk.jobs)
    bundle_verifies(case, tmp_path, {"icarus": 3, "hls": 4})


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("first", STREAM_SEEDS[::BATCH])
def test_streamed_weights_in_icarus(first: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One pair of every kind, the first of them thoroughly."""
    batch_holds(first, tmp_path, request)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("seed", STREAMS_IN_VERILATOR)
def test_streamed_weights_in_verilator(seed: int, tmp_path: Path) -> None:
    outcome = check(seed, "verilator", tmp_path, thorough=True)
    assert not outcome.failure, report(outcome)


def test_a_bundle_with_streamed_weights_verifies(tmp_path: Path) -> None:
    """From the emitted files alone, in simulation of the Verilog and of the HLS C++."""
    case = subject(STREAM_SEED + 25)
    assert case.program.memory is not None
    bundle_verifies(case, tmp_path, {"icarus": 3, "hls": 4})


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("first", SHARE_SEEDS[::BATCH])
def test_shared_memory_in_icarus(first: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The first of them thoroughly."""
    batch_holds(first, tmp_path, request)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("seed", SHARES_IN_VERILATOR)
def test_shared_memory_in_verilator(seed: int, tmp_path: Path) -> None:
    outcome = check(seed, "verilator", tmp_path, thorough=True)
    assert not outcome.failure, report(outcome)


@pytest.mark.sampled(every=4)
@pytest.mark.parametrize("first", PART_SEEDS[::BATCH])
def test_parts_of_channels_in_icarus(first: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The first of them thoroughly."""
    batch_holds(first, tmp_path, request)


@pytest.mark.sampled(every=2)
@pytest.mark.parametrize("seed", PARTS_IN_VERILATOR)
def test_parts_of_channels_in_verilator(seed: int, tmp_path: Path) -> None:
    outcome = check(seed, "verilator", tmp_path, thorough=True)
    assert not outcome.failure, report(outcome)


def test_a_bundle_with_shared_memory_verifies(tmp_path: Path) -> None:
    """From the emitted files alone, in simulation of the Verilog and of the HLS C++."""
    case = subject(SHARE_SEED + 7)
    shared = [ring for edge in case.program.edges for ring in edge.rings if ring.waits_for >= 0]
    assert any(ring.write_slices > 1 for ring in shared)
    bundle_verifies(case, tmp_path, {"icarus": 3, "hls": 4})


@pytest.mark.parametrize(("seed", "simulator"), [(STREAM_SEED + 2, "icarus"), (SHARE_SEED + 7, "verilator")])
def test_ultra_ram_changes_neither_bits_nor_cycles(seed: int, simulator: Simulator, tmp_path: Path) -> None:
    """All buffers and stores in UltraRAM: the bits and the cycles of the same design without."""
    plain = subject(seed)
    case = in_ultra_ram(plain)
    assert all(edge.ultra for edge in case.program.edges)
    assert any(chunk.ultra for chunk in case.program.chunks) == (seed < SHARE_SEED)
    assert case.design.cost.interval_cycles == plain.design.cost.interval_cycles
    run = simulate(case, simulator, tmp_path, thorough=False)
    assert differences(run) == []
    (batch,) = run.batches
    assert batch.images > 0
    text = (tmp_path / "bundle" / "rtl" / f"nba_pair_{seed}.v").read_text()
    assert re.findall(r"\.BLOCK +\((\d)\)", text).count("2") == len(case.program.edges)


def test_a_bundle_with_row_programs_verifies(tmp_path: Path) -> None:
    """From the emitted files alone, in simulation of the Verilog and of the HLS C++."""
    case = subject(TURN_SEED + 4)
    assert any(turn.late for chunk in case.design.accelerator.chunks for turn in chunk.turns)
    bundle_verifies(case, tmp_path, {"icarus": 3, "hls": 4})


def test_a_wide_bundle_verifies(tmp_path: Path) -> None:
    """From the emitted files alone, in simulation of the Verilog and of the HLS C++."""
    case = subject(WIDE_SEEDS[2])
    bundle_verifies(case, tmp_path, {"icarus": 2, "hls": 4})


def test_a_short_batch_proves_its_own_interval_only(tmp_path: Path) -> None:
    """The steady interval of this design begins with its third frame: two frames show another, eight show it."""
    design, weights = tiny_design(10)
    emit_bundle(design, weights, tmp_path / "bundle", default_images(design, 8))
    bundle, seen = tmp_path / "bundle", {}
    for frames in (2, 8):
        part = verify_bundle(bundle, work=tmp_path / str(frames), images={"icarus": frames}, progress=Silent())
        assert part["verify_failures"] == []
        cycles = part["cycles"]
        assert cycles["simulated"]["icarus"] == cycles["predicted"]  # type: ignore[index]
        (row,) = (line for line in table(part) if line.label.startswith("cycles"))
        assert row.holds
        interval = cycles["simulated"]["icarus"]["batch_interval_cycles"]  # type: ignore[index]
        seen[frames] = (interval, cycles["steady"]["interval_cycles"], cycles["steady"]["reached"])  # type: ignore[index]
        assert ("steady interval 398" in row.value) == (frames == 8)
        assert (f"interval within the batch {interval}" in row.value) == (frames == 2)
    assert seen == {2: (188, 398, False), 8: (398, 398, True)}


def test_the_claim_is_made_from_the_larger_batch(tmp_path: Path) -> None:
    """Two frames in both simulators do not show the steady interval of this design. Where the number is left to
    verification, Verilator simulates those that do, and the table and the metrics are about them."""
    design, weights = tiny_design(10)
    emit_bundle(design, weights, tmp_path / "bundle", default_images(design, 2))
    wanted = {"icarus": 2, "verilator": 2}
    part = verify_bundle(tmp_path / "bundle", work=tmp_path / "work", images=wanted, progress=Silent(), settle=True)
    assert part["verify_failures"] == []
    images = {"images": 2, "mismatches": 0}
    assert part["bit_exact"] == {"icarus": images, "verilator": images}, "the same two images again are no more images"
    cycles = part["cycles"]
    assert cycles["predicted"]["frames"] == 6
    assert cycles["shorter"]["predicted"]["frames"] == 2
    assert cycles["simulated"] == {"verilator": cycles["predicted"]}  # type: ignore[index]
    assert cycles["shorter"]["simulated"] == {"icarus": cycles["shorter"]["predicted"]}  # type: ignore[index]
    assert cycles["steady"]["reached"]
    assert not cycles["shorter"]["steady"]["reached"]
    assert cycles["simulated"]["verilator"]["batch_interval_cycles"] == 398  # type: ignore[index]
    icarus, verilator = (line.value for line in table(part) if line.label.startswith("cycles"))
    assert ", interval within the batch 188 cycles, " in icarus
    assert "too few frames" in icarus
    assert ", steady interval 398 cycles, " in verilator
    assert verilator.endswith(" x 6 frames")


def test_wide_codes_occur_in_every_place() -> None:
    seen: set[str] = set()
    for seed in WIDE_SEEDS:
        case = subject(seed)
        assert case.program.code_bits == 16
        for chunk in case.program.chunks:
            found = {
                "operands of 16 bits": chunk.act_bits == 16,
                "weights of 16 bits": chunk.weight_bits == 16,
                "weights of 8 bits": chunk.weight_store_bits <= 8,
                "nested codes": chunk.nested_act,
                "nested weights": chunk.nested_weight and chunk.weight_store_bits == 16,
                "wide totals": chunk.acc_bits > 30,
                "residual": chunk.has_residual,
                "depthwise": chunk.kind == "depthwise",
                "two groups": any(job.halves.words for job in chunk.jobs),
            }
            seen |= {name for name, there in found.items() if there}
            wanted = set(found)
    assert wanted <= seen, wanted - seen


def test_shifts_and_pad_codes_per_channel_occur_in_every_way() -> None:
    seen: set[str] = set()
    for seed in CHANNEL_SEEDS:
        case = subject(seed)
        for chunk in case.program.chunks:
            layers = [case.design.network.layers[job.layer] for job in chunk.jobs]
            found = {
                "shifts": chunk.shift_bits > 0,
                "shifts of many bits": chunk.shift_bits > 4,
                "one shift beside others": chunk.shift_bits > 0 and any(layer.shift_bits == 0 for layer in layers),
                "a residual beside shifts": chunk.shift_bits > 0 and chunk.has_residual,
                "pad codes": chunk.pad_depth > 0,
                "pad codes of several jobs": sum(job.pad_words > 0 for job in chunk.jobs) > 1,
                "one pad code beside others": chunk.pad_depth > 0 and any(job.pad_words == 0 for job in chunk.jobs),
                "pad codes of several words": any(job.pad_words > 1 for job in chunk.jobs),
                "pad codes of packed columns": any(job.degree > 1 and job.pad_words > 0 for job in chunk.jobs),
                "pad codes of 16 bits": chunk.pad_depth > 0 and case.program.code_bits == 16,
                "pad codes of depthwise": chunk.pad_depth > 0 and chunk.kind == "depthwise",
                "nested pad codes": chunk.pad_depth > 0 and chunk.nested_act,
            }
            seen |= {name for name, there in found.items() if there}
            wanted = set(found)
    assert wanted <= seen, wanted - seen


def test_packed_columns_occur_in_every_way() -> None:
    found: set[object] = set()
    for seed in PACKED_SEEDS:
        program = subject(seed).program
        found.add(f"packing {program.packing}")
        for chunk in program.chunks:
            degrees = {job.degree for job in chunk.jobs}
            found |= degrees | ({"degrees that differ in a chunk"} if len(degrees) > 1 else set())
            for job in chunk.jobs:
                if job.degree > 1 and job.res_edge is not None:
                    found.add("residual operand of packed columns")
                if job.degree > 1 and job.steps < chunk.drain_cycles * job.degree:
                    found.add("slot is the drain")
                if job.degree > 1 and job.slot_cycles == job.steps:
                    found.add("slot is the walk")
                if job.degree > 1 and job.col_groups > 1:
                    found.add("several groups of packed columns")
                if any(ring.stride > 1 for d in job.destinations for ring in program.edges[d.edge].rings):
                    found |= {"split rows from packed columns"} if job.degree > 1 else set()
    assert found == {
        "packing 2", "packing 4", 1, 2, 4, "degrees that differ in a chunk", "residual operand of packed columns",
        "slot is the drain", "slot is the walk", "several groups of packed columns", "split rows from packed columns",
    }  # fmt: skip


def test_any_columns_and_strides_occur_in_every_way() -> None:
    found: set[str] = set()
    for seed in COLUMNS_SEEDS:
        program = subject(seed).program
        power = program.banks & (program.banks - 1) == 0
        found.add(f"{'a power of two of' if power else 'other numbers of'} banks{', packed' * (program.packing > 1)}")
        found |= {"more than 8 banks"} if program.banks > 8 else set()
        found |= {"short words"} if not program.wide and not power else set()
        if program.out_cols < program.banks and program.out_col_groups > 1:
            found.add("output groups side by side")
        for chunk in program.chunks:
            for job in chunk.jobs:
                found |= {f"rows of stride {job.stride_h}", f"columns of stride {job.stride_w}"}
                found |= {f"several groups of stride {job.stride_w}"} if job.col_groups > 1 else set()
    strides = {f"{what} of stride {s}" for what in ("rows", "columns") for s in (1, 2, 3, 4)}
    assert found >= strides | {
        "a power of two of banks", "other numbers of banks", "a power of two of banks, packed",
        "other numbers of banks, packed", "more than 8 banks", "short words", "output groups side by side",
        "several groups of stride 2", "several groups of stride 3",
    }, found  # fmt: skip


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize("seed", VERILATOR_SEEDS)
def test_verilator(seed: int, tmp_path: Path) -> None:
    outcome = check(seed, "verilator", tmp_path, thorough=seed % 2 == 0)
    assert not outcome.failure, report(outcome)


@pytest.mark.full
@pytest.mark.timeout(6 * 3600)
def test_a_thousand_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark as it stands; it goes on where an earlier run of it stopped."""
    command = [sys.executable, str(ROOT / "benchmarks" / "property.py")]
    done = run_tool(command, cwd=ROOT, check=False)
    with capsys.disabled():
        print(f"\n{done.output[-2000:]}")
    assert done.returncode == 0, done.output[-20_000:]


def test_at_least_a_hundred_pairs() -> None:
    assert len(set(ICARUS_SEEDS) | set(VERILATOR_SEEDS)) >= 100
    assert len(ICARUS_SEEDS) % BATCH == 0


def test_every_feature_of_the_template_occurs() -> None:
    counts: Counter[str] = Counter()
    shared = [SHARE_SEED + number for number in (0, 7, 14, 22)]
    parts = [PART_SEED + number for number in (1, 3, 8, 14, 15, 31)]
    later = (*TURN_SEEDS[:12], *SLICE_SEEDS[:30], *STREAM_SEEDS[:30], *shared, *parts)
    for seed in (*ICARUS_SEEDS, *CHANNEL_SEEDS, *later):
        counts.update({name: int(used) for name, used in features(subject(seed)).items()})
    assert counts
    assert not [name for name, count in counts.items() if count == 0], counts


def test_pairs_depend_on_nothing_but_the_seed() -> None:
    assert subject(7).design == subject(7).design
    assert (subject(7).images == subject(7).images).all()
    assert subject(7).design != subject(8).design
