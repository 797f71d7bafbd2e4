# SPDX-License-Identifier: Apache-2.0
"""A hierarchy of memories and an array of MACs: what a loop nest runs on (docs/mapping-model.md)."""

from __future__ import annotations

from dataclasses import dataclass

from nba.core.errors import NbaError


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelMemory:
    """A memory of one instance of a level. operands: indices into OPERANDS. size_bits: None is unbounded.

    read_pj, write_pj: energy of one access of a word. area_mm2: of the memory.
    """

    name: str
    operands: tuple[int, ...]
    size_bits: int | None
    word_bits: int
    read_pj: float
    write_pj: float
    area_mm2: float

    def words(self, elements: int, bits: int) -> int:
        """Words that hold so many elements of `bits` bits."""
        if bits <= self.word_bits:
            return -(-elements // (self.word_bits // bits))
        return elements * -(-bits // self.word_bits)

    def words_per_element(self, bits: int) -> float:
        """Share of a word that an access of one element of `bits` bits takes."""
        return 1.0 / (self.word_bits // bits) if bits <= self.word_bits else float(-(-bits // self.word_bits))


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """Instances of a level side by side. dims: indices into DIMS of the loops that may be unrolled along it."""

    name: str
    size: int
    dims: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """Wires into a level, one set for each instance of the level above. pj_per_bit: of a bit received or drained."""

    operands: tuple[int, ...]
    fill_bits_per_cycle: int
    drain_bits_per_cycle: int
    pj_per_bit: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One level of the hierarchy. innermost: loops that must be inside all others where this level walks its tile (any
    order among themselves; empty: no rule). unit_tiles: loops of which an instance of this level holds one element."""

    name: str
    memories: tuple[LevelMemory, ...]
    axes: tuple[Axis, ...] = ()
    links: tuple[Link, ...] = ()
    double_buffered: bool = True
    innermost: tuple[int, ...] = ()
    unit_tiles: tuple[int, ...] = ()

    def memory(self, operand: int) -> LevelMemory | None:
        """The memory that holds the operand, if one does."""
        return next((m for m in self.memories if operand in m.operands), None)

    def link(self, operand: int) -> Link | None:
        """The wires that bring the operand, if any do."""
        return next((link for link in self.links if operand in link.operands), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mac:
    """A multiply-accumulate of operands of `bits` bits. lanes: MACs that a place of the array does per cycle: the size
    of the last axis of the innermost level is multiplied by it, and these instances share the memories of the place."""

    bits: int
    pj: float
    area_mm2: float
    accumulator_bits: int
    lanes: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Hierarchy:
    """Levels from the outermost to the innermost, and the MAC at each number of bits that it has."""

    name: str
    clock_mhz: float
    levels: tuple[Level, ...]
    macs: tuple[Mac, ...]

    def mac(self, bits: int) -> Mac:
        """The MAC of operands of `bits` bits. Raises NbaError if the description has none."""
        for mac in self.macs:
            if mac.bits == bits:
                return mac
        known = ", ".join(str(mac.bits) for mac in self.macs)
        raise NbaError(f"hierarchy {self.name}: no MAC of {bits} bits; it describes {known}. Add an entry to `macs`")

    def parent(self, level: int, operand: int) -> int:
        """The level that `level` gets the operand from."""
        return next(i for i in range(level - 1, -1, -1) if self.levels[i].memory(operand) is not None)

    def axis_sizes(self, level: int, bits: int) -> tuple[int, ...]:
        """Sizes of the axes of a level for operands of `bits` bits."""
        sizes = [axis.size for axis in self.levels[level].axes]
        if sizes and level == len(self.levels) - 1:
            sizes[-1] *= self.mac(bits).lanes
        return tuple(sizes)

    def lanes(self, level: int, bits: int) -> int:
        """Instances of a level, at operands of `bits` bits, that share the memories of one of its places."""
        return self.mac(bits).lanes if level == len(self.levels) - 1 else 1

    def n_macs(self, bits: int) -> int:
        """MACs that the whole array does per cycle."""
        total = 1
        for level in range(len(self.levels)):
            for size in self.axis_sizes(level, bits):
                total *= size
        return total
