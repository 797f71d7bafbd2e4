# SPDX-License-Identifier: Apache-2.0
"""nba_store against its header: every word read three cycles after its address, every flag in its cycle, whatever the
order of reservations, beats, reads and releases that the tokens allow."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge
from stepping import begin, parameter, rng

INPUTS = ("take_pulse", "s_valid", "s_data", "s_last", "hold_pulse", "release_pulse", "next_pulse", "s_slot", "s_addr")
N_CYCLES = 1500


class Store:
    """The memory and its tokens as the header has them, and users that keep its rules. `drive` sets the inputs of the
    next cycle, `step` compares the cycle that ended."""

    def __init__(self, dut, rand: random.Random):
        self.dut, self.rand = dut, rand
        self.width, self.bus, self.depth = (parameter(dut, n) for n in ("WIDTH", "BUS", "DEPTH"))
        self.slot_words, self.slots = parameter(dut, "SLOT_WORDS"), parameter(dut, "SLOTS")
        words = [int(line, 16) for line in Path("weights.mem").read_text().split()] if self.depth else []
        self.memory = words + [0] * (self.slots * self.slot_words)
        # Bits whose value is known: another test may have left something in the slots.
        self.known = [(1 << self.width) - 1] * self.depth + [0] * (self.slots * self.slot_words)
        self.forget()

    def forget(self) -> None:
        """As after a reset: no slice anywhere."""
        self.in_use = self.ready = self.kept = 0
        self.free_flags, self.avail_flags = deque([True]), deque([False])
        self.filling: deque[int] = deque()
        self.beat = self.filled = self.held = self.read = 0
        self.take_gap = self.hold_gap = 2
        self.want: deque[tuple[int, int]] = deque([(0, 0)] * 3)
        self.taken = self.holds = self.released = self.turned = False
        self.sent: tuple[int, bool] | None = None
        self.idle()

    def idle(self) -> None:
        """Nothing happens in the next cycle; data lines carry noise."""
        for name in INPUTS:
            getattr(self.dut, name).value = 0
        self.dut.s_data.value = self.rand.getrandbits(self.bus)
        self.dut.s_last.value = self.rand.getrandbits(1)

    def drive(self, pace: tuple[float, float]) -> None:
        """Choose what happens in the next cycle. pace: shares of cycles with a beat, and with an action of the
        consumer, where there can be one."""
        dut, rand = self.dut, self.rand
        self.idle()
        beats, acts = pace
        self.taken = self.free_flags[0] and self.take_gap >= 2 and rand.random() < 0.7
        dut.take_pulse.value = int(self.taken)
        self.sent = None
        if self.filling and rand.random() < beats:
            last = self.beat + 1 == self.filling[0]
            self.sent = rand.getrandbits(self.bus), last
            dut.s_valid.value, dut.s_data.value, dut.s_last.value = 1, self.sent[0], int(last)
        self.holds = self.avail_flags[0] and self.hold_gap >= 2 and rand.random() < acts
        dut.hold_pulse.value = int(self.holds)
        reading = self.held > self.read
        self.released = self.kept > 0 and reading and rand.random() < acts / 4
        self.turned = self.released
        dut.release_pulse.value = dut.next_pulse.value = int(self.released)
        self.address(reading)

    def address(self, reading: bool) -> None:
        """Read a word of the present slice or a resident one; an address that means neither in other cycles."""
        dut, rand = self.dut, self.rand
        slot = bool(reading and (not self.depth or rand.random() < 0.6))
        resident = not slot and self.depth > 0
        word = rand.randrange(self.slot_words if slot else max(self.depth, 1))
        dut.s_slot.value, dut.s_addr.value = int(slot), word
        base = self.depth + self.read % self.slots * self.slot_words if slot else 0
        self.want.append((self.memory[base + word], self.known[base + word]) if slot or resident else (0, 0))

    def step(self, cycle: int) -> None:
        """Compare, then do what the inputs of the cycle say."""
        dut = self.dut
        flags = bool(dut.stat_free.value), bool(dut.stat_avail.value)
        expected = self.free_flags.popleft(), self.avail_flags.popleft()
        assert flags == expected, f"cycle {cycle}: free, avail {flags}, not {expected}"
        want, known = self.want.popleft()
        if known:
            word = int(dut.m_word.value) & known
            assert word == want & known, f"cycle {cycle}: word {word:x}, not {want:x}"
        self.free_flags.append(self.in_use < self.slots)
        self.avail_flags.append(self.ready >= 1)
        self.take_gap = 1 if self.taken else self.take_gap + 1
        self.hold_gap = 1 if self.holds else self.hold_gap + 1
        self.write()
        if self.taken:
            most = self.slot_words * -(-self.width // self.bus)
            self.filling.append(self.rand.choice([most, self.rand.randint(1, most)]))
        self.in_use += self.taken - self.released
        self.ready -= self.holds
        self.kept += self.holds - self.released
        self.held += self.holds
        self.read += self.turned

    def write(self) -> None:
        """Store the beat of the cycle."""
        if self.sent is None:
            return
        data, last = self.sent
        cols = -(-self.width // self.bus)
        place = self.depth + self.filled % self.slots * self.slot_words + self.beat // cols
        low = self.beat % cols * self.bus
        mask = ((1 << self.bus) - 1) << low & ((1 << self.width) - 1)
        self.memory[place] = self.memory[place] & ~mask | data << low & mask
        self.known[place] |= mask
        self.beat += 1
        if last:
            self.filling.popleft()
            self.beat, self.filled, self.ready = 0, self.filled + 1, self.ready + 1


@cocotb.test(timeout_time=2, timeout_unit="ms")
@cocotb.parametrize(pace=[(1.0, 1.0), (1.0, 0.2), (0.3, 1.0), (0.5, 0.5)])
async def every_word_and_every_flag(dut, pace: tuple[float, float]) -> None:
    await begin(dut, INPUTS)
    store = Store(dut, rng(pace))
    store.drive(pace)
    for cycle in range(N_CYCLES):
        await RisingEdge(dut.clk)
        store.step(cycle)
        store.drive(pace)
    assert store.read > 2 * store.slots


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def a_reset_empties_the_slots(dut) -> None:
    await begin(dut, INPUTS)
    store = Store(dut, rng())
    store.drive((1.0, 0.5))
    for cycle in range(N_CYCLES):
        await RisingEdge(dut.clk)
        if dut.rst.value:
            store.forget()
            dut.rst.value = 0
            store.drive((1.0, 0.5))
            continue
        store.step(cycle)
        store.drive((1.0, 0.5))
        if store.rand.random() < 0.03:
            store.idle()
            dut.rst.value = 1


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def a_slice_is_seen_two_cycles_after_its_last_beat(dut) -> None:
    await begin(dut, INPUTS)
    dut.take_pulse.value = 1
    await RisingEdge(dut.clk)
    dut.take_pulse.value, dut.s_valid.value, dut.s_last.value = 0, 1, 1
    for cycle in range(6):
        await RisingEdge(dut.clk)
        dut.s_valid.value = 0
        assert bool(dut.stat_avail.value) == (cycle >= 2)
