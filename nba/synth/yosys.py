# SPDX-License-Identifier: Apache-2.0
"""Own scripts for yosys, and the wrapper that lets a wide module be timed by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nba.core.errors import ToolError
from nba.core.files import write_atomic
from nba.core.tools import HANG_S, python_command, run_tool
from nba.synth import launch
from nba.synth.run import require_yosys

TOP = "pins"
"""Module and file (without .v) of the wrapper."""
READ_WRAPPER = f"read_verilog {TOP}.v\nrename -hide {TOP}/w:d_*\n"
"""Lines of a script. The wires to the outputs lose their names, so that registers keep those of the module."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Port:
    """A port of a module; bits: its width."""

    name: str
    bits: int
    is_input: bool


def launched(program: str, *arguments: str) -> list[str]:
    """The command that runs `program` of nba.synth.launch."""
    return python_command(Path(launch.__file__), program, *arguments)


def run_yosys(text: str, work: Path, name: str, *, timeout_s: float = HANG_S) -> str:
    """Run a yosys script in the folder `work`, which keeps it as <name>.ys and its output as <name>.log.

    Returns the output. Raises ToolError if pyosys is missing, if yosys reports an error, or after `timeout_s`.
    """
    require_yosys()
    write_atomic(work / f"{name}.ys", text)
    command = launched("yosys", f"{name}.ys")
    return run_tool(command, cwd=work, timeout_s=timeout_s, log_path=work / f"{name}.log").output


def read_library(folder: str = "rtl") -> str:
    """The line of a script that reads all Verilog of a folder."""
    return f"read_verilog -defer {folder}/*.v\n"


def _instance(module: str, parameters: dict[str, str], connections: str) -> str:
    values = ", ".join(f".{name}({value})" for name, value in parameters.items())
    return f"  {module} #({values}) u_dut ({connections});\n" if values else f"  {module} u_dut ({connections});\n"


def ports_of(module: str, parameters: dict[str, str], work: Path) -> tuple[Port, ...]:
    """The ports of a module of the Verilog in work/rtl, elaborated with `parameters` (Verilog expressions)."""
    write_atomic(work / "probe.v", f"module probe;\n{_instance(module, parameters, '')}endmodule\n")
    script = "read_verilog probe.v\nhierarchy -top probe\nproc -noopt\nwrite_json probe.json\n"
    run_yosys(read_library() + script, work, "probe")
    modules = json.loads((work / "probe.json").read_text(encoding="utf-8"))["modules"]
    kind = modules["probe"]["cells"]["u_dut"]["type"]
    if kind not in modules:
        raise ToolError(f"{module}: not in the Verilog of {work / 'rtl'}")
    return tuple(
        Port(name=name, bits=len(port["bits"]), is_input=port["direction"] == "input")
        for name, port in modules[kind]["ports"].items()
    )


def wrapper(module: str, parameters: dict[str, str], ports: tuple[Port, ...], *, clock: str = "clk") -> str:
    """Verilog of a top `pins` with a clock and two pins, in which every path of `module` lies between registers.

    The inputs are registers of one shift register that a pin feeds, one register per port with the port's name. The
    outputs go to registers out_<port>, and from these through a tree of registered XORs of four or five to the other
    pin. All of these registers invert: synthesis would make delay lines in LUTs of plain chains, parts of the module
    included.
    """
    inputs = [port for port in ports if port.is_input and port.name != clock]
    outputs = [port for port in ports if not port.is_input]
    if not inputs or not outputs:
        raise ToolError(f"{module}: no inputs or no outputs besides the clock; nothing lies between registers")
    lines = [f"module {TOP}(input wire clk, input wire pin_in, output wire pin_out);\n"]
    shift, before = [], "pin_in"
    for port in inputs:
        lines.append(f"  reg [{port.bits - 1}:0] {port.name};\n")
        shift.append(f"    {port.name} <= ~{{{port.name}, {before}}};\n")
        before = f"{port.name}[{port.bits - 1}]"
    for port in outputs:
        lines.append(f"  wire [{port.bits - 1}:0] d_{port.name};\n  reg [{port.bits - 1}:0] out_{port.name};\n")
        shift.append(f"    out_{port.name} <= ~d_{port.name};\n")
    lines += ["  always @(posedge clk) begin\n", *shift, "  end\n"]
    connections = [f".{clock}(clk)", *(f".{p.name}({p.name})" for p in inputs)]
    connections += [f".{p.name}(d_{p.name})" for p in outputs]
    lines.append(_instance(module, parameters, ", ".join(connections)))
    lines += _fold([f"out_{port.name}[{i}]" for port in outputs for i in range(port.bits)])
    return "".join(lines)


def _fold(bits: list[str]) -> list[str]:
    lines, level = [], 0
    while len(bits) > 1:
        level += 1
        groups = [bits[i : i + 4] for i in range(0, len(bits), 4)]
        if len(groups) > 1 and len(groups[-1]) == 1:
            groups[-2:] = [groups[-2] + groups[-1]]
        lines.append(f"  reg [{len(groups) - 1}:0] fold_{level};\n  always @(posedge clk) begin\n")
        lines += [f"    fold_{level}[{i}] <= {' ^ '.join(group)};\n" for i, group in enumerate(groups)]
        lines.append("  end\n")
        bits = [f"fold_{level}[{i}]" for i in range(len(groups))]
    return [*lines, f"  assign pin_out = {bits[0]};\nendmodule\n"]
