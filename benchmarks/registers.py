# SPDX-License-Identifier: Apache-2.0
"""What is written from the SystemRDL description of the registers, templates/registers/nba.rdl.

    python -m benchmarks.registers [--check] [--html FOLDER]

Writes the table of the benches and emitters (sim/registers.json), the C header, the IP-XACT template and the table of
docs/registers.md. --check changes nothing and ends with status 1 if one of them is not what the description says.
--html also writes the pages of peakrdl-html. Needs the extra `registers`. Its exporters are under the LGPL and the
GPL: they run as programs of their own and are no part of nba (docs/registers.md).
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from systemrdl import RDLCompiler
from systemrdl.node import AddressableNode, FieldNode, RegfileNode, RegNode

from nba.core.files import write_atomic
from nba.core.tools import run_tool
from nba.emit.registers import HEADER, IPXACT, TABLE, Counters, Field, Only, Register, RegisterMap, table_text

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "templates" / "registers"
DESCRIPTION = FOLDER / "nba.rdl"
DOCUMENT = ROOT / "docs" / "registers.md"
BLOCK = re.compile(r"(<!-- generated: registers -->\n).*?(<!-- end -->)", re.DOTALL)
OTHER_DESIGN = {"VERSION": 0x02030004, "DESIGN_ID": 0x5EED5EED, "N_CHUNKS": 47, "N_MODES": 15}
"""Parameters that differ from the defaults, but for MEMORY: what changes with them depends on the design."""
HEADER_HEAD = """\
// SPDX-License-Identifier: Apache-2.0
// The fields of the registers of every accelerator: mask (_bm), lowest bit (_bp), width (_bw), value after a reset.
// The struct has room for the most chunks and for registers that not every design has: see nba_design.h."""
CONDITIONS: dict[Only, str] = {"modes": "words.N_MODES != 1", "memory": "memory"}
"""What the template asks of a design that has what only some have."""
NS = {"ipxact": "http://www.accellera.org/XMLSchema/IPXACT/1685-2014"}
XSI = "http://www.w3.org/2001/XMLSchema-instance"


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _field(node: FieldNode) -> Field:
    return Field(
        name=node.inst_name,
        low=node.low,
        width=node.width,
        access=node.get_property("sw").name,
        volatile=node.is_hw_writable,
        reset=node.get_property("reset"),
        only_with="",
        text=_line(node.get_property("desc")),
    )


def _register(node: RegNode) -> Register:
    return Register(
        name=node.get_property("name"),
        offset=node.raw_address_offset,
        only_with="",
        text=_line(node.get_property("desc")),
        fields=tuple(map(_field, node.fields())),
    )


def _only(node: AddressableNode, kind: type) -> AddressableNode:
    (found,) = (child for child in node.children() if isinstance(child, kind))
    return found


def elaborate(description: Path, parameters: Mapping[str, int] | None = None) -> RegisterMap:
    """The map of one design, whose parameters are those of the description: registers that it lacks are left out, and
    every reset value is there. Raises systemrdl.RDLCompileError."""
    compiler = RDLCompiler()
    compiler.compile_file(str(description))
    top = compiler.elaborate(parameters=dict(parameters or {})).top
    chunk = _only(top, RegfileNode)
    job = _only(chunk, RegfileNode)
    return RegisterMap(
        registers=tuple(_register(node) for node in top.registers()),
        counters=Counters(
            offset=chunk.raw_address_offset,
            chunks=chunk.array_dimensions[0],
            chunk_stride=chunk.array_stride,
            jobs=job.array_dimensions[0],
            job_stride=job.array_stride,
            registers=tuple(_register(node) for node in job.registers()),
        ),
    )


def read(description: Path = DESCRIPTION) -> RegisterMap:
    """The map of all designs: what only some have is marked, and resets that depend on the design are None."""
    full, other = elaborate(description), elaborate(description, OTHER_DESIGN)
    lacks: dict[Only, set[str]] = {
        "modes": _names(full) - _names(elaborate(description, {"N_MODES": 1})),
        "memory": _names(full) - _names(elaborate(description, {"MEMORY": 0})),
    }

    def only_with(name: str) -> Only:
        return next((only for only, names in lacks.items() if name in names), "")

    registers = []
    for register, changed in zip(full.registers, other.registers, strict=True):
        fields = tuple(
            replace(
                field,
                reset=field.reset if field == second else None,
                only_with=only_with(f"{register.name}.{field.name}"),
            )
            for field, second in zip(register.fields, changed.fields, strict=True)
        )
        registers.append(replace(register, only_with=only_with(register.name), fields=fields))
    return replace(full, registers=tuple(registers))


def _names(registers: RegisterMap) -> set[str]:
    """The names of all registers and, behind those of theirs, of all fields."""
    return {register.name for register in registers.registers} | {
        f"{register.name}.{field.name}" for register in registers.registers for field in register.fields
    }


def export(kind: str, target: Path, *arguments: str) -> None:
    """Run an exporter of PeakRDL: c-header, ip-xact or html. Raises ToolError if it fails."""
    command = [sys.executable, "-m", "peakrdl", kind, str(DESCRIPTION), "-o", str(target), *arguments]
    run_tool(command, cwd=target.parent)


def parameters(values: Mapping[str, int]) -> list[str]:
    """The arguments that give an exporter the parameters of a design."""
    return [argument for name, value in values.items() for argument in ("-P", f"{name}={value}")]


def of_design(registers: RegisterMap) -> Iterator[tuple[Register, Field]]:
    """The fields that hold numbers of the design."""
    for register in registers.registers:
        for field in register.fields:
            if field.reset is None and not field.volatile:
                yield register, field


