# SPDX-License-Identifier: Apache-2.0
"""Estimates of DSP blocks, block RAM and LUTs of a plan that is not built yet (nba.explore.stream_start).

Engines and weights are counted as those of a finished design are; rings have typical rows, memories are taken for block
RAM, or for UltraRAM where the budgets have that, and control counts with typical numbers of rings.
"""

from __future__ import annotations

import numpy as np

from nba.boards import Platform
from nba.explore.stream_plan import Costs, Engine, StreamPlan, out_lanes, window_of, words_walked
from nba.explore.ultra import blocks_of, greedy_saving
from nba.ir.accelerator import HOST
from nba.ir.network import MULT_BITS
from nba.machine.accelerator_rules import MAX_WORDS
from nba.machine.blocks import compiled_bram18
from nba.machine.fetches import words_per_row
from nba.machine.geometry import bank_columns, ceil_div, param_words
from nba.machine.kernels import is_block, mac_dsp, products, requant_dsp
from nba.machine.logic import FEATURES, coefficients, features
from nba.machine.parts import (
    C_ACC,
    C_ACT,
    C_CHAINS,
    C_DEGREE,
    C_DST,
    C_JOBS,
    C_MIXES,
    C_PACKING,
    C_PARAM_WORDS,
    C_PM,
    C_PN,
    C_PP,
    C_PQ,
    C_PRODUCT_LUT,
    C_PROGRAM_WORDS,
    C_REQUANT_LUT,
    C_RES,
    C_SRC,
    C_STORE,
    C_WEIGHT,
    C_WEIGHT_WORDS,
    CHUNK_COLUMNS,
    E_DEPTH,
    E_LANES,
    E_RINGS,
    E_WRITE,
    EDGE_COLUMNS,
    H_ADDRESS,
    H_BANKS,
    H_CODE_BITS,
    H_IN_COLS,
    H_IN_LANES,
    H_OUT_COLS,
    H_OUT_LANES,
    H_PP,
    HOST_COLUMNS,
)
from nba.machine.placement import chosen_milli, multiplier_table
from nba.machine.resources import rom_words
from nba.machine.timing import drain_cycles
from nba.machine.windows import Use

NEVER = 1 << 20
"""Block RAMs that a memory of more words than there are addresses counts as."""
TYPICAL_WORDS = 1000
"""Words of a memory whose exact number does not matter to logic."""
TYPICAL_ADDRESS = 12
"""Bits of an address of a buffer."""


