# SPDX-License-Identifier: Apache-2.0
"""Multipliers in DSP blocks or LUTs: the choice against all others, its cost, and the file of a design that has it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from nba.boards import get
from nba.explore.budgets import Budgets
from nba.explore.choose import Effort, map_certified
from nba.explore.finalise import BLOCK_PRICES, finalise
from nba.explore.space import AcceleratorSpace, accelerator_of
from nba.ir.accelerator import Accelerator, Chunk
from nba.ir.network import Network
from nba.machine import kernels
from nba.machine.blocks import block_counts
from nba.machine.check import check_accelerator
from nba.machine.design_file import load_design, save_design
from nba.machine.designs import layer_table
from nba.machine.kernels import SINGLE, products
from nba.machine.logic import logic, placed_counts, with_multipliers
from nba.machine.multipliers import multiplier_bits
from nba.machine.program import lower
from nba.machine.resources import banks, predict, style
from nba.machine.usage import usage
from tests.strategies import NetworkLimits, random_network
from tests.tiny import tiny_design
from tests.unit.hw_networks import DIGITS, NARROW

BOARD = get("zc706")


def cost(network: Network, accelerator: Accelerator) -> tuple[int, int]:
    """(DSP, LUT)."""
    program = lower(network, accelerator)
    return predict(program, BOARD).dsp, logic(program, BOARD)[0]


def every_placement(network: Network, accelerator: Accelerator) -> list[Accelerator]:
    """All legal placements of a design whose multipliers are in DSP blocks."""
    options: list[list[Chunk]] = []
    for chunk, lowered in zip(accelerator.chunks, lower(network, accelerator).chunks, strict=True):
        kind = products(chunk.mixes, lowered.act_bits, lowered.weight_bits, lowered.acc_bits, lowered.packing)
        places = ("dsp", "lut") if not chunk.mixes and kind == SINGLE else ("dsp",)
        options.append([replace(chunk, requant=r, products=p) for r in ("dsp", "lut") for p in places])  # type: ignore[arg-type]
    return [replace(accelerator, chunks=chunks) for chunks in product(*options)]


@pytest.mark.parametrize(
    ("network", "packing", "seed"), [(DIGITS, 1, 0), (DIGITS, 1, 1), (NARROW, 2, 2), (NARROW, 4, 3)]
)
def test_the_choice_is_the_best_of_all(network: Network, packing: int, seed: int) -> None:
    """Fewest LUTs among those that meet both limits; by arrays as by programs."""
    rng = np.random.default_rng(seed)
    where = tuple(range(len(network.layers)))
    slots = tuple(layer.operator.mixes for layer in network.layers)
    space = AcceleratorSpace(slots=slots, n_chunks=4, packing=packing, columns=(1, 2))
    layers = layer_table(network, packing)
    designs = space.decode(space.sample(rng, 12), layers, where)
    met = missed = 0
    for b in range(12):
        plain = accelerator_of(network, designs, b, packing)
        every = every_placement(network, plain)
        costs = [cost(network, a) for a in every]
        dsps, luts = [d for d, _ in costs], [x for _, x in costs]
        for limits in ((max(dsps), min(luts)), (min(dsps), max(luts)), (min(dsps) - 1, max(luts)), *(
            (int(rng.integers(min(dsps), max(dsps) + 1)), int(rng.integers(min(luts), max(luts) + 1))) for _ in range(4)
        )):  # fmt: skip
            chosen = with_multipliers(network, plain, BOARD, limits)
            assert check_accelerator(network, chosen) == ()
            dsp, lut = cost(network, chosen)
            within = [x for d, x in costs if d <= limits[0] and x <= limits[1]]
            if within:
                assert dsp <= limits[0]
                assert lut == min(within)
                met += 1
            else:
                assert dsp > limits[0] or lut > limits[1]
                missed += 1
            closed = placed_counts(layers, designs, BOARD, limits)[b].tolist()
            assert closed == [lut, logic(lower(network, chosen), BOARD)[1], cost(network, plain)[0] - dsp]
            used = usage(layers, designs, BOARD, frozenset({"lut"}), limits)
            assert used.lut is not None
            assert (used.dsp[b], used.lut[b]) == (dsp, lut)
            assert (usage(layers, designs, BOARD).dsp == block_counts(layers, designs, BOARD)[:, 0]).all()
    assert met > 20
    assert missed > 5


def test_everything_else_stays() -> None:
    """Cycles, block RAM and the program of a design do not depend on its multipliers."""
    rng = np.random.default_rng(4)
    network, _ = random_network(rng, NetworkLimits(min_layers=4))
    space = AcceleratorSpace(slots=tuple(layer.operator.mixes for layer in network.layers))
    layers = layer_table(network)
    designs = space.decode(space.sample(rng, 3), layers, tuple(range(len(network.layers))))
    plain = accelerator_of(network, designs, 0)
    for other in every_placement(network, plain):
        one, two = lower(network, plain), lower(network, other)
        same = tuple(replace(c, requant="dsp", products="dsp") for c in two.chunks)
        assert replace(two, chunks=same) == one
        assert predict(two, BOARD).bram18 == predict(one, BOARD).bram18


@pytest.mark.parametrize(("network", "packing"), [(DIGITS, 1), (NARROW, 4)])
def test_block_ram_has_a_price(network: Network, packing: int) -> None:
    """By arrays as by programs; the dearer, the fewer blocks; nothing else changes."""
    where = tuple(range(len(network.layers)))
    space = AcceleratorSpace(slots=tuple(x.operator.mixes for x in network.layers), packing=packing, columns=(1, 2))
    layers = layer_table(network, packing)
    designs = space.decode(space.sample(np.random.default_rng(9), 8), layers, where)
    limits = (100, 30_000)
    seen = set()
    for b in range(8):
        blocks = []
        for price in (0, *BLOCK_PRICES):
            accelerator = replace(accelerator_of(network, designs, b, packing), block_luts=price)
            assert check_accelerator(network, accelerator) == ()
            chosen = with_multipliers(network, accelerator, BOARD, limits)
            program = lower(network, chosen)
            used = usage(layers, designs, BOARD, frozenset({"lut"}), limits, price)
            assert used.lut is not None
            assert (used.dsp[b], used.lut[b]) == cost(network, chosen)
            assert used.bram18[b] == predict(program, BOARD).bram18
            for e, edge in enumerate(program.edges):
                bank = banks(edge, program.banks)
                if price:
                    block = kernels.priced_block(bank.width_bits, bank.words, bank.sub_width_bits, price)
                    assert style(bank, BOARD, price) == ("block" if block else "distributed")
                assert (predict(program, BOARD).edges[e].bram18 > 0) == (style(bank, BOARD, price) == "block")
            blocks.append(int(used.bram18[b]))
        assert blocks[1:] == sorted(blocks[1:], reverse=True)
        seen |= set(blocks)
    assert len(seen) > 12


def test_memories_make_room_for_each_other() -> None:
    """A design that lacks block RAM takes LUTs, and one that lacks LUTs takes block RAM; rings stay as they are."""
    space = AcceleratorSpace(slots=tuple(x.operator.mixes for x in DIGITS.layers), columns=(2,))
    layers, where = layer_table(DIGITS), tuple(range(len(DIGITS.layers)))
    base = accelerator_of(DIGITS, space.decode(space.sample(np.random.default_rng(1), 1), layers, where), 0)
    free = Budgets(dsp=4000, bram=2000.0, lut=400_000)
    usual = finalise(DIGITS, base, BOARD, free.bram18, "interval", budgets=free)
    assert usual is not None
    assert usual.accelerator.block_luts == 0
    fewer = free.model_copy(update={"bram": usual.cost.bram - 2})
    less = free.model_copy(update={"lut": usual.cost.lut - 100})
    for budgets in (fewer, less):
        found = finalise(DIGITS, base, BOARD, budgets.bram18, "interval", budgets=budgets)
        assert found is not None
        assert found.fits(budgets)
        assert found.accelerator.block_luts > 0
        assert found.accelerator.rings == usual.accelerator.rings
        assert found.speed == usual.speed


def test_bits_of_small_multipliers() -> None:
    """Counted by hand: one digit and the row of its sign; four digits of nine bits."""
    assert multiplier_bits(3, 2, True, 5, 2) == (4, 5, 5 + 4)
    rows, adders, registers = multiplier_bits(9, 8, True, 17, 2)
    assert rows == 4 * 10
    # Rows 0 and 1 from bit 0 to 12, rows 2 and 3 from 4 to 16; their sum from bit 2 on; the sign of the last from 6 on.
    assert adders == 13 + 13 + 15 + 11
    assert registers == 13 + 15 + 1 + 17
    # With three stages a register more: the sum of four rows from bit 0 to 16, and the sign of the last from bit 6.
    assert multiplier_bits(9, 8, True, 17, 3) == (rows, 13 + 13 + 15 + 17, registers + 17 + 1)


def test_a_design_file_names_what_is_not_usual(tmp_path: Path) -> None:
    design, weights = tiny_design(10)
    save_design(design, weights, tmp_path)
    text = (tmp_path / "design.json").read_text()
    assert '"requant"' not in text
    assert '"products"' not in text
    assert "block_luts" not in text
    chunks = design.accelerator.chunks
    changed = replace(
        design, accelerator=replace(design.accelerator, chunks=(replace(chunks[0], requant="lut"), *chunks[1:]))
    )
    assert changed.id != design.id
    save_design(changed, weights, tmp_path)
    assert load_design(tmp_path / "design.json")[0] == changed
    raw = json.loads((tmp_path / "design.json").read_text())
    assert raw["accelerator"]["chunks"][0]["requant"] == "lut"
    assert "products" not in raw["accelerator"]["chunks"][0]


def test_luts_buy_a_faster_design() -> None:
    """With few DSP blocks and LUTs to spare, requantisers make room for products; no budget of LUTs: nothing moves."""
    effort = Effort(scout_steps=50, climb_steps=300, finalists=3, reorder_steps=50, refine_steps=60)
    found = {
        lut: map_certified(DIGITS, BOARD, Budgets(dsp=24, bram=60, lut=lut), effort=effort, max_chunks=2)
        for lut in (None, 40_000)
    }
    plain, moved = found[None], found[40_000]
    assert {c.requant for c in plain.accelerator.chunks} == {"dsp"}
    assert "lut" in {place for c in moved.accelerator.chunks for place in (c.requant, c.products)}
    assert moved.cost.interval_cycles < 0.9 * plain.cost.interval_cycles
    assert moved.cost.dsp <= 24
    assert moved.cost.lut <= 40_000
    assert moved.certificate is not None
    assert moved.certificate.lower_bound_cycles <= moved.cost.interval_cycles
