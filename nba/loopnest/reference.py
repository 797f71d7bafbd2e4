# SPDX-License-Identifier: Apache-2.0
"""The truth that the model is compared with: runs the loop nest of a small layer (docs/mapping-model.md), step by step.

Every instance of every level is an object that holds sets of elements; every load, MAC, drain and merge happens, and is
counted when it happens. Nothing is computed by formula. What is asserted on the way: an element that is sent is in the
memory it is read from; every MAC finds its weight and its input beside it; every product enters its output exactly
once; and all products of all outputs are in level 0 at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

from nba.loopnest.cost import AccessCounts, Operands, moves_results
from nba.loopnest.hierarchy import Hierarchy
from nba.loopnest.layer import DIMS, INPUTS, OPERANDS, OUTPUTS, WEIGHTS, C, G, M, N, NestLayer, P, Q, R, S
from nba.loopnest.mapping import Mapping, mac_bits, position, problems, slides

Element = tuple[int, ...]
Block = tuple[range, ...]
"""What is walked: one range of indices per loop, in the order of DIMS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Executed:
    """What was counted. reads, writes [L][3]: accesses of every level's memories, all instances together, in
    elements."""

    counts: AccessCounts
    reads: tuple[Operands, ...]
    writes: tuple[Operands, ...]


@dataclass(eq=False, slots=True)
class _Instance:
    """One instance of a level. held: the weights and inputs in it; sums: the products that each of its partial sums is
    made of, as a set of bits."""

    level: int
    above: _Instance | None
    held: tuple[set[Element], set[Element]] = field(default_factory=lambda: (set(), set()))
    sums: dict[Element, int] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class _Step:
    """One step of an execution. sent [3]: elements of each operand that are sent for it; merged: outputs that are
    merged after it; below: what each instance did in it, the first instance first (a number of MACs at the innermost
    level)."""

    sent: list[int]
    merged: int = 0
    below: list[_Walk | int] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Walk:
    """One execution of a level on a tile."""

    level: int
    steps: list[_Step] = field(default_factory=list)


def execute(layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping) -> AccessCounts:
    """Run a layer under a legal mapping and count what moves. AssertionError: the mapping or the page is wrong."""
    return execute_all(layer, hierarchy, mapping).counts


def execute_all(layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping) -> Executed:
    """As `execute`, with the accesses of every memory as they happened."""
    found = problems(layer, hierarchy, mapping)
    assert not found, found
    machine = _Machine(layer, hierarchy, mapping)
    walk = machine.run()
    merged = [outer[OUTPUTS] for outer in machine.outer]
    timer = _Timer(layer, hierarchy, [moves_results(layer, n) for n in merged])
    counts = AccessCounts(cycles=timer.cycles(walk), outer=_frozen(machine.outer), inner=_frozen(machine.inner))
    return Executed(counts=counts, reads=_frozen(machine.reads), writes=_frozen(machine.writes))


def _frozen(table: list[list[int]]) -> tuple[Operands, ...]:
    return tuple((a, b, c) for a, b, c in table)


