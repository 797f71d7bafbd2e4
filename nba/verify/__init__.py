# SPDX-License-Identifier: Apache-2.0
"""Verification: every implementation of a bundle against the integer reference and the exact schedule."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from nba.core.errors import DesignError
from nba.machine.program import Program, design_programs
from nba.machine.settled import reach
from nba.machine.total import slowest_mode
from nba.verify.bundle import Checked, check_bundle
from nba.verify.hls import verify_hls
from nba.verify.rtl import RtlResult, Simulator, simulate_rtl


class ProgressLike(Protocol):
    """What verification says about how far it is (nba.core.progress.Progress)."""

    def start(self, task: str, total: int | None = None) -> None: ...
    def advance(self, n: int = 1, note: str = "") -> None: ...
    def finish(self) -> None: ...


def _bits(modes: tuple[RtlResult, ...]) -> dict[str, object]:
    return _mode_bits(modes[0].images, tuple(result.mismatches for result in modes))


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


def _add_cycles(cycles: dict[str, object], name: str, batches: tuple[RtlResult, ...], slowest: int) -> None:
    """Adds to the part of metrics.json on cycles what simulator `name` found: in the slowest mode, and of several modes
    the interval of each. The last batch of a mode counts."""
    of_mode = {batch.mode: batch for batch in batches}
    cycles.setdefault("predicted", of_mode[slowest].predicted)
    of_simulator = cycles.setdefault("simulated", {})
    assert isinstance(of_simulator, dict)
    of_simulator[name] = of_mode[slowest].simulated
    if len(of_mode) > 1:
        cycles["modes"] = [
            {
                "predicted_interval": of_mode[m].predicted["batch_interval_cycles"],
                "simulated_interval": of_mode[m].simulated["batch_interval_cycles"],
            }
            for m in sorted(of_mode)
        ]


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
        checked.folder / "hls", checked.design.network, checked.images[:count], first, work, tuple(others)
    )
    return _mode_bits(result.images, result.by_mode)


def verify_bundle(
    bundle: Path, *, work: Path, images: dict[str, int], progress: ProgressLike, at_most: bool = False
) -> dict[str, object]:
    """Compare every implementation named in `images` ("verilator", "icarus", "hls") on that many images; with `at_most`
    on all that the bundle holds, where these are fewer.

    The bundle is first compared with what its design renders to (nba.verify.bundle); what runs is that rendering, with
    the benches of this package. Both simulators run the same batch, whose cycles are reported; Verilator, where it is
    wanted for more images, runs a second one, and also the tests with stalls, resets and several batches. Returns the
    part of metrics.json (docs/metrics.md). Builds and logs: `work`. Raises DesignError if the bundle is not what its
    design renders to or holds too few images, ToolError if a tool is missing or breaks.
    """
    checked = check_bundle(bundle, work / "bundle")
    design = checked.design
    n_modes = len(design.networks)
    programs = design_programs(design.network, design.accelerator, design.modes)
    if at_most:
        images = {name: min(count, len(checked.images)) for name, count in images.items()}
    _check_images(bundle, images, len(checked.images))
    simulators = [name for name in ("icarus", "verilator") if name in images]
    common = min((images[name] for name in simulators), default=1)
    exact: dict[str, dict[str, object]] = {}
    cycles: dict[str, object] = {}
    failures: list[str] = []
    progress.start("verify", len(images))
    for name in simulators:
        frames = tuple(dict.fromkeys((images[name], common)))
        short = ("cycles", "modes") if n_modes > 1 else ("cycles",)
        tests = None if name == "verilator" else short
        simulator: Simulator = "verilator" if name == "verilator" else "icarus"
        simulated = simulate_rtl(checked.folder, simulator, frames=frames, work=work / name, tests=tests)
        failures += _failures(name, simulated.batches, n_modes)
        exact[name] = _bits(simulated.batches[:: len(frames)])
        _add_cycles(cycles, name, simulated.batches, slowest_mode(programs))
        cycles.setdefault("steady", steady_part(programs[slowest_mode(programs)], common))
        progress.advance(1, name)
    if "hls" in images:
        exact["hls"] = _hls_bits(checked, images["hls"], work / "hls")
        progress.advance(1, "hls")
    progress.finish()
    shutil.rmtree(checked.folder)
    part: dict[str, object] = {"bit_exact": exact, "verify_failures": failures}
    if cycles:
        part["cycles"] = cycles
    return part
