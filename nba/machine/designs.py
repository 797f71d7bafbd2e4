# SPDX-License-Identifier: Apache-2.0
"""Networks and designs as arrays: what the closed forms and the batches of exact schedules compute with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nba.core.compiled import kernel
from nba.ir.accelerator import HOST, Accelerator
from nba.ir.network import Network
from nba.machine.geometry import ceil_div, earlier_uses, tap_words
from nba.machine.program import input_lanes, job_degree
from nba.machine.timing import drain_cycles, engine_packing, slot_cycles, work_cycles
from nba.machine.windows import fewest_rows

# Columns of a layer table.
(
    MIXES, STORED, M, N, TAPS, ROWS, COLS, HEIGHT_IN, WIDTH_IN, STRIDE_H, STRIDE_W, PAD_TOP, KERNEL_H, INPUT, RESIDUAL,
    FIRST_NEED, LAST_NEED, FIRST_RELEASE, EARLIER_USE, EARLIER_RES, ACT_BITS, WEIGHT_BITS, STORE_BITS, ACC_BITS, GROUPS,
    ROTATE, CODE_BITS, DEGREE, PACKED, PACKING, MOST_DEGREE, SHIFT_BITS, PADS, SHIFT_LEAST,
    SHIFT_MOST, FEWEST_MAIN, FEWEST_RES,
) = range(37)  # fmt: skip
_COLUMNS = 37

_A = np.ndarray
_Arrays = tuple[_A, _A, _A, _A, _A, _A, _A, _A, _A, _A, _A, _A, _A]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Designs:
    """B accelerators for one network of L layers with K chunks, as arrays (int64). Their packing is that of the layer
    table which they are used with.

    pp, in_lanes, out_lanes, out_rows: [B]. mixes, pm, pn, pq: [B, K]; mixes is 1 or 0. chunk, stage, position: [B, L],
    where a layer runs, its stage offset, and its place in the program. main_rows, res_rows: [B, L], rows of the rings
    it reads from. turned: whether they may have row programs; the closed forms then bound those too.
    """

    pp: np.ndarray
    in_lanes: np.ndarray
    out_lanes: np.ndarray
    out_rows: np.ndarray
    mixes: np.ndarray
    pm: np.ndarray
    pn: np.ndarray
    pq: np.ndarray
    chunk: np.ndarray
    stage: np.ndarray
    position: np.ndarray
    main_rows: np.ndarray
    res_rows: np.ndarray
    turned: bool = False

    def arrays(self) -> _Arrays:
        """The arrays in the order of the fields."""
        return (
            self.pp, self.in_lanes, self.out_lanes, self.out_rows, self.mixes, self.pm, self.pn, self.pq, self.chunk,
            self.stage, self.position, self.main_rows, self.res_rows,
        )  # fmt: skip

    def at(self, which: np.ndarray) -> Designs:
        """The designs of these numbers, in their order."""
        pp, in_lanes, out_lanes, out_rows, mixes, pm, pn, pq, chunk, stage, position, main_rows, res_rows = (
            np.ascontiguousarray(array[which]) for array in self.arrays()
        )
        return Designs(
            pp=pp, in_lanes=in_lanes, out_lanes=out_lanes, out_rows=out_rows, mixes=mixes, pm=pm, pn=pn, pq=pq,
            chunk=chunk, stage=stage, position=position, main_rows=main_rows, res_rows=res_rows, turned=self.turned,
        )  # fmt: skip


def as_row_programs(layers: np.ndarray, designs: Designs) -> Designs:
    """`designs` with row programs, whose rings hold the fewest rows that a program may: lower bounds of their speed and
    of their memory."""
    b = len(designs.pp)
    main, res = (np.tile(layers[:, column], (b, 1)) for column in (FEWEST_MAIN, FEWEST_RES))
    return replace(designs, main_rows=main, res_rows=res, out_rows=np.ones(b, np.int64), turned=True)


def layer_table(network: Network, packing: int = 1, modes: tuple[Network, ...] = ()) -> np.ndarray:
    """int64 [L, 37]: what the closed forms know of every layer in designs of this packing, by the column names of this
    module. DEGREE: times pp columns that it works on at once; PACKED: the packing of its engine; PACKING: that of the
    designs, in every row; MOST_DEGREE, SHIFT_BITS, SHIFT_LEAST, SHIFT_MOST: the largest degree, the most bits of a
    channel's shift above its layer's, and the least and largest shift in `network` and the further `modes` of the
    designs; PADS: 1 where padding inserts a code per channel; FEWEST_MAIN, FEWEST_RES: rows of the rings of its input
    and of its residual operand (0: none) without which no program runs (nba.machine.windows)."""
    table = np.zeros((len(network.layers), _COLUMNS), np.int64)
    earlier = earlier_uses(network, "main"), earlier_uses(network, "residual")
    fewest = fewest_rows(network)
    for i, layer in enumerate(network.layers):
        versions = [n.layers[i] for n in (network, *modes)]
        out, src = network.result(i), network.source(layer)
        last_top = (out.height - 1) * layer.stride_h - layer.pad_top
        first_release = 0
        while first_release < out.height - 1 and (first_release + 1) * layer.stride_h - layer.pad_top <= 0:
            first_release += 1
        operator = layer.operator
        table[i] = (
            operator.mixes, operator.stores_weights, out.channels, src.channels, layer.kernel_h * layer.kernel_w,
            out.height, out.width, src.height, src.width, layer.stride_h, layer.stride_w, layer.pad_top, layer.kernel_h,
            layer.input, -1 if layer.residual is None else layer.residual,
            min(src.height, layer.kernel_h - layer.pad_top) - 1, min(src.height, last_top + layer.kernel_h) - 1,
            first_release, earlier[0][i], earlier[1][i],
            layer.act_bits, operator.operand_bits(layer), operator.memory_bits(layer), network.acc_bits(i),
            layer.groups, layer.rotate, network.master_bits,
            job_degree(layer, packing), engine_packing(operator.mixes, packing), packing,
            max([job_degree(version, packing) for version in versions]),
            max([version.shift_bits for version in versions]), layer.pad_codes is not None,
            min([version.shift for version in versions]), max([version.most_shift for version in versions]),
            fewest[layer.input, i, "main"],
            0 if layer.residual is None else fewest[layer.residual, i, "residual"],
        )  # fmt: skip
    return table


def designs_of(network: Network, accelerators: list[Accelerator]) -> Designs:
    """Complete accelerators of `network`, with equal numbers of chunks, as arrays."""
    n_layers = len(network.layers)
    rows: list[list[list[int]]] = []
    for a in accelerators:
        place = a.place()
        jobs = {j.layer: (j.stage, n) for c in a.chunks for n, j in enumerate(c.jobs)}
        ring = {(r.consumer, r.port): r.rows for r in a.rings}
        layers = range(n_layers)
        rows.append(
            [
                [a.pp], [input_lanes(network, a)], [a.out_lanes], [ring[(HOST, "main")]],
                [int(c.mixes) for c in a.chunks],
                [c.pm for c in a.chunks], [c.pn for c in a.chunks], [c.pq for c in a.chunks],
                [place[i] for i in layers], [jobs[i][0] for i in layers], [jobs[i][1] for i in layers],
                [ring[(i, "main")] for i in layers], [ring.get((i, "residual"), 0) for i in layers],
            ]
        )  # fmt: skip
    columns = [np.array([r[i] for r in rows], np.int64) for i in range(13)]
    return Designs(
        pp=columns[0][:, 0], in_lanes=columns[1][:, 0], out_lanes=columns[2][:, 0], out_rows=columns[3][:, 0],
        mixes=columns[4], pm=columns[5], pn=columns[6], pq=columns[7], chunk=columns[8], stage=columns[9],
        position=columns[10], main_rows=columns[11], res_rows=columns[12],
        turned=any(chunk.turns for a in accelerators for chunk in a.chunks),
    )  # fmt: skip


@kernel
def words_of(layer: np.ndarray, pm: int, pn: int) -> int:
    """Input words that an engine of pm x pn lanes walks for one tap of `layer` [37]."""
    return tap_words(layer[MIXES] == 1, layer[N], pn, layer[M], pm, layer[GROUPS], layer[ROTATE])


@kernel
def source_rows(layers: np.ndarray, tensor: int) -> int:
    """Rows of a tensor of the network of layers [L, 37]: 0 is its input, i + 1 what layer i writes."""
    rows = layers[tensor - 1, ROWS] if tensor > 0 else layers[0, HEIGHT_IN]
    return rows


@kernel
def row_work(layer: np.ndarray, pp: int, pm: int, pn: int, pq: int) -> int:
    """Engine cycles of one output row of `layer` [37]."""
    slot = slot_cycles(words_of(layer, pm, pn), layer[TAPS], drain_cycles(pm, pq), layer[PACKED])
    return work_cycles(column_groups(layer, pp), ceil_div(layer[M], pm), slot)


@kernel
def column_groups(layer: np.ndarray, pp: int) -> int:
    """Groups of columns that an engine works on one after another in a row of `layer` [37]."""
    return ceil_div(layer[COLS], pp * layer[DEGREE])


@kernel
def bank_count(layers: np.ndarray, pp: int) -> int:
    """Banks of the buffers of designs of pp columns for the network of layers [L, 37]."""
    return pp * layers[0, PACKING]