def header(registers: RegisterMap, folder: Path) -> str:
    """The C header of all designs: reset values that depend on the design are left out."""
    target = folder / HEADER
    export("c-header", target, "--std", "gnu99")
    left_out = {f"NBA__{r.name}__{f.name.upper()}_reset" for r, f in of_design(registers)}
    lines = [line for line in target.read_text().splitlines() if not left_out & set(line.split())]
    return "\n".join([HEADER_HEAD, *lines, ""])


def ipxact_template(registers: RegisterMap, folder: Path) -> str:
    """The IP-XACT memory map of all designs, as the template that emission renders for one."""
    target = folder / IPXACT
    export("ip-xact", target, "--vendor", "nba-codesign", "--library", "accelerators", "--name", "nba_regs")
    for prefix, uri in {**NS, "xsi": XSI}.items():
        ElementTree.register_namespace(prefix, uri)
    tree = ElementTree.parse(target)
    block = _found(tree.getroot(), ".//ipxact:addressBlock")
    _found(tree.getroot(), "ipxact:version").text = "{{ version }}"
    size = "counters.offset + words.N_CHUNKS * counters.chunk_stride"
    _found(block, "ipxact:range").text = f"'h{{{{ '%x' % ({size}) }}}}"
    _found(block, "ipxact:registerFile/ipxact:dim").text = "{{ words.N_CHUNKS }}"
    for register, field in of_design(registers):
        place = f"ipxact:register[ipxact:displayName='{register.name}']/ipxact:field[ipxact:name='{field.name}']"
        value = f"words.{register.name} // {1 << field.low} % {1 << field.width}"
        _found(block, f"{place}/ipxact:resets/ipxact:reset/ipxact:value").text = f"'h{{{{ '%x' % ({value}) }}}}"
    mark_what_is_not_always_there(registers, block)
    head = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        "<!-- Generated by nba-codesign {{ version }} from nba.rdl; design {{ design_id[:12] }}. Do not edit. -->",
    ]
    return "\n".join([*head, ElementTree.tostring(tree.getroot(), encoding="unicode"), ""])


def mark_what_is_not_always_there(registers: RegisterMap, block: ElementTree.Element) -> None:
    """Put the elements of an address block that only some designs have between the commands of the template."""
    by_name = {register.name: register for register in registers.registers}
    chosen: list[tuple[ElementTree.Element, ElementTree.Element, Only]] = []
    for element in block.findall("ipxact:register", NS):
        register = by_name[element.findtext("ipxact:displayName", "", NS)]
        chosen.append((block, element, register.only_with))
        fields = {field.name: field.only_with for field in register.fields}
        for inner in element.findall("ipxact:field", NS):
            only = fields[inner.findtext("ipxact:name", "", NS)]
            chosen.append((element, inner, only if only != register.only_with else ""))
    for parent, element, only in chosen:
        if only:
            before, indent = parent[list(parent).index(element) - 1], parent.text or ""
            before.tail = f"{before.tail}{{% if {CONDITIONS[only]} %}}{indent}"
            element.tail = f"{indent}{{% endif %}}{element.tail}"


def _found(parent: ElementTree.Element, path: str) -> ElementTree.Element:
    found = parent.findall(path, NS)
    assert len(found) == 1, f"{path}: found {len(found)} times in the exported IP-XACT"
    return found[0]


def _bits(field: Field) -> str:
    """Three cells: the places of a field, its name, its value after a reset."""
    reset = ("-" if field.volatile else "of the design") if field.reset is None else f"0x{field.reset:X}"
    return f"{field.bits.split()[1]} | {field.name} | {reset}"


def document_table(registers: RegisterMap) -> str:
    """The table of docs/registers.md."""
    lines = [
        "| address | register | access | bits | field | after a reset | meaning |",
        "|---|---|---|---|---|---|---|",
    ]
    counters = registers.counters
    window = f"0x{counters.offset:04X} + chunk * 0x{counters.chunk_stride:X} + job * {counters.job_stride}"
    rows = [(f"0x{register.offset:02X}", register) for register in registers.registers]
    rows += [(f"{window} + {register.offset}", register) for register in counters.registers]
    for address, register in rows:
        access = register.access_text
        if len(register.fields) == 1:
            lines.append(f"| {address} | {register.name} | {access} | {_bits(register.fields[0])} | {register.text} |")
            continue
        lines.append(f"| {address} | {register.name} | {access} | | | | {register.text} |")
        lines += [f"| | | | {_bits(field)} | {field.text} |" for field in register.fields]
    return "\n".join([*lines, ""])


def rendered() -> dict[Path, str]:
    """Every file that is written from the description, with its content."""
    registers = read()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found, text = header(registers, folder), ipxact_template(registers, folder)
    document = BLOCK.sub(lambda match: match[1] + document_table(registers) + match[2], DOCUMENT.read_text())
    return {
        ROOT / "sim" / TABLE: table_text(registers),
        FOLDER / HEADER: found,
        FOLDER / f"{IPXACT}.j2": text,
        DOCUMENT: document,
    }


def main(argv: list[str] | None = None) -> int:
    """Command line; see the text of this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--html", type=Path, default=None, metavar="FOLDER", help="also write pages into this folder")
    arguments = parser.parse_args(argv)
    stale = [path for path, text in rendered().items() if not path.is_file() or path.read_text() != text]
    if arguments.check:
        for path in stale:
            print(f"{path.relative_to(ROOT)}: not what {DESCRIPTION.relative_to(ROOT)} says; run `make registers`")
        return 1 if stale else 0
    for path, text in rendered().items():
        write_atomic(path, text)
    if arguments.html is not None:
        arguments.html.parent.mkdir(parents=True, exist_ok=True)
        export("html", arguments.html.resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
