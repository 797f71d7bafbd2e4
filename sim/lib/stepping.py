# SPDX-License-Identifier: Apache-2.0
"""Helpers of the library benches: one loop per clock cycle that first samples, then drives.

After `await RisingEdge(dut.clk)` all signals still hold the values of the cycle that just ended, and what is written
counts from the cycle that begins. Random choices come from `rng()`, seeded by the simulation's seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

RATES = [0.0, 0.45]
"""Shares of cycles in which a random source is idle or a random sink stalls; every bench sweeps over both."""


def rng(*salt: object) -> random.Random:
    """A generator that depends on the simulation's seed and on `salt` only."""
    return random.Random(f"{cocotb.RANDOM_SEED} {salt}")


def parameter(dut, name: str) -> int:
    """Value of an integer parameter of the module."""
    return getattr(dut, name).value.to_unsigned()


async def begin(dut, inputs: Sequence[str], cycles: int = 3) -> None:
    """Start the clock, set all inputs to 0 and apply reset (if any); returns at the first edge without reset."""
    for name in inputs:
        getattr(dut, name).value = 0
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    if hasattr(dut, "rst"):
        await reset(dut, cycles)


async def reset(dut, cycles: int = 3) -> None:
    """Apply reset for some cycles."""
    dut.rst.value = 1
    for _ in range(cycles):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


class Source:
    """Sends `words` on <prefix>data/valid/ready; call `step` once per cycle."""

    def __init__(self, dut, prefix: str, words: Sequence[int], idle: float, rand: random.Random):
        self.data, self.valid, self.ready = (getattr(dut, prefix + n) for n in ("data", "valid", "ready"))
        self.words, self.idle, self.rand = list(words), idle, rand
        self.sent: list[int] = []
        self.active = False

    def step(self) -> bool:
        """Sample the handshake of the cycle that ended, drive the next one; True if a word was taken."""
        taken = self.active and bool(self.ready.value)
        if taken:
            self.sent.append(self.words[len(self.sent)])
        if taken or not self.active:
            self.active = len(self.sent) < len(self.words) and self.rand.random() >= self.idle
        self.valid.value = int(self.active)
        # While idle the data lines carry noise, which must never be taken.
        self.data.value = self.words[len(self.sent)] if self.active else self.rand.getrandbits(len(self.data))
        return taken


class Sink:
    """Receives from <prefix>data/valid/ready (and `last`, if there is one); call `step` once per cycle.

    Asserts that a word which is not taken stays on offer."""

    def __init__(self, dut, prefix: str, stall: float, rand: random.Random, last: bool = False):
        self.data, self.valid, self.ready = (getattr(dut, prefix + n) for n in ("data", "valid", "ready"))
        self.last = getattr(dut, prefix + "last") if last else None
        self.stall, self.rand = stall, rand
        self.words: list[int] = []
        self.lasts: list[bool] = []
        self.cycles: list[int] = []
        self.open = False
        self.held: tuple[int, bool] | None = None

    def step(self, cycle: int) -> bool:
        """Sample the handshake of the cycle that ended, drive the next one; True if a word was received."""
        taken = False
        if self.valid.value:
            offer = (self.data.value.to_unsigned(), bool(self.last.value) if self.last is not None else False)
            assert self.held in (None, offer), f"cycle {cycle}: the offer changed from {self.held} to {offer}"
            taken = self.open
            self.held = None if taken else offer
            if taken:
                self.words.append(offer[0])
                self.lasts.append(offer[1])
                self.cycles.append(cycle)
        else:
            assert self.held is None, f"cycle {cycle}: an offer was withdrawn"
        self.open = self.rand.random() >= self.stall
        self.ready.value = int(self.open)
        return taken

    def forget(self) -> None:
        """Drop the offer on hold (after a reset)."""
        self.held = None