class PlanSizes:
    """DSP blocks, 18-Kbit block RAMs and LUTs of plans, about. uram: UltraRAM blocks that they may have."""

    def __init__(self, costs: Costs, platform: Platform, uram: int):
        self.costs, self.platform, self.uram = costs, platform, uram
        network = costs.network
        self.acc = [network.acc_bits(i) for i in range(len(network.layers))]
        self.code_bits = network.master_bits
        self.act_bits = max(layer.act_bits for layer in network.layers)
        self.weight_bits = max(layer.operator.memory_bits(layer) for layer in network.layers)
        self._logic: dict[tuple[int, Engine, int, bool, int, int], int] = {}
        self._edge_logic: dict[tuple[int, int, int, int], int] = {}
        self._words: dict[Engine, list[tuple[int, int]]] = {}

    def of(self, plan: StreamPlan, rows: dict[Use, int]) -> tuple[int, int, int]:
        """(DSP blocks, 18-Kbit block RAMs, LUTs) of a plan whose rings have `rows`."""
        jobs: list[list[int]] = [[] for _ in plan.engines]
        for i, k in enumerate(plan.owner):
            jobs[k].append(i)
        dsp = bram = lut = 0
        movable: list[tuple[int, int]] = []
        for engine, mine in zip(plan.engines, jobs, strict=True):
            acc = max(self.acc[i] for i in mine)
            residual = any(self.costs.network.layers[i].residual is not None for i in mine)
            dsp += self._dsp(plan, engine, acc, residual)
            lut += self._chunk_logic(plan.pp, engine, acc, residual, len(mine), 2)
            bram += self._weights(plan, engine, mine, movable)
        for (_, _, _), (lanes, write, depth, count) in self._edges(plan, rows).items():
            bank = lanes * self.code_bits, depth, write * self.code_bits
            saved = plan.pp * _bram(*bank, self.platform)
            bram += saved
            if saved and self.uram:
                movable.append((saved, plan.pp * blocks_of(*bank)))
            lut += self._edge(plan.pp, lanes, write, count)
        return dsp, bram - greedy_saving(movable, self.uram), lut // 1000

    def _dsp(self, plan: StreamPlan, engine: Engine, acc: int, residual: bool) -> int:
        columns, wide = engine.columns or plan.pp, self.platform.family.wide_bits
        kind = products(engine.mixes, self.act_bits, self.weight_bits, acc, 1)
        found = 0 if engine.products == "lut" else mac_dsp(engine.pm, engine.pn, columns, kind)
        return found + (0 if engine.requant == "lut" else engine.pq * columns * requant_dsp(acc, residual, wide))

    def _layer_words(self, engine: Engine) -> list[tuple[int, int]]:
        """Per layer of the engine's kind: channel groups, and steps of a group."""
        found = self._words.get(engine)
        if found is None:
            network, found = self.costs.network, []
            for i, layer in enumerate(network.layers):
                steps = layer.kernel_h * layer.kernel_w
                if layer.operator.mixes and engine.mixes:
                    steps *= words_walked(network, i, engine)
                found.append((ceil_div(network.result(i).channels, engine.pm), steps))
            self._words[engine] = found
        return found

    def _weights(self, plan: StreamPlan, engine: Engine, mine: list[int], movable: list[tuple[int, int]]) -> int:
        """Block RAM of the memories of weights and parameters; adds to `movable` what UltraRAM could hold of it."""
        words, network = self._layer_words(engine), self.costs.network
        depth = slot = groups = 0
        for i in mine:
            groups += words[i][0]
            if self.costs.streams(i, plan.cut, plan.all_streamed):
                slot = max(slot, words[i][0] // plan.pieces[i] * words[i][1])
            else:
                depth += words[i][0] * words[i][1] if network.layers[i].operator.stores_weights else 1
        width = engine.pm * engine.pn * self.weight_bits
        if depth + plan.slots * slot > MAX_WORDS:
            return NEVER
        if slot:
            per = words_per_row(width, self.costs.bus_bits)
            sub = min(self.costs.bus_bits, width * per)
            rows = ceil_div(depth, per) + plan.slots * ceil_div(slot, per)
            found = _bram(width * per, rows, sub, self.platform)
            if found and self.uram and not depth:
                movable.append((found, blocks_of(width * per, rows, sub)))
        else:
            found = _bram(width, rom_words(depth), 0, self.platform)
        param = engine.pq * (max(self.acc[i] for i in mine) + MULT_BITS)
        return found + _bram(
            param, rom_words(param_words(groups, drain_cycles(engine.pm, engine.pq))), 0, self.platform
        )

    def _edges(self, plan: StreamPlan, rows: dict[Use, int]) -> dict[tuple[int, int, str], tuple[int, int, int, int]]:
        """Per buffer (producer, consumer, port): lanes, lanes written at once, words of a bank, rings."""
        network, found = self.costs.network, dict[tuple[int, int, str], tuple[int, int, int, int]]()
        depths: dict[tuple[int, int, str], dict[int, int]] = {}
        for tensor, consumer, port in self.costs.uses:
            source = network.tensors[tensor]
            k = HOST if consumer == HOST else plan.owner[consumer]
            engine = plan.engines[k]
            lanes = out_lanes(plan) if k == HOST else engine.word if port == "main" else engine.pq
            write = lanes if tensor == 0 else plan.engines[plan.owner[tensor - 1]].pq
            stride = 1 if k == HOST or port != "main" else network.layers[consumer].stride_w
            words = rows[tensor, consumer, port] * bank_columns(source.width, plan.pp, stride)
            words *= ceil_div(source.channels, lanes)
            key = (HOST if tensor == 0 else plan.owner[tensor - 1], k, port)
            group = tensor
            if tensor and plan.apart is not None and tensor <= plan.cut:
                group = window_of(plan.windows, tensor - 1) if plan.windows else 0
            parts = depths.setdefault(key, {})
            parts[group] = parts.get(group, 0) + words
            _, _, _, count = found.get(key, (0, 0, 0, 0))
            found[key] = lanes, write, 0, count + 1
        for place, parts in depths.items():
            lanes, write, _, count = found[place]
            # Rings of layers that take the whole frame are never empty.
            always = parts.pop(0, 0) if plan.apart is not None and not plan.windows else 0
            sizes = sorted(parts.values(), reverse=True)
            # Of others that share memory, two windows' or layers' lie side by side: one begins before the other ends.
            depth = always + sum(sizes[: len(sizes) if plan.apart is None else 2])
            found[place] = lanes, write, depth, count
        return found

    def _chunk_logic(self, pp: int, engine: Engine, acc: int, residual: bool, jobs: int, edges: int) -> int:
        key = (pp, engine, acc, residual, jobs, edges)
        found = self._logic.get(key)
        if found is None:
            row = np.zeros((1, CHUNK_COLUMNS), np.int64)
            for column, value in (
                (C_MIXES, int(engine.mixes)), (C_PM, engine.pm), (C_PN, engine.pn), (C_PQ, engine.pq),
                (C_ACT, self.act_bits), (C_WEIGHT, self.weight_bits), (C_STORE, self.weight_bits), (C_ACC, acc),
                (C_WEIGHT_WORDS, TYPICAL_WORDS), (C_PARAM_WORDS, TYPICAL_WORDS), (C_JOBS, jobs), (C_SRC, edges),
                (C_RES, int(residual)), (C_DST, edges), (C_PROGRAM_WORDS, jobs), (C_DEGREE, 1), (C_PACKING, 1),
                (C_CHAINS, 1), (C_PP, engine.columns or pp), (C_REQUANT_LUT, int(engine.requant == "lut")),
                (C_PRODUCT_LUT, int(engine.products == "lut")),
            ):  # fmt: skip
                row[0, column] = value
            found = self._logic[key] = self._milli(pp, row, np.zeros((0, EDGE_COLUMNS), np.int64))
        return found

    def _edge(self, pp: int, lanes: int, write: int, rings: int) -> int:
        key = (pp, lanes, write, rings)
        found = self._edge_logic.get(key)
        if found is None:
            row = np.zeros((1, EDGE_COLUMNS), np.int64)
            row[0, [E_LANES, E_WRITE, E_DEPTH, E_RINGS]] = lanes, write, TYPICAL_WORDS, rings
            found = self._edge_logic[key] = self._milli(pp, np.zeros((0, CHUNK_COLUMNS), np.int64), row)
        return found

    def _milli(self, pp: int, chunks: np.ndarray, edges: np.ndarray) -> int:
        """Thousandths of LUTs."""
        host = np.zeros(HOST_COLUMNS, np.int64)
        host[[H_PP, H_BANKS, H_CODE_BITS, H_ADDRESS]] = pp, pp, self.code_bits, TYPICAL_ADDRESS
        host[[H_IN_COLS, H_IN_LANES, H_OUT_COLS, H_OUT_LANES]] = 0
        counts = np.zeros(len(FEATURES), np.int64)
        platform = self.platform
        features(chunks, edges, host, platform.min_block_words, platform.min_block_bits, 0, counts)
        table = multiplier_table(platform.logic)
        return int(counts @ coefficients(platform.logic)[:, 0]) + int(chosen_milli(chunks, host, table)[0])


def _bram(width: int, words: int, sub: int, platform: Platform) -> int:
    """18-Kbit block RAMs of a memory, none where it is built of LUTs."""
    if words == 0 or not is_block(width, words, platform.min_block_words, platform.min_block_bits):
        return 0
    return int(compiled_bram18(width, words, sub))
