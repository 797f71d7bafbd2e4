# SPDX-License-Identifier: Apache-2.0
"""Output registers of ECP5 multipliers.

A MULT18X18D has a register behind its product (Lattice, sysDSP usage guide of ECP5), and the template has one behind
every product. yosys leaves it outside the block. `take_registers` moves it in, in the netlist that yosys writes as
JSON; nothing else of the netlist changes. docs/decisions/0025-a-cycle-more-in-the-requantiser.md has what that gains.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

MULTIPLIER = "MULT18X18D"
REGISTER = "TRELLIS_FF"
PRODUCT_BITS = 36

Bit = int | str
Cell = dict[str, Any]


def take_registers(netlist: dict[str, Any]) -> int:
    """Change `netlist`, what yosys `write_json` wrote: the product of a multiplier is registered inside it if every bit
    that is used goes to one register and nowhere else, and these have the same clock, no enable and no reset, and
    begin at 0. Returns the number of multipliers."""
    return sum(_take(module) for module in netlist["modules"].values())


def _take(module: dict[str, Any]) -> int:
    cells: dict[str, Cell] = module["cells"]
    multipliers = [cell for cell in cells.values() if cell["type"] == MULTIPLIER]
    if not multipliers:
        return 0
    readers = _readers(module)
    taken = 0
    for cell in multipliers:
        found = _registers(cell, cells, readers)
        if found is None:
            continue
        connections, (clock, registers) = cell["connections"], found
        for port, name in registers.items():
            connections[port] = cells.pop(name)["connections"]["Q"]
        inputs = {"CLK0": clock, "CE0": "1", "RST0": "0"}
        connections.update({port: [bit] for port, bit in inputs.items()})
        cell["port_directions"].update(dict.fromkeys(inputs, "input"))
        cell["parameters"].update(REG_OUTPUT_CLK="CLK0", REG_OUTPUT_CE="CE0", REG_OUTPUT_RST="RST0")
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
    cell: Cell, cells: dict[str, Cell], readers: dict[Bit, list[tuple[str, str]]]
) -> tuple[Bit, dict[str, str]] | None:
    """The clock of the registers behind a multiplier, and the register of each of its ports; None if they cannot be
    taken in."""
    found: dict[str, str] = {}
    clocks: set[Bit] = set()
    for port in (f"P{i}" for i in range(PRODUCT_BITS)):
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
