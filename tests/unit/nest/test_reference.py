# SPDX-License-Identifier: Apache-2.0
"""The reference against counts worked out by hand, each with its derivation; and against itself on random draws."""

from __future__ import annotations

import numpy as np
import pytest

from nba.loopnest import reference
from nba.loopnest.cost import accesses
from nba.loopnest.hierarchy import Axis, Hierarchy, Level, LevelMemory, Link, Mac
from nba.loopnest.layer import DIMS, INPUTS, OPERANDS, OUTPUTS, WEIGHTS, NestLayer
from nba.loopnest.mapping import Mapping
from nba.loopnest.reference import execute, execute_all
from tests.unit.nest import draws

pytestmark = pytest.mark.slow

ALL = (WEIGHTS, INPUTS, OUTPUTS)


def level(name: str, *, holds: tuple[int, ...] = ALL, double: bool = True, array: int = 1, drain: int = 4) -> Level:
    """A level with one memory and an array of instances. Weights and inputs share a link of 8 bits per cycle; outputs
    have one of `drain`."""
    memory = LevelMemory(
        name=name, operands=holds, size_bits=None, word_bits=8, read_pj=1.0, write_pj=1.0, area_mm2=0.0
    )
    filled = tuple(o for o in holds if o != OUTPUTS)
    links = [Link(operands=filled, fill_bits_per_cycle=8, drain_bits_per_cycle=1, pj_per_bit=0.0)] if filled else []
    if OUTPUTS in holds:
        links.append(Link(operands=(OUTPUTS,), fill_bits_per_cycle=1, drain_bits_per_cycle=drain, pj_per_bit=0.0))
    axes = (Axis(name="x", size=array, dims=tuple(range(8))),) if array > 1 else ()
    return Level(name=name, memories=(memory,), axes=axes, links=tuple(links), double_buffered=double)


def machine(*inside: Level) -> Hierarchy:
    """Levels below an unbounded one; MACs of 8 bits that sum in 16."""
    mac = Mac(bits=8, pj=1.0, area_mm2=0.0, accumulator_bits=16)
    return Hierarchy(name="hand", clock_mhz=1.0, levels=(level("dram"), *inside), macs=(mac,))


def mapping(layer: NestLayer, *levels: tuple[dict[str, int], dict[str, int], str]) -> Mapping:
    """A mapping from, level by level: elements of loops in the array (the others: 1), in one instance (the others: as
    in the array), and the order of the loops outside, outermost first (the others are outside these)."""
    arrays, tiles, orders = [layer.extents], [layer.extents], []
    for array, tile, order in levels:
        arrays.append(tuple(array.get(d, 1) for d in DIMS))
        tiles.append(tuple(tile.get(d, array.get(d, 1)) for d in DIMS))
        rest = [d for d in DIMS if d not in order]
        orders.append(tuple(DIMS.index(d) for d in [*rest, *order]))
    axes = ((0,) * 8,) * len(arrays)
    return Mapping(arrays=tuple(arrays), tiles=tuple(tiles), axes=axes, orders=tuple(orders))


