# SPDX-License-Identifier: Apache-2.0
"""nba_align: every code under every legal shift, both signs, in every rotation, with columns present and absent."""

from __future__ import annotations

import cocotb
from lanes import Inputs, draw, nest, pack, stream, unpack
from stepping import parameter, rng


def legal_cases(dut) -> list[tuple[int, int]]:
    """Every (s_shift, s_signed) that the parameters allow."""
    shifts = range(8 - parameter(dut, "A_BITS"), 7) if parameter(dut, "NEST") else (0,)
    return [(shift, signed) for shift in shifts for signed in (0, 1)]


async def check(dut, steps: list[Inputs], columns: list[list[int]]) -> None:
    """Send the steps; `columns` holds the bytes that the operands of each step come from."""
    count, width = parameter(dut, "PP") * parameter(dut, "LANES"), parameter(dut, "A_BITS") + 1
    seen = await stream(dut, "m_data", 1, steps)
    assert len(seen) == len(steps) == len(columns)
    for step, codes, word in zip(steps, columns, seen, strict=True):
        signed, shift = bool(step["s_signed"]), step["s_shift"]
        values = [code - 256 if signed and code > 127 else code for code in codes]
        assert unpack(word, width, count) == [nest(value, shift, 8 - shift, signed) for value in values], step


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_code(dut) -> None:
    pp, count = parameter(dut, "PP"), parameter(dut, "PP") * parameter(dut, "LANES")
    steps: list[Inputs] = []
    columns: list[list[int]] = []
    for shift, signed in legal_cases(dut):
        for start in range(0, 256, count):
            codes = [(start + k) % 256 for k in range(count)]
            ports = {"s_rot": 0, "s_ok": (1 << pp) - 1, "s_pad": 0, "s_signed": signed, "s_shift": shift}
            steps.append({"s_data": pack(codes, 8), **ports})
            columns.append(codes)
    await check(dut, steps, columns)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def rotation_and_padding(dut) -> None:
    pp, lanes = parameter(dut, "PP"), parameter(dut, "LANES")
    rand, cases = rng(), legal_cases(dut)
    steps: list[Inputs] = []
    columns: list[list[int]] = []
    for _ in range(400):
        shift, signed = rand.choice(cases)
        rot, pad = rand.randrange(pp), draw(rand, -128, 255) & 255
        ok = rand.choice(((1 << pp) - 1, 0, rand.getrandbits(pp), rand.getrandbits(pp)))
        banks = [[draw(rand, -128, 255) & 255 for _ in range(lanes)] for _ in range(pp)]
        ports = {"s_rot": rot, "s_ok": ok, "s_pad": pad, "s_signed": signed, "s_shift": shift}
        steps.append({"s_data": pack([code for bank in banks for code in bank], 8), **ports})
        words = [banks[(rot + j) % pp] if ok >> j & 1 else [pad] * lanes for j in range(pp)]
        columns.append([code for word in words for code in word])
    await check(dut, steps, columns)
