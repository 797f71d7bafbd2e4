# SPDX-License-Identifier: Apache-2.0
"""How data lie in the machine, and how many there are: words, lanes, rings and buffers (docs/template.md, Data layout).

Like nba.machine.timing: kernels on numbers for Python and for compiled loops, each formula once. An engine or a layer
that *mixes* has outputs that depend on many input channels (nba.ir.operators); the words of its input have pn channels,
those of other engines pm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd

import numpy as np

from nba.core.compiled import kernel
from nba.ir import accelerator
from nba.ir.accelerator import HOST, Chunk, Port, Ring
from nba.ir.network import Network

PORTS: tuple[Port, ...] = ("main", "residual")
"""Ports by number, as kernels and arrays have them."""
MAX_LANES = 4
"""Uses of one tensor on one port by one chunk that have buffers of their own in the closed forms of memory."""


@kernel
def ceil_div(a: int, b: int) -> int:
    """Integer ceiling of a / b for b > 0."""
    return -(-a // b)


input_word = kernel(accelerator.input_word, inlined=False)


LEAST_ADDRESS_BITS = 4
"""The modules of the template take no fewer."""


def _bits_below(n: int) -> int:
    found = 0
    while (1 << found) < n:
        found += 1
    return found


bits_below = kernel(_bits_below, inlined=False)
"""Bits of a number below n."""


@kernel
def address_bits(words: int) -> int:
    """Bits of an address of the edges of a design whose deepest has so many words in a bank."""
    return max(LEAST_ADDRESS_BITS, bits_below(words))


@kernel
def use_word(port: int, word: int, pq: int) -> int:
    """Channels in a word of the buffer that a use on `port` (0 main, 1 residual) reads, by a chunk whose input words
    have `word` channels and whose drain pq."""
    return word if port == 0 else pq


@kernel
def array_macs(mixes: bool, pm: int, pn: int) -> int:
    """Multipliers of an engine per column."""
    return pm * pn if mixes else pm


@kernel
def channel_words(n: int, pn: int, m: int, pm: int, groups: int, rotate: int) -> int:
    """Input words of pn channels that an engine walks for one tap of a layer that mixes N = n into M = m channels.

    A layer of two groups (nba.ir.network.Layer) needs half of them where words and output groups of pm channels end
    with its groups; elsewhere the engine walks all words, against weights that are 0.
    """
    words = -(-n // pn)
    if (groups == 2) & (n % (2 * pn) == 0) & (m % (2 * pm) == 0) & (rotate % pm == 0):
        words = n // (2 * pn)
    return words


@kernel
def tap_words(mixes: bool, n: int, pn: int, m: int, pm: int, groups: int, rotate: int) -> int:
    """Input words that an engine walks for one tap of a layer."""
    return channel_words(n, pn, m, pm, groups, rotate) if mixes else 1


@kernel
def weight_words(stored: bool, m_groups: int, steps: int) -> int:
    """Words of a chunk's weight memory that a layer takes: one a step of every channel group, or, where its weights are
    no data (all 1), a single one."""
    return m_groups * steps if stored else 1


@kernel
def param_words(m_groups: int, drain: int) -> int:
    """Words of a chunk's parameter memory that a layer takes."""
    return m_groups * drain


@kernel
def class_columns(width: int, banks: int, stride: int) -> int:
    """Columns per bank of one class (x mod stride) of a row of `width` columns."""
    return ceil_div(width, stride * banks)


@kernel
def bank_columns(width: int, banks: int, stride: int) -> int:
    """Columns per bank of a row of `width` columns, for a reader of this stride."""
    return stride * class_columns(width, banks, stride)


@kernel
def stream_columns(banks: int) -> int:
    """Columns of a beat of either stream of a design of so many banks: the largest power of two that divides them."""
    return banks & -banks


def class_offsets(banks: int, stride: int) -> tuple[int, ...]:
    """The bank of the first column of each class (x mod stride) of a row, by class; the next column of a class lies in
    the next bank.

    With g = gcd(stride, banks), neighbours whose classes differ by g lie as far apart as if the banks were shared out
    by x mod (banks / g); the g classes between start a g-th of the banks apart. So `banks` neighbouring columns from a
    multiple of g on, or from anywhere on where g = 1, lie in different banks.
    """
    g = gcd(stride, banks)
    part = banks // g
    step = pow(stride // g, -1, part) if part > 1 else 0
    return tuple((r % g * part + r // g * step) % banks for r in range(stride))


def column_bank(x: int, banks: int, stride: int) -> int:
    """The bank that holds column `x` of a row, for a reader of this stride."""
    return (x // stride + class_offsets(banks, stride)[x % stride]) % banks


@kernel
def least_rows(kernel_h: int, stride: int) -> int:
    """Rows of the smallest legal ring on the main port."""
    return max(kernel_h, stride)


@kernel
def row_beats(width: int, channels: int, columns: int, lanes: int) -> int:
    """Beats of one row of a stream of `columns` columns times `lanes` channels."""
    return ceil_div(width, columns) * ceil_div(channels, lanes)


@kernel
def written_words(m_groups: int, drain: int, col_words: int, lanes: int, write_lanes: int) -> int:
    """Partial words that a producer of m_groups channel groups writes into one column of a buffer: one a drain step,
    unless all that its col_words words of `lanes` channels hold is written before."""
    return min(m_groups * drain, col_words * (lanes // write_lanes))


@kernel
def use_lane(earlier: Sequence[int] | np.ndarray, chunk: Sequence[int] | np.ndarray, use: int) -> int:
    """Lane of a use of a tensor: how many uses before it, on the same port, are by the same chunk.

    earlier[i]: the layer before layer i that uses the same tensor on the same port, or -1; chunk[i]: where layer i
    runs; `use`: the layer whose use it is. Uses of different lanes have buffers of their own.
    """
    lane = 0
    other = earlier[use]
    while other >= 0:
        if chunk[other] == chunk[use]:
            lane += 1
        other = earlier[other]
    return lane


def earlier_uses(network: Network, port: Port) -> list[int]:
    """For every layer, the last one before it that uses the same tensor on the same port, or -1 (see `use_lane`)."""
    last: dict[int | None, int] = {}
    found = []
    for i, layer in enumerate(network.layers):
        tensor = layer.input if port == "main" else layer.residual
        found.append(-1 if tensor is None else last.get(tensor, -1))
        last[tensor] = i
    return found


def edge_of(ring: Ring, place: Mapping[int, int]) -> tuple[int, int, Port, int]:
    """The buffer that `ring` lives in, as (producer, consumer, port, lane); place[i]: the chunk of layer i."""
    producer = HOST if ring.tensor == 0 else place[ring.tensor - 1]
    return producer, HOST if ring.consumer == HOST else place[ring.consumer], ring.port, ring.lane


def reader_word(chunk: Chunk, port: Port) -> int:
    """Channels in a word of the buffers that `chunk` reads on `port`."""
    return use_word(PORTS.index(port), chunk.lanes, chunk.pq)


@kernel
def edge_number(producer: int, consumer: int, port: int, lane: int, n_chunks: int, n_lanes: int) -> int:
    """Place of a buffer in the order of all: by producer (HOST first), consumer (likewise), port (0 main, 1
    residual), lane."""
    return (((producer + 1) * (n_chunks + 1) + consumer + 1) * 2 + port) * n_lanes + lane


@kernel
def edge_places(n_chunks: int, n_lanes: int) -> int:
    """How many numbers `edge_number` gives."""
    return (n_chunks + 1) * (n_chunks + 1) * 2 * n_lanes