def test_order_decides_what_is_loaded_again() -> None:
    """M = 2, C = 3, one MAC that holds one element of each operand; C inside M, then M inside C."""
    layer = NestLayer(name="fc", m=2, c=3)
    # C inside M: six steps. Weights and inputs are walked by C, the innermost loop: loaded in each. Outputs are
    # walked by M only: drained after steps 2 and 5. Each once, so results of 8 bits: 2 cycles at 4 bits per cycle.
    # Loads take 2 cycles (16 bits at 8). 2 to fill, then five slots of max(1, 2, 0 or 2) = 2, one of max(1, 0, 0) =
    # 1, and the last drain, 2: 15 cycles. One after the other: 6 * (2 + 1) + 2 * 2 = 22.
    order = mapping(layer, ({}, {}, "MC"))
    counts = execute(layer, machine(level("pe")), order)
    assert (counts.outer, counts.inner) == (((0, 0, 0), (6, 6, 2)), ((0, 0, 0), (6, 6, 2)))
    assert counts.cycles == 15
    assert execute(layer, machine(level("pe", double=False)), order).cycles == 22
    # M inside C: inputs are walked by C only: loaded when it advances, 3 times. Outputs are drained in every step: 6
    # merges, of partial sums (16 bits, 4 cycles); 4 of them find an older partial sum, which is read. The MAC never
    # finds a partial sum. Loads take 2, 1, 2, 1, 2, 1. Double buffered: 2, then max(1, 1, -) = 1, max(1, 2, 4) = 4
    # four times, max(1, -, 4) = 4, and 4: 27.
    order = mapping(layer, ({}, {}, "CM"))
    done = execute_all(layer, machine(level("pe")), order)
    assert (done.counts.outer[1], done.counts.inner[1]) == ((6, 3, 6), (6, 3, 6))
    assert done.reads == ((6, 3, 4), (6, 6, 6))
    assert done.writes == ((0, 0, 6), (6, 3, 6))
    assert done.counts.cycles == 2 + 1 + 4 * 4 + 4 + 4


def test_rows_slide_where_one_instance_holds_them() -> None:
    """P = 5, R = 3: seven input rows. Blocks of 2, 2 and 1 output rows."""
    layer = NestLayer(name="rows", m=1, c=1, p=5, r=3)
    # Rows 0-3, then 4 and 5, then 6. Weights are loaded once: no loop that is not trivial walks them. Five results.
    counts = execute(layer, machine(level("pe")), mapping(layer, ({"P": 2, "R": 3}, {}, "P")))
    assert counts.outer[1] == counts.inner[1] == (3, 7, 5)
    # Loads: 3 weights and 4 inputs, 7 cycles at one byte per cycle; then 2; then 1. Computes: 6, 6, 3. Drains of 2, 2
    # and 1 results of 8 bits at 4 per cycle: 4, 4, 2. 7 + max(6, 2) + max(6, 1, 4) + max(3, 0, 4) + 2.
    assert counts.cycles == 7 + 6 + 6 + 4 + 2
    # One output row per instance: no sliding. Sent 4 + 4 + 3 rows; each instance receives its own 3. Computes: 3.
    unrolled = mapping(layer, ({"P": 2, "R": 3}, {"P": 1}, "P"))
    counts = execute(layer, machine(level("pe", array=2)), unrolled)
    assert (counts.outer[1], counts.inner[1]) == ((3, 11, 5), (6, 15, 5))
    # Loads: 7, 4, 3. Drains 4, 4, 2. 7 + max(3, 4) + max(3, 3, 4) + max(3, 0, 4) + 2.
    assert counts.cycles == 7 + 4 + 4 + 4 + 2


def test_rows_between_kernels_are_not_touched() -> None:
    """Stride 3 with a kernel of 2 rows: output p touches rows 3 p and 3 p + 1, ten in all."""
    layer = NestLayer(name="gaps", m=1, c=1, p=5, r=2, stride_h=3, stride_w=3)
    counts = execute(layer, machine(level("pe")), mapping(layer, ({"P": 2, "R": 2}, {}, "P")))
    assert counts.outer[1] == (2, 4 + 4 + 2, 5)
    # Kernel rows outside the output rows, one at a time: row 3 p + r for p = 0 .. 4 with r = 0, then with r = 1; ten
    # again.
    counts = execute(layer, machine(level("pe")), mapping(layer, ({"P": 2}, {}, "RP")))
    # Outputs: P is their position: drained in each of the six steps, 2 + 2 + 1 twice.
    assert counts.outer[1] == (2, 10, 10)
    # Stride 1, same blocks: rows 0 1 | 2 3 | 4 with r = 0, then 1 2 | 3 4 | 5: a new kernel row is a new start.
    layer = NestLayer(name="ones", m=1, c=1, p=5, r=2)
    counts = execute(layer, machine(level("pe")), mapping(layer, ({"P": 2}, {}, "RP")))
    assert counts.outer[1] == (2, 10, 10)


