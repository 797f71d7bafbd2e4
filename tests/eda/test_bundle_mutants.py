# SPDX-License-Identifier: Apache-2.0
"""Planted bugs of what a user sees of a bundle: registers, ends of batches, streams. Its own bench must find each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from bundle_mutants import MANY_BEATS, PLANTED, Planted
from template_pairs import FRAMES, subject, write_bundle

from nba.emit.bundle import manifest_bytes
from nba.verify.rtl import RtlResult, simulate_rtl
from sim.run_sim import bench_tests

pytestmark = [pytest.mark.eda, pytest.mark.usefixtures("simulated_here"), pytest.mark.xdist_group("bundle-mutants")]


def _bundle(seed: int, folder: Path) -> Path:
    """The bundle of the pair, with simulations that hang given up early."""
    case = subject(seed)
    write_bundle(case, folder)
    info = json.loads((folder / "bundle.json").read_text())
    info["timeout_cycles"] = 6 * (info["latency_cycles"] + info["interval_cycles"]) + 500
    (folder / "bundle.json").write_text(json.dumps(info))
    _signed(seed, folder)
    return folder


def _signed(seed: int, folder: Path) -> None:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    (folder / "manifest.json").write_bytes(manifest_bytes(subject(seed).design, files))


def _plant(bug: Planted, folder: Path) -> None:
    top = json.loads((folder / "bundle.json").read_text())["top"]
    path = folder / "rtl" / f"{top if bug.module == 'top' else bug.module}.v"
    text = path.read_text()
    assert text.count(bug.old) == 1, f"{path.name} holds {bug.old!r} {text.count(bug.old)} times"
    text = text.replace(bug.old, bug.new)
    if "fin_q" in bug.new:
        text = text.replace("  reg         done_q;\n", "  reg         done_q;\n  reg         fin_q;\n")
    path.write_text(text)
    _signed(bug.seed, folder)


def _run(folder: Path, tests: tuple[str, ...], work: Path) -> RtlResult:
    (batch,) = simulate_rtl(folder, "icarus", frames=(FRAMES,), work=work, tests=tests).batches
    return batch


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The machines without a bug."""
    base = tmp_path_factory.mktemp("bundles")
    return {seed: _bundle(seed, base / str(seed)) for seed in sorted({bug.seed for bug in PLANTED})}


@pytest.mark.sampled(every=6)
@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(bug, id=f"{bug.module}-{bug.test}-{i}", marks=[pytest.mark.full] if bug.variant else [])
        for i, bug in enumerate(PLANTED)
    ],
)
def test_planted_bug_is_found(bug: Planted, bundles: dict[int, Path], tmp_path: Path) -> None:
    shutil.copytree(bundles[bug.seed], tmp_path / "bundle")
    _plant(bug, tmp_path / "bundle")
    tests = tuple(dict.fromkeys(("cycles", bug.test)))
    batch = _run(tmp_path / "bundle", tests, tmp_path / "work")
    assert not batch.holds
    if bug.test != "cycles":
        assert bug.test in batch.failed or not batch.cycles_equal


@pytest.mark.sampled(every=3)
@pytest.mark.parametrize("seed", sorted({bug.seed for bug in PLANTED}))
def test_without_a_bug_everything_holds(seed: int, bundles: dict[int, Path], tmp_path: Path) -> None:
    tests = bench_tests(json.loads((bundles[seed] / "bundle.json").read_text()))
    batch = _run(bundles[seed], tests, tmp_path)
    assert batch.passed == tests
    assert batch.holds


def test_one_output_that_is_late_by_a_cycle_is_found(bundles: dict[int, Path], tmp_path: Path) -> None:
    """In a frame that neither begins, halves nor ends a batch, and behind which the machine catches up: nothing else
    than its own output is in another cycle."""
    late = "reg late_q;\n  always @(posedge clk) late_q <= state_q == ST_RUN;\n  wire issue "
    bug = Planted(
        module="nba_host_out",
        old="wire issue      = state_q == ST_RUN && credit_q != 3'd0;",
        new=f"{late} = state_q == ST_RUN && credit_q != 3'd0 && (late_q || frames_q != 32'd4);",
        test="cycles",
        seed=MANY_BEATS,
    )
    shutil.copytree(bundles[bug.seed], tmp_path / "bundle")
    _plant(bug, tmp_path / "bundle")
    run = simulate_rtl(tmp_path / "bundle", "icarus", frames=(6,), work=tmp_path / "work", tests=("cycles",))
    (batch,) = run.batches
    assert {key for key in batch.predicted if batch.predicted[key] != batch.simulated[key]} == {"outputs"}  # type: ignore[literal-required]
    pairs = enumerate(zip(batch.predicted["outputs"], batch.simulated["outputs"], strict=True))
    assert [frame for frame, (wanted, found) in pairs if wanted != found] == [4]
    assert batch.passed == ("cycles",)
    assert not batch.holds
