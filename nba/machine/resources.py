# SPDX-License-Identifier: Apache-2.0
"""DSP, block RAM and UltraRAM of a design, exactly as synthesis finds them (nba.synth.compare holds both together)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from nba.boards import MemoryStyle, Platform
from nba.core.compiled import kernel
from nba.ir.network import MULT_BITS, Network
from nba.ir.operators import MIXING
from nba.machine import kernels
from nba.machine.designs import ACC_BITS, layer_table
from nba.machine.parts import weight_store
from nba.machine.program import ChunkProgram, EdgeLayout, Program

_bram18 = lru_cache(maxsize=65536)(kernels.bram18)


@kernel
def rom_words(depth: int) -> int:
    """Words in a ROM's file: its contents and a guard, the complement of the first word. Without it, synthesis would
    drop the columns in which all weights agree, and the size would depend on the weights."""
    return depth + 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """`copies` equal memories of `words` words of `width_bits` bits; sub_width_bits per write enable, 0 for a ROM.
    ultra: the design wants them in UltraRAM."""

    width_bits: int
    words: int
    sub_width_bits: int
    copies: int
    ultra: bool = False

    def bram18(self, style: MemoryStyle) -> int:
        """18 Kib block RAMs of all copies when built in `style`."""
        return self.copies * _bram18(self.width_bits, self.words, self.sub_width_bits) if style == "block" else 0

    def uram(self, style: MemoryStyle) -> int:
        """UltraRAM blocks of all copies when built in `style`."""
        return self.copies * kernels.uram(self.width_bits, self.words, self.sub_width_bits) if style == "ultra" else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkResources:
    """What chunk number `chunk` takes: DSP blocks of MACs and requantisers, 18 Kib block RAMs of its ROMs (pad
    codes are parameters), UltraRAM of its store of streamed weights."""

    chunk: int
    mac_dsp: int
    requant_dsp: int
    weight_bram18: int
    param_bram18: int
    weight_uram: int


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeResources:
    """18 Kib block RAMs and UltraRAM blocks of the banks of edge number `edge`."""

    edge: int
    bram18: int
    uram: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """DSP blocks, 18 Kib block RAMs and UltraRAM blocks of a design, in total and by part. Program ROMs, FIFOs and
    counters use none."""

    dsp: int
    bram18: int
    uram: int
    chunks: tuple[ChunkResources, ...]
    edges: tuple[EdgeResources, ...]

    @property
    def bram(self) -> float:
        """Block RAMs in units of 36 Kib, as vendors count them."""
        return self.bram18 / 2


def weight_rom(chunk: ChunkProgram) -> Memory:
    """The chunk's weight ROM, or, where it streams weights, the memory of its store (nba_store)."""
    width = chunk.weight_width
    if chunk.slots:
        rows, width = weight_store(chunk)
        part = min(chunk.bus_bits, width)
        return Memory(width_bits=width, words=rows, sub_width_bits=part, copies=1, ultra=chunk.ultra)
    return Memory(width_bits=width, words=rom_words(chunk.weight_depth), sub_width_bits=0, copies=1)


def param_rom(chunk: ChunkProgram) -> Memory:
    """The chunk's ROM of biases, multipliers and, where they differ, shifts."""
    width = chunk.pq * (chunk.acc_bits + MULT_BITS + chunk.shift_bits)
    return Memory(width_bits=width, words=rom_words(chunk.param_depth), sub_width_bits=0, copies=1)


def pad_rom(chunk: ChunkProgram, code_bits: int) -> Memory | None:
    """The chunk's ROM of pad codes, of `code_bits` bits; None where no job has them."""
    if not chunk.pad_depth:
        return None
    width = chunk.lanes * code_bits
    return Memory(width_bits=width, words=rom_words(chunk.pad_depth), sub_width_bits=0, copies=1)