def test_columns_slide_but_a_new_row_starts_again() -> None:
    """2 x 4 outputs of a 2 x 2 kernel, blocks of 1 x 2: columns slide; the next row of blocks is loaded whole."""
    layer = NestLayer(name="map", m=1, c=1, p=2, q=4, r=2, s=2)
    # Blocks touch 2 x 3 inputs; the one beside it 2 x 2 more. Two rows of blocks: 2 * (6 + 4). Q outside P: the block
    # below adds one row of 3 columns: 2 * (6 + 3).
    whole = {"R": 2, "S": 2, "Q": 2}
    assert execute(layer, machine(level("pe")), mapping(layer, (whole, {}, "PQ"))).outer[1] == (4, 20, 8)
    assert execute(layer, machine(level("pe")), mapping(layer, (whole, {}, "QP"))).outer[1] == (4, 18, 8)
    # With the kernel's columns over two instances, nothing slides along Q: 2 * (6 + 6) sent; each instance receives 2
    # x 2 of each block, and its 2 weights; both have partial sums of all outputs, added on the way.
    counts = execute(layer, machine(level("pe", array=2)), mapping(layer, (whole, {"S": 1}, "PQ")))
    assert (counts.outer[1], counts.inner[1]) == ((4, 24, 8), (4, 32, 16))
    # They still slide along P: the block below adds one row of 2 columns to each instance.
    counts = execute(layer, machine(level("pe", array=2)), mapping(layer, (whole, {"S": 1}, "QP")))
    assert (counts.outer[1], counts.inner[1]) == ((4, 18, 8), (4, 2 * 2 * (4 + 2), 16))


def test_instances_without_work_have_no_partial_sums() -> None:
    """C = 5 in blocks of 4 over four instances: the second block takes one."""
    layer = NestLayer(name="rest", m=2, c=5)
    # C inside M: all four have taken part since the last drain: 4 drained for each of 2 outputs, one merged.
    spread = {"C": 4}, {"C": 1}
    counts = execute(layer, machine(level("pe", array=4)), mapping(layer, (*spread, "MC")))
    assert (counts.outer[1], counts.inner[1]) == ((10, 10, 2), (10, 10, 8))
    # M inside C: drained in each of four steps: 4, 4, 1, 1. Inputs stay while M advances.
    counts = execute(layer, machine(level("pe", array=4)), mapping(layer, (*spread, "CM")))
    assert (counts.outer[1], counts.inner[1]) == ((10, 5, 4), (10, 5, 10))
    # Two of C in each of two instances, then the last one alone in one: M = 2 over two more would take 2 x 2.
    both = {"C": 4, "M": 2}, {"C": 2, "M": 1}
    counts = execute(layer, machine(level("pe", array=4)), mapping(layer, (*both, "C")))
    # Inputs: sent once, received by both instances of M. Outputs: 2 x 2 drained at the end, 2 merged.
    assert (counts.outer[1], counts.inner[1]) == ((10, 5, 2), (10, 10, 4))
    # Cycles: 8 weights and 4 inputs, 12 cycles; 2 weights and one input, 3; computes 2 and 1; two results of 8 bits
    # at 4: 4.
    assert counts.cycles == 12 + max(2, 3) + 1 + 4


def test_an_operand_passes_by_a_level() -> None:
    """Weights pass by the middle level: they come from level 0 whenever the level inside wants them."""
    layer = NestLayer(name="fc", m=2, c=2, p=4)
    middle = level("buffer", holds=(INPUTS, OUTPUTS), array=2)
    # Two output rows in each of two buffers; in each, M, P and C one by one, C innermost.
    nest = mapping(layer, ({"M": 2, "C": 2, "P": 4}, {"P": 2}, ""), ({}, {}, "MPC"))
    counts = execute(layer, machine(middle, level("pe")), nest)
    # Level 1: the whole layer at once: 8 inputs, 8 results; no weights. Level 2, below each buffer: 8 steps, a weight
    # and an input in each (both are walked by C); 4 outputs, each drained once. Twice, for two buffers: each weight
    # is read 4 times.
    assert counts.outer == ((0, 0, 0), (0, 8, 8), (16, 16, 8))
    assert counts.inner == counts.outer
    # Of 16 MACs, 8 find a partial sum beside them; 8 are drained.
    done = execute_all(layer, machine(middle, level("pe")), nest)
    assert done.reads == ((16, 8, 0), (0, 16, 8), (16, 16, 8 + 8))
    assert done.writes == ((0, 0, 8), (0, 8, 8), (16, 16, 16))
    # The walk of one buffer: loads 2 cycles, computes 1, drains 2 (8 bits at 4) after every other step: 2 + 7 * 2 + 1
    # + 2 = 19. Around it: 8 inputs, 8 cycles; 8 results of 8 bits at 4, 16 cycles.
    assert counts.cycles == 8 + 19 + 16


