# SPDX-License-Identifier: Apache-2.0
"""DSP, block-RAM and UltraRAM counts of synthesis for Xilinx 7-series and UltraScale+, as plain integer functions.

They use nothing but integers, constant tuples and builtins, so that numba compiles them as they are. Each states what
yosys (synth_xilinx -family xc7, -family xcup) builds; tests/eda/test_resources.py compares them. The two families
differ in one thing: the bits of a multiplier's wider operand.
"""

from __future__ import annotations

from nba.core.compiled import kernel

BLOCK_WIDTHS = (1, 2, 4, 9, 18, 36, 72)
"""Data widths of a block RAM [bits]."""

BLOCK_SHAPES = (
    (16, 1, 1026, 4),
    (15, 6, 514, 2),
    (14, 5, 258, 1),
    (15, 7, 514, 2),
    (14, 6, 258, 1),
)
"""Ways to use block RAM: address bits at width 1, how many of BLOCK_WIDTHS it offers, twice its cost to the mapper,
18 Kib blocks. Two cascaded RAMB36E1; true dual port RAMB36E1, RAMB18E1; simple dual port RAMB36E1, RAMB18E1: in the
order in which the mapper takes the first of equal cost. RAMB36E2 and RAMB18E2 are the same."""

BYTE_BITS = 9
"""Bits that share a write enable."""
BLOCK_BITS = 18 * 1024
"""Bits of the smallest block RAM, the unit of `bram18`."""


