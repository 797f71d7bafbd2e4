# SPDX-License-Identifier: Apache-2.0
"""The choice of an accelerator as a model for CP-SAT, from the published cost formulas and nothing of the search.

A *column* is an engine with the set of layers that it executes: its cycles, DSP blocks, block RAM and LUTs follow from
the formulas of docs/cost-models.md. A design is a set of columns of the same pp that cover every layer once. What two
columns share, the buffer between them, is a cost of the pair. The multipliers of a column may be made of adders.

For networks of a few layers, in which every tensor has one use at most on each port, without shifts and pad codes per
channel, in designs that pack no columns; rings hold a map.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations, product
from math import ceil

import numpy as np
from ortools.sat.python import cp_model

from nba.boards import Platform
from nba.explore.exact import Menu
from nba.ir.network import MULT_BITS, Network
from nba.machine.kernels import bram18, chunk_dsp, is_block
from nba.machine.logic import FEATURES, coefficients, features
from nba.machine.parts import (
    C_ACC,
    C_ACT,
    C_CHAINS,
    C_DEGREE,
    C_JOBS,
    C_MIXES,
    C_NEST_ACT,
    C_NEST_WEIGHT,
    C_PACKING,
    C_PARAM_WORDS,
    C_PM,
    C_PN,
    C_PP,
    C_PQ,
    C_PROGRAM_WORDS,
    C_RES,
    C_STORE,
    C_WEIGHT,
    C_WEIGHT_WORDS,
    CHUNK_COLUMNS,
    E_DEPTH,
    E_LANES,
    E_RINGS,
    E_WRITE,
    EDGE_COLUMNS,
    H_BANKS,
    H_CODE_BITS,
    H_IN_COLS,
    H_IN_LANES,
    H_OUT_COLS,
    H_OUT_LANES,
    H_PP,
    HOST_COLUMNS,
)
from nba.machine.placement import adder_milli, multiplier_table, saved_dsp
from nba.machine.resources import rom_words

Engine = tuple[bool, int, int, int]
"""mixes?, pm, pn, pq."""
ADDRESSES = range(4, 13)
"""Bits that an address of the buffers may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """LUTs in thousandths, those that a bit of the addresses adds, 18 Kbit blocks, and words of the deepest buffer."""

    lut: int = 0
    per_bit: int = 0
    bram18: int = 0
    depth: int = 0

    def __add__(self, other: Part) -> Part:
        return Part(
            lut=self.lut + other.lut, per_bit=self.per_bit + other.per_bit, bram18=self.bram18 + other.bram18,
            depth=max(self.depth, other.depth),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """An engine with its layers. cycles: of the layers, or of the input stream that it reads. adders: what multipliers
    made of adders save of DSP blocks and take of LUTs, in thousandths."""

    engine: Engine
    layers: tuple[int, ...]
    cycles: int
    dsp: int
    part: Part
    adders: tuple[tuple[int, int], ...]

    @property
    def lanes(self) -> int:
        """Channels of an input word."""
        return self.engine[2] if self.engine[0] else self.engine[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimum:
    """The best design, and the block RAM that it takes."""

    interval: int
    pp: int
    columns: tuple[Column, ...]
    bram18: int


class Costs:
    """The formulas, for one network at one pp."""

    def __init__(self, network: Network, platform: Platform, pp: int):
        self.network, self.platform, self.pp = network, platform, pp
        self.table = coefficients(platform.logic)[:, 0]
        self.bits = network.master_bits
        used = [layer.input for layer in network.layers], [layer.residual for layer in network.layers]
        assert all(len({t for t in port if t is not None}) == sum(t is not None for t in port) for port in used)
        assert all(t != 0 for t in used[1])

    def _milli(self, chunks: list[np.ndarray], edges: list[np.ndarray], host: np.ndarray) -> int:
        found = np.zeros(len(FEATURES), np.int64)
        rows = [np.array(x, np.int64).reshape(len(x), n) for x, n in ((chunks, CHUNK_COLUMNS), (edges, EDGE_COLUMNS))]
        limits = self.platform.min_block_words, self.platform.min_block_bits
        features(*rows, host, *limits, 0, found)
        return int(found @ self.table)

    def _host(self) -> np.ndarray:
        host = np.zeros(HOST_COLUMNS, np.int64)
        host[[H_PP, H_BANKS]], host[H_CODE_BITS] = self.pp, self.bits
        return host

    def memory(self, width: int, words: int, written: int) -> int:
        """18 Kbit blocks."""
        block = is_block(width, words, self.platform.min_block_words, self.platform.min_block_bits)
        return bram18(width, words, written) if block else 0

    def cycles(self, i: int, engine: Engine) -> int:
        """Of a frame of layer i."""
        mixes, pm, pn, pq = engine
        layer, out, source = self.network.layers[i], self.network.result(i), self.network.source(self.network.layers[i])
        words = ceil(source.channels / pn) if mixes else 1
        slot = max(words * layer.kernel_h * layer.kernel_w, pm // pq)
        return out.height * max(2, ceil(out.width / self.pp) * ceil(out.channels / pm) * slot) + 6

    def held(self, i: int, port: str, lanes: int) -> int:
        """Words in a bank of the ring that layer i reads."""
        layer = self.network.layers[i]
        tensor = self.network.source(layer)
        if port == "residual":
            assert layer.residual is not None
            tensor = self.network.tensors[layer.residual]
            return tensor.height * ceil(tensor.width / self.pp) * ceil(tensor.channels / lanes)
        stride = layer.stride_w
        rows = max(tensor.height, layer.kernel_h, layer.stride_h)
        return rows * stride * ceil(tensor.width / (stride * self.pp)) * ceil(tensor.channels / lanes)

    def column(self, engine: Engine, mine: tuple[int, ...]) -> Column:
        """Everything that needs no other column."""
        mixes, pm, pn, pq = engine
        layers = [self.network.layers[i] for i in mine]
        row = np.zeros(CHUNK_COLUMNS, np.int64)
        row[[C_MIXES, C_PM, C_PN, C_PQ, C_PP]] = mixes, pm, pn, pq, self.pp
        row[[C_DEGREE, C_PACKING, C_CHAINS]] = 1
        row[[C_JOBS, C_PROGRAM_WORDS]] = len(mine)
        row[C_ACT] = max(x.act_bits for x in layers)
        row[C_WEIGHT] = max(2, *(x.operator.operand_bits(x) for x in layers))
        row[C_STORE] = max(2, *(max(x.operator.memory_bits(x), x.operator.operand_bits(x)) for x in layers))
        row[C_ACC] = max(self.network.acc_bits(i) for i in mine)
        row[C_NEST_ACT] = any(x.act_bits < self.bits for x in layers)
        row[C_NEST_WEIGHT] = any(x.operator.operand_bits(x) < x.operator.memory_bits(x) for x in layers)
        row[C_RES] = residual = any(x.residual is not None for x in layers)
        for i, layer in zip(mine, layers, strict=True):
            groups = ceil(self.network.result(i).channels / pm)
            words = ceil(self.network.source(layer).channels / pn) if mixes else 1
            taps = layer.kernel_h * layer.kernel_w
            row[C_WEIGHT_WORDS] += groups * words * taps if layer.operator.stores_weights else 1
            row[C_PARAM_WORDS] += groups * (pm // pq)
        lut = self._milli([row], [], self._host()) - self._milli([], [], self._host())
        # Buffers that are read are for `pair` to count. Without any, the formula takes the words of one main one off,
        # which is the one that it leaves out; a residual one is in it.
        lut -= self.control("bits of residual words", residual * self.pp * pq * self.bits)
        macs = pm * pn if mixes else pm
        blocks = self.memory(macs * int(row[C_STORE]), rom_words(int(row[C_WEIGHT_WORDS])), 0)
        blocks += self.memory(pq * (int(row[C_ACC]) + MULT_BITS), rom_words(int(row[C_PARAM_WORDS])), 0)
        wide = self.platform.family.wide_bits
        dsp = chunk_dsp(
            mixes, pm, pn, self.pp, pq, *map(int, row[[C_ACT, C_WEIGHT, C_ACC]]), residual, 1, wide
        )  # fmt: skip
        adders = multiplier_table(self.platform.logic)
        items = [
            (int(saved_dsp(row, self.pp, which, wide)), int(adder_milli(row, self.pp, self.bits, which, adders)[0]))
            for which in range(2)
        ]
        cycles = sum(self.cycles(i, engine) for i in mine)
        part = Part(lut=lut, per_bit=self.address(chunks=1), bram18=blocks)
        if mine[0] == 0:
            part, cycles = part + self._input(engine), max(cycles, self._stream(engine))
        if mine[-1] == len(self.network.layers) - 1:
            part = part + self._output(engine)
        adders = tuple(item for item in items if item[0] > 0)
        return Column(engine=engine, layers=mine, cycles=cycles, dsp=int(dsp), part=part, adders=adders)

    def control(self, feature: str, count: int) -> int:
        """LUTs of so many of a feature of a chunk's control, in thousandths."""
        return count * int(self.table[FEATURES.index(("control", feature))])

    def address(self, *, chunks: int = 0, edges: int = 0, rings: int = 0) -> int:
        """LUTs that one bit of the addresses adds, in thousandths."""
        counts = {
            ("control", "address bits"): chunks, ("control", "banks times address bits"): chunks * self.pp,
            ("rings", "rings times address bits"): rings, ("writer", "address bits"): edges,
            ("writer", "banks times address bits"): edges * self.pp,
        }  # fmt: skip
        return sum(count * int(self.table[FEATURES.index(name)]) for name, count in counts.items())

    def _stream(self, engine: Engine) -> int:
        image, columns = self.network.tensors[0], self.pp & -self.pp
        return image.height * max(2, ceil(image.width / columns) * ceil(image.channels / lanes_of(engine)))

    def _edge(self, lanes: int, written: int, depth: int, rings: int) -> Part:
        """A buffer."""
        edge = np.zeros(EDGE_COLUMNS, np.int64)
        edge[[E_LANES, E_WRITE, E_DEPTH, E_RINGS]] = lanes, written, depth, rings
        return Part(
            lut=self._milli([], [edge], self._host()) - self._milli([], [], self._host()),
            per_bit=self.address(edges=1, rings=rings),
            bram18=self.pp * self.memory(lanes * self.bits, depth, written * self.bits), depth=depth,
        )  # fmt: skip

    def _streamed(self, **fields: int) -> int:
        """LUTs of the host's part with these fields, less those without."""
        host = self._host()
        for column, value in fields.items():
            host[
                {"in_cols": H_IN_COLS, "in_lanes": H_IN_LANES, "out_cols": H_OUT_COLS, "out_lanes": H_OUT_LANES}[column]
            ] = value
        return self._milli([], [], host) - self._milli([], [], self._host())

    def _input(self, engine: Engine) -> Part:
        lanes = lanes_of(engine)
        more = self._streamed(in_cols=self.pp & -self.pp, in_lanes=lanes)
        more += self.control("bits of input words from further edges", self.pp * lanes * self.bits)
        return self._edge(lanes, lanes, self.held(0, "main", lanes), 1) + Part(lut=more)

    def _output(self, engine: Engine) -> Part:
        out, pq = self.network.tensors[-1], engine[3]
        more = self._streamed(out_cols=1 if out.width == 1 else self.pp & -self.pp, out_lanes=pq)
        depth = out.height * ceil(out.width / self.pp) * ceil(out.channels / pq)
        return self._edge(pq, pq, depth, 1) + Part(lut=more + self.control("output edges", 1))

    def pair(self, writer: Column, reader: Column) -> Part | None:
        """What lies between two columns, or within one; None: the drain of the one does not fit the words of the
        other."""
        found = Part()
        for port, lanes in (("main", lanes_of(reader.engine)), ("residual", reader.engine[3])):
            used = {i: self.network.layers[i] for i in reader.layers}
            tensors = {i: x.input if port == "main" else x.residual for i, x in used.items()}
            uses = [i for i, tensor in tensors.items() if tensor is not None and tensor - 1 in writer.layers]
            if not uses:
                continue
            if lanes % writer.engine[3]:
                return None
            words = "bits of input words from further edges" if port == "main" else "bits of residual words"
            more = self.control(words, self.pp * lanes * self.bits) + self.control("output edges", 1)
            held = sum(self.held(i, port, lanes) for i in uses)
            found = found + self._edge(lanes, writer.engine[3], held, len(uses)) + Part(lut=more)
        return found


def lanes_of(engine: Engine) -> int:
    """Channels of an input word of an engine."""
    return engine[2] if engine[0] else engine[1]


def columns_of(costs: Costs, menu: Menu) -> list[Column]:
    """All columns of the engines of `menu`."""
    found = []
    for mixes in (True, False):
        layers = [i for i, layer in enumerate(costs.network.layers) if layer.operator.mixes == mixes]
        sets = list(chain.from_iterable(combinations(layers, n) for n in range(1, len(layers) + 1)))
        sizes = [
            (pm, pn, pq) for pm, pn in product(menu.sizes_m, menu.sizes_n if mixes else (1,))
            for pq in range(1, pm + 1) if pm % pq == 0 and any(drain % pq == 0 for drain in menu.drains)
        ]  # fmt: skip
        found += [costs.column((mixes, *size), mine) for size, mine in product(sizes, sets)]
    return found


def solve(
    network: Network, platform: Platform, menu: Menu, pp: int, dsp: int, lut: int | None, blocks: int | None
) -> Optimum | None:
    """The design of the shortest interval within the budgets of DSP blocks, LUTs and 18 Kbit blocks (None: unlimited);
    None if there is none."""
    costs, model = Costs(network, platform, pp), cp_model.CpModel()
    columns = columns_of(costs, menu)
    used = [model.new_bool_var("") for _ in columns]
    for i in range(len(network.layers)):
        model.add_exactly_one(x for x, column in zip(used, columns, strict=True) if i in column.layers)
    model.add_linear_constraint(sum(used), menu.min_chunks, menu.max_chunks)
    interval = model.new_int_var(
        0, sum(max(c.cycles for c in columns if i in c.layers) for i in range(len(network.layers))), ""
    )
    for x, column in zip(used, columns, strict=True):
        model.add(interval >= column.cycles).only_enforce_if(x)
    parts = list(zip(used, (column.part for column in columns), strict=True))
    for (a, writer), (b, reader) in product(enumerate(columns), repeat=2):
        if a != b and set(writer.layers) & set(reader.layers):
            continue
        between = costs.pair(writer, reader)
        if between is None:
            model.add_bool_or(used[a].negated(), used[b].negated())
        elif between != Part():
            both = model.new_bool_var("")
            model.add_bool_or(used[a].negated(), used[b].negated(), both)
            parts.append((both, between))
    saved = more = 0
    for x, column in zip(used, columns, strict=True):
        for blocks_saved, luts in column.adders if lut is not None else ():
            adders = model.new_bool_var("")
            model.add_implication(adders, x)
            saved, more = saved + blocks_saved * adders, more + luts * adders
    model.add(sum(c.dsp * x for x, c in zip(used, columns, strict=True)) - saved <= dsp)
    memory = sum(part.bram18 * x for x, part in parts)
    if blocks is not None:
        model.add(memory <= blocks)
    if lut is not None:
        widths = {bits: model.new_bool_var("") for bits in ADDRESSES}
        model.add_exactly_one(widths.values())
        for x, part in parts:
            short = [width for bits, width in widths.items() if part.depth > 1 << bits]
            model.add_at_most_one(x, *short)
        host = costs._milli([], [], costs._host())
        for bits, width in widths.items():
            total = sum((part.lut + bits * part.per_bit) * x for x, part in parts)
            model.add(host + total + more <= 1000 * lut).only_enforce_if(width)
    model.minimize(interval)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.solve(model)
    if status == cp_model.INFEASIBLE:
        return None
    assert status == cp_model.OPTIMAL
    chosen = tuple(c for x, c in zip(used, columns, strict=True) if solver.value(x))
    # Pairs that are not there may be counted where they fit, so block RAM is counted anew.
    between = [costs.pair(a, b) for a, b in product(chosen, repeat=2)]
    total = sum(part.bram18 for part in (*between, *(c.part for c in chosen)) if part is not None)
    return Optimum(interval=solver.value(interval), pp=pp, columns=chosen, bram18=total)
