# SPDX-License-Identifier: Apache-2.0
"""The chunk template (docs/template.md) as a hierarchy on each FPGA platform, and its engines as mappings."""

from __future__ import annotations

from nba.boards import Platform, get, names
from nba.boards.energy import Entry
from nba.ir.accelerator import Chunk
from nba.ir.network import LEGAL_BITS, Network
from nba.ir.operators import accumulator_bits
from nba.loopnest.layer import DIMS, C, G, M, N, NestLayer, P, Q, R, S
from nba.loopnest.mapping import Mapping
from nba.loopnest.schema import (
    Area,
    AxisText,
    Energy,
    EnergyPerBit,
    HierarchyText,
    LevelText,
    LinkText,
    MacText,
    MemoryText,
    Operand,
)
from nba.machine.geometry import ceil_div, channel_words
from nba.machine.kernels import BLOCK_BITS

PREFIX = "chunk-"
BLOCK_WORD_BITS = 36
"""Widest word of an 18 Kib block RAM (simple dual port)."""
HOST_BITS_PER_CYCLE = 64
"""Of the streams to and from the host, each way."""
REGISTER_BITS = 32
TERMS = 1 << 16
"""Products that an accumulator of the template, seen as a hierarchy, can sum."""
ALL: tuple[Operand, ...] = ("weights", "inputs", "outputs")


def chunk_names() -> tuple[str, ...]:
    """Names of the chunk template on each platform."""
    return tuple(PREFIX + name for name in names())


def sum_bits(bits: int) -> int:
    """Bits that hold any sum of TERMS products of two operands of `bits` bits."""
    return accumulator_bits(TERMS, bits, False, 1 << (bits - 1))


def chunk_text(platform_name: str) -> HierarchyText:
    """The template on a platform. Raises SpecError for an unknown one."""
    platform = get(platform_name)
    nowhere = Area(
        value=0.0,
        unit="mm2",
        source=f"{platform.source}: blocks of an FPGA, which has its area whatever is done with it",
        rule="0; nba.machine.resources counts DSP blocks and block RAMs",
    )
    return HierarchyText(
        name=PREFIX + platform.name,
        notes=(
            f"The chunk template on {platform.name} ({platform.part}), one engine at a time, layer after layer: each "
            "MAC is one DSP block at every bitwidth (two products that share one are not modelled) and holds a weight, "
            "an activation and an accumulator; an output stays until it is finished. Energies are a relative model "
            f"({platform.energy.name}: {platform.energy.nature}). The {HOST_BITS_PER_CYCLE} bits per cycle of the "
            "streams are one AXI port; block RAM is one pool, as wide as all of its ports."
        ),
        clock_mhz=platform.clock_mhz,
        levels=_levels(platform, nowhere),
        macs=tuple(
            MacText(bits=bits, energy=_mac(platform, bits), area=nowhere, accumulator_bits=sum_bits(bits))
            for bits in LEGAL_BITS
        ),
    )