def banks(edge: EdgeLayout, count: int) -> Memory:
    """The `count` banks of an edge buffer."""
    return Memory(
        width_bits=edge.lanes * edge.code_bits,
        words=edge.depth_words,
        sub_width_bits=edge.write_lanes * edge.code_bits,
        copies=count,
        ultra=edge.ultra,
    )


def style(memory: Memory, platform: Platform, block_luts: int = 0) -> MemoryStyle:
    """How `memory` is built: in UltraRAM where the design wants that, else by the platform's limits, or, if it is
    written to and a block RAM is worth `block_luts`, by that."""
    if memory.ultra:
        return "ultra"
    if block_luts == 0 or memory.sub_width_bits == 0:
        return platform.memory_style(memory.width_bits, memory.words)
    block = kernels.priced_block(memory.width_bits, memory.words, memory.sub_width_bits, block_luts)
    return "block" if block else "distributed"


def _of(memory: Memory, platform: Platform, block_luts: int = 0) -> int:
    return memory.bram18(style(memory, platform, block_luts))


def _chunk(index: int, chunk: ChunkProgram, code_bits: int, platform: Platform) -> ChunkResources:
    def dsp(pq: int) -> int:
        return kernels.chunk_dsp(
            chunk.kind == MIXING, chunk.pm, chunk.pn, chunk.pp, pq, chunk.act_bits, chunk.weight_bits, chunk.acc_bits,
            chunk.has_residual, chunk.packing, platform.family.wide_bits,
        )  # fmt: skip

    macs = 0 if chunk.products == "lut" else dsp(0)
    pads, weights = pad_rom(chunk, code_bits), weight_rom(chunk)
    return ChunkResources(
        chunk=index,
        mac_dsp=macs,
        requant_dsp=0 if chunk.requant == "lut" else dsp(chunk.pq) - dsp(0),
        weight_bram18=_of(weights, platform),
        param_bram18=_of(param_rom(chunk), platform) + (0 if pads is None else _of(pads, platform)),
        weight_uram=weights.uram(style(weights, platform)),
    )


def edge_bram18(edge: EdgeLayout, count: int, platform: Platform, block_luts: int) -> int:
    """18 Kib block RAMs of the `count` banks of an edge, where a block RAM is worth `block_luts`."""
    return _of(banks(edge, count), platform, block_luts)


def _edge(index: int, memory: Memory, platform: Platform, block_luts: int) -> EdgeResources:
    built = style(memory, platform, block_luts)
    return EdgeResources(edge=index, bram18=memory.bram18(built), uram=memory.uram(built))


def searched_exactly(network: Network, platform: Platform) -> bool:
    """Whether the exact search of accelerators (nba.explore.exact), which counts the DSP blocks of 7-series, counts
    those of `platform` for every layer of `network`. If not, it counts a block too many for each value that is
    requantised from sums of 42 or 43 bits, so that what it proves need not hold."""
    bits = {int(row[ACC_BITS]) for row in layer_table(network)}
    wide_bits = platform.family.wide_bits
    return all(kernels.requant_dsp(acc, False) == kernels.requant_dsp(acc, False, wide_bits) for acc in bits)


def predict(program: Program, platform: Platform) -> Resources:
    """DSP, block RAM and UltraRAM of `program` on `platform`: equal to those of the synthesised netlist (tests/eda)."""
    chunks = tuple(_chunk(k, chunk, program.code_bits, platform) for k, chunk in enumerate(program.chunks))
    edges = tuple(
        _edge(e, banks(edge, program.banks), platform, program.block_luts) for e, edge in enumerate(program.edges)
    )
    return Resources(
        dsp=sum(c.mac_dsp + c.requant_dsp for c in chunks),
        bram18=sum(c.weight_bram18 + c.param_bram18 for c in chunks) + sum(e.bram18 for e in edges),
        uram=sum(c.weight_uram for c in chunks) + sum(e.uram for e in edges),
        chunks=chunks,
        edges=edges,
    )
