# SPDX-License-Identifier: Apache-2.0
"""nba_fetch against its header: every decision, burst and beat in its cycle, whatever the slave does; rounds and what
they skip; errors; resets while reads are outstanding."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import cocotb
from cocotb.triggers import RisingEdge
from reads import ReadSlave
from stepping import begin, parameter, reset, rng

from nba.machine.layout import FETCH

INPUTS = ("axi_rst", "start_pulse", "cfg_frames", "cfg_base", "free", "m_axi_arready", "m_axi_rdata", "m_axi_rresp",
          "m_axi_rlast", "m_axi_rvalid")  # fmt: skip
CALM = ((0.0, 1), (0.0, 7))
SLAVES = (*CALM, (0.3, 1), (0.75, 5))
"""(share of stalls, latency) of the slave."""
PACE = 4
"""Least cycles from one decision, or skipped fetch, to the next."""


@dataclass(frozen=True)
class Fetch:
    """A word of the list."""

    target: int
    stage: int
    first: int
    beats: int


def read_list() -> list[Fetch]:
    """The list that the module has read."""
    words = [int(line, 16) for line in Path("fetches.mem").read_text().split()]
    places = list(FETCH.places({}))
    return [Fetch(**{f.name: word >> low & ((1 << bits) - 1) for f, low, bits in places}) for word in words]


def in_order(fetches: list[Fetch], frames: int, most: int) -> Iterator[tuple[Fetch, bool]]:
    """The fetches of a batch, round after round, each with whether it is skipped; most: MAX_STAGE."""
    for number in range(frames + most) if frames else count():
        for fetch in fetches:
            yield fetch, number < fetch.stage or bool(frames and number - fetch.stage >= frames)


class Reference:
    """What the module must do in a batch that is started in cycle 0. For every later cycle: `compare` before the slave
    steps, then `advance`, or `stop` if it was one of reset."""

    def __init__(self, dut, slave: ReadSlave, frames: int, base: int):
        self.dut, self.slave = dut, slave
        self.burst, self.size = parameter(dut, "BURST"), len(dut.m_axi_rdata) // 8
        self.n_open = parameter(dut, "N_OPEN")
        self.base = base // (self.burst * self.size)
        self.order = in_order(read_list(), frames, parameter(dut, "MAX_STAGE"))
        self.head: tuple[Fetch, bool] | None = next(self.order)
        # First cycle in which the head is ready; cycle of the last decision; last cycle that stat_busy waits for.
        self.ready, self.decided, self.last = PACE, 0, 0
        # Bursts of the decided fetch that follow; bursts put and not accepted; fetches (target, beats) that wait for
        # data, and the one whose data comes; beat (target, data, last) on the port to the stores.
        self.puts: deque[tuple[int, int]] = deque()
        self.asked: deque[tuple[int, int]] = deque()
        self.queue: deque[tuple[int, int]] = deque()
        self.open: tuple[int, int] | None = None
        self.beat: tuple[int, int, bool] | None = None
        self.taken: tuple[int, int] | None = None
        self.put = self.stopped = False
        self.first_fault: int | None = None
        self.takes: list[int] = []

    def bursts(self, fetch: Fetch) -> list[tuple[int, int]]:
        """(address, beats) of the bursts of a fetch."""
        whole, rest = divmod(fetch.beats, self.burst)
        sizes = [self.burst] * whole + [rest] * (rest > 0)
        mask = (1 << len(self.dut.m_axi_araddr)) - 1
        return [((self.base + fetch.first + i) * self.burst * self.size & mask, n) for i, n in enumerate(sizes)]

    def busy(self, cycle: int) -> bool:
        """Whether stat_busy is 1 in `cycle`."""
        issues = not self.stopped and (self.head is not None or self.puts)
        return bool(issues or self.asked or self.slave.waiting or cycle < self.last + 3)

    def compare(self, cycle: int) -> None:
        """Compare the outputs of `cycle`."""
        dut = self.dut
        assert bool(dut.stat_busy.value) == bool(dut.m_axi_rready.value) == self.busy(cycle), f"cycle {cycle}: busy"
        faulty = not self.stopped and self.first_fault is not None and cycle >= self.first_fault + 2
        assert bool(dut.stat_error.value) == faulty, f"cycle {cycle}: stat_error"
        assert bool(dut.m_axi_arvalid.value) == bool(self.asked), f"cycle {cycle}: arvalid"
        if self.asked:
            seen = int(dut.m_axi_araddr.value), int(dut.m_axi_arlen.value) + 1
            assert seen == self.asked[0], f"cycle {cycle}: {seen} on the bus, not {self.asked[0]}"
            assert seen[0] % 4096 + seen[1] * self.size <= 4096
        valid = int(dut.m_valid.value)
        assert valid == (0 if self.beat is None else 1 << self.beat[0]), f"cycle {cycle}: beat for {valid:b}"
        if self.beat is not None:
            seen = int(dut.m_data.value), bool(dut.m_last.value)
            assert seen == self.beat[1:], f"cycle {cycle}: another beat"
        self.decide(cycle)
        take = 0 if self.taken is None else 1 << self.taken[0]
        assert int(dut.take_pulse.value) == take, f"cycle {cycle}: take {int(dut.take_pulse.value):b}, not {take:b}"

    def decide(self, cycle: int) -> None:
        """What is decided, skipped and put in `cycle`."""
        room, self.taken, self.put = len(self.asked) <= 1, None, False
        if self.stopped:
            return
        if not self.puts and self.head is not None and cycle >= self.ready:
            fetch, skipped = self.head
            free = int(self.dut.free.value) >> fetch.target & 1
            if not skipped and room and free and len(self.queue) < self.n_open:
                self.taken = fetch.target, fetch.beats
                self.puts += self.bursts(fetch)
                self.takes.append(cycle)
            if skipped or self.taken:
                self.ready, self.decided, self.last = cycle + PACE, cycle, cycle
                self.head = next(self.order, None)
        self.put = room and bool(self.puts)

    def advance(self, cycle: int) -> None:
        """What happened in `cycle`, for the next one."""
        self.receive(cycle)
        if self.slave.accepted is not None:
            assert self.slave.accepted == self.asked.popleft()
        if self.taken is not None:
            self.queue.append(self.taken)
        if self.put:
            self.asked.append(self.puts.popleft())
            if not self.puts:
                self.ready = max(self.decided + PACE, cycle + 1)

    def receive(self, cycle: int) -> None:
        """The beat of `cycle`, if there was one."""
        done, self.beat = False, None
        if self.slave.beat is not None:
            (data, fault), self.last = self.slave.beat, cycle
            if self.open is not None:
                target, left = self.open
                done = left == 1
                self.beat, self.open = (target, data, done), (target, left - 1)
                if fault and self.first_fault is None:
                    self.first_fault = cycle
        if self.open is None or done:
            self.open = self.queue.popleft() if self.queue else None

    def stop(self, cycle: int) -> None:
        """`cycle` was the first one of reset: what is on the bus stays there until it is accepted."""
        on_bus = [burst for burst in list(self.asked)[:1] if burst != self.slave.accepted]
        self.asked, self.stopped, self.last = deque(on_bus), True, cycle
        self.puts.clear()
        self.queue.clear()
        self.open = self.beat = None


@dataclass(frozen=True)
class Batch:
    """How a batch is run. free: share of cycles in which a target's flag is 1; cut: cycle of a reset, of `hold`
    cycles."""

    frames: int
    free: float = 1.0
    cut: int | None = None
    hold: int = 1


async def run(dut, slave: ReadSlave, batch: Batch, rand: random.Random) -> Reference:
    """Run a batch until the module is idle again; the next one may be started in the cycle that begins."""
    base, targets = rand.getrandbits(20) << 12, parameter(dut, "N_TARGETS")
    base &= (1 << len(dut.m_axi_araddr)) - 1
    dut.start_pulse.value, dut.cfg_frames.value, dut.cfg_base.value = 1, batch.frames, base
    reference = Reference(dut, slave, batch.frames, base)
    for cycle in range(60_000):
        await RisingEdge(dut.clk)
        if cycle == 0:
            assert not dut.stat_busy.value
        else:
            reference.compare(cycle)
            if not reference.busy(cycle) and not dut.rst.value:
                assert not slave.waiting
                break
        slave.step(cycle)
        if cycle == batch.cut:
            reference.stop(cycle)
        elif cycle:
            reference.advance(cycle)
        dut.free.value = sum(1 << i for i in range(targets) if rand.random() < batch.free)
        # A start is ignored while the module is busy.
        dut.start_pulse.value = int(reference.busy(cycle + 1) and rand.random() < 0.1)
        if batch.cut is not None:
            dut.rst.value = int(batch.cut <= cycle + 1 < batch.cut + batch.hold)
    else:
        raise AssertionError("the batch does not end")
    dut.start_pulse.value = 0
    return reference


async def ready(dut) -> None:
    """Both resets, then idle."""
    dut.rst.value = 1
    await begin(dut, INPUTS, 0)
    dut.axi_rst.value = 1
    await reset(dut, 1)
    dut.axi_rst.value = 0
    await reset(dut, 3)


def calm_takes(dut, frames: int) -> list[int]:
    """Cycles of the decisions where nobody waits: the rule of the header."""
    found, now, burst = [], PACE, parameter(dut, "BURST")
    for fetch, skipped in in_order(read_list(), frames, parameter(dut, "MAX_STAGE")):
        if not skipped:
            found.append(now)
        now += PACE if skipped else max(-(-fetch.beats // burst), PACE)
    return found


@cocotb.test(timeout_time=9, timeout_unit="ms")
@cocotb.parametrize(slave=SLAVES, free=[1.0, 0.5, 0.05])
async def every_decision_in_its_cycle(dut, slave: tuple[float, int], free: float) -> None:
    await ready(dut)
    rand = rng(slave, free)
    device = ReadSlave(dut, rand, *slave)
    for frames in (1, 3, 2):
        found = await run(dut, device, Batch(frames=frames, free=free), rand)
        want = calm_takes(dut, frames)
        assert len(found.takes) == len(want)
        if slave in CALM and free == 1.0 and parameter(dut, "N_OPEN") >= len(want):
            assert found.takes == want


@cocotb.test(timeout_time=9, timeout_unit="ms")
@cocotb.parametrize(slave=SLAVES)
async def resets_lose_nothing(dut, slave: tuple[float, int]) -> None:
    """Batches cut off anywhere, some of them endless, and whole ones between them; no reset but these."""
    await ready(dut)
    rand = rng(slave)
    device = ReadSlave(dut, rand, *slave)
    for turn in range(24):
        batch = Batch(
            frames=rand.randint(0, 2), free=rand.choice([1.0, 0.3]), cut=rand.choice([1, 2, 3, 4, 5, 6, 7, 8])
        )
        if turn % 2:
            batch = Batch(frames=0, free=1.0, cut=rand.randint(1, 60 << rand.randint(0, 3)), hold=rand.randint(1, 9))
        await run(dut, device, batch, rand)
        if turn % 4 == 3:
            await run(dut, device, Batch(frames=1), rand)


@cocotb.test(timeout_time=9, timeout_unit="ms")
@cocotb.parametrize(slave=SLAVES[1:3])
async def faults_are_seen_and_passed(dut, slave: tuple[float, int]) -> None:
    """The data that comes with a wrong RRESP or RLAST is handed on, and the next start clears the error."""
    await ready(dut)
    rand = rng(slave)
    device = ReadSlave(dut, rand, *slave)
    for device.fault in range(4):
        for device.faults in (0.02, 0.0, 1.0):
            found = await run(dut, device, Batch(frames=1, free=0.7), rand)
            assert device.faults < 1.0 or found.first_fault is not None


@cocotb.test(timeout_time=9, timeout_unit="ms")
async def a_beat_that_nobody_asked_for_is_an_error(dut) -> None:
    await ready(dut)
    dut.start_pulse.value, dut.m_axi_rvalid.value = 1, 1
    for cycle in range(6):
        await RisingEdge(dut.clk)
        dut.start_pulse.value = 0
        assert not int(dut.m_valid.value)
        assert bool(dut.stat_error.value) == (cycle >= 3)


@cocotb.test(timeout_time=9, timeout_unit="ms")
async def a_reset_of_the_bus_forgets_what_is_outstanding(dut) -> None:
    await ready(dut)
    rand = rng()
    for cut in (5, 9, 40):
        dut.start_pulse.value, dut.free.value, dut.m_axi_arready.value = 1, -1 % (1 << parameter(dut, "N_TARGETS")), 1
        for _ in range(cut):
            await RisingEdge(dut.clk)
            dut.start_pulse.value = 0
        dut.axi_rst.value = 1
        await RisingEdge(dut.clk)
        dut.axi_rst.value = 0
        await RisingEdge(dut.clk)
        assert not dut.m_axi_arvalid.value
        assert not dut.stat_busy.value
        await run(dut, ReadSlave(dut, rand), Batch(frames=1), rand)
