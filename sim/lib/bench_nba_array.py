# SPDX-License-Identifier: Apache-2.0
"""nba_array: accumulators of every cycle, with random gaps and sums of random length; reset drops steps on the way.

Products and sums are exact integers here, taken modulo 2^ACC_BITS at the end. With DEGREE above 1 a step has one, two
or four times PP columns, most often as many as the steps of its sum: an accumulator is that of a column only as long as
no step has fewer."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import product

import cocotb
from cocotb.triggers import RisingEdge
from lanes import draw, most_operand, pack, spread
from stepping import RATES, begin, parameter, rng

INPUTS = ("s_a", "s_w", "s_valid", "s_first", "s_max", "s_degree")
STAGES = 3
"""Registers of a step without those of the tree that sums over the lanes."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """Inputs of one step: operands of column j, lane n at [j][n], of PP * 2^degree columns."""

    a: list[list[int]]
    w: list[int]
    degree: int
    valid: bool
    first: bool
    largest: bool


class Model:
    """Accumulators as a list (m, column) -> integer, or None where no sum of that column has begun, `stages` cycles
    behind the steps."""

    def __init__(self, dut, rand: random.Random):
        names = ("PER_CHANNEL", "PM", "PN", "PP", "A_BITS", "W_BITS", "ACC_BITS")
        self.per_channel, self.pm, self.pn, self.pp, self.a_bits, self.w_bits, self.acc_bits = (
            parameter(dut, name) for name in names
        )
        self.has_max = parameter(dut, "HAS_MAX")
        self.pack = parameter(dut, "PACK")
        self.narrow = int(bool(parameter(dut, "CHAIN")) and self.a_bits + self.w_bits == 16)
        self.most = parameter(dut, "DEGREE")
        self.stages = STAGES + (self.pn - 1).bit_length() + self.pack
        self.lanes = self.pm if self.per_channel else self.pn
        self.dut, self.rand = dut, rand
        self.acc: list[int | None] = [None] * (self.pm * self.pp * self.most)
        self.pipe: list[tuple[bool, bool, list[int | None]] | None] = [None] * self.stages
        idle = Step(a=[[0] * self.lanes] * self.pp, w=[], degree=0, valid=False, first=False, largest=False)
        self.late = idle
        self.degree = 0
        self.checked = 0

    def limits(self, degree: int) -> tuple[int, int]:
        """The largest operand of a step of 2^degree columns; weights lie from minus the second up to below it."""
        if self.most == 1:
            return (1 << self.a_bits) - 1, 1 << (self.w_bits - 1)
        return min((1 << self.a_bits) - 1, most_operand(degree)), min(1 << (self.w_bits - 1), 1 << (7 >> degree))

    def drive(self, valid: bool, first: bool) -> None:
        """Put a random step on the inputs (noise if it is not valid) and note its sums. Where
        HAS_MAX is 0, s_max is noise."""
        degrees = self.most.bit_length()
        degree = self.rand.randrange(degrees) if first or self.rand.random() < 0.15 else self.degree
        if valid and first:
            self.degree = degree
        most, half = self.limits(degree)
        low = -(1 << (self.a_bits - 1)) if self.most == 1 else -most
        columns = self.pp << degree
        a = [[draw(self.rand, low, most) for _ in range(self.lanes)] for _ in range(columns)]
        w = [draw(self.rand, self.narrow - half, half - 1) for _ in range(self.pm * self.pn)]
        largest = self.rand.random() < 0.5
        self.send(Step(a=a, w=w, degree=degree, valid=valid, first=first, largest=largest))

    def send(self, step: Step) -> None:
        """Put a step on the inputs and note its sums."""
        self.put(step)
        sums: list[int | None] = []
        for m in range(self.pm):
            for column in step.a:
                pairs = ((column[m if self.per_channel else n], step.w[m * self.pn + n]) for n in range(self.pn))
                sums.append(sum(a * w for a, w in pairs))
            sums += [None] * (self.pp * self.most - len(step.a))
        self.pipe.append((step.first, step.largest and bool(self.has_max), sums) if step.valid else None)

    def put(self, step: Step) -> None:
        """Put a step on the inputs; with PACK its weights come first, and the others belong to the step before."""
        self.dut.s_w.value = pack(step.w, self.w_bits)
        self.late, now = step, self.late if self.pack else step
        width = {1: self.a_bits + 1, 2: 13, 4: 15}[self.most]
        fields = range(1 << now.degree)
        operands = [
            spread([now.a[p + i * self.pp][n] for i in fields]) for p in range(self.pp) for n in range(self.lanes)
        ]
        self.dut.s_a.value = pack(operands, width)
        self.dut.s_valid.value, self.dut.s_first.value = int(now.valid), int(now.first)
        self.dut.s_max.value = int(now.largest)
        self.dut.s_degree.value = now.degree if self.most > 1 else self.rand.getrandbits(2)

    def join(self, old: int | None, new: int | None, first: bool, largest: bool) -> int | None:
        """An accumulator after a step, as the signed number that its bits hold."""
        if new is None or (old is None and not first):
            return None
        half = 1 << (self.acc_bits - 1)
        before = 0 if old is None or first else old
        return max(before, new) if largest and not first else (before + new + half) % (2 * half) - half

    def place(self, i: int) -> int:
        """Where m_acc has the i-th accumulator of `acc`."""
        m, column = divmod(i, self.pp * self.most)
        part, p = divmod(column, self.pp)
        share = 1 + self.pack
        dot = p * -(-self.pm // share) + m // share
        return (dot * self.most + part) * share + m % share

    def step(self) -> None:
        """Compare the cycle that ended with the steps that had arrived by then."""
        due = self.pipe.pop(0)
        if due is not None:
            first, largest, sums = due
            self.acc = [self.join(old, new, first, largest) for old, new in zip(self.acc, sums, strict=True)]
        if all(value is None for value in self.acc):
            return
        # Bits of an accumulator that holds nothing may be anything.
        word = str(self.dut.m_acc.value)
        for i, value in enumerate(self.acc):
            if value is None:
                continue
            end = len(word) - self.place(i) * self.acc_bits
            found = word[end - self.acc_bits : end]
            message = f"accumulator {i} after {self.checked} comparisons: {found}"
            assert found == format(value % (1 << self.acc_bits), f"0{self.acc_bits}b"), message
        self.checked += 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
@cocotb.parametrize(idle=RATES, length=[1, 5, 40])
async def sums_of_every_cycle(dut, idle: float, length: int) -> None:
    rand = rng(idle, length)
    model = Model(dut, rand)
    await begin(dut, INPUTS)
    left = 0
    for _ in range(250):
        valid = rand.random() >= idle
        model.drive(valid, left == 0 if valid else rand.random() < 0.5)
        if valid:
            left = rand.randint(1, length) - 1 if left == 0 else left - 1
        await RisingEdge(dut.clk)
        model.step()
    assert model.checked > 200


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def extremes(dut) -> None:
    """All operands at their ends at once, as long as the sums fit the accumulator, and once beyond it."""
    model = Model(dut, rng())
    await begin(dut, INPUTS)
    for degree in range(model.most.bit_length()):
        most, half = model.limits(degree)
        low = -(1 << (model.a_bits - 1)) if model.most == 1 else -most
        for a_end, w_end in product((low, most), (model.narrow - half, half - 1)):
            a = [[a_end] * model.lanes] * (model.pp << degree)
            w = [w_end] * (model.pm * model.pn)
            for n in range(6):
                largest = bool(model.has_max) and model.rand.random() < 0.5
                model.send(Step(a=a, w=w, degree=degree, valid=True, first=n == 0, largest=largest))
                await RisingEdge(dut.clk)
                model.step()
    assert model.checked > 15


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_drops_steps(dut) -> None:
    """In a cycle of reset all steps are lost but the one whose sum is complete."""
    model = Model(dut, rng())
    await begin(dut, INPUTS)
    for cycle in range(60):
        resetting = cycle % 12 == 9
        dut.rst.value = int(resetting)
        model.drive(True, cycle % 5 == 0)
        if resetting:
            here = len(model.pipe) - model.pack
            model.pipe[2:here] = [None] * (here - 2)
        await RisingEdge(dut.clk)
        model.step()
    dut.rst.value = 0
    assert model.checked > 40
