# SPDX-License-Identifier: Apache-2.0
"""What is written from the tables of nba.machine.layout: Verilog modules, the struct `Job`, the tables of the docs."""

from __future__ import annotations

from collections import Counter

from nba.machine.layout import (
    DST,
    FETCH,
    JOB,
    PARAM,
    PROGRAM,
    ROW,
    SECTIONS,
    SHIFT,
    TURN,
    Member,
    WordField,
    WordSection,
)

COMMAND = "python -m benchmarks.render_layout"
"""Writes the files that hold these texts."""
LIBRARY = "templates/rtl/lib"
BLOCKS = {
    f"{LIBRARY}/nba_chunk.v": ("  // generated: {}\n", "  // end of generated\n", "widths of the program word"),
    "templates/hls/lib/nba_types.h": ("// generated: {}\n", "// end of generated\n", "Job"),
    "docs/template.md": ("<!-- generated: {} -->\n", "<!-- end -->\n", "words"),
}
"""File -> first and last line of the block that is generated in it, and its name."""


def module_name(section: WordSection) -> str:
    """The library module that takes a section apart."""
    return f"nba_word_{section.name}"


def expression(fields: tuple[WordField, ...]) -> str:
    """Bits of `fields`, as a Verilog expression of the parameters."""
    plain = sum(field.bits for field in fields if not field.lanes)
    terms = [str(plain)] if plain else []
    counts = Counter(field.symbol for field in fields if field.symbol and not field.lanes)
    terms += [symbol if count == 1 else f"{count}*{symbol}" for symbol, count in counts.items()]
    terms += [f"{field.lanes}*{field.symbol or field.bits}" for field in fields if field.lanes]
    return " + ".join(terms)


def _parameters(section: WordSection) -> tuple[str, ...]:
    names = [name for field in section.fields for name in (field.lanes, field.symbol) if name]
    return tuple(dict.fromkeys(names))


_DEFAULTS = {"C_BITS": 8, "ACC_BITS": 24, "PQ": 1, "SHIFT_BITS": 1, "WIDE": 0}
_RANGES = {
    "C_BITS": "C_BITS 8, 16: bits of a code.",
    "ACC_BITS": "ACC_BITS 3..46: bits of an accumulator.",
    "SHIFT_BITS": "SHIFT_BITS 1..6: bits of a channel's shift.",
    "WIDE": "WIDE 0, 1: 1 in designs of more than 8 banks, or with strides above 2.",
    "PQ": "PQ: channels that are requantised per cycle.",
}


def _port(direction: str, width: str, name: str, column: int) -> str:
    return f"  {direction} wire {width:<{column}}{name}"


def _range(fields: tuple[WordField, ...]) -> str:
    """The range of a vector that holds `fields`; "" for one bit."""
    width = expression(fields)
    if width.isdigit():
        return "" if width == "1" else f"[{int(width) - 1}:0]"
    return f"[{width.removeprefix('1 + ').replace(' ', '')}{'' if width.startswith('1 + ') else '-1'}:0]"