class _Machine:
    """The hierarchy at work on one layer."""

    def __init__(self, layer: NestLayer, hierarchy: Hierarchy, mapping: Mapping) -> None:
        self.layer, self.hierarchy, self.mapping = layer, hierarchy, mapping
        self.last = len(hierarchy.levels) - 1
        self.outer, self.inner, self.reads, self.writes = ([[0, 0, 0] for _ in hierarchy.levels] for _ in range(4))

    def run(self) -> _Walk:
        """Run the layer and check that level 0 holds every product of every output."""
        whole = tuple(range(extent) for extent in self.layer.extents)
        top = _Instance(level=0, above=None, held=(set(self.weights(whole)), set(self.inputs(whole))))
        walk = self.execute(top, whole)
        assert isinstance(walk, _Walk)
        n, g, m, c, p, q, r, s = whole
        all_products = (1 << len(c) * len(r) * len(s)) - 1
        assert top.sums == dict.fromkeys(product(n, g, m, p, q), all_products)
        return walk

    def weights(self, block: Block) -> Iterator[Element]:
        """Weights that the MACs of a block read."""
        return product(block[G], block[M], block[C], block[R], block[S])

    def inputs(self, block: Block) -> Iterator[Element]:
        """Inputs that the MACs of a block read."""
        rows = {p * self.layer.stride_h + r for p in block[P] for r in block[R]}
        columns = {q * self.layer.stride_w + s for q in block[Q] for s in block[S]}
        return product(block[N], block[G], block[C], rows, columns)

    def holder(self, instance: _Instance, operand: int) -> _Instance:
        """The instance that this one gets an operand from: the nearest one outside that holds it."""
        outside = instance.above
        while outside is not None and self.hierarchy.levels[outside.level].memory(operand) is None:
            outside = outside.above
        assert outside is not None
        return outside

    # One execution of a level ----------------------------------------------------------------------------------------

    def execute(self, instance: _Instance, tile: Block) -> _Walk | int:
        """Walk the blocks of a tile in one instance."""
        level = instance.level
        if level == self.last:
            return self.multiply(instance, tile)
        inside = level + 1
        order = self.mapping.orders[level]
        step_of = self.mapping.arrays[inside]
        places = [position(self.mapping, level, operand) for operand in range(3)]
        array: dict[Element, _Instance] = {}
        walk = _Walk(level)
        blocks = [range(0, len(tile[d]), step_of[d]) for d in order]
        steps = list(product(*blocks))
        for number, starts in enumerate(steps):
            block: list[range] = [range(0)] * len(DIMS)
            for d, start in zip(order, starts, strict=True):
                block[d] = tile[d][start : start + step_of[d]]
            parts = self.unroll(inside, tuple(block))
            for where in parts:
                if where not in array:
                    array[where] = _Instance(level=inside, above=instance)
            # The place in the order of the outermost loop that has advanced; the loops inside it have started again.
            advanced = _advanced(steps[number - 1], starts) if number > 0 else -1
            step = _Step([0, 0, 0])
            for operand in (WEIGHTS, INPUTS):
                if self.hierarchy.levels[inside].memory(operand) is None:
                    continue
                if number == 0 or advanced <= places[operand]:
                    again = number > 0 and operand == INPUTS and advanced == places[operand]
                    sliding = again and slides(self.mapping, level)
                    step.sent[operand] = self.load(instance, array, parts, operand, sliding)
            step.below = [self.execute(array[where], part) for where, part in parts.items()]
            if self.hierarchy.levels[inside].memory(OUTPUTS) is not None:
                is_last = number == len(steps) - 1
                if is_last or _advanced(starts, steps[number + 1]) <= places[OUTPUTS]:
                    step.merged = self.drain(array.values())
            walk.steps.append(step)
        assert not any(inner.sums for inner in array.values())
        return walk

    def unroll(self, level: int, block: Block) -> dict[Element, Block]:
        """The part of a block that each instance of a level gets, the first instance first."""
        tiles = self.mapping.tiles[level]
        shares = [range(0, len(block[d]), tiles[d]) for d in range(len(DIMS))]
        return {
            tuple(start // tiles[d] for d, start in enumerate(starts)): tuple(
                block[d][start : start + tiles[d]] for d, start in enumerate(starts)
            )
            for starts in product(*shares)
        }

    # What moves ------------------------------------------------------------------------------------------------------

    def load(
        self,
        outside: _Instance,
        array: dict[Element, _Instance],
        parts: dict[Element, Block],
        operand: int,
        sliding: bool,
    ) -> int:
        """Load the parts of a block into the instances below one; returns how many elements are sent."""
        level = outside.level + 1
        sent: set[Element] = set()
        for where, inside in array.items():
            before = set(inside.held[operand])
            inside.held[operand].clear()
            if where not in parts:
                continue
            needed = set(self.weights(parts[where]) if operand == WEIGHTS else self.inputs(parts[where]))
            inside.held[operand].update(needed)
            new = needed - before if sliding else needed
            sent |= new
            self.inner[level][operand] += len(new)
            self.writes[level][operand] += len(new)
        source = self.holder(next(iter(array.values())), operand)
        assert sent <= source.held[operand], f"{OPERANDS[operand]} are sent that level {source.level} does not hold"
        self.outer[level][operand] += len(sent)
        self.reads[source.level][operand] += len(sent)
        return len(sent)

    def multiply(self, instance: _Instance, tile: Block) -> int:
        """All MACs of a tile in one instance of the innermost level, one per cycle."""
        held_weights, held_inputs = instance.held
        stride_h, stride_w = self.layer.strides
        cycles = 0
        for n, g, m, c, p, q, r, s in product(*tile):
            assert (g, m, c, r, s) in held_weights
            assert (n, g, c, p * stride_h + r, q * stride_w + s) in held_inputs
            self.reads[self.last][WEIGHTS] += 1
            self.reads[self.last][INPUTS] += 1
            output = (n, g, m, p, q)
            if output in instance.sums:
                self.reads[self.last][OUTPUTS] += 1
            this_product = 1 << (c * self.layer.r + r) * self.layer.s + s
            instance.sums[output] = _add(instance.sums.get(output, 0), this_product)
            self.writes[self.last][OUTPUTS] += 1
            cycles += 1
        return cycles

    def drain(self, array: Iterable[_Instance]) -> int:
        """Drain the partial sums of the instances below one, and merge them; returns how many are merged."""
        instances = list(array)
        level, target = instances[0].level, self.holder(instances[0], OUTPUTS)
        arriving: dict[Element, int] = {}
        for inside in instances:
            for output, products in inside.sums.items():
                self.inner[level][OUTPUTS] += 1
                self.reads[level][OUTPUTS] += 1
                arriving[output] = _add(arriving.get(output, 0), products)
            inside.sums.clear()
        for output, products in arriving.items():
            self.outer[level][OUTPUTS] += 1
            if output in target.sums:
                self.reads[target.level][OUTPUTS] += 1
            target.sums[output] = _add(target.sums.get(output, 0), products)
            self.writes[target.level][OUTPUTS] += 1
        return len(arriving)


