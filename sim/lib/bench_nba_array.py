# SPDX-License-Identifier: Apache-2.0
"""nba_array: accumulators of every cycle, with random gaps and sums of random length; reset drops steps on the way.

Products and sums are exact integers here, taken modulo 2^ACC_BITS at the end."""

from __future__ import annotations

import random

import cocotb
from cocotb.triggers import RisingEdge
from lanes import draw, pack, unpack
from stepping import RATES, begin, parameter, rng

INPUTS = ("s_a", "s_w", "s_valid", "s_first", "s_max")
STAGES = 3
"""Registers of a step without those of the tree that sums over the lanes."""


class Model:
    """Accumulators as a list (m, p) -> integer, or None before the first sum, `stages` cycles behind the steps."""

    def __init__(self, dut, rand: random.Random):
        names = ("PER_CHANNEL", "PM", "PN", "PP", "A_BITS", "W_BITS", "ACC_BITS")
        self.per_channel, self.pm, self.pn, self.pp, self.a_bits, self.w_bits, self.acc_bits = (
            parameter(dut, name) for name in names
        )
        self.has_max = parameter(dut, "HAS_MAX")
        self.pack = parameter(dut, "PACK")
        self.stages = STAGES + (self.pn - 1).bit_length() + self.pack
        self.lanes = self.pm if self.per_channel else self.pn
        self.dut, self.rand = dut, rand
        self.acc: list[int] | None = None
        self.pipe: list[tuple[bool, bool, list[int]] | None] = [None] * self.stages
        self.late = (0, False, False, False)
        self.checked = 0

    def drive(self, valid: bool, first: bool) -> None:
        """Put a random step on the inputs (noise if it is not valid) and note its sums. Where
        HAS_MAX is 0, s_max is noise."""
        a = [draw(self.rand, -(1 << (self.a_bits - 1)), (1 << self.a_bits) - 1) for _ in range(self.pp * self.lanes)]
        half = 1 << (self.w_bits - 1)
        w = [draw(self.rand, -half, half - 1) for _ in range(self.pm * self.pn)]
        sums = [
            sum(
                a[p * self.lanes + (m if self.per_channel else n)] * w[m * self.pn + n]
                for n in range(self.pn)
            )
            for m in range(self.pm)
            for p in range(self.pp)
        ]  # fmt: skip
        largest = self.rand.random() < 0.5
        self.put(a, w, valid, first, largest)
        self.pipe.append((first, largest and bool(self.has_max), sums) if valid else None)

    def put(self, a: list[int], w: list[int], valid: bool, first: bool, largest: bool) -> None:
        """Put a step on the inputs; with PACK its weights come first, and the others belong to the step before."""
        now = pack(a, self.a_bits + 1), valid, first, largest
        self.dut.s_w.value = pack(w, self.w_bits)
        self.late, (operands, valid, first, largest) = now, self.late if self.pack else now
        self.dut.s_a.value = operands
        self.dut.s_valid.value, self.dut.s_first.value = int(valid), int(first)
        self.dut.s_max.value = int(largest)

    def join(self, old: int, new: int, largest: bool) -> int:
        """An accumulator after a step, as the signed number that its bits hold."""
        half = 1 << (self.acc_bits - 1)
        return max(old, new) if largest else (old + new + half) % (2 * half) - half

    def step(self) -> None:
        """Compare the cycle that ended with the steps that had arrived by then."""
        due = self.pipe.pop(0)
        if due is not None:
            first, largest, sums = due
            if first:
                self.acc = [self.join(0, new, False) for new in sums]
            elif self.acc is not None:
                self.acc = [self.join(old, new, largest) for old, new in zip(self.acc, sums, strict=True)]
        if self.acc is None:
            return
        word = self.dut.m_acc.value
        assert word.is_resolvable, f"after {self.checked} comparisons: {word}"
        seen = unpack(word.to_unsigned(), self.acc_bits, self.pm * self.pp, signed=False)
        assert seen == [value % (1 << self.acc_bits) for value in self.acc], f"after {self.checked} comparisons"
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
    for a_end in (-(1 << (model.a_bits - 1)), (1 << model.a_bits) - 1):
        for w_end in (-(1 << (model.w_bits - 1)), (1 << (model.w_bits - 1)) - 1):
            for n in range(6):
                largest = bool(model.has_max) and model.rand.random() < 0.5
                model.put([a_end] * (model.pp * model.lanes), [w_end] * (model.pm * model.pn), True, n == 0, largest)
                model.pipe.append((n == 0, largest, [a_end * w_end * model.pn] * (model.pm * model.pp)))
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