def test_outputs_pass_by_a_level() -> None:
    """Outputs pass by the middle level, and two of its instances sum into the same ones."""
    layer = NestLayer(name="fc", m=2, c=4)
    middle = level("buffer", holds=(WEIGHTS, INPUTS), array=2)
    # Two input channels in each buffer; in each, C and M one by one, M inside.
    nest = mapping(layer, ({"M": 2, "C": 4}, {"C": 2}, ""), ({}, {}, "CM"))
    done = execute_all(layer, machine(middle, level("pe")), nest)
    # Every step of a buffer drains one partial sum to level 0: 4 steps, two buffers: 8 merges into 2 outputs, 6 of
    # which read.
    assert done.counts.outer == ((0, 0, 0), (8, 4, 0), (8, 4, 8))
    assert done.reads[0] == (8, 4, 6)
    # 16 bits at 4 per cycle: 4 for each drain. Loads 2, 1, 2, 1: 2 + max(1, 1) + 3 * 4 + 4 = 19; 12 cycles to load
    # the buffers before.
    assert done.counts.cycles == 12 + 19


def test_partial_sums_wait_in_the_middle() -> None:
    """C in two halves outside the buffer, M inside it: what the buffer has summed goes out as partial sums, and
    meets."""
    layer = NestLayer(name="fc", m=2, c=4)
    nest = mapping(layer, ({"M": 2, "C": 2}, {}, "C"), ({}, {}, "CM"))
    done = execute_all(layer, machine(level("buffer"), level("pe")), nest)
    # The order of level 0 has no loop that walks outputs and is not trivial: the buffer keeps both outputs, and
    # drains them once. Inside, two executions of 4 steps, each of which merges one: 8 merges, 6 of which find a
    # partial sum.
    assert done.counts.outer == ((0, 0, 0), (8, 4, 2), (8, 4, 8))
    assert done.reads[1] == (8, 4, 6 + 2)
    assert done.writes[0] == (0, 0, 2)
    # M in two halves inside C: the buffer's outputs change at every step: each half comes twice, as partial sums.
    nest = mapping(layer, ({"C": 2}, {}, "CM"), ({}, {}, "MC"))
    done = execute_all(layer, machine(level("buffer"), level("pe")), nest)
    assert done.counts.outer == ((0, 0, 0), (8, 4, 4), (8, 8, 4))
    # Level 0 reads 2 of the 4 it is sent; the buffer none but the 4 it drains; of 8 MACs 4 find a partial sum, and 4
    # are drained.
    assert done.reads == ((8, 4, 2), (8, 8, 4), (8, 8, 4 + 4))
    # Inside, each output of a tile is merged once; four in all are not the two of the layer: partial sums of 16 bits,
    # 4 cycles. One execution: loads 2, 2; computes 1: 2 + max(1, 2) + 1 + 4 = 9. Outside: loads 4, 2, 4, 2 (2
    # weights, and 2 inputs when C advances); drains 4: 4 + max(9, 2) + max(9, 4, 4) + max(9, 2, 4) + 9 + 4.
    assert done.counts.cycles == 4 + 4 * 9 + 4


