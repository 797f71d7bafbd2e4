# SPDX-License-Identifier: Apache-2.0
"""The register map of every accelerator, as sim/registers.json holds it, and the files of a bundle that state it.

The description is templates/registers/nba.rdl (SystemRDL); `make registers` writes the table, the C header and the
IP-XACT template from it (benchmarks/registers.py), so that emission needs none of the packages that read it.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Literal

from nba.core import assets
from nba.core.version import __version__
from nba.emit.env import environment
from nba.ir.design import Design
from nba.machine.program import Program

TABLE = "registers.json"
"""The table's file, beside the benches that read it."""
HEADER = "nba_regs.h"
IPXACT = "nba_regs.xml"
DESIGN_HEADER = "nba_design.h"
FOLDER = "sw"
"""Folder of a bundle that holds these three."""
Access = Literal["r", "w", "rw"]
Only = Literal["", "modes", "memory"]
"""Which designs have a register or field: all, those of several modes, those that stream weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Bits `low`..`low + width - 1` of a register. volatile: the machine writes it. reset: None where it depends on the
    design, or where nothing is said until the machine writes it. In other designs than those that `only_with` names
    the bits read as 0."""

    name: str
    low: int
    width: int
    access: Access
    volatile: bool
    reset: int | None
    only_with: Only
    text: str

    @property
    def mask(self) -> int:
        """The field's bits in a word."""
        return ((1 << self.width) - 1) << self.low

    @property
    def bits(self) -> str:
        """`bit 3` or `bits 7..4`."""
        return f"bit {self.low}" if self.width == 1 else f"bits {self.low + self.width - 1}..{self.low}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """A 32-bit word. name: in capitals; offset: in bytes."""

    name: str
    offset: int
    only_with: Only
    text: str
    fields: tuple[Field, ...]

    @property
    def access(self) -> Access:
        """What software may do."""
        kinds = "".join(field.access for field in self.fields)
        return "rw" if "r" in kinds and "w" in kinds else "w" if "w" in kinds else "r"

    @property
    def access_text(self) -> str:
        """The access in words, as tables show it."""
        return {"r": "read", "w": "write", "rw": "read, write"}[self.access]

    @property
    def described(self) -> str:
        """The text and, of a register of several fields, those of its fields, on one line."""
        if len(self.fields) == 1:
            return self.text
        return " ".join(
            [self.text, *(f"{field.bits.capitalize()} `{field.name}`: {field.text}" for field in self.fields)]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Counters:
    """The registers of each job: at offset + chunk * chunk_stride + job * job_stride, plus their own offsets. `chunks`
    is the most that a design can have; all `jobs` of a chunk are there."""

    offset: int
    chunks: int
    chunk_stride: int
    jobs: int
    job_stride: int
    registers: tuple[Register, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisterMap:
    """All registers, by rising offset."""

    registers: tuple[Register, ...]
    counters: Counters

    def of(self, n_modes: int, memory: bool) -> tuple[Register, ...]:
        """The registers of a design of `n_modes` modes, which streams weights from external memory or does not, without
        the counters."""
        there = {"", *(["modes"] if n_modes > 1 else []), *(["memory"] if memory else [])}
        return tuple(
            replace(register, fields=tuple(field for field in register.fields if field.only_with in there))
            for register in self.registers
            if register.only_with in there
        )

    def __getitem__(self, name: str) -> Register:
        return next(register for register in self.registers if register.name == name)


def _register(row: dict) -> Register:
    return Register(**row | {"fields": tuple(Field(**field) for field in row["fields"])})


def read_table(text: str) -> RegisterMap:
    """The map that a table states."""
    found = json.loads(text)
    counters = found["counters"]
    return RegisterMap(
        registers=tuple(map(_register, found["registers"])),
        counters=Counters(**counters | {"registers": tuple(map(_register, counters["registers"]))}),
    )


def table_text(registers: RegisterMap) -> str:
    """The table that states a map."""
    return json.dumps(asdict(registers), indent=1) + "\n"


@lru_cache(maxsize=1)
def register_map() -> RegisterMap:
    """The map of the accelerators that this version emits."""
    return read_table((assets.root("sim") / TABLE).read_text(encoding="utf-8"))


def version_word() -> int:
    """Register VERSION: major and minor number in a byte each, patch in two."""
    major, minor, patch = (int(part) for part in __version__.split(".")[:3])
    return major << 24 | minor << 16 | patch


def words(design_id: str, n_chunks: int, n_modes: int) -> dict[str, int]:
    """What the registers read that depend on the design alone."""
    return {
        "VERSION": version_word(), "DESIGN_ID": int(design_id[:8], 16), "N_CHUNKS": n_chunks, "N_MODES": n_modes,
    }  # fmt: skip


def render_registers(design: Design, program: Program, image: bytes = b"") -> dict[str, str]:
    """path -> content of the files that state the registers: the C header of all accelerators, that of this design with
    its addresses, its IP-XACT memory map, and the table for the bench. image: of its streamed weights."""
    registers, n_modes, env = register_map(), len(design.networks), environment()
    context = {
        "version": __version__,
        "design_id": design.id,
        "registers": registers.of(n_modes, program.memory is not None),
        "memory": program.memory is not None,
        "image_bytes": len(image),
        "image_crc32": zlib.crc32(image),
        "counters": registers.counters,
        "jobs": [len(chunk.jobs) for chunk in program.chunks],
        "words": words(design.id, len(program.chunks), n_modes),
    }
    files = {
        f"{FOLDER}/{name}": env.get_template(f"registers/{name}.j2").render(context) for name in (DESIGN_HEADER, IPXACT)
    }
    files[f"{FOLDER}/{HEADER}"] = (assets.root("templates") / "registers" / HEADER).read_text(encoding="utf-8")
    files[f"sim/{TABLE}"] = (assets.root("sim") / TABLE).read_text(encoding="utf-8")
    return files