def verilog(section: WordSection) -> str:
    """The library module that takes a word of `section` apart."""
    name, parameters = module_name(section), _parameters(section)
    kinds = {
        PARAM.name: "a parameter word", SHIFT.name: "the shifts of a parameter word", TURN.name: "the word of a turn",
        FETCH.name: "the word of a fetch",
    }  # fmt: skip
    what = kinds.get(section.name, f"the {section.name} section of a program word")
    whole = _range(section.fields)
    ranges = [_range((field,)) for field in section.fields]
    column = max(len(r) for r in [whole, *ranges]) + 1
    ports = [_port("input ", whole, "s_word", column)]
    ports += [_port("output", r, f"cfg_{f.name}", column) for f, r in zip(section.fields, ranges, strict=True)]
    lines = [
        "// SPDX-License-Identifier: Apache-2.0",
        f"// {name}: takes {what} apart: {section.contract}.",
        "// Wires only: latency 0, no state, no reset. The first port holds the lowest bits.",
        f"// Written from nba/machine/layout.py by {COMMAND}; do not edit.",
        *(f"// {_RANGES[p]}" for p in parameters),
        "`default_nettype none",
        f"module {name}" + (" #(" if parameters else " ("),
    ]
    if parameters:
        wide = max(len(p) for p in parameters)
        lines += [
            f"  parameter integer {p:<{wide}} = {_DEFAULTS[p]}{',' if p != parameters[-1] else ''}" for p in parameters
        ]
        lines.append(") (")
    lines += [f"{port}," for port in ports[:-1]] + [ports[-1], ");", "  assign {"]
    names = [f"cfg_{field.name}" for field in reversed(section.fields)]
    lines += [f"    {n}," for n in names[:-1]] + [f"    {names[-1]}", "  } = s_word;", "endmodule"]
    return "\n".join([*lines, "`default_nettype wire", ""])


def widths() -> str:
    """The localparams of nba_chunk.v: bits of the sections, and where the first parameter of a job lies in its own."""
    rows = [(f"{s.name.upper()}_W", expression(s.fields).replace("*", " * ")) for s in (*PROGRAM, DST, TURN)]
    (low,) = (low for field, low, _ in ROW.places({}) if field.name == "p_base")
    return "".join(f"  localparam integer {name:<9} = {text};\n" for name, text in [*rows, ("P_BASE_AT", str(low))])


def _member(member: Member) -> str:
    count, default = f"[{member.count}]" * bool(member.count), f" = {member.default}" * bool(member.default)
    kind = f"{member.kind} {member.name}{count}{default};"
    return f"  {kind:<22} // {member.comment}\n"


def job_struct() -> str:
    """The struct `Job` of the HLS C++."""
    return "struct Job {\n" + "".join(_member(member) for member in JOB) + "};\n"


def _section_table(section: WordSection) -> str:
    what = {
        PARAM.name: "Parameter word",
        TURN.name: "Word of a turn",
        FETCH.name: "Word of a fetch",
        DST.name: "Section `dst` of the program word, for each output edge",
        SHIFT.name: "Behind it, in chunks with shifts per channel",
    }
    title = what.get(section.name, f"Section `{section.name}` of the program word")
    bits = [expression((field,)) + (" (signed)" if field.signed else "") for field in section.fields]
    rows = [f"| `{f.name}` | {b} | {f.meaning} | {f.unit} |" for f, b in zip(section.fields, bits, strict=True)]
    head = f"{title}, {expression(section.fields)} bits: {section.contract}."
    return "\n".join([head, "", "| field | bits | meaning | unit |", "|---|---|---|---|", *rows, ""])


def layout_tables() -> str:
    """The tables of docs/template.md."""
    rows = [f"| `{m.name}` | {m.kind} | {f'`{m.word}`' if m.word else ''} | {m.comment} |" for m in JOB]
    head = "`Job` of the HLS C++ (`templates/hls/lib/nba_types.h`); a member that equals a field of the word names it."
    job = "\n".join([head, "", "| member | type | field | meaning |", "|---|---|---|---|", *rows, ""])
    return "\n".join([*(_section_table(section) for section in SECTIONS), job])


def rendered(read: dict[str, str]) -> dict[str, str]:
    """path -> text of everything that is written from the tables; `read`: the files of BLOCKS as they are."""
    found = {f"{LIBRARY}/{module_name(section)}.v": verilog(section) for section in SECTIONS}
    bodies = {"widths of the program word": widths(), "Job": job_struct(), "words": layout_tables()}
    for path, (first, last, name) in BLOCKS.items():
        head = first.format(name)
        parts = read[path].split(head)
        assert len(parts) == 2, f"{path}: {len(parts) - 1} blocks {head.strip()!r}"
        found[path] = parts[0] + head + bodies[name] + last + parts[1].split(last, 1)[1]
    return found