def test_groups_and_images() -> None:
    """Depthwise, three channels, two images: nothing is shared but weights between images."""
    layer = NestLayer(name="dw", n=2, g=3, m=1, c=1, q=2, s=2)
    # One channel of one image at a time, images inside: weights stay. 3 inputs and 2 outputs in each of six steps.
    held = {"Q": 2, "S": 2}
    assert execute(layer, machine(level("pe")), mapping(layer, (held, {}, "GN"))).outer[1] == (6, 18, 12)
    assert execute(layer, machine(level("pe")), mapping(layer, (held, {}, "NG"))).outer[1] == (12, 18, 12)
    # Two channels side by side in blocks of 2 and 1, all images in each instance.
    held |= {"N": 2, "G": 2}
    counts = execute(layer, machine(level("pe", array=2)), mapping(layer, (held, {"G": 1}, "G")))
    assert (counts.outer[1], counts.inner[1]) == ((6, 18, 12), (6, 18, 12))
    # Loads 2 * 2 + 2 * 6 = 16 bytes, then 8; computes 2 * 2 * 2; drains of 8 and 4 results of 8 bits at 4.
    assert counts.cycles == 16 + max(8, 8) + max(8, 0, 16) + 8


def test_reads_and_writes_follow_from_the_counts() -> None:
    """What nba.loopnest.cost derives from the counts is what happened, in every memory."""
    rng = np.random.default_rng(20)
    for _ in range(300):
        layer, hierarchy, nest = triple = draws.draw(rng)
        done = execute_all(layer, hierarchy, nest)
        found = {(a.level, a.operand): (a.reads, a.writes) for a in accesses(layer, hierarchy, done.counts)}
        for i, spec in enumerate(hierarchy.levels):
            for operand, name in enumerate(OPERANDS):
                happened = (done.reads[i][operand], done.writes[i][operand])
                assert found.get((spec.name, name), (0, 0)) == happened, draws.describe(triple)


def test_draws_cover_the_cases() -> None:
    """The random triples have what the page speaks of, in many combinations."""
    rng = np.random.default_rng(21)
    triples = [draws.draw(rng) for _ in range(400)]
    layers = [layer for layer, _, _ in triples]
    inner = [spec for _, hierarchy, _ in triples for spec in hierarchy.levels[1:]]
    assert {len(hierarchy.levels) for _, hierarchy, _ in triples} == {2, 3, 4}
    assert {layer.strides for layer in layers} == {(h, w) for h in (1, 2, 3) for w in (1, 2, 3)}
    assert sum(layer.stride_h > layer.r for layer in layers) > 50
    assert sum(1 < layer.stride_h < layer.r for layer in layers) > 20
    assert sum(layer.n > 1 for layer in layers) > 50
    assert sum(layer.g > 1 for layer in layers) > 50
    assert sum(spec.memory(operand) is None for spec in inner for operand in ALL) > 50
    assert {len(spec.memories) for spec in inner} == {len(spec.links) for spec in inner} == {1, 2, 3}
    assert {spec.double_buffered for spec in inner} == {True, False}
    assert sum(bool(spec.innermost) for spec in inner) > 20
    assert sum(bool(spec.unit_tiles) for spec in inner) > 20
    assert sum(draws.n_instances(nest) > 3 for _, _, nest in triples) > 50
    ragged = [
        t[d] % a[d]
        for _, _, nest in triples
        for t, a in zip(nest.tiles, nest.arrays[1:], strict=False)
        for d in range(8)
    ]
    assert sum(rest > 0 for rest in ragged) > 50


@pytest.mark.parametrize("operand", [WEIGHTS, INPUTS], ids=["weights", "inputs"])
def test_a_load_that_is_left_out_is_noticed(operand: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were an operand loaded at the first step only, a MAC would miss it."""
    real = reference.position
    monkeypatch.setattr(reference, "position", lambda nest, at, o: -1 if o == operand else real(nest, at, o))
    layer = NestLayer(name="fc", m=2, c=3)
    with pytest.raises(AssertionError):
        execute(layer, machine(level("pe")), mapping(layer, ({}, {}, "MC")))
