# SPDX-License-Identifier: Apache-2.0
"""Hierarchies as files: YAML that names the source of every energy and area, checked as a whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from nba.core.errors import SpecError
from nba.core.yamlfile import explain, field_path, parse_yaml, read_text, report
from nba.loopnest.hierarchy import Axis, Hierarchy, Level, LevelMemory, Link, Mac
from nba.loopnest.layer import DIMS, OPERANDS

Operand = Literal["weights", "inputs", "outputs"]
Loop = Literal["N", "G", "M", "C", "P", "Q", "R", "S"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_Positive = Annotated[int, Field(gt=0, le=2**32, strict=True)]
"""Sizes and widths: bounded, so that everything that is counted with them fits 64 bits (NestLayer.MAX_MACS)."""
Bytes = Annotated[int, Field(gt=0, le=2**40, strict=True)]
Number = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False, strict=True)]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


MAX_LEVELS = 16


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Section):
    """A number and where it is from; rule: how it was derived from what the source gives, if it was."""

    value: Number
    source: Text
    rule: Text | None = None


class Energy(_Entry):
    """Of one MAC, or of one access to one word."""

    unit: Literal["pJ"]


class EnergyPerBit(_Entry):
    """Of moving one bit over a link."""

    unit: Literal["pJ/bit"]


class Area(_Entry):
    """Of a MAC or of a memory."""

    unit: Literal["mm2"]


class MemoryText(_Section):
    """A memory of one instance of a level. size_bytes: none for the outermost level, which has no bound."""

    name: Name
    operands: Annotated[tuple[Operand, ...], Field(min_length=1)]
    size_bytes: Bytes | None = None
    word_bits: _Positive
    read: Energy
    write: Energy
    area: Area


class AxisText(_Section):
    """Instances side by side, and the loops that may be unrolled along them."""

    name: Name
    size: _Positive
    loops: Annotated[tuple[Loop, ...], Field(min_length=1)]


class LinkText(_Section):
    """Wires into a level. fill: where it brings weights or inputs; drain: where it takes outputs away."""

    operands: Annotated[tuple[Operand, ...], Field(min_length=1)]
    fill_bits_per_cycle: _Positive | None = None
    drain_bits_per_cycle: _Positive | None = None
    energy: EnergyPerBit


class LevelText(_Section):
    """A level; axes, links and double_buffered belong to all but the outermost, innermost to all but the innermost."""

    name: Name
    memories: Annotated[tuple[MemoryText, ...], Field(min_length=1)]
    axes: tuple[AxisText, ...] = ()
    links: tuple[LinkText, ...] = ()
    double_buffered: Flag | None = None
    innermost: tuple[Loop, ...] = ()
    unit_tiles: tuple[Loop, ...] = ()


class MacText(_Section):
    """A multiply-accumulate of operands of `bits` bits."""

    bits: Annotated[int, Field(gt=0, le=64, strict=True)]
    energy: Energy
    area: Area
    accumulator_bits: Annotated[int, Field(gt=0, le=256, strict=True)]
    lanes: Annotated[int, Field(gt=0, le=1024, strict=True)] = 1


class HierarchyText(_Section):
    """A hierarchy as it is described; notes: what it is after, and what was chosen."""

    name: Name
    notes: Text
    clock_mhz: Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False, strict=True)]
    levels: Annotated[tuple[LevelText, ...], Field(min_length=2, max_length=MAX_LEVELS)]
    macs: Annotated[tuple[MacText, ...], Field(min_length=1)]

    @field_validator("macs")
    @classmethod
    def _bits_once(cls, macs: tuple[MacText, ...]) -> tuple[MacText, ...]:
        twice = [str(bits) for bits, n in Counter(mac.bits for mac in macs).items() if n > 1]
        if twice:
            raise ValueError(f"two MACs of {', '.join(twice)} bits; each number of bits is described once")
        return macs


def read_hierarchy(path: Path) -> HierarchyText:
    """The description in the file `path`. Raises SpecError with every error of the file."""
    text = read_text(path, what="hierarchy", example="nba/loopnest/hierarchies/eyeriss-like.yaml")
    return parse_hierarchy(text, where=str(path))


def parse_hierarchy(text: str, *, where: str) -> HierarchyText:
    """The description written in `text`; `where` names it in messages. Raises SpecError with every error of it."""
    raw = parse_yaml(text, where=where, what="hierarchy", fields=HierarchyText.model_fields)
    return checked_description(raw, where=where)


def checked_description(raw: dict[Any, Any], *, where: str) -> HierarchyText:
    """`raw` as a description. Raises SpecError with every error of it; levels that are well formed are held against
    their place even where others are not."""
    problems: list[str] = []
    found: HierarchyText | None = None
    try:
        found = HierarchyText.model_validate(raw)
    except ValidationError as err:
        problems = [_with_hint(line) for line in explain(err, HierarchyText, raw=raw)]
    levels = raw.get("levels")
    if isinstance(levels, list):
        names: Counter[str] = Counter()
        for i, level in enumerate(levels):
            try:
                well_formed = LevelText.model_validate(level)
            except ValidationError:
                continue
            names[well_formed.name] += 1
            place = field_path(("levels", i), raw)
            problems += [f"{place}: {problem}" for problem in _contradictions(well_formed, i, len(levels))]
        problems += [f"levels: {n} are called {name}; give each its own name" for name, n in names.items() if n > 1]
    if found is not None:
        problems += _disagreements(found)
    if problems or found is None:
        raise SpecError(report(where, problems))
    return found


def _disagreements(text: HierarchyText) -> list[str]:
    """What is wrong between parts that are each well formed."""
    found = []
    for i, mac in enumerate(text.macs):
        if mac.accumulator_bits < mac.bits:
            found.append(f"macs[{i}].accumulator_bits: {mac.accumulator_bits}, fewer than the {mac.bits} of an operand")
        if mac.lanes > 1 and not text.levels[-1].axes:
            found.append(f"macs[{i}].lanes: {mac.lanes}, but the innermost level has no axis that they could widen")
    accesses = [e.value for level in text.levels for m in level.memories for e in (m.read, m.write)]
    if not any(accesses) and not any(mac.energy.value for mac in text.macs):
        found.append(
            "every energy is 0, and so would be the EDP of every mapping; give the energies of memories and MACs"
        )
    return found


def _with_hint(line: str) -> str:
    """A missing number is an error that says what stands there."""
    field = line.removesuffix(": missing").rpartition(".")[2]
    unit = {"read": "pJ", "write": "pJ", "energy": "pJ", "area": "mm2"}.get(field) if line != field else None
    if unit is None:
        return line
    if field == "energy" and ".links[" in line:
        unit = "pJ/bit"
    return f"{line}; give {{value: <number>, unit: {unit}, source: <where it is from>}}: nothing is assumed"


def _contradictions(level: LevelText, place: int, depth: int) -> list[str]:
    """What is wrong with a well-formed level at its place among `depth` levels."""
    found = []
    outermost, last = place == 0, place == depth - 1
    held = Counter(operand for memory in level.memories for operand in memory.operands)
    found += [f"{operand} are in {n} memories; each operand is in at most one" for operand, n in held.items() if n > 1]
    if outermost or last:
        which = "outermost" if outermost else "innermost"
        absent = [operand for operand in OPERANDS if operand not in held]
        found += [f"no memory holds {operand}; the {which} level holds all three operands" for operand in absent]
    if outermost:
        for field in ("axes", "links", "unit_tiles"):
            if getattr(level, field):
                found.append(f"{field}: the outermost level has none")
        if level.double_buffered is not None:
            found.append("double_buffered: belongs to levels that are loaded, not to the outermost one")
        found += [
            f"memories.{memory.name}: size_bytes: the outermost level holds everything and has no size; leave it out"
            for memory in level.memories
            if memory.size_bytes is not None
        ]
    else:
        if level.double_buffered is None:
            found.append("double_buffered: missing; true or false")
        found += [
            f"memories.{memory.name}: size_bytes: missing; only the outermost level has no bound"
            for memory in level.memories
            if memory.size_bytes is None
        ]
        found += _wrong_links(level, held)
    if last and level.innermost:
        found.append("innermost: the innermost level walks nothing; say it at the level outside")
    for kind, names in (
        ("memories", [memory.name for memory in level.memories]),
        ("axes", [axis.name for axis in level.axes]),
    ):
        found += [f"{kind}: {n} are called {name}" for name, n in Counter(names).items() if n > 1]
    for field, loops in (
        ("innermost", level.innermost),
        ("unit_tiles", level.unit_tiles),
        *((f"axes.{axis.name}.loops", axis.loops) for axis in level.axes),
    ):
        found += [f"{field}: {loop} is listed {n} times" for loop, n in Counter(loops).items() if n > 1]
    return found


def _wrong_links(level: LevelText, held: Counter[Operand]) -> list[str]:
    found = []
    brought = Counter(operand for link in level.links for operand in link.operands)
    for operand in OPERANDS:
        if operand in held and operand not in brought:
            found.append(f"links: none brings {operand}, which the level holds; every operand held is on one link")
        if brought[operand] > 1:  # type: ignore[index]
            found.append(f"links: {brought[operand]} bring {operand}; every operand held is on one link")  # type: ignore[index]
        if operand in brought and operand not in held:
            found.append(f"links: one brings {operand}, which no memory of the level holds")
    for i, link in enumerate(level.links):
        fills, drains = set(link.operands) - {"outputs"}, "outputs" in link.operands
        for field, value, wanted, what in (
            ("fill_bits_per_cycle", link.fill_bits_per_cycle, bool(fills), "weights or inputs"),
            ("drain_bits_per_cycle", link.drain_bits_per_cycle, drains, "outputs"),
        ):
            if wanted and value is None:
                found.append(f"links[{i}].{field}: missing; the link carries {what}")
            if not wanted and value is not None:
                found.append(f"links[{i}].{field}: the link carries no {what}; leave it out")
    return found


def built(text: HierarchyText) -> Hierarchy:
    """A checked description as the hierarchy that the model computes with."""
    return Hierarchy(
        name=text.name,
        clock_mhz=text.clock_mhz,
        levels=tuple(_level(level) for level in text.levels),
        macs=tuple(
            Mac(
                bits=mac.bits,
                pj=mac.energy.value,
                area_mm2=mac.area.value,
                accumulator_bits=mac.accumulator_bits,
                lanes=mac.lanes,
            )
            for mac in text.macs
        ),
    )


def _operands(names: tuple[Operand, ...]) -> tuple[int, ...]:
    return tuple(sorted(OPERANDS.index(name) for name in names))


def _loops(names: tuple[Loop, ...]) -> tuple[int, ...]:
    return tuple(sorted(DIMS.index(name) for name in names))


def _level(level: LevelText) -> Level:
    return Level(
        name=level.name,
        memories=tuple(
            LevelMemory(
                name=memory.name,
                operands=_operands(memory.operands),
                size_bits=None if memory.size_bytes is None else 8 * memory.size_bytes,
                word_bits=memory.word_bits,
                read_pj=memory.read.value,
                write_pj=memory.write.value,
                area_mm2=memory.area.value,
            )
            for memory in level.memories
        ),
        axes=tuple(Axis(name=axis.name, size=axis.size, dims=_loops(axis.loops)) for axis in level.axes),
        links=tuple(
            Link(
                operands=_operands(link.operands),
                # A direction that carries nothing takes no time, whatever its width.
                fill_bits_per_cycle=link.fill_bits_per_cycle or 1,
                drain_bits_per_cycle=link.drain_bits_per_cycle or 1,
                pj_per_bit=link.energy.value,
            )
            for link in level.links
        ),
        double_buffered=bool(level.double_buffered),
        innermost=_loops(level.innermost),
        unit_tiles=_loops(level.unit_tiles),
    )
