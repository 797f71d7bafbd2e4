# SPDX-License-Identifier: Apache-2.0
"""nba_align: every code under every legal shift, both signs, in every rotation, with columns present and absent; some
or all of the banks are columns."""

from __future__ import annotations

import cocotb
from lanes import Inputs, draw, nest, pack, stream, unpack
from stepping import parameter, rng


def legal_cases(dut) -> list[tuple[int, int]]:
    """Every (s_shift, s_signed) that the parameters allow."""
    bits = parameter(dut, "C_BITS")
    shifts = range(bits - parameter(dut, "A_BITS"), bits - 1) if parameter(dut, "NEST") else (0,)
    return [(shift, signed) for shift in shifts for signed in (0, 1)]


async def check(dut, steps: list[Inputs], columns: list[list[int]]) -> None:
    """Send the steps; `columns` holds the codes that the operands of each step come from."""
    count, width = parameter(dut, "COLUMNS") * parameter(dut, "LANES"), parameter(dut, "A_BITS") + 1
    bits = parameter(dut, "C_BITS")
    seen = await stream(dut, "m_data", 3, steps)
    assert len(seen) == len(steps) == len(columns)
    for step, codes, word in zip(steps, columns, seen, strict=True):
        signed, shift = bool(step["s_signed"]), step["s_shift"]
        values = [code - (1 << bits) if signed and code >> (bits - 1) else code for code in codes]
        assert unpack(word, width, count) == [nest(value, shift, bits - shift, signed) for value in values], step


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_code(dut) -> None:
    banks, present, lanes, bits = (parameter(dut, name) for name in ("BANKS", "COLUMNS", "LANES", "C_BITS"))
    count = present * lanes
    rand = rng()
    # All codes of 8 bits; of 16 bits those around every power of two, and others.
    some = {(1 << k) + d for k in range(bits + 1) for d in range(-2, 3)} | {rand.getrandbits(bits) for _ in range(300)}
    every = list(range(256)) if bits == 8 else sorted(code % (1 << bits) for code in some)
    steps: list[Inputs] = []
    columns: list[list[int]] = []
    for shift, signed in legal_cases(dut):
        for start in range(0, len(every), count):
            codes = [every[(start + k) % len(every)] for k in range(count)]
            others = [rand.getrandbits(bits) for _ in range(banks * lanes - count)]
            ports = {"s_rot": 0, "s_ok": (1 << banks) - 1, "s_pad": 0, "s_signed": signed, "s_shift": shift}
            steps.append({"s_data": pack(codes + others, bits), **ports})
            columns.append(codes)
    await check(dut, steps, columns)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def rotation_and_padding(dut) -> None:
    n_banks, count, lanes, bits = (parameter(dut, name) for name in ("BANKS", "COLUMNS", "LANES", "C_BITS"))
    low, mask = -(1 << (bits - 1)), (1 << bits) - 1
    rand, cases = rng(), legal_cases(dut)
    steps: list[Inputs] = []
    columns: list[list[int]] = []
    for _ in range(400):
        shift, signed = rand.choice(cases)
        rot, pads = rand.randrange(n_banks), [draw(rand, low, mask) & mask for _ in range(lanes)]
        pads = pads if parameter(dut, "PADS") else pads[:1] * lanes
        ok = rand.choice(((1 << n_banks) - 1, 0, rand.getrandbits(n_banks), rand.getrandbits(n_banks)))
        banks = [[draw(rand, low, mask) & mask for _ in range(lanes)] for _ in range(n_banks)]
        pad = pack(pads, bits) if parameter(dut, "PADS") else pads[0]
        ports = {"s_rot": rot, "s_ok": ok, "s_pad": pad, "s_signed": signed, "s_shift": shift}
        steps.append({"s_data": pack([code for bank in banks for code in bank], bits), **ports})
        words = [banks[(rot + j) % n_banks] if ok >> j & 1 else pads for j in range(count)]
        columns.append([code for word in words for code in word])
    await check(dut, steps, columns)
