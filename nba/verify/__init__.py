# SPDX-License-Identifier: Apache-2.0
"""Verification: every implementation of a bundle against the integer reference and the exact schedule."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nba.core.errors import DesignError
from nba.emit.names import IMAGE
from nba.machine.program import Program, design_programs
from nba.machine.settled import reach
from nba.machine.total import slowest_mode
from nba.verify.bundle import Checked, check_bundle
from nba.verify.frames import frames_that_show
from nba.verify.hls import verify_hls
from nba.verify.rtl import RtlResult, Simulator, simulate_rtl


class ProgressLike(Protocol):
    """What verification says about how far it is (nba.core.progress.Progress)."""

    def start(self, task: str, total: int | None = None) -> None: ...
    def advance(self, n: int = 1, note: str = "") -> None: ...
    def finish(self) -> None: ...


def _bits(modes: tuple[RtlResult, ...], held: int) -> dict[str, object]:
    """The part on a simulator; of the frames beyond the `held` images of the bundle, which are the same images again,
    the outputs count and not the number."""
    return _mode_bits(min(modes[0].images, held), tuple(result.mismatches for result in modes))


def _mode_bits(images: int, mismatches: tuple[int, ...]) -> dict[str, object]:
    """The part of metrics.json on one implementation, from the codes that differ in every mode (-1: broke off)."""
    total = sum(mismatches) if min(mismatches) >= 0 else -1
    by_mode = {"modes": list(mismatches)} if len(mismatches) > 1 else {}
    return {"images": images, "mismatches": total, **by_mode}


def steady_part(program: Program, frames: int) -> dict[str, object]:
    """The part of metrics.json on the steady interval, and whether a batch of `frames` frames shows it."""
    found = reach(program, frames)
    return {
        "interval_cycles": float(found.interval_cycles), "first_output_latency_cycles": found.latency_cycles,
        "first_frame": found.first_frame, "period_frames": found.period_frames, "reached": found.reached,
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatorRun:
    """What simulator `name` did in each of the design's modes, in batches of the same size; `slowest`: the mode that
    the figures of the design are of."""

    name: str
    batches: tuple[RtlResult, ...]
    slowest: int

    @property
    def headline(self) -> RtlResult:
        """The batch in the slowest mode."""
        return next(batch for batch in self.batches if batch.mode == self.slowest)


def cycles_part(programs: tuple[Program, ...], runs: tuple[SimulatorRun, ...]) -> dict[str, object]:
    """The part of metrics.json on cycles: the simulators with the largest batch, and apart (`shorter`) one that
    simulated fewer frames; of several modes the intervals of each, in the largest batch."""
    sizes = sorted({run.headline.predicted["frames"] for run in runs}, reverse=True)
    largest, *shorter = (
        _batch_part(programs, tuple(run for run in runs if run.headline.predicted["frames"] == size)) for size in sizes
    )
    for part in shorter:
        largest["shorter"] = part
    of_largest = next(run for run in runs if run.headline.predicted["frames"] == sizes[0])
    if len(of_largest.batches) > 1:
        largest["modes"] = [
            {
                "predicted_interval": batch.predicted["batch_interval_cycles"],
                "simulated_interval": batch.simulated["batch_interval_cycles"],
                "steady": steady_part(programs[batch.mode], sizes[0]),
            }
            for batch in sorted(of_largest.batches, key=lambda batch: batch.mode)
        ]
    return largest


def _batch_part(programs: tuple[Program, ...], runs: tuple[SimulatorRun, ...]) -> dict[str, object]:
    """What simulators say that ran the same batch, in the slowest mode."""
    predicted = runs[0].headline.predicted
    return {
        "predicted": predicted, "simulated": {run.name: run.headline.simulated for run in runs},
        "steady": steady_part(programs[runs[0].slowest], predicted["frames"]),
    }  # fmt: skip


def _failures(name: str, batches: tuple[RtlResult, ...], n_modes: int) -> Iterator[str]:
    """What went wrong in the batches of a simulator, a sentence each."""
    for batch in batches:
        yield from (f"{name}: test {test} failed; log: {batch.log}" for test in batch.failed)
        if not batch.cycles_equal:
            mode = f" in mode {batch.mode}" if n_modes > 1 else ""
            yield f"{name}: cycles of {batch.predicted['frames']} frames{mode} are not those predicted"
        if not batch.counters_equal:
            yield f"{name}: AXI4-Lite counters are not those of the trace; log: {batch.log}"


def _check_images(bundle: Path, images: dict[str, int], held: int) -> None:
    """Raise DesignError if some implementation is to see more images than the `held` ones of the bundle."""
    wanted = max(images.values(), default=0)
    if wanted > held:
        raise DesignError(str(bundle), [f"{wanted} images wanted, but the bundle holds {held}; emit it with more"])


def _hls_bits(checked: Checked, count: int, work: Path) -> dict[str, object]:
    """The C++ of a bundle on its first `count` images."""
    first, *others = (outputs[:count] for outputs in checked.outputs)
    result = verify_hls(
        checked.folder / "hls", checked.design.network, checked.images[:count], first, work, tuple(others),
        None if checked.design.accelerator.memory is None else checked.folder / IMAGE,
    )  # fmt: skip
    return _mode_bits(result.images, result.by_mode)


def _simulate(
    checked: Checked, programs: tuple[Program, ...], images: dict[str, int], work: Path, progress: ProgressLike,
    settle: bool, every_test: bool,
) -> tuple[SimulatorRun, ...]:  # fmt: skip
    """The simulators in `images`, each on a batch of that many frames; with `settle` Verilator on as many more as its
    steady state takes (nba.verify.frames). With `every_test` Verilator also does the tests with stalls, resets and
    several batches."""
    short = ("cycles", "modes") if len(programs) > 1 else ("cycles",)
    found: list[SimulatorRun] = []
    for name in (name for name in ("icarus", "verilator") if name in images):
        frames, tests = images[name], None if name == "verilator" and every_test else short
        if name == "verilator" and settle:
            frames = frames_that_show(programs, frames)
        simulator: Simulator = "verilator" if name == "verilator" else "icarus"
        done = simulate_rtl(checked.folder, simulator, frames=(frames,), work=work / name, tests=tests)
        found.append(SimulatorRun(name=name, batches=done.batches, slowest=slowest_mode(programs)))
        progress.advance(1, name)
    return tuple(found)


def verify_bundle(
    bundle: Path, *, work: Path, images: dict[str, int], progress: ProgressLike, at_most: bool = False,
    settle: bool = False, every_test: bool = True,
) -> dict[str, object]:  # fmt: skip
    """Compare every implementation named in `images` ("verilator", "icarus", "hls") on that many images; with `at_most`
    on all that the bundle holds, where these are fewer. settle: Verilator simulates more frames than that, the same
    images again, where its batch would be too short for the steady interval (at most nba.verify.frames.AT_MOST).
    every_test: Verilator does all tests of the bench, else only those that Icarus does.

    The bundle is first compared with what its design renders to (nba.verify.bundle); what runs is that rendering, with
    the benches of this package. The cycles that are reported are those of the largest batch that was simulated.
    Returns the part of metrics.json (docs/metrics.md). Builds and logs: `work`. Raises DesignError if the bundle is not
    what its design renders to or holds too few images, ToolError if a tool is missing or breaks.
    """
    checked = check_bundle(bundle, work / "bundle")
    design, held = checked.design, len(checked.images)
    programs = design_programs(design.network, design.accelerator, design.modes)
    if at_most:
        images = {name: min(count, held) for name, count in images.items()}
    _check_images(bundle, images, held)
    progress.start("verify", len(images))
    runs = _simulate(checked, programs, images, work, progress, settle, every_test)
    exact = {run.name: _bits(run.batches, held) for run in runs}
    if "hls" in images:
        exact["hls"] = _hls_bits(checked, images["hls"], work / "hls")
        progress.advance(1, "hls")
    progress.finish()
    shutil.rmtree(checked.folder)
    failures = [text for run in runs for text in _failures(run.name, run.batches, len(programs))]
    part: dict[str, object] = {"bit_exact": exact, "verify_failures": failures}
    if runs:
        part["cycles"] = cycles_part(programs, runs)
    return part