def _levels(platform: Platform, area: Area) -> tuple[LevelText, ...]:
    """Host, block RAM and the registers of the DSP blocks, outermost first."""
    memory_bits = platform.bram18 * BLOCK_BITS
    ports = platform.bram18 * BLOCK_WORD_BITS
    on_chip = _sram(platform, BLOCK_WORD_BITS, BLOCK_BITS, "one 18 Kib block RAM")
    on_wires = EnergyPerBit(value=0.0, unit="pJ/bit", source="no table", rule="0: in the energies of the memories")
    host = _scaled(platform.energy.host, 1.0, platform.energy.host.rule)
    streams = LinkText(
        operands=ALL, fill_bits_per_cycle=HOST_BITS_PER_CYCLE, drain_bits_per_cycle=HOST_BITS_PER_CYCLE,
        energy=on_wires,
    )  # fmt: skip
    return (
        LevelText(name="host", memories=(_memory("host", ALL, None, 64, host, area),)),
        LevelText(
            name="bram",
            memories=(_memory("bram", ALL, memory_bits // 8, BLOCK_WORD_BITS, on_chip, area),),
            links=(streams,),
            double_buffered=True,
            innermost=("C", "R", "S"),
        ),
        LevelText(
            name="array",
            memories=(
                _register(platform, "weight", "weights", 8, area),
                _register(platform, "activation", "inputs", 8, area),
                _register(platform, "accumulator", "outputs", 16, area),
            ),
            axes=(AxisText(name="dsp", size=platform.dsp, loops=("G", "M", "C", "Q")),),
            links=(
                LinkText(operands=("weights", "inputs"), fill_bits_per_cycle=ports, energy=on_wires),
                LinkText(operands=("outputs",), drain_bits_per_cycle=ports, energy=on_wires),
            ),
            double_buffered=True,
            unit_tiles=("N", "G", "M", "C", "P", "Q", "R", "S"),
        ),
    )


def engine_layer(network: Network, index: int, chunk: Chunk, pp: int) -> NestLayer:
    """Layer `index` as an engine computes it: channels and columns filled up to its lanes. Two groups are groups where
    its words and channel groups end with theirs, else one (the engine walks all words, against weights of 0)."""
    spec, output = network.layers[index], network.tensors[index + 1]
    n = network.tensors[spec.input].channels
    groups, m, c = 1, output.channels, n
    if not spec.operator.mixes:
        groups, m, c = _up(output.channels, chunk.pm), 1, 1
    else:
        words = channel_words(n, chunk.pn, m, chunk.pm, spec.groups, spec.rotate)
        if spec.groups == 2 and 2 * words * chunk.pn == n:
            groups, m = 2, m // 2
        m, c = _up(m, chunk.pm), words * chunk.pn
    return NestLayer(
        name=spec.name,
        g=groups,
        m=m,
        c=c,
        p=output.height,
        q=_up(output.width, pp),
        r=spec.kernel_h,
        s=spec.kernel_w,
        stride_h=spec.stride_h,
        stride_w=spec.stride_w,
        weight_bits=spec.weight_bits,
        act_bits=spec.act_bits,
    )


def engine_mapping(layer: NestLayer, chunk: Chunk, pp: int) -> Mapping:
    """How an engine of pm x pn x pp MACs walks a layer of `engine_layer` (docs/template.md): row by row, column group
    by column group, channel group by channel group; for each one kernel rows, columns and channel words, one step a
    cycle. On a hierarchy of `chunk_text`; the whole layer is on the chip. How fast outputs leave (pq) is no part of it.

    A layer with one step per channel group (1 x 1 and no more than pn channels) is the one thing that the engine does
    otherwise: it reads a weight and its activations again in every step, where this mapping keeps what has not changed.
    """
    array = [1] * len(DIMS)
    array[Q] = pp
    if chunk.mixes:
        array[M], array[C] = chunk.pm, chunk.pn
    else:
        array[G] = chunk.pm
    ones, whole = (1,) * len(DIMS), layer.extents
    return Mapping(
        arrays=(whole, whole, tuple(array)),
        tiles=(whole, whole, ones),
        axes=((0,) * len(DIMS),) * 3,
        orders=(tuple(range(len(DIMS))), (N, P, Q, G, M, R, S, C)),
    )


def _up(size: int, lanes: int) -> int:
    return ceil_div(size, lanes) * lanes


def _memory(
    name: str, operands: tuple[Operand, ...], size_bytes: int | None, word_bits: int, access: Energy, area: Area
) -> MemoryText:
    return MemoryText(
        name=name,
        operands=operands,
        size_bytes=size_bytes,
        word_bits=word_bits,
        read=access,
        write=access,
        area=area,
    )


def _scaled(entry: Entry, factor: float, rule: str) -> Energy:
    return Energy(value=entry.value * factor, unit="pJ", source=entry.source, rule=rule)


def _sram(platform: Platform, word_bits: int, memory_bits: int, what: str) -> Energy:
    factor = word_bits / 64 * (memory_bits / 65536) ** 0.5
    return _scaled(platform.energy.sram, factor, f"{platform.energy.sram.rule}; here {word_bits} bits of {what}")


def _register(platform: Platform, name: str, operand: Operand, size_bytes: int, area: Area) -> MemoryText:
    access = _sram(platform, REGISTER_BITS, 8 * size_bytes, f"a register of {size_bytes} bytes")
    return _memory(name, (operand,), size_bytes, REGISTER_BITS, access, area)


def _mac(platform: Platform, bits: int) -> Energy:
    table, wide = platform.energy, sum_bits(bits)
    per_bit = (table.add_32.value - table.add_8.value) / 24
    return Energy(
        value=table.multiply.value * bits * bits / 64 + table.add_8.value + (wide - 8) * per_bit,
        unit="pJ",
        source=f"{table.multiply.source}; {table.add_8.source}; {table.add_32.source}",
        rule=f"product: {table.multiply.rule}; plus a sum of {wide} bits: {table.add_32.rule}",
    )
