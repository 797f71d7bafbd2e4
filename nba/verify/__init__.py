# SPDX-License-Identifier: Apache-2.0
"""Verification: every implementation of a bundle against the integer reference and the exact schedule."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Protocol

import numpy as np

from nba.emit.hls import from_bytes
from nba.emit.vectors import stream_bytes
from nba.errors import DesignError
from nba.ir.design import load_design
from nba.ir.program import lower
from nba.quant.integer import run
from nba.verify.hls import verify_hls
from nba.verify.rtl import RtlResult, batch_sizes, simulate_rtl


class ProgressLike(Protocol):
    """What verification says about how far it is (nba.progress.Progress)."""

    def start(self, task: str, total: int | None = None) -> None: ...
    def advance(self, n: int = 1, note: str = "") -> None: ...
    def finish(self) -> None: ...


def check_manifest(bundle: Path) -> None:
    """Raise DesignError if a file of the bundle is missing or is not the one that was emitted."""
    path = bundle / "manifest.json"
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        wanted = {str(name): str(digest) for name, digest in files.items()}
    except FileNotFoundError:
        raise DesignError(
            str(bundle), ["holds no manifest.json: not a bundle; make one with `nba-codesign emit`"]
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise DesignError(str(path), [f"damaged ({err!r}); emit the bundle again"]) from None
    problems = []
    for name, digest in wanted.items():
        try:
            found = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
        except OSError:
            problems.append(f"{name}: missing; emit the bundle again")
            continue
        if found != digest:
            problems.append(f"{name}: changed since it was emitted (sha256 {found[:12]}, not {digest[:12]})")
    if problems:
        raise DesignError(str(bundle), problems)


def _at_least(sizes: tuple[int, ...], wanted: int, what: str) -> int:
    """The smallest predicted batch of `wanted` frames or more."""
    fitting = [n for n in sizes if n >= wanted]
    if not fitting:
        raise DesignError(what, [f"{wanted} images wanted, but the bundle holds {max(sizes)}; emit it with more"])
    return min(fitting)


def _bits(result: RtlResult) -> dict[str, object]:
    return {"images": result.images, "mismatches": result.mismatches}


def verify_bundle(bundle: Path, *, work: Path, images: dict[str, int], progress: ProgressLike) -> dict[str, object]:
    """Compare every implementation named in `images` ("verilator", "icarus", "hls") on at least that many images.

    The bundle's test vectors are first compared with the integer reference itself. Both simulators run the same batch,
    whose cycles are reported; Verilator, where it is wanted for more images, runs a second one, and also the tests with
    stalls, resets and several batches. Returns the part of metrics.json (docs/metrics.md). Builds and logs: `work`.
    Raises DesignError if the bundle is damaged, ToolError if a tool is missing or breaks.
    """
    check_manifest(bundle)
    design, weights = load_design(bundle / "design.json")
    network = design.network
    first, last = network.tensors[0], network.tensors[-1]
    x = from_bytes((bundle / "hls" / "input.bin").read_bytes(), first)
    y = run(network, weights, x)
    stored = from_bytes((bundle / "hls" / "expected.bin").read_bytes(), last)
    if not np.array_equal(y, stored):
        raise DesignError(
            str(bundle), ["hls/expected.bin: not what the integer reference computes; emit the bundle again"]
        )

    program = lower(network, design.accelerator)
    for vector, beats in (
        ("input.hex", stream_bytes(x, program.pp, program.in_lanes, program.code_bits)),
        ("expected.hex", stream_bytes(y, program.out_cols, program.out_lanes, program.code_bits)),
    ):
        if (bundle / "vectors" / vector).read_text(encoding="ascii") != "".join(f"{beat.hex()}\n" for beat in beats):
            raise DesignError(str(bundle), [f"vectors/{vector}: not the frames of hls/*.bin; emit the bundle again"])

    sizes = batch_sizes(bundle)
    simulators = [name for name in ("icarus", "verilator") if name in images]
    common = _at_least(sizes, min((images[name] for name in simulators), default=1), str(bundle))
    exact: dict[str, dict[str, object]] = {}
    cycles: dict[str, object] = {}
    failures: list[str] = []
    progress.start("verify", len(images))
    for name in simulators:
        many = _at_least(sizes, images[name], str(bundle))
        frames = tuple(dict.fromkeys((many, common)))
        tests = ("cycles", "stalls", "resets", "batches") if name == "verilator" else ("cycles",)
        simulated = simulate_rtl(
            bundle, "verilator" if name == "verilator" else "icarus", frames=frames, work=work / name, tests=tests
        )
        exact[name] = _bits(simulated.batches[0])
        cycles.setdefault("predicted", simulated.batches[-1].predicted)
        of_simulator = cycles.setdefault("simulated", {})
        assert isinstance(of_simulator, dict)
        of_simulator[name] = simulated.batches[-1].simulated
        for batch in simulated.batches:
            failures += [f"{name}: test {test} failed; log: {batch.log}" for test in batch.failed]
            if not batch.cycles_equal:
                failures.append(f"{name}: cycles of {batch.predicted['frames']} frames are not those predicted")
            if not batch.counters_equal:
                failures.append(f"{name}: AXI4-Lite counters are not those of the trace; log: {batch.log}")
        progress.advance(1, name)
    if "hls" in images:
        count = min(len(x), images["hls"])
        if count < images["hls"]:
            raise DesignError(
                str(bundle), [f"{images['hls']} images wanted, but the bundle holds {len(x)}; emit it with more"]
            )
        result = verify_hls(bundle / "hls", network, x[:count], y[:count], work / "hls")
        exact["hls"] = {"images": result.images, "mismatches": result.mismatches}
        progress.advance(1, "hls")
    progress.finish()
    part: dict[str, object] = {"bit_exact": exact, "verify_failures": failures}
    if cycles:
        part["cycles"] = cycles
    return part
