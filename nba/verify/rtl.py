# SPDX-License-Identifier: Apache-2.0
"""RTL == integer reference and predicted cycles == simulated cycles: runs a bundle's own simulation script."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nba.core import assets
from nba.core.errors import ToolError
from nba.core.tools import python_command, run_tool
from nba.emit.predicted import Cycles

Simulator = Literal["verilator", "icarus"]
UNUSABLE = 2
"""Exit status of run_sim.py where nothing could be simulated; its message says why, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RtlResult:
    """One simulated batch, in one mode of the design. mismatches: output codes that differ (-1: the run broke off).
    passed, failed: names of the bench's tests. counters_equal: the counters read over AXI4-Lite equal the trace.
    cycles_equal: every predicted cycle is the simulated one, in this batch and in all others that nothing stalled.
    holds: all of that, and the bits; the bench's own verdict."""

    simulator: str
    images: int
    mismatches: int
    predicted: Cycles
    simulated: Cycles
    counters_equal: bool
    cycles_equal: bool
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    holds: bool
    log: str
    mode: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RtlRun:
    """All batches of one simulator and the wall-clock seconds that building and simulating took."""

    batches: tuple[RtlResult, ...]
    seconds: float


def require_simulator(simulator: Simulator) -> None:
    """Raise ToolError, naming all with the commands that install them, if tools or packages are missing or too old."""
    command = python_command(assets.root("sim") / "run_sim.py", "--check", "--sim", simulator)
    done = run_tool(command, cwd=assets.root("sim"), check=False)
    if done.returncode:
        raise ToolError(done.output.rstrip())


def run_script(bundle: Path, simulator: Simulator, *arguments: str, work: Path) -> list[dict[str, Any]]:
    """Run the bundle's own sim/run_sim.py with `arguments`; what it wrote about every simulation. Builds and logs go to
    `work`. Raises ToolError if a tool is missing or breaks."""
    env = os.environ | {"PYTHONWARNINGS": "ignore"}
    work.mkdir(parents=True, exist_ok=True)
    result_path = work / "result.json"
    result_path.unlink(missing_ok=True)
    command = python_command(
        bundle / "sim" / "run_sim.py", "--sim", simulator, *arguments,
        "--build-dir", str((work / simulator).resolve()), "--json", str(result_path.resolve()),
    )  # fmt: skip
    done = run_tool(command, cwd=work, log_path=work / f"{simulator}.log", env=env, check=False)
    if not result_path.is_file():
        if done.returncode == UNUSABLE:
            raise ToolError(f"{simulator}: {done.output.rstrip()}")
        tail = "\n".join(done.output.splitlines()[-12:])
        raise ToolError(f"{simulator}: the simulation broke off; whole log: {work / f'{simulator}.log'}\n{tail}")
    found: list[dict[str, Any]] = json.loads(result_path.read_text(encoding="utf-8"))
    return found


def simulate_rtl(
    bundle: Path,
    simulator: Simulator,
    *,
    frames: tuple[int, ...],
    work: Path,
    tests: tuple[str, ...] | None = None,
    seed: int = 1,
) -> RtlRun:
    """Simulate batches of `frames` frames, the first with all of `tests` (None: all that there are), then the same of
    every further mode; builds and logs go to `work`.

    Runs the bundle's own sim/run_sim.py: a bundle from elsewhere goes through nba.verify.bundle first. The numbers in
    `frames` are any from 1 on. Raises ToolError if a tool is missing or breaks.
    """
    begin = time.perf_counter()
    wanted = ("--tests", ",".join(tests)) if tests else ()
    batches = ("--frames", ",".join(map(str, frames)), *wanted, "--seed", str(seed))
    raws = run_script(bundle, simulator, *batches, work=work)
    return RtlRun(batches=tuple(map(_result, raws)), seconds=time.perf_counter() - begin)


def _result(raw: dict[str, Any]) -> RtlResult:
    return RtlResult(
        simulator=raw["simulator"],
        images=raw["images"],
        mismatches=raw["mismatches"],
        predicted=raw["predicted"],
        simulated=raw["simulated"],
        counters_equal=raw["counters_equal"],
        cycles_equal=raw["cycles_equal"],
        passed=tuple(name for name, good in raw["tests"].items() if good),
        failed=tuple(name for name, good in raw["tests"].items() if not good),
        holds=raw["passed"],
        log=raw["log"],
        mode=raw["mode"],
    )
