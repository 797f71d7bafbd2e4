# SPDX-License-Identifier: Apache-2.0
"""The clock of every library module and of small designs: placed and routed for ECP5, estimated for 7-series and chips.

    python -m benchmarks.clock [--modules nba_requant ...] [--flows ecp5 xc7 sky130 nangate45] [--seeds 1 2 3]
    python -m benchmarks.clock --record      also benchmarks/recorded/clock.json; of whole flows, figures.json
    python -m benchmarks.clock --check       one seed on ECP5; exit status 1 if a module misses its goal (`make clock`)

Modules and sizes: benchmarks/clock_cases.py. Every module lies between registers (nba.synth.yosys.wrapper).
ecp5: yosys, then nextpnr for LFE5U-85F, speed grade 8; the median of the seeds, with wires. xc7: yosys' delays of
7-series, without wires. sky130, nangate45: yosys and ABC, timed by OpenSTA at the typical corner, without wires.
What was measured before is kept in WORK/cache, and what was recorded in benchmarks/recorded/clock.json, by the digest
of its Verilog, script and tools, and not measured again: a recorded result holds as long as its digest does, whatever
the commit it was measured at.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shutil
import statistics
import sys
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.clock_cases import FLOWS, GOALS_MHZ, GOALS_NS, Case, cases, verilog
from benchmarks.figures_file import CHANGED, ROOT, commit, machine, record
from benchmarks.logic_designs import as_synthesised
from nba.core.errors import NbaError, ToolError
from nba.core.files import write_atomic
from nba.core.progress import on_stderr
from nba.core.sources import digest_json
from nba.core.tools import run_tool
from nba.synth import nextpnr, opensta, xc7
from nba.synth.path import TimingPath
from nba.synth.run import require_yosys
from nba.synth.yosys import TOP, Port, ports_of, wrapper

RECORDED = ROOT / "benchmarks" / "recorded" / "clock.json"
LIBERTY = ROOT.parent / "shared" / "data" / "liberty"
COMMAND = "python -m benchmarks.clock --record"
SAMPLE = tuple(Port(name=name, bits=7, is_input=name < "s") for name in ("clk", "in", "s_out", "t_out"))
"""Ports of a wrapper that stands for all in the digest of what was measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """A case in one flow with one seed (0: the flow has none)."""

    case: Case
    flow: str
    seed: int
    delay_ns: float
    path: TimingPath
    cells: dict[str, int]
    commit: str = ""

    @property
    def clock_mhz(self) -> float:
        """The clock that the path allows."""
        return 1000 / self.delay_ns


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What is measured next; files: the Verilog and memory contents, top: the module in them."""

    case: Case
    flow: str
    seed: int
    top: str
    files: dict[str, str]

    def digest(self, versions: dict[str, str]) -> str:
        """Of all that the result depends on, which comments and proofs are not part of."""
        flow = {"ecp5": nextpnr.flow(), "xc7": xc7.XC7_SCRIPT}.get(self.flow)
        if flow is None:
            library = opensta.LIBRARIES[self.flow]
            flow = f"{library} {opensta.synthesis(library)} {opensta.ABC}"
        files = sorted((name, as_synthesised(text)) for name, text in self.files.items())
        kept = [flow, versions, self.seed, self.top, self.case.values, files]
        return digest_json([*kept, wrapper(self.top, {}, SAMPLE)])[:24]


def measure(task: Task, folder: Path, liberty: Path) -> Measured:
    """Run a task in `folder`, which is made anew but for the netlist of another seed. Raises ToolError."""
    netlist = folder / nextpnr.NETLIST
    parameters = {name: str(value) for name, value in task.case.values}
    if not (task.flow == "ecp5" and netlist.is_file()):
        shutil.rmtree(folder, ignore_errors=True)
        for name, text in task.files.items():
            write_atomic(folder / "rtl" / name, text)
        ports = ports_of(task.top, parameters, folder)
        write_atomic(folder / f"{TOP}.v", wrapper(task.top, parameters, ports))
    cells: dict[str, int] = {}
    if task.flow == "ecp5":
        if not netlist.is_file():
            nextpnr.synthesise_ecp5(folder)
        routed = nextpnr.route(folder, seed=task.seed)
        path, delay_ns = routed.path, 1000 / routed.clock_mhz
        cells = {"lut": routed.lut, "ff": routed.ff, "mult18": routed.mult18, "bram": routed.bram}
    elif task.flow == "xc7":
        path = xc7.xc7_path(folder)
        delay_ns = path.delay_ns
    else:
        path = opensta.chip_path(opensta.LIBRARIES[task.flow], liberty, folder)
        delay_ns = path.delay_ns
    return Measured(case=task.case, flow=task.flow, seed=task.seed, delay_ns=delay_ns, path=path, cells=cells)


class Cache:
    """Results by digest: a file each in `folder`, and those that are recorded. versions: of the tools, by flow."""

    def __init__(self, folder: Path, versions: dict[str, dict[str, str]]):
        self._folder, self._versions = folder, versions
        self.recorded = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.is_file() else {}

    def entry(self, task: Task) -> dict[str, Any] | None:
        """What was measured before, with the commit, date and machine of it, or None."""
        digest = self.digest(task)
        path = self._folder / f"{digest}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
        return self.recorded.get(digest)

    def get(self, task: Task) -> Measured | None:
        """What was measured before, or None."""
        raw = self.entry(task)
        if raw is None:
            return None
        way = TimingPath(**{**raw["path"], "places": tuple(raw["path"]["places"])})
        return Measured(
            case=task.case, flow=task.flow, seed=task.seed, delay_ns=raw["delay_ns"], path=way, cells=raw["cells"]
        )

    def put(self, task: Task, found: Measured) -> None:
        """Keep a result."""
        raw = {
            "module": task.case.module, "kind": task.case.kind, "parameters": dict(task.case.values),
            "flow": task.flow, "seed": task.seed, "delay_ns": found.delay_ns, "path": asdict(found.path),
            "cells": found.cells, "commit": commit(), "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(), "versions": self._versions.get(task.flow, {}),
        }  # fmt: skip
        write_atomic(self._folder / f"{self.digest(task)}.json", json.dumps(raw, indent=1) + "\n")

    def digest(self, task: Task) -> str:
        """The name of a result."""
        return task.digest(self._versions.get(task.flow, {}))


def tasks(modules: Iterable[str] | None, flows: Iterable[str], seeds: Iterable[int]) -> list[Task]:
    """All that the options ask for; fast flows first. Raises ValueError for a module that does not exist."""
    found, wanted, known = [], set(modules or ()), cases()
    unknown = wanted - {case.module for case in known}
    if unknown:
        names = ", ".join(dict.fromkeys(case.module for case in known))
        raise ValueError(f"--modules: {', '.join(sorted(unknown))}: not there; there are {names}")
    for case in known:
        mine = [flow for flow in flows if flow in case.flows]
        if mine and (not wanted or case.module in wanted):
            for flow in mine:
                top, files = verilog(case, flow)
                runs = seeds if flow == "ecp5" else (0,)
                found += [Task(case=case, flow=flow, seed=seed, top=top, files=files) for seed in runs]
    order = {"xc7": 0, "sky130": 1, "nangate45": 2, "ecp5": 3}
    return sorted(found, key=lambda task: order[task.flow])


def versions_of(flows: Iterable[str]) -> dict[str, dict[str, str]]:
    """Versions of the tools that each flow needs. Raises ToolError if one is missing."""
    require_yosys()
    yosys, found = {"yosys": importlib.metadata.version("pyosys")}, {}
    for flow in flows:
        found[flow] = dict(yosys)
        if flow == "ecp5":
            nextpnr.require_nextpnr()
            found[flow][nextpnr.NEXTPNR] = nextpnr.nextpnr_version()
        elif flow in opensta.LIBRARIES:
            program = opensta.require_opensta()
            found[flow]["opensta"] = run_tool([program, "-version"], cwd=ROOT, check=False).output.strip()
    return found


def run(todo: list[Task], args: argparse.Namespace, cache: Cache) -> list[Measured]:
    """Measure what is not in the cache, `--jobs` at a time. Raises ToolError, when all else is done, if any failed."""
    results = {}
    groups: dict[tuple[Case, str], list[Task]] = {}
    for task in todo:
        kept = cache.get(task)
        if kept is not None:
            results[id(task)] = kept
        else:
            groups.setdefault((task.case, task.flow), []).append(task)

    def one(group: list[Task], place: Path) -> list[tuple[Task, Measured]]:
        done = []
        shutil.rmtree(place, ignore_errors=True)
        for task in group:
            found = measure(task, place, args.liberty)
            cache.put(task, found)
            done.append((task, found))
        return done

    with on_stderr() as (_, progress), ThreadPoolExecutor(args.jobs) as pool:
        progress.start("clock", sum(map(len, groups.values())))
        began: dict[Future[list[tuple[Task, Measured]]], str] = {}
        for (case, flow), group in groups.items():
            place = args.work / f"{case.module}_{digest_json(case.name)[:6]}_{flow}"
            began[pool.submit(one, group, place)] = f"{case.module} {flow}"
        failed = []
        try:
            for future in as_completed(began):
                try:
                    for task, found in future.result():
                        results[id(task)] = found
                        progress.advance(1, f"{began[future]}: {found.delay_ns:.2f} ns")
                except ToolError as err:
                    failed.append(f"{began[future]}: {err}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        progress.finish()
    if failed:
        raise ToolError("\n".join(failed))
    return [results[id(task)] for task in todo]


def medians(found: list[Measured]) -> list[Measured]:
    """One result per case and flow: that of the median clock over the seeds (the slower one of two in the middle)."""
    groups: dict[tuple[Case, str], list[Measured]] = {}
    for one in found:
        groups.setdefault((one.case, one.flow), []).append(one)
    result = []
    for group in groups.values():
        middle = statistics.median_high(one.delay_ns for one in group)
        result.append(next(one for one in group if one.delay_ns == middle))
    return result


def misses(one: Measured) -> bool:
    """Whether a result is worse than its goal."""
    slowest_mhz = GOALS_MHZ[one.case.kind].get(one.flow, 0.0)
    longest_ns = GOALS_NS[one.case.kind].get(one.flow, float("inf"))
    return one.clock_mhz < slowest_mhz or one.delay_ns > longest_ns


def table(found: list[Measured], flow: str) -> Table:
    """The results of a flow."""
    view = Table(title=flow, title_justify="left", box=None, pad_edge=False)
    for name in ("module", "parameters", "MHz", "ns", "logic + wires", "levels", "from", "to"):
        view.add_column(name, justify="right" if name in ("MHz", "ns") else "left", overflow="fold")
    for one in sorted((m for m in found if m.flow == flow), key=lambda m: -m.delay_ns):
        path = one.path
        split = "" if path.logic_ns is None or path.route_ns is None else f"{path.logic_ns:.1f} + {path.route_ns:.1f}"
        mark = "[red]" if misses(one) else ""
        view.add_row(
            one.case.module, one.case.name, f"{mark}{one.clock_mhz:.1f}", f"{mark}{one.delay_ns:.2f}", split,
            str(path.levels), path.start.replace("[", r"\["), path.end.replace("[", r"\["),
        )  # fmt: skip
    return view


FIGURES = (
    ("clock.ecp5.slowest_module_mhz", "ecp5", "module", "MHz"),
    ("clock.ecp5.small_design_mhz", "ecp5", "design", "MHz"),
    ("clock.xc7.slowest_module_ns", "xc7", "module", "ns"),
    ("clock.sky130.slowest_module_ns", "sky130", "module", "ns"),
    ("clock.nangate45.slowest_module_ns", "nangate45", "module", "ns"),
)
"""(key, flow, kind of case, unit): the worst of these."""


def keep(known: list[Task], cache: Cache) -> None:
    """Write benchmarks/recorded/clock.json: whatever was measured of the tasks `known`, which are all of their flows,
    and what is there of other flows; and the figures of those flows of which everything was."""
    flows = {task.flow for task in known}
    entries = {digest: entry for digest, entry in cache.recorded.items() if entry["flow"] not in flows}
    entries |= {cache.digest(task): entry for task in known if (entry := cache.entry(task)) is not None}
    write_atomic(RECORDED, json.dumps(entries, indent=1, sort_keys=True) + "\n")
    for key, flow, kind, unit in FIGURES:
        mine = [task for task in known if task.flow == flow and task.case.kind == kind]
        found = [one for task in mine if (one := cache.get(task)) is not None]
        if mine and len(found) == len(mine):
            worst = max(medians(found), key=lambda one: one.delay_ns)
            record(key, round(worst.clock_mhz if unit == "MHz" else worst.delay_ns, 2), unit, COMMAND)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", nargs="+", metavar="NAME", help="only these modules or designs")
    parser.add_argument("--flows", nargs="+", choices=FLOWS, default=None, help="default: all that are installed")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N", help="of nextpnr")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many at a time (default 1)")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "clock", help="default build/clock")
    parser.add_argument("--liberty", type=Path, default=LIBERTY, help="folder of sky130hd_tt.lib.gz and the like")
    parser.add_argument("--record", action="store_true", help="keep the results")
    parser.add_argument("--check", action="store_true", help="one seed on ECP5, modules only; fails below the goals")
    args = parser.parse_args(arguments)
    if args.record and (args.check or args.seeds != parser.get_default("seeds")):
        parser.error("--record keeps medians of the three seeds: not with --check or --seeds")
    if args.record and commit().endswith(CHANGED):
        parser.error("--record names the commit that was measured, but this tree differs from its commit; commit first")
    if args.jobs < 1:
        parser.error("--jobs must be 1 or more")
    if args.check:
        args.flows, args.seeds = args.flows or ["ecp5"], args.seeds[:1]
        args.modules = args.modules or sorted({case.module for case in cases() if case.kind == "module"})
    args.work, args.liberty = args.work.resolve(), args.liberty.resolve()
    return args


def available(flows: list[str] | None, liberty: Path, console: Console) -> list[str]:
    """The flows that are asked for; of those for chips the ones whose library is there, the others named loudly."""
    found = []
    for flow in flows or FLOWS:
        library = opensta.LIBRARIES.get(flow)
        if library is not None and not (liberty / library.file).is_file():
            console.print(f"[bold red]{flow} is SKIPPED: {liberty / library.file} is not there[/]")
        else:
            found.append(flow)
    return found


def main() -> int:
    """Command line; see the module's text."""
    args, console = parse(), Console(width=None if sys.stdout.isatty() else 200)
    try:
        flows = available(args.flows, args.liberty, console)
        versions = versions_of(flows)
        cache = Cache(args.work / "cache", versions)
        found = medians(run(tasks(args.modules, flows, args.seeds), args, cache))
    except (NbaError, ValueError) as err:
        console.print(f"benchmarks.clock: {err}", style="red", markup=False)
        return 2
    for flow in flows:
        console.print(table(found, flow), "")
    if args.record:
        keep(tasks(None, flows, args.seeds), cache)
    missed = [one for one in found if misses(one)]
    for one in missed:
        console.print(f"misses its goal: {one.case.module} {one.case.name} {one.flow}", markup=False)
    return int(args.check and bool(missed))


if __name__ == "__main__":
    sys.exit(main())