def bram18(width: int, words: int, sub_width: int) -> int:
    """18 Kib block RAMs of a memory of `words` words of `width` bits in block style, with one read port.

    sub_width: bits per write enable, of which the last one has what is left (nba_ram, where it divides `width`, and
    nba_store); 0: no write port (nba_rom, whose words include the guard). The mapper tries every shape and width, and
    takes the cheapest: blocks, plus half a unit per bit of read multiplexer and per decoded write enable where the
    memory is deeper than a block. Segments of a deep memory share blocks.
    """
    enables = -(-width // sub_width) if sub_width > 0 else 0
    rest = width - (enables - 1) * sub_width
    best = -1
    count = 0
    for shape in range(len(BLOCK_SHAPES)):
        address_bits, n_widths, unit_cost, blocks = BLOCK_SHAPES[shape]
        shape_best = -1
        shape_floor = 0
        shape_count = 0
        for choice in range(n_widths):
            unit = BLOCK_WIDTHS[choice]
            segments = -(-words // (1 << (address_bits - choice)))
            if sub_width > 0:
                byte = min(BYTE_BITS, unit)
                stored = (-(-sub_width // byte) * (enables - 1) + -(-rest // byte)) * byte
            else:
                stored = width
            units = -(-segments * stored // unit)
            cost = unit_cost * units + (segments - 1) * width
            if segments > 1:
                cost += segments * enables
            # Within a shape the mapper compares with the best cost rounded down to a whole unit (two of ours).
            if shape_best < 0 or cost < shape_floor:
                shape_best = cost
                shape_floor = cost // 2 * 2
                shape_count = units * blocks
        if best < 0 or shape_best < best:
            best = shape_best
            count = shape_count
    return count


URAM_WORDS = 4096
URAM_BITS = 72
"""Words of an UltraRAM block, and bits of a word."""
URAM_BYTES = (8, 9)
"""Bits that share a write enable of it, all over a block."""


@kernel
def uram(width: int, words: int, sub_width: int) -> int:
    """UltraRAM blocks of a memory of `words` words of `width` bits in that style, written and read at one port each.

    sub_width: bits per write enable, of which the last one has what is left (nba_ram, nba_store). The mapper tries both
    sizes of a byte. Segments of a deep memory lie side by side in the words of blocks, byte by byte.
    """
    enables = -(-width // sub_width)
    rest = width - (enables - 1) * sub_width
    segments = -(-words // URAM_WORDS)
    found = 0
    for byte in URAM_BYTES:
        stored = (-(-sub_width // byte) * (enables - 1) + -(-rest // byte)) * byte
        count = -(-segments * stored // URAM_BITS)
        if found == 0 or count < found:
            found = count
    return found


@kernel
def is_block(width: int, words: int, min_words: int, min_bits: int) -> bool:
    """Platform.memory_style(width, words) == "block" for a platform with these two limits."""
    return (words >= min_words) & (width * words >= min_bits)


def priced_block(width: int, words: int, sub_width: int, block_luts: int) -> bool:
    """Whether a bank of a buffer is built of block RAM where one of 18 Kbit is worth `block_luts` LUTs.

    In LUTs it takes about two for every bit of its width and 64 words.
    """
    return 2 * width * ((words + 63) // 64) > block_luts * bram18(width, words, sub_width)


WIDE_BITS_EVERYWHERE = 25
"""Bits of the wider operand that a DSP block of every family multiplies (nba.boards.Family.wide_bits)."""


@kernel
def product_dsp(a_bits: int, b_bits: int, product_bits: int, wide_bits: int = WIDE_BITS_EVERYWHERE) -> int:
    """DSP blocks of a signed product of a_bits x b_bits bits of which product_bits are used.

    A block multiplies wide_bits x 18 bits. A longer first operand is cut into slices of 17 bits below a last one of up
    to wide_bits, a longer second one into slices of 17 below a last one of up to 18. Products of less than 9 bits, or
    with a 1-bit operand, go to LUTs.
    """
    wide, narrow = max(a_bits, b_bits), min(a_bits, b_bits)
    wide_slices = 1 if wide <= wide_bits else (wide - wide_bits + 16) // 17 + 1
    narrow_slices = 1 if narrow <= 18 else (narrow - 2) // 17 + 1
    return 0 if narrow < 2 or product_bits < 9 else wide_slices * narrow_slices


IN_LUTS, PAIRED, SINGLE = 0, 1, 2
"""How a chunk multiplies: in LUTs; two output channels by one DSP block (nba_pair); every product by one."""
PAIR_BITS = 8
"""Codes of at most so many bits are multiplied in pairs: two weights side by side fill the 25 bits of an operand."""


@kernel
def packed_columns(act_bits: int, weight_bits: int) -> int:
    """Columns whose operands fit one multiplier side by side, for weights and activations of so many bits: their
    products take fields of 16 / columns bits."""
    bits = max(act_bits, weight_bits)
    return 4 if bits <= 2 else 2 if bits <= 4 else 1


@kernel
def degree(mixes: bool, act_bits: int, weight_bits: int, packing: int) -> int:
    """Times pp columns that a layer works on at once in a design of this packing."""
    return min(packed_columns(act_bits, weight_bits), packing) if mixes else 1


@kernel
def products(mixes: bool, act_bits: int, weight_bits: int, acc_bits: int, packing: int) -> int:
    """How a chunk multiplies whose product register has min(act_bits + weight_bits, acc_bits) bits. Only one that mixes
    channels multiplies an activation by several weights; one that packs columns (packing > 1) does so for any width."""
    if mixes and packing > 1:
        return PAIRED
    if min(act_bits + weight_bits, acc_bits) < 9:
        return IN_LUTS
    return PAIRED if mixes and max(act_bits, weight_bits) <= PAIR_BITS else SINGLE


@kernel
def chains(kind: int, degree: int, pn: int) -> bool:
    """Whether a chunk whose products are of this `kind` adds its pn inputs two by two within its DSP blocks: where no
    layer packs columns (degree 1). It then needs weights above -128 (see nba.emit.rtl); resources assume them."""
    return kind == PAIRED and degree == 1 and pn > 1


@kernel
def mac_dsp(pm: int, pn: int, pp: int, kind: int) -> int:
    """DSP blocks of pm x pn x pp products. In pairs the last one of an odd pm is alone."""
    if kind == IN_LUTS:
        return 0
    return ((pm + 1) // 2 if kind == PAIRED else pm) * pn * pp


@kernel
def requant_dsp(acc_bits: int, has_residual: bool, wide_bits: int = WIDE_BITS_EVERYWHERE) -> int:
    """DSP blocks per requantised value: a product of (acc_bits + 1) x 17, above 25 bits in two (nba_requant: one of 18
    and one of acc_bits - 16), and, with residuals, one of 9 x 17 bits (codes of 16 bits: 17 x 17, one block too)."""
    above = 1 if acc_bits - 16 <= wide_bits else (acc_bits - wide_bits) // 17 + 1
    scale = 1 if acc_bits <= 24 else 1 + above
    return scale + (1 if has_residual else 0)


# Its arguments are the numbers that describe a chunk.
@kernel
def chunk_dsp(
    mixes: bool, pm: int, pn: int, pp: int, pq: int, act_bits: int, weight_bits: int, acc_bits: int, has_residual: bool,
    packing: int, wide_bits: int = WIDE_BITS_EVERYWHERE,
) -> int:  # fmt: skip
    """DSP blocks of the MACs and requantisers of a chunk (pn = 1 where it does not mix channels) that has both in
    DSP blocks."""
    macs = mac_dsp(pm, pn, pp, products(mixes, act_bits, weight_bits, acc_bits, packing))
    return macs + pq * pp * requant_dsp(acc_bits, has_residual, wide_bits)
