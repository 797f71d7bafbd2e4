# SPDX-License-Identifier: Apache-2.0
"""Output registers of ECP5 multipliers and block RAMs.

A MULT18X18D has a register behind its product (Lattice, sysDSP usage guide of ECP5), and a DP16KD one behind each of
its ports (memory usage guide); the template has one behind every product and every block memory. yosys leaves them
outside the block. `take_registers` moves them in, in the netlist that yosys writes as JSON; nothing else of the
netlist changes. docs/decisions/0025-a-cycle-more-in-the-requantiser.md has what that gains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MULTIPLIER = "MULT18X18D"
RAM_CELL = "DP16KD"
REGISTER = "TRELLIS_FF"
PRODUCT_BITS = 36
PORT_BITS = 18
"""Of a port."""
WORD_BITS = 2 * PORT_BITS
"""Bits of a word that is read through both ports at once, by the clock of port B."""

Bit = int | str
Cell = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stage:
    """A register that a block can have: the outputs that it holds, and the input that is its clock, which (`given`) may
    have other uses in the block. parameters, inputs: what gives the block the register."""

    outputs: tuple[str, ...]
    clock: str
    given: bool
    parameters: dict[str, str]
    inputs: dict[str, str]


def _stages(cell: Cell) -> Iterator[_Stage]:
    """The registers that a cell can have and has not."""
    parameters = cell["parameters"]
    if cell["type"] == MULTIPLIER and parameters.get("REG_OUTPUT_CLK", "NONE") == "NONE":
        yield _Stage(
            outputs=tuple(f"P{i}" for i in range(PRODUCT_BITS)), clock="CLK0", given=False,
            parameters={"REG_OUTPUT_CLK": "CLK0", "REG_OUTPUT_CE": "CE0", "REG_OUTPUT_RST": "RST0"},
            inputs={"CE0": "1", "RST0": "0"},
        )  # fmt: skip
    if cell["type"] == RAM_CELL:
        both = int(str(parameters["DATA_WIDTH_A"]), 2) == WORD_BITS
        for sides in ("AB",) if both else ("A", "B"):
            clock = f"CLK{sides[-1]}"
            if all(parameters[f"REGMODE_{s}"] == "NOREG" for s in sides) and parameters[f"{clock}MUX"] == clock:
                yield _Stage(
                    outputs=tuple(f"DO{s}{i}" for s in sides for i in range(PORT_BITS)), clock=clock, given=True,
                    parameters={f"REGMODE_{s}": "OUTREG" for s in sides}, inputs={f"OCE{s}": "1" for s in sides},
                )  # fmt: skip


def take_registers(netlist: dict[str, Any]) -> int:
    """Change `netlist`, what yosys `write_json` wrote. Returns the number of registers of blocks that are now used.

    What a multiplier or a port of a block RAM puts out is registered inside it if every bit that is used goes to one
    register and nowhere else, and these have the same clock (of a memory: by which it is read), no enable and no
    reset, and begin at 0."""
    return sum(_take(module) for module in netlist["modules"].values())


def _take(module: dict[str, Any]) -> int:
    cells: dict[str, Cell] = module["cells"]
    wanted = [(cell, stage) for cell in cells.values() for stage in _stages(cell)]
    if not wanted:
        return 0
    readers = _readers(module)
    taken = 0
    for cell, stage in wanted:
        connections = cell["connections"]
        found = _registers(cell, stage, cells, readers)
        if found is None or (stage.given and connections[stage.clock] != [found[0]]):
            continue
        clock, registers = found
        for port, name in registers.items():
            connections[port] = cells.pop(name)["connections"]["Q"]
        inputs = stage.inputs | {stage.clock: clock}
        connections.update({port: [bit] for port, bit in inputs.items()})
        cell["port_directions"].update(dict.fromkeys(inputs, "input"))
        cell["parameters"].update(stage.parameters)
        taken += 1
    return taken


def _readers(module: dict[str, Any]) -> dict[Bit, list[tuple[str, str]]]:
    """(cell, port) of all that reads a bit; outputs of the module are cell ""."""
    found: dict[Bit, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"].get(port) != "output":
                for bit in bits:
                    found[bit].append((name, port))
    for name, port in module["ports"].items():
        for bit in port["bits"]:
            found[bit].append(("", name))
    return found


def _registers(
    cell: Cell, stage: _Stage, cells: dict[str, Cell], readers: dict[Bit, list[tuple[str, str]]]
) -> tuple[Bit, dict[str, str]] | None:
    """The clock of the registers behind a stage, and the register of each of its outputs; None if they cannot be taken
    in."""
    found: dict[str, str] = {}
    clocks: set[Bit] = set()
    for port in stage.outputs:
        for bit in cell["connections"].get(port, []):
            if not readers[bit]:
                continue
            name, at = readers[bit][0]
            if len(readers[bit]) > 1 or at != "DI" or name not in cells or not _plain(cells[name]):
                return None
            found[port] = name
            clocks.update(cells[name]["connections"]["CLK"])
    return (clocks.pop(), found) if len(clocks) == 1 else None


def _plain(cell: Cell) -> bool:
    """Whether a cell is a register without enable and reset that begins at 0."""
    usual = {"CEMUX": "1", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"}
    parameters = {name: str(cell["parameters"].get(name, value)).strip() for name, value in usual.items()}
    reset = cell["connections"].get("LSR", ["0"])
    return cell["type"] == REGISTER and parameters == usual and reset == ["0"]