def _advanced(before: Element, now: Element) -> int:
    """Place of the outermost loop that differs between two steps."""
    return next(place for place, (a, b) in enumerate(zip(before, now, strict=True)) if a != b)


def _add(products: int, more: int) -> int:
    assert products & more == 0, "a product is summed twice"
    return products | more


class _Timer:
    """Cycles of what was executed. results [L]: whether the drains of a level move results."""

    def __init__(self, layer: NestLayer, hierarchy: Hierarchy, results: list[bool]) -> None:
        self.layer, self.hierarchy = layer, hierarchy
        accumulator_bits = hierarchy.mac(mac_bits(layer)).accumulator_bits
        self.output_bits = [layer.act_bits if moves else accumulator_bits for moves in results]

    def cycles(self, walk: _Walk | int) -> int:
        """Cycles of one execution."""
        if isinstance(walk, int):
            return walk
        inside = walk.level + 1
        loads = [self.load(inside, step) for step in walk.steps]
        drains = [self.drain(inside, step) for step in walk.steps]
        computes = [self.compute(step) for step in walk.steps]
        total, n = 0, len(walk.steps)
        if not self.hierarchy.levels[inside].double_buffered:
            for i in range(n):
                total += loads[i] + computes[i] + drains[i]
            return total
        total += loads[0]
        for i in range(n):
            following = loads[i + 1] if i + 1 < n else 0
            before = drains[i - 1] if i > 0 else 0
            total += max(computes[i], following, before)
        return total + drains[n - 1]

    def compute(self, step: _Step) -> int:
        """Cycles of a step: those of the first instance. No other takes longer."""
        all_instances = [self.cycles(below) for below in step.below]
        assert max(all_instances) == all_instances[0]
        return all_instances[0]

    def load(self, level: int, step: _Step) -> int:
        """Cycles of the links into `level` before a step."""
        bits = (self.layer.weight_bits, self.layer.act_bits)
        slowest = 0
        for link in self.hierarchy.levels[level].links:
            filled = [operand for operand in link.operands if operand != OUTPUTS]
            if filled:
                sent_bits = sum(step.sent[operand] * bits[operand] for operand in filled)
                slowest = max(slowest, -(-sent_bits // link.fill_bits_per_cycle))
        return slowest

    def drain(self, level: int, step: _Step) -> int:
        """Cycles of the link that drains `level` after a step."""
        link = self.hierarchy.levels[level].link(OUTPUTS)
        return -(-step.merged * self.output_bits[level] // link.drain_bits_per_cycle) if link is not None else 0
