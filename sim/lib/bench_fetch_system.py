# SPDX-License-Identifier: Apache-2.0
"""nba_fetch, nba_store and nba_memory together (tests/eda/fetch_system.v): every word of every slice reaches its
consumer in order, through resets with reads outstanding; without jitter every decision is in the cycle that the
recurrence of docs/template.md, 'Weights from external memory', gives."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import cocotb
from bench_nba_fetch import PACE, Fetch, in_order, read_list
from cocotb.triggers import RisingEdge
from stepping import begin, parameter, reset, rng

INPUTS = ("axi_rst", "start_pulse", "cfg_frames", "hold_pulse", "release_pulse", "next_pulse", "s_addr")
READ_LATENCY = 3


class Image:
    """What lies in the memory, and how a target sees it."""

    def __init__(self, dut):
        self.bus, self.width, self.burst = (parameter(dut, n) for n in ("BUS", "WIDTH", "BURST"))
        self.beats = [int(line, 16) for line in Path("memory.mem").read_text().split()]

    def columns(self, target: int) -> int:
        """Beats of a word of this target."""
        return -(-self.bits(target) // self.bus)

    def bits(self, target: int) -> int:
        """Bits of its words."""
        return self.width // 2 if target % 2 else self.width

    def words(self, fetch: Fetch) -> list[int]:
        """The whole words of a slice."""
        cols, first = self.columns(fetch.target), fetch.first * self.burst
        found = []
        for low in range(first, first + fetch.beats - cols + 1, cols):
            word = sum(beat << i * self.bus for i, beat in enumerate(self.beats[low : low + cols]))
            found.append(word & ((1 << self.bits(fetch.target)) - 1))
        return found


class Consumer:
    """Reads the slices of a target one after the other: the decision in cycle h, an address in each of h+1..h+n (pause:
    a share of cycles without one), the slot released with the last one, the next decision in the cycle after it."""

    def __init__(self, number: int, slices: deque[list[int]], pause: float, rand: random.Random):
        self.number, self.slices, self.pause, self.rand = number, slices, pause, rand
        self.word = self.look = self.held = 0
        self.present: list[int] | None = None
        self.asked: int | None = None
        self.want: deque[int | None] = deque([None] * (READ_LATENCY + 1))

    def step(self, dut, cycle: int) -> tuple[bool, bool, int]:
        """Compare the cycle that ended; (hold, release, address) of the next one."""
        want = self.want.popleft()
        if want is not None:
            width = len(dut.m_word) // len(dut.stat_avail)
            word = dut.m_word.value.to_unsigned() >> self.number * width & ((1 << width) - 1)
            assert word == want, f"cycle {cycle}: target {self.number}: {word:x}, not {want:x}"
        hold = release = False
        address, self.asked = 0, None
        if self.present is None:
            hold = cycle >= self.look and bool(int(dut.stat_avail.value) >> self.number & 1)
            if hold:
                self.present, self.word, self.held = self.slices.popleft(), 0, cycle + 1
        elif self.rand.random() >= self.pause:
            address, self.asked = self.word, self.present[self.word] if self.word < len(self.present) else None
            self.word += 1
            release = self.word >= len(self.present)
            if release:
                self.present, self.look = None, max(cycle + 1, self.held + 2)
        self.want.append(self.asked)
        return hold, release, address


def slices(dut, image: Image, frames: int) -> list[deque[list[int]]]:
    """What every target gets in a batch."""
    found: list[deque[list[int]]] = [deque() for _ in range(len(dut.stat_avail))]
    for fetch, skipped in in_order(read_list(), frames, parameter(dut, "MAX_STAGE")):
        if not skipped:
            found[fetch.target].append(image.words(fetch))
    return found


async def run(dut, image: Image, frames: int, pause: float, rand: random.Random, cut: int | None = None) -> list[int]:
    """Run a batch, of a frame where it is cut off in cycle `cut`; returns the cycles of the decisions."""
    consumers = [Consumer(i, want, pause, rand) for i, want in enumerate(slices(dut, image, frames or 50))]
    n_slices, takes = sum(len(consumer.slices) for consumer in consumers), []
    dut.start_pulse.value, dut.cfg_frames.value = 1, frames
    for cycle in range(200_000):
        await RisingEdge(dut.clk)
        assert dut.stat_busy.value or cycle == 0 or len(takes) == n_slices, f"cycle {cycle}: idle too early"
        takes += [cycle] * (int(dut.take_pulse.value) != 0)
        hold = release = address = 0
        for consumer in consumers:
            holds, releases, word = consumer.step(dut, cycle)
            hold, release = hold | holds << consumer.number, release | releases << consumer.number
            address |= word << 16 * consumer.number
        dut.hold_pulse.value, dut.release_pulse.value, dut.next_pulse.value = hold, release, release
        dut.s_addr.value, dut.start_pulse.value = address, 0
        if cycle == cut:
            break
        if not release and not any(c.slices or c.present is not None or any(c.want) for c in consumers):
            break
    if cut is not None:
        dut.hold_pulse.value = dut.release_pulse.value = dut.next_pulse.value = 0
        dut.rst.value = 1
        await RisingEdge(dut.clk)
        dut.rst.value = 0
    for _ in range(2_000):
        await RisingEdge(dut.clk)
        if not dut.stat_busy.value:
            break
    assert not int(dut.stat_busy.value)
    assert not int(dut.n_faults.value)
    assert not dut.stat_error.value or (parameter(dut, "FAULTS") and cut is None)
    return takes


def predicted(dut, image: Image, frames: int) -> list[int]:
    """Cycles of the decisions with consumers that never pause."""
    latency, slots, burst = (parameter(dut, n) for n in ("LATENCY", "SLOTS", "BURST"))
    releases: dict[int, list[int]] = {i: [] for i in range(len(dut.stat_avail))}
    look = dict.fromkeys(releases, 0)
    ready, beat, takes = PACE, -1, []
    for fetch, skipped in in_order(read_list(), frames, parameter(dut, "MAX_STAGE")):
        if skipped:
            ready += PACE
            continue
        mine = releases[fetch.target]
        take = max(ready, mine[-slots] + 2 if len(mine) >= slots else 0)
        bursts = -(-fetch.beats // burst)
        for i in range(bursts):
            beat = max(take + 1 + i + latency, beat + 1) + min(burst, fetch.beats - i * burst) - 1
        # The last beat is on the port to the store in the next cycle, and its slice in the flag two cycles later; the
        # consumer sees the flag and decides in the cycle after it.
        hold = max(beat + 3, look[fetch.target]) + 1
        mine.append(hold + max(len(image.words(fetch)), 1))
        look[fetch.target] = max(mine[-1], hold + 2)
        takes.append(take)
        ready = take + max(bursts, PACE)
    return takes


async def ready(dut) -> None:
    """Both resets, then idle."""
    dut.rst.value = 1
    await begin(dut, INPUTS, 0)
    dut.axi_rst.value = 1
    await reset(dut, 1)
    dut.axi_rst.value = 0
    await reset(dut, 3)


@cocotb.test(timeout_time=9, timeout_unit="ms")
@cocotb.parametrize(pause=[0.0, 0.5])
async def every_word_reaches_its_consumer(dut, pause: float) -> None:
    await ready(dut)
    image, rand, faulty = Image(dut), rng(pause), False
    for frames in (1, 4, 2):
        takes = await run(dut, image, frames, pause, rand)
        if not parameter(dut, "JITTER") and not pause:
            assert takes == predicted(dut, image, frames)
        faulty |= bool(dut.stat_error.value)
    assert faulty == bool(parameter(dut, "FAULTS"))


@cocotb.test(timeout_time=9, timeout_unit="ms")
async def nothing_is_lost_through_resets(dut) -> None:
    """Batches cut off anywhere, every other one endless, and whole ones between them."""
    await ready(dut)
    image, rand = Image(dut), rng()
    for turn in range(40):
        await run(dut, image, turn % 2, 0.2, rand, cut=rand.randint(1, 30 << rand.randint(0, 3)))
        if turn % 3 == 0:
            await run(dut, image, rand.randint(1, 2), 0.3, rand)
