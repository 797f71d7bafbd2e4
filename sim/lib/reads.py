# SPDX-License-Identifier: Apache-2.0
"""An AXI4 read slave for the library benches, in the loop of `stepping`: one `step` per cycle."""

from __future__ import annotations

import random
from collections import deque


def contents(address: int, bits: int) -> int:
    """What the memory holds at a byte address: `bits` bits that differ from word to word."""
    return random.Random(address).getrandbits(bits)


class ReadSlave:
    """Answers m_axi_ar* in order. Without stall: ARREADY always 1, a beat in max(a + latency, previous beat + 1), a the
    cycle in which its burst was accepted. stall: share of cycles without ARREADY, and without a beat that could come.
    faults: share of beats at fault; fault: their RRESP, or RLAST (0).

    After `step` of a cycle, `accepted` is (address, beats) of the burst that was accepted in it, `beat` is (data,
    at fault) of the beat that was taken."""

    def __init__(self, dut, rand: random.Random, stall: float = 0.0, latency: int = 1):
        self.dut, self.rand, self.stall, self.latency = dut, rand, stall, latency
        self.faults, self.fault = 0.0, 0
        self.bits = len(dut.m_axi_rdata)
        self.bursts: deque[tuple[int, int, int]] = deque()
        self.place = 0
        self.offer: tuple[int, bool] | None = None
        self.open = False
        self.accepted: tuple[int, int] | None = None
        self.beat: tuple[int, bool] | None = None
        self.drive(0)

    @property
    def waiting(self) -> bool:
        """Whether a burst was accepted whose last beat was not taken."""
        return bool(self.bursts) or self.offer is not None

    def step(self, cycle: int) -> None:
        """Sample the cycle that ended, drive the next one."""
        dut, self.accepted, self.beat = self.dut, None, None
        if self.open and dut.m_axi_arvalid.value:
            assert (int(dut.m_axi_arsize.value), int(dut.m_axi_arburst.value)) == ((self.bits // 8).bit_length() - 1, 1)
            self.accepted = int(dut.m_axi_araddr.value), int(dut.m_axi_arlen.value) + 1
            self.bursts.append((cycle, *self.accepted))
        if self.offer is not None:
            assert dut.m_axi_rready.value, f"cycle {cycle}: a beat is not taken"
            self.beat, self.offer = self.offer, None
        self.drive(cycle + 1)

    def drive(self, cycle: int) -> None:
        """Drive `cycle`."""
        dut, rand = self.dut, self.rand
        self.open = rand.random() >= self.stall
        dut.m_axi_arready.value = int(self.open)
        ready = self.bursts and cycle >= self.bursts[0][0] + self.latency
        if self.offer is None and ready and rand.random() >= self.stall:
            _, address, beats = self.bursts[0]
            data = contents(address + self.place * self.bits // 8, self.bits)
            self.place += 1
            last, at_fault = self.place == beats, rand.random() < self.faults
            self.offer = data, at_fault
            dut.m_axi_rdata.value = data
            dut.m_axi_rresp.value = self.fault if at_fault else 0
            dut.m_axi_rlast.value = int(last != (at_fault and not self.fault))
            if last:
                self.bursts.popleft()
                self.place = 0
        dut.m_axi_rvalid.value = int(self.offer is not None)
        if self.offer is None:
            dut.m_axi_rdata.value = rand.getrandbits(self.bits)
            dut.m_axi_rlast.value, dut.m_axi_rresp.value = rand.getrandbits(1), rand.getrandbits(2)
