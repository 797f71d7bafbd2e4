# SPDX-License-Identifier: Apache-2.0
"""Boards as files: YAML that names the source of its figures, checked as a whole (docs/boards.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from nba.boards.family import FAMILIES
from nba.boards.platform import ExternalMemory, Platform
from nba.core.errors import SpecError
from nba.core.yamlfile import explain, parse_yaml, read_text, report

_BoardName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_Count = Annotated[int, Field(ge=1, le=100_000_000, strict=True)]
_Source = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True, strict=True)]
_PartName = Annotated[str, StringConstraints(min_length=4, max_length=64, strict=True)]
_PART_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


class _BoardSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartText(_BoardSection):
    """The device, by the name that Vivado has for it."""

    name: _PartName
    source: _Source


class DeviceText(_BoardSection):
    """Totals of the device. bram: block RAMs of 36 Kbit, as in budgets; uram: UltraRAM blocks of 288 Kbit."""

    dsp: _Count
    bram: _Count
    uram: Annotated[int, Field(ge=0, le=100_000_000, strict=True)] = 0
    lut: _Count
    ff: _Count
    source: _Source


class ExternalMemoryText(_BoardSection):
    """What a design may count on of the memory beside the device; each of the ports moves bytes_per_cycle."""

    ports: Annotated[int, Field(ge=1, le=64, strict=True)]
    bytes_per_cycle: Annotated[int, Field(ge=1, le=1024, strict=True)]
    latency_cycles: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    at_clock_mhz: Annotated[float, Field(ge=1, le=10_000, allow_inf_nan=False, strict=True)]
    source: _Source


class BoardText(_BoardSection):
    """A board as it is described; notes: what it is."""

    name: _BoardName
    notes: _Source | None = None
    family: Literal["7-series", "ultrascale+"]
    part: PartText
    device: DeviceText
    memory: ExternalMemoryText | None = None


def read_board(path: Path) -> BoardText:
    """The description in the file `path`. Raises SpecError with every error of the file."""
    text = read_text(path, what="board", example="nba/boards/platforms/zc706.yaml")
    return parse_board(text, where=str(path))


def parse_board(text: str, *, where: str) -> BoardText:
    """The description written in `text`; `where` names it in messages. Raises SpecError with every error of it."""
    raw = parse_yaml(text, where=where, what="board", fields=BoardText.model_fields)
    found: BoardText | None = None
    try:
        found = BoardText.model_validate(raw)
        problems = contradictions(found)
    except ValidationError as err:
        problems = [_with_source(line, raw) for line in explain(err, BoardText)]
    if problems or found is None:
        raise SpecError(report(where, problems))
    return found


def _with_source(line: str, raw: dict[Any, Any]) -> str:
    """A missing source is an error that says what stands there."""
    return f"{line}; say where the figures are from" if line.endswith(".source: missing") else line


def contradictions(board: BoardText) -> list[str]:
    """What is wrong between the fields of a description that are each well formed, one line each."""
    found, family = [], FAMILIES[board.family]
    strange = sorted(set(board.part.name) - _PART_CHARACTERS)
    if strange:
        found.append(
            f"part.name: {board.part.name!a} has {', '.join(ascii(c) for c in strange)}; legal: letters, digits and `-`"
        )
    elif not board.part.name.lower().startswith(family.parts):
        others = [name for name, other in FAMILIES.items() if board.part.name.lower().startswith(other.parts)]
        hint = f"; it is one of {others[0]}: correct `family`" if others else ""
        begins = ", ".join(family.parts)
        found.append(f"part.name: {board.part.name!r} is no device of {board.family} (these begin with {begins}){hint}")
    if board.device.uram and not family.uram:
        found.append(
            f"device.uram: {board.device.uram}, but devices of {board.family} have no UltraRAM; leave it out, or give 0"
        )
    return found


def built_board(board: BoardText) -> Platform:
    """A checked description as the platform that everything else asks."""
    family, device = FAMILIES[board.family], board.device
    sources = dict.fromkeys((device.source, board.part.source))
    return Platform(
        name=board.name, part=board.part.name, clock_mhz=family.clock.clock_mhz, family=family, dsp=device.dsp,
        bram18=2 * device.bram, uram=device.uram, lut=device.lut, ff=device.ff, source=", ".join(sources),
        logic=family.logic,
        memory=None if board.memory is None else ExternalMemory(**board.memory.model_dump()),
    )  # fmt: skip
